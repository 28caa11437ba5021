"""effnet/native/operations.h: the bytes that Pillow gives, for pictures, factors and matrices at random and at the
edges.
"""

import ctypes
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from effnet import native
from effnet.data import operations, policies
from effnet.errors import InputError
from effnet.native.build import FLAGS

SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (3, 9), (1, 300), (300, 1), (7, 37), (64, 80), (260, 260)]
FACTORS = [0, 1, 0.1, 0.55, 1.9, 2.5, -0.5, 1 + 1e-8, 1 - 1e-7, 1e12, -1e12]


def pictures():
    """Noise, one colour, the two ends of the scale, few values, and a picture's smooth shades; in each of SHAPES."""
    rng = np.random.default_rng(5)
    for shape in SHAPES:
        y, x, c = np.mgrid[: shape[0], : shape[1], :3]
        yield rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        yield np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (*shape, 3)).copy()
        yield rng.choice(np.array([0, 255], np.uint8), (*shape, 3))
        yield rng.choice(np.array([0, 1, 100, 254, 255], np.uint8), (*shape, 3))
        yield (40 + 90 * np.sin(x / 31 + c) ** 2 + 100 * y / shape[0] + rng.integers(0, 9, (*shape, 3))).astype(
            np.uint8
        )


PICTURES = list(pictures())


def changed(pixels, operation, *arguments):
    made = pixels.copy()
    operation(made, *arguments)
    return made


@pytest.mark.parametrize("kind", native.ENHANCEMENTS)
def test_enhancements_are_pillows(kind):
    rng = np.random.default_rng(1)
    for pixels in PICTURES:
        enhance = getattr(ImageEnhance, kind.capitalize())(Image.fromarray(pixels)).enhance
        for factor in [*FACTORS, *2 * rng.random(3)]:
            made = pixels.copy()
            native.enhance(kind, made, factor)
            assert np.array_equal(made, enhance(factor)), (factor, pixels.shape)


def test_what_goes_by_values_is_pillows():
    for pixels in PICTURES:
        image = Image.fromarray(pixels)
        assert np.array_equal(changed(pixels, native.autocontrast), ImageOps.autocontrast(image)), pixels.shape
        assert np.array_equal(changed(pixels, native.equalize), ImageOps.equalize(image)), pixels.shape
        for threshold in (0, 0.4, 1, 25.6, 128, 230.4, 255, 256):
            expected = ImageOps.solarize(image, threshold)
            assert np.array_equal(changed(pixels, operations.solarize, threshold), expected), threshold
        assert native.histogram(pixels).ravel().tolist() == image.histogram()
        tables = np.random.default_rng(2).integers(0, 256, (3, 256))
        assert np.array_equal(changed(pixels, native.point, tables), image.point(tables.ravel().tolist()))


@pytest.mark.parametrize("m", [-1, -0.8, -0.5, 0, 0.3, 0.45, 0.9, 1])
def test_geometry_is_pillows(m):
    grey, nearest = policies.GREY, policies.NEAREST
    for pixels in PICTURES:
        image, (height, width) = Image.fromarray(pixels), pixels.shape[:2]
        turned = changed(pixels, operations.rotate, 30 * m, grey, nearest)
        assert np.array_equal(turned, image.rotate(30 * m, fillcolor=grey)), pixels.shape
        for matrix in [
            (1, 0.3 * m, 0, 0, 1, 0), (1, 0, 0, 0.3 * m, 1, 0),  # shear
            (1, 0, m * width, 0, 1, 0), (1, 0, 0, 0, 1, 0.45 * m * height), (1, 0, 3 * m * width, 0, 1, 0.5),  # shift
            (1 + m, 0, 2, 0, 1 - m, 1), (-0.5, 0, width, 0, -1, height), (0.7, m, 3, m, 1.3, -2),
        ]:  # fmt: skip
            expected = image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=grey)
            assert np.array_equal(changed(pixels, native.affine, matrix, grey), expected), (matrix, pixels.shape)


def test_a_transform_out_of_reach_is_refused():
    pixels = PICTURES[-1]
    for matrix in ((1, 0, 20000, 0, 1, 0), (1, 0, 0, float("nan"), 1, 0), (1, 100, 0, 0, 1, 0)):
        with pytest.raises(InputError, match="a transform of 260 x 260 pixels reaches beyond 16384"):
            changed(pixels, native.affine, matrix, policies.GREY)


def test_same_bytes_without_vectors(tmp_path):
    plain = tmp_path / "plain.so"
    sources = [str(native.FOLDER / name) for name in ("colors.c", "affine.c")]
    subprocess.run(["cc", *FLAGS, "-DFOR_EACH_CPU=", "-O1", *sources, "-o", str(plain), "-lm"], check=True)
    library = ctypes.CDLL(str(plain))
    for pixels in PICTURES:
        for kind in native.ENHANCEMENTS:
            made, here = pixels.copy(), pixels.copy()
            size = pixels.shape[1::-1]
            code = getattr(library, f"image_{kind}")(
                ctypes.c_void_p(made.ctypes.data), *size, ctypes.c_float(1.7), None
            )
            native.enhance(kind, here, 1.7)
            assert code == 0 and np.array_equal(made, here), (kind, pixels.shape)
        made, here = pixels.copy(), pixels.copy()
        assert library.image_equalize(ctypes.c_void_p(made.ctypes.data), *size, None) == 0
        native.equalize(here)
        assert np.array_equal(made, here), pixels.shape
