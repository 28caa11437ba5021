"""effnet/comparison/parity.py: what it finds alike, what it does not, and that it fails when it must."""

import numpy as np
import pytest

from effnet.comparison import parity
from effnet.errors import InputError

NAMES = [f"ant/{i}.JPEG" for i in range(4)]


@pytest.fixture
def logits():
    return np.array([[3, 1, 0], [0, 2, 1], [5, 4, 0], [0, 0, 8]], np.float32)


def test_figures_by_hand(logits):
    other = logits.copy()
    other[1] = [0, 2, 2.5]
    found = parity.pairs({"a": logits, "b": other, "c": logits})
    assert list(found) == ["a-b", "a-c", "b-c"]
    assert found["a-b"] == found["b-c"] == {"largest_difference": 1.5, "equal_top1": 0.75}
    assert found["a-c"] == {"largest_difference": 0.0, "equal_top1": 1.0}


@pytest.mark.parametrize("difference, fails", [(0.9e-3, False), (1.1e-3, True)])
def test_a_float32_runtime_may_differ_by_a_thousandth(logits, difference, fails):
    other = logits.copy()
    other[2, 2] += np.float32(difference)
    if not fails:
        return parity.check({"a": logits, "b": other}, NAMES)
    with pytest.raises(InputError, match=r"a and b differ by 0\.0011 in a logit of ant/2\.JPEG, more than 0\.001;"):
        parity.check({"a": logits, "b": other}, NAMES)


def test_a_flip_fails_unless_it_is_a_tie(logits):
    logits[1] = [0, 2.0001, 2]
    other = logits.copy()
    other[1] = [0, 2, 2.0001]  # within the tolerance, and yet another answer
    with pytest.raises(InputError, match=r"a takes ant/1\.JPEG for class 1, b for class 2 \(1 such"):
        parity.check({"a": logits, "b": other}, NAMES)
    logits[1] = [0, 2, np.nextafter(np.float32(2), np.float32(0))]  # one unit in the last place apart
    other[1] = [0, np.nextafter(np.float32(2), np.float32(0)), 2]
    parity.check({"a": logits, "b": other}, NAMES)


def test_other_shapes_and_nan_are_refused(logits):
    with pytest.raises(InputError, match="other pictures or classes"):
        parity.pairs({"a": logits, "b": logits[:3]})
    bad = logits.copy()
    bad[2, 1] = np.nan
    with pytest.raises(InputError, match="b answered picture 2 with what is no number"):
        parity.pairs({"a": logits, "b": bad})


def test_the_picture_is_the_same_bytes_twice(logits, tmp_path):
    for name in "ab":
        parity.draw(tmp_path / f"{name}.svg", {"mindspore": logits, "onnx": logits + 1e-5}, "mindspore")
    text = (tmp_path / "a.svg").read_bytes()
    assert text == (tmp_path / "b.svg").read_bytes() and text.startswith(b"<?xml") and len(text) < 100_000
