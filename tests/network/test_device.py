"""effnet/network/device.py: what MindSpore is told before anything runs on a device, as far as one can see without."""

import sys

import pytest

from effnet.network.device import compute_exactly


@pytest.mark.parametrize(
    "target, told",
    [
        ("Ascend", {"conv_allow_hf32": False, "matmul_allow_hf32": False}),
        ("GPU", {"conv_allow_tf32": False, "matmul_allow_tf32": False}),
        ("CPU", {}),
    ],
)
def test_float32_is_float32(target, told):
    heard = {}

    def listen(frame, event, argument):
        if event == "call" and "_allow_" in frame.f_code.co_name and "value" in frame.f_locals:
            heard[frame.f_code.co_name] = frame.f_locals["value"]

    sys.setprofile(listen)
    try:
        compute_exactly(target)
    finally:
        sys.setprofile(None)
    assert heard == told
