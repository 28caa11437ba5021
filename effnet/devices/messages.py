"""What a device's error means and what to do about it, in one sentence.

The texts are MindSpore's, CUDA's, NCCL's, CANN's, ONNX Runtime's and OpenVINO's.
"""

import contextlib
import re

from effnet.arch.family import plan
from effnet.errors import InputError

# Texts as they stand in MindSpore 2.10's libraries, in libcudart 11.8, in ONNX Runtime, OpenVINO and NumPy; each group
# ends with what it means.
OUT_OF_MEMORY = re.compile(
    r"memory isn't enough and alloc failed|Memory not enough|cudaMalloc failed, ret\[2\]|ret\[2\], out of memory"
    r"|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|Malloc device memory failed"
    r"|Out of Memory!!! Request memory size|Memory_Allocation_Failure\(EL0004\)"
    r"|CUDA failure 2: out of memory|BFCArena.*Failed to allocate memory"
    r"|Failed to allocate memory for requested buffer|Failed to allocate \d+ bytes of memory|std::bad_alloc"
    r"|Unable to allocate .* for an array",
    re.S,
)
CONTEXT = 1.5 * 2**30  # bytes that CUDA or CANN, cuDNN's working space and the weights take beside the pictures
OTHERS = (
    (
        r"no kernel image is available|CUBLAS_STATUS_ARCH_MISMATCH|CUDNN_STATUS_ARCH_MISMATCH"
        r"|lower than the minimum required capability",
        "this card's architecture is not supported: MindSpore's GPU plugin holds code for compute capability "
        "6.0 to 9.0; run `make doctor` and choose another card with CUDA_VISIBLE_DEVICES",
    ),
    (
        r"driver version is insufficient|not supported in the installed CUDA driver"
        r"|compiled with an unsupported toolchain|system has unsupported display driver",
        "the NVIDIA driver is too old for this CUDA version; update it to 525.60.13 or newer (`nvidia-smi` shows it)",
    ),
    (
        r"no CUDA-capable device|invalid device ordinal",
        "no such NVIDIA card; look at `nvidia-smi`, CUDA_VISIBLE_DEVICES and train.device_num",
    ),
    (
        r"(?s)(?:device target GPU.*libmindspore_gpu\S* failed\.|libonnxruntime_providers_\w+\.so with error:) "
        r"(?P<library>lib\S+?): cannot open",
        "the library {library} is missing; `make setup DEVICE=gpu` installs NVIDIA's libraries, "
        "`make doctor` says which are there",
    ),
    (
        r"(?s)device target Ascend.*libmindspore_ascend\S* failed\. (?P<library>lib\S+?): cannot open",
        "CANN's library {library} is not found; source CANN's set_env.sh, as in docs/ascend.md",
    ),
    (
        r"(?is)nccl.*(?:shared memory|shm|No space left on device|unhandled system error|ncclSystemError)",
        "NCCL could not set up its shared memory; in a container, start it with --shm-size=8g --ulimit memlock=-1",
    ),
    (
        r"(?i)hccl\w* .*(?:fail|error|time ?out)|\bE[IJ]00\d\d\b",
        "the Ascend devices could not reach each other (HCCL); run `make doctor`, and see tmp/msrun and docs/ascend.md",
    ),
)


def message_for(error, recipe=None, memory=0):
    """One sentence for a device's error, or "" if it is not one of them.

    With `recipe` it names the batch that fits into `memory` bytes.
    """
    text = str(error)
    if OUT_OF_MEMORY.search(text):
        return _out_of_memory(recipe, memory)
    for pattern, message in OTHERS:
        found = re.search(pattern, text)
        if found:
            return message.format(**found.groupdict())
    return ""


@contextlib.contextmanager
def explained(recipe=None, memory=0):
    """Turn a device's errors inside the block into InputError; others pass."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # ONNX Runtime's are no RuntimeErrors
        message = message_for(error, recipe, memory)
        if not message:
            raise
        raise InputError(message) from error


def first_sentence(error):
    """What a MindSpore error says first, without the ruled headings that it puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("-")]
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__


def picture_bytes(model, amp_level):
    """About how many bytes of device memory one picture needs in a training step, with a recipe's `model` section.

    What backward keeps: per convolution its output and batch normalisation's; with swish also the gate and the product;
    the product with squeeze-and-excitation; and as much again for gradients and working space. Measured for B2 at 260
    pixels in float32 on a CPU: 426 MiB between batches of 4 and 8, where this says 451.
    """
    sizes = plan(model.variant)
    side, kept = _half(model.image_size), 0
    kept += 4 * sizes.stem * side * side
    for block in sizes.blocks:
        wide = block.channels_in * block.expand
        kept += 4 * wide * side * side if block.expand > 1 else 0
        side = side if block.stride == 1 else _half(side)
        kept += (4 + bool(block.channels_se)) * wide * side * side + 3 * block.channels_out * side * side
    kept += 4 * sizes.head * side * side
    return int(2 * kept * (4 if amp_level == "O0" else 2))


def _half(side):
    return (side + 1) // 2


def _out_of_memory(recipe, memory):
    if recipe is None:
        return (
            "the device's memory is full; use a smaller batch_size, "
            "or close what else runs there (`nvidia-smi`, `npu-smi info`)"
        )
    train, images = recipe.train, recipe.data.batch_size // recipe.train.device_num
    part, side = images // train.accumulate, recipe.model.image_size
    now = f"the device's memory does not hold {part} pictures of {side} pixels at once"
    fits = int((0.9 * memory - CONTEXT) / picture_bytes(recipe.model, train.amp_level))
    if not memory:
        return f"{now}; set train.accumulate to {2 * train.accumulate} or use a smaller data.batch_size"
    # one that did not fit does not, whatever the estimate says
    for parts in range(train.accumulate + 1, images + 1):
        if images % parts == 0 and images // parts <= fits:
            return (
                f"{now}, about {images // parts} should fit: set train.accumulate: {parts}, "
                "which keeps data.batch_size and the result's recipe"
            )
    return f"{now}, and by estimate not a single one; use a smaller model.image_size or variant"
