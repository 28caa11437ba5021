"""MindSpore's device, started."""

import functools

import mindspore as ms

from effnet.devices import machine
from effnet.devices.messages import first_sentence, message_for
from effnet.errors import InputError


@functools.cache  # MindSpore refuses to be told twice
def start(target, threads=0, deterministic=True):
    """Make `target` ("CPU", "GPU" or "Ascend") MindSpore's device in graph mode.

    threads: of its operators on a CPU, 0 for as many as cores; their number decides how sums are split, and so the last
    digits. Raises InputError if the device is not there.
    """
    machine.check(target)
    try:
        ms.set_device(target)
    except RuntimeError as error:
        raise InputError(
            message_for(error) or f"MindSpore cannot use {target}: {first_sentence(error)}; run `make doctor`"
        ) from None
    ms.set_context(mode=ms.GRAPH_MODE)
    if threads:
        ms.set_context(runtime_num_threads=threads)
    ms.set_deterministic(deterministic)
    if target == "GPU":
        gpu = ms.device_context.gpu
        gpu.op_precision.conv_allow_tf32(False)  # amp_level O0 says float32
        # the GPU plugin does not know set_deterministic; of cuDNN's backward algorithms, these add in a fixed order
        if deterministic:
            gpu.op_tuning.conv_wgrad_algo("algo_1")
            gpu.op_tuning.conv_dgrad_algo("algo_1")
