"""The worst mistakes of an evaluation as one picture: what was most surely wrong, with what it is and what it was
taken for.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from effnet.files import whole

COLUMNS, ROWS, SIDE, CAPTION = 4, 3, 200, 40  # pictures; pixels


def worst(results, count=COLUMNS * ROWS):
    """Indices of the wrongly classified images of the largest loss, worst first."""
    wrong = np.flatnonzero(results.place > 0)
    return wrong[np.argsort(-results.loss[wrong], kind="stable")][:count]


def write_sheet(path, results, dataset):
    """Write the worst mistakes as a PNG; where there are none, it says so."""
    chosen, classes = worst(results), dataset.classes
    rows = max(1, -(-len(chosen) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    if not len(chosen):
        draw.text((8, 8), "no mistakes", "black", font)
    for number, index in enumerate(chosen.tolist()):
        x, y = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + CAPTION)
        with Image.open(io.BytesIO(dataset.read(index))) as picture:
            picture = picture.convert("RGB")
            scale = (SIDE - 8) / max(picture.size)  # small ones grow, too
            picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
        sheet.paste(picture, (x + 4, y + 4))
        actual, taken = classes[dataset.labels[index]], classes[results.top[index, 0]]
        draw.text(
            (x + 6, y + SIDE),
            f"is {actual[:24]}\ntaken for {taken[:16]} ({results.confidence[index]:.0%})",
            "black",
            font,
        )
    with whole(path) as file:
        sheet.save(file, "PNG")
