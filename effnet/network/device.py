"""MindSpore's device, started."""

import functools

import mindspore as ms

from effnet.devices import launch, machine
from effnet.devices.messages import first_sentence, message_for
from effnet.errors import InputError


@functools.cache  # MindSpore refuses to be told twice
def start(target, threads=0, deterministic=True, tf32=False):
    """Make `target` ("CPU", "GPU" or "Ascend") MindSpore's device in graph mode; the one that is this process's.

    threads: of its operators on a CPU, 0 for as many as cores; their number decides how sums are split, and so the last
    digits. tf32: let it round float32 products, where it can. Raises InputError if the device is not there.
    """
    number = 0 if target == "CPU" else launch.device_id()
    machine.check(target)
    try:
        ms.set_device(target, number)
    except RuntimeError as error:
        raise InputError(
            message_for(error) or f"MindSpore cannot use {target}: {first_sentence(error)}; run `make doctor`"
        ) from None
    ms.set_context(mode=ms.GRAPH_MODE)
    if threads:
        ms.set_context(runtime_num_threads=threads)
    ms.set_deterministic(deterministic)
    allow_rounded_products(target, tf32)
    if target == "GPU" and deterministic:
        # the GPU plugin does not know set_deterministic; of cuDNN's backward algorithms, these add in a fixed order
        ms.device_context.gpu.op_tuning.conv_wgrad_algo("algo_1")
        ms.device_context.gpu.op_tuning.conv_dgrad_algo("algo_1")


def allow_rounded_products(target, allowed):
    """Whether float32 may be less: CANN rounds what a convolution multiplies to HF32 unless told otherwise, cuDNN to
    TF32, ten bits of mantissa each.
    """
    if target == "GPU":
        ms.device_context.gpu.op_precision.conv_allow_tf32(allowed)
        ms.device_context.gpu.op_precision.matmul_allow_tf32(allowed)
    if target == "Ascend":
        ms.device_context.ascend.op_precision.conv_allow_hf32(allowed)
        ms.device_context.ascend.op_precision.matmul_allow_hf32(allowed)
