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
    assert found["a-b"] == found["b-c"] == {"largest_difference": 0.15, "equal_top1": 0.75}
    assert found["a-c"] == {"largest_difference": 0.0, "equal_top1": 1.0}


@pytest.mark.parametrize("difference, fails", [(0.9e-3, False), (1.1e-3, True)])
def test_a_float32_runtime_may_differ_by_a_thousandth(logits, difference, fails):
    other = logits.copy()
    other[2, 2] += np.float32(difference)
    if not fails:
        return parity.check({"a": logits, "b": other}, NAMES)
    with pytest.raises(InputError, match=r"a and b differ by 0\.0011 in a logit of ant/2\.JPEG, more than 0\.001;"):
        parity.check({"a": logits, "b": other}, NAMES)


def test_what_rounds_may_be_so_far_from_float32(logits):
    off = {share: logits * np.float32(1 + share) for share in (0.099, 0.101, 0.04, 0.079, 0.081)}
    kinds = {"onnx": "float32", "openvino_bfloat16": "bfloat16", "onnx_int8": "int8", "openvino_int8": "int8"}
    parity.check_rounded({"onnx": logits, "openvino_bfloat16": off[0.099]}, kinds)
    parity.check_rounded({"onnx": logits, "onnx_int8": off[0.04], "openvino_int8": off[0.079]}, kinds)
    with pytest.raises(InputError, match=r"openvino_bfloat16, in bfloat16, is 10\.1% off onnx .*, more than 10\.0%"):
        parity.check_rounded({"onnx": logits, "openvino_bfloat16": off[0.101]}, kinds)
    with pytest.raises(InputError, match=r"openvino_int8, in int8, is 8\.1% off onnx .*, more than 8\.0%"):
        parity.check_rounded({"onnx": logits, "onnx_int8": off[0.04], "openvino_int8": off[0.081]}, kinds)


def test_a_device_that_rounds_is_compared_with_one_that_does_not(logits):
    limit = parity.LIMITS["float16"]
    over = logits * np.float32(1 + 1.05 * limit)
    kinds = {"mindspore": "float16", "onnx": "float32"}
    parity.check_rounded({"mindspore": logits * np.float32(1 + 0.95 * limit), "onnx": logits}, kinds)
    with pytest.raises(InputError, match="mindspore, in float16, is .* off onnx"):
        parity.check_rounded({"mindspore": over, "onnx": logits}, kinds)
    parity.check_rounded({"mindspore": over, "onnx": logits}, {"mindspore": "float16", "onnx": "tf32"})  # both round


def test_of_large_logits_it_may_be_a_share(logits):
    logits[3, 2] = 80
    other = logits.copy()
    other[3, 0] += np.float32(7.9e-3)
    parity.check({"a": logits, "b": other}, NAMES)
    other[3, 0] += np.float32(0.2e-3)
    with pytest.raises(InputError, match=r"a and b differ by 0\.0081 in a logit of ant/3\.JPEG, more than 0\.008;"):
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


@pytest.mark.parametrize(
    "value, expected",
    [(1e-5, 1e-5), (1.01e-5, 2e-5), (3.7e-6, 5e-6), (5.1e-6, 1e-5), (0.2, 0.2), (7, 10), (1.1e-12, 2e-12)],
)
def test_a_difference_is_rounded_up_to_a_round_one(value, expected):
    assert parity.rounded_up(value) == expected
    assert parity.rounded_up(parity.rounded_up(value)) == expected  # a round one is itself
    assert parity.rounded_up(expected * (1 + 1e-12)) == expected  # and so is what floats make of it


def test_rounding_up_never_tells_less_than_was_found():
    for value in np.random.default_rng(0).lognormal(-10, 6, 1000):
        assert value * (1 - 1e-9) <= parity.rounded_up(value) <= 2.5 * value


def test_the_worst_is_of_the_float32_runtimes_alone(logits):
    table = parity.pairs({"a": logits, "b": logits + np.float32(3e-3), "c": logits + 1, "int8": logits + 50})
    assert parity.worst(table, ["a", "b"]) == 5e-4
    assert parity.worst(table, ["a", "b", "c"]) == 0.1  # also between two that are not the reference


def test_tables_by_hand(logits, tmp_path):
    other = logits.copy()
    other[1] = [0, 2, 2.5]  # a quarter of the pictures, by 1.5
    found = {"mindspore": logits, "onnx": other, "infer310": logits}
    parity.write_tables(tmp_path, parity.pairs(found), found)
    assert (tmp_path / "pairs.csv").read_text().splitlines() == [
        "pair,largest_difference,equal_top1",
        "mindspore-onnx,0.2,0.75",
        "mindspore-infer310,0.0001,1.0",
        "onnx-infer310,0.2,0.75",
    ]
    head, *rows = (tmp_path / "differences.csv").read_text().splitlines()
    assert head == "pictures,onnx,infer310" and [int(row.split(",")[0]) for row in rows] == list(range(0, 101, 5))
    assert {row.split(",")[2] for row in rows} == {"-4.0"}  # rounding is all the same
    assert [row.split(",")[1] for row in rows] == ["-4.0"] * 14 + ["-0.7"] * 7  # of three in four, up to 2/3 of the way


def test_another_machine_s_last_digits_change_no_table(logits, tmp_path):
    for name, rounding, factor in (("a", 1e-6, 1.0), ("b", 5e-4, 1.1)):
        found = {"mindspore": logits, "onnx": logits + np.float32(rounding), "int8": logits + np.float32(0.3 * factor)}
        parity.write_tables(tmp_path / name, parity.pairs(found), found)
    for name in ("pairs.csv", "differences.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
