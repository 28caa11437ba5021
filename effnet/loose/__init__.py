"""Pictures as they lie, for the evaluation of any model: nothing is prepared, every picture has its class found."""

# what counts as a picture in a folder
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
