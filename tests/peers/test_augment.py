"""Operations of RandAugment and AutoAugment beside timm's and torchvision's, byte for byte: Pillow is behind all."""

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from effnet.data import operations, policies
from tests.peers.nets import _torchvision
from tests.pictures import jpeg

pytestmark = pytest.mark.peers
MEAN = (124, 116, 104)
PICTURES = [np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)]


@pytest.fixture(scope="module")
def timm():
    _torchvision()
    from timm.data import auto_augment

    return auto_augment


def pictures():
    return [*PICTURES, np.array(Image.open(BytesIO(jpeg(3))).convert("RGB"))]


def plain(name):
    """timm's name without what it says of its levels."""
    for end in ("Increasing", "Original", "Rel"):
        name = name.removesuffix(end)
    return name


@pytest.mark.parametrize("increasing", [0, 1])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_randaugment_does_to_a_picture_what_timm_does(timm, increasing, interpolation, monkeypatch):
    name = f"rand-m9-inc{increasing}"
    policy = policies.of(SimpleNamespace(auto_augment=name, mean=MEAN, interpolation=interpolation))
    theirs = timm._RAND_INCREASING_TRANSFORMS if increasing else timm._RAND_TRANSFORMS
    assert sorted(map(plain, theirs)) == sorted(policy.levels)
    more = {"fillcolor": MEAN, "resample": getattr(Image.Resampling, interpolation.upper())}
    for operation in theirs:
        for sign in (1, -1):
            monkeypatch.setattr(timm, "_randomly_negate", lambda value, sign=sign: sign * value)
            for level in range(11):
                as_argument = timm.LEVEL_TO_ARG[operation]
                arguments = as_argument(level, {"img_mean": MEAN}) if as_argument else ()
                for pixels in pictures():
                    if plain(operation) == "Posterize" and arguments == (0,):  # which this Pillow refuses; older: black
                        wanted = np.zeros_like(pixels)
                    else:
                        wanted = timm.NAME_TO_OP[operation](Image.fromarray(pixels), *arguments, **more)
                    found = pixels.copy()
                    policies.perform(policy, plain(operation), found, sign * level / 10, None)
                    np.testing.assert_array_equal(found, np.array(wanted), f"{operation} {sign * level}")


@pytest.mark.parametrize("ours, theirs", [("imagenet", "original"), ("policy_v0", "v0")])
def test_policies_are_timms(timm, ours, theirs):
    found = [
        [(plain(step.name), step.prob, step.magnitude) for step in row] for row in timm.auto_augment_policy(theirs, {})
    ]
    rows = [[(name.removesuffix("Pixels"), *rest) for name, *rest in row] for row in policies.NAMED[ours].rows]
    assert rows == found


def test_enhancing_and_values_are_torchvisions():
    functional = _torchvision().transforms.functional
    by_factor = {
        operations.brightness: functional.adjust_brightness,
        operations.contrast: functional.adjust_contrast,
        operations.color: functional.adjust_saturation,
        operations.sharpness: functional.adjust_sharpness,
    }
    cases = [(ours, theirs, factor) for ours, theirs in by_factor.items() for factor in (0.0, 0.1, 0.73, 1.0, 1.9)]
    cases += [(operations.posterize, functional.posterize, bits) for bits in range(1, 9)]
    cases += [(operations.solarize, functional.solarize, threshold) for threshold in (0, 1, 127.5, 255, 256)]
    for ours, theirs, argument in cases:
        for pixels in pictures():
            wanted = np.array(theirs(Image.fromarray(pixels), argument))
            np.testing.assert_array_equal(ours(pixels.copy(), argument), wanted, f"{ours.__name__} {argument}")
    for name in ("autocontrast", "equalize", "invert"):
        ours = {"autocontrast": operations.auto_contrast}.get(name) or getattr(operations, name)
        for pixels in pictures():
            wanted = np.array(getattr(functional, name)(Image.fromarray(pixels)))
            np.testing.assert_array_equal(ours(pixels.copy()), wanted, name)
