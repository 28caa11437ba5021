"""One picture's bytes on their way into a shard: is it whole, and, if asked for, smaller."""

import io

from PIL import Image, JpegImagePlugin


def problem(data):
    """None if `data` decodes from the first pixel to the last, else what is wrong with it, in a few words.

    A JPEG is decoded at an eighth of its size: that reads every byte, and so finds a truncated file, at a fraction of
    the cost.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", (1, 1))
            image.load()
            if image.format != "JPEG":
                image.convert("RGB")
    except MemoryError:
        raise  # the machine's fault, not the picture's
    except Exception as error:  # decoders raise whatever they please on foreign bytes
        return (
            "empty file"
            if not data
            else "not a picture"
            if isinstance(error, Image.UnidentifiedImageError)
            else str(error)
        )
    return None


def shrink(data, shorter_side):
    """`data` re-encoded as JPEG (quality 95, its own chroma subsampling) with its shorter side brought down to
    `shorter_side` pixels.

    A picture that is already as small keeps its bytes.
    """
    with Image.open(io.BytesIO(data)) as image:
        scale = shorter_side / min(image.size)
        if scale >= 1:
            return data
        subsampling = JpegImagePlugin.get_sampling(image) if image.format == "JPEG" else -1
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        size = [max(shorter_side, round(side * scale)) for side in image.size]
        out = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=95, subsampling=subsampling)
        return out.getvalue()
