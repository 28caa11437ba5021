"""effnet/network/device.py: what MindSpore is told before anything runs on a device, as far as one can see without."""

import sys

import mindspore as ms
import pytest

from effnet.network.device import allow_rounded_products


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "target, told",
    [
        ("Ascend", ["conv_allow_hf32", "matmul_allow_hf32"]),
        ("GPU", ["conv_allow_tf32", "matmul_allow_tf32"]),
        ("CPU", []),
    ],
)
def test_float32_is_what_the_recipe_says(monkeypatch, target, told, allowed):
    heard, device = {}, getattr(ms.device_context, target.lower(), None)
    for name in told:  # MindSpore looks the first time only whether it has such a device
        monkeypatch.setitem(device.op_precision.function_status, name, False)

    def listen(frame, event, argument):
        if event == "call" and "_allow_" in frame.f_code.co_name and "value" in frame.f_locals:
            heard[frame.f_code.co_name] = frame.f_locals["value"]

    sys.setprofile(listen)
    try:
        allow_rounded_products(target, allowed)
    finally:
        sys.setprofile(None)
    assert heard == dict.fromkeys(told, allowed)
