"""effnet/data/presets.py: evaluation is Pillow's and torchvision's byte for byte, training a pure function, and odd
pictures are read.
"""

import io
import random

import numpy as np
import pytest
from PIL import Image

from effnet import native, recipe
from effnet.data import augment, streams
from effnet.data.presets import decode, eval_preset, train_preset
from effnet.errors import InputError
from tests.conftest import SHARED
from tests.native.test_native import resize, rgb
from tests.pictures import jpeg, odd

PLAIN = {
    "crop_scale": (1, 1), "crop_ratio": (1, 1), "interpolation": "bilinear", "hflip": 0, "auto_augment": "",
    "color_jitter": (0, 0, 0), "jitter_order": "fixed", "random_erasing": 0, "mixup": 0, "cutmix": 0,
    "mean": (127.5,) * 3, "std": (127.5,) * 3,
}  # fmt: skip
CROP = {"crop_scale": (0.08, 1), "crop_ratio": (3 / 4, 4 / 3), "hflip": 0.5}
EVERYTHING = CROP | {"auto_augment": "imagenet", "color_jitter": (0.4, 0.4, 0.4), "random_erasing": 0.5}


def settings(**changes):
    """A recipe's augment section."""
    return recipe.Augment(**PLAIN | changes)


def evaluation(side, crop, interpolation="bilinear"):
    return recipe.Evaluate(resize=side, crop=crop, interpolation=interpolation, batch_size=4, amp_level="O0")


def expected(data, side, crop, interpolation):
    """torchvision's Resize(side) and CenterCrop(crop) written down again, on Pillow."""
    image = rgb(data)
    width, height = image.size
    short, long = min(width, height), max(width, height)
    size = (side, int(side * long / short)) if width <= height else (int(side * long / short), side)
    image = resize(image, size, interpolation)
    left, top = int(round((image.width - crop) / 2.0)), int(round((image.height - crop) / 2.0))
    return np.asarray(image.crop((left, top, left + crop, top + crop)))


@pytest.mark.parametrize(
    "side, crop, interpolation",
    [(280, 260, "bilinear"), (64, 64, "bicubic"), (33, 20, "bilinear"), (16, 16, "bicubic")],
)
def test_evaluation_is_pillows(side, crop, interpolation):
    rng = random.Random(side)
    shapes = [(1, 1), (1, 40), (500, 3), (side, side), (side + 1, side), (375, 500), (500, 375)]
    shapes += [(rng.randint(1, 500), rng.randint(1, 500)) for _ in range(25)]
    pictures = [jpeg(i, size, subsampling=rng.choice(["4:4:4", "4:2:2", "4:2:0"])) for i, size in enumerate(shapes)]
    pictures += [path.read_bytes() for path in sorted(SHARED.glob("imagenet100/*"))[::5]] + list(odd().values())
    preset = eval_preset(evaluation(side, crop, interpolation))
    for data in pictures:
        made = preset(data)
        assert made.dtype == np.uint8 and np.array_equal(made, expected(data, side, crop, interpolation)), rgb(
            data
        ).size


def test_linear_is_mindspore_s_own():
    """Evaluation and training crops as the original's scripts have them made, each byte to a level."""
    from mindspore.dataset import vision

    from effnet import network  # noqa: F401  sets what MindSpore reads when it is imported

    preset = eval_preset(evaluation(280, 260, "linear"))
    for path in sorted(SHARED.glob("imagenet100/*"))[::10]:
        data = path.read_bytes()
        pixels = vision.Decode()(np.frombuffer(data, np.uint8))
        theirs = vision.CenterCrop(260)(vision.Resize(280)(pixels)).astype(int)
        assert np.abs(theirs - preset(data)).max() <= 1, path
        height, width = pixels.shape[:2]
        for left, top, right, bottom in ((width // 5, 7, width // 2, height // 2), (0, 0, width, height)):
            crop = np.ascontiguousarray(pixels[top:bottom, left:right])
            for size in (260, 40):  # the smaller one is not decoded at a part of its size
                made = np.empty((size, size, 3), np.uint8)
                native.crop(data, (left, top, right, bottom), "linear", False, made)
                assert np.abs(vision.Resize((size, size))(crop).astype(int) - made).max() <= 1, path


def test_random_resampling_is_either():
    data, preset = jpeg(2, (200, 150)), train_preset(100, settings(interpolation="random"), 9)
    made = {preset(data, 0, index).tobytes() for index in range(20)}
    assert made == {resize(rgb(data), (100, 100), how).tobytes() for how in ("bilinear", "bicubic")}


def test_odd_pictures_are_read_as_what_they_are():
    for name, data in odd().items():
        assert np.array_equal(decode(data), np.asarray(rgb(data))), name
        made = train_preset(32, settings(), 1)(data, 0, 0)
        assert np.array_equal(made, resize(rgb(data), (32, 32), "bilinear")), name


def test_a_png_is_cropped_and_mirrored_like_a_jpeg():
    smooth = Image.fromarray(native.decode(jpeg(1, (60, 50))))
    forms = []
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0})):
        out = io.BytesIO()
        smooth.save(out, kind, **options)
        forms.append(out.getvalue())
    preset = train_preset(32, settings(**CROP), 5)
    for i in range(20):
        png, again = (preset(data, 0, i).astype(int) for data in forms)
        assert np.abs(png - again).max() <= 4  # the JPEG's own loss, and nothing like another crop


def test_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees for display
    plain, tagged = jpeg(1, (60, 40)), jpeg(1, (60, 40), exif=exif)
    preset = eval_preset(evaluation(32, 32))
    assert np.array_equal(preset(plain), preset(tagged))


def test_training_is_a_pure_function_of_seed_epoch_and_index():
    data = jpeg(1, (120, 90))
    preset = train_preset(64, settings(**EVERYTHING), 1)
    first = preset(data, 3, 7)
    for other in range(5):
        preset(data, other, other)  # what else was asked for changes nothing
    assert np.array_equal(train_preset(64, settings(**EVERYTHING), 1)(data, 3, 7), first)
    variants = [preset(data, 3, 8), preset(data, 4, 7), train_preset(64, settings(**EVERYTHING), 2)(data, 3, 7)]
    assert all(not np.array_equal(first, variant) for variant in variants)


def test_training_is_the_crop_that_was_drawn():
    data, preset, flips = jpeg(2, (200, 150)), train_preset(48, settings(**CROP), 9), 0
    for index in range(30):
        rng = streams.generator(9, streams.SAMPLE, 2, index)
        box = augment.crop_box(200, 150, CROP["crop_scale"], CROP["crop_ratio"], rng)
        flip = rng.random() < 0.5
        flips += flip
        d = 2 if min(box[2] - box[0], box[3] - box[1]) >= 96 else 1
        image = Image.open(io.BytesIO(data))
        if d == 2:
            image.draft(None, (100, 75))
        plain = np.asarray(resize(image.convert("RGB"), (48, 48), "bilinear", [v / d for v in box]))
        assert np.array_equal(preset(data, 2, index), plain[:, ::-1] if flip else plain), index
    assert 5 < flips < 25


def test_unreadable_pictures():
    for data, why in (
        (b"", "empty"),
        (b"GIF89a nonsense", "."),
        (jpeg(1)[:300], "ends before"),
        (odd()["png"][:200], "."),
    ):
        for preset in (lambda d: train_preset(32, settings(), 1)(d, 0, 0), eval_preset(evaluation(32, 32))):
            with pytest.raises(InputError, match=why):
                preset(data)
