"""Errors of MindSpore, CUDA, NCCL, CANN, ONNX Runtime and OpenVINO: each is one sentence that says what to do."""

import pytest

from effnet.devices.messages import explained, message_for, picture_bytes
from effnet.errors import InputError
from effnet.recipe import load

GIB = 2**30

# Texts as MindSpore 2.10, CUDA 11.8, ONNX Runtime, OpenVINO, NumPy and CANN print them
UNSUPPORTED = "Unsupported device target {}. This process only supports one of the ['CPU'].\n"
CANNOT_OPEN = "cannot open shared object file: No such file or directory"
NO_ASCEND = f"Load dynamic library: libmindspore_ascend.so.2 failed. libge_runner.so: {CANNOT_OPEN}"
NO_CUDNN = f"Load dynamic library: libmindspore_gpu.so.11.6 failed. libcudnn.so.8: {CANNOT_OPEN}"
TEXTS = {
    "memory is full": [
        "\n----\n- Memory not enough:\n----\nDevice(id:0) memory isn't enough and alloc failed, "
        "kernel name: Default/Conv2D-op3, alloc size: 1073741824B.",
        "cudaMalloc failed, ret[2], out of memory",
        "The cudaStreamCreateWithFlags failed, ret[2], out of memory",
        "Malloc device memory failed, size[32212254720], ret[207001], Device 0 Available HBM size:34359738368",
        "[PID: 1613532] Memory_Allocation_Failure(EL0004): Failed to allocate memory.",
        "Non-zero status code returned while running Conv node. BFCArena::AllocateRawInternal "
        "Failed to allocate memory for requested buffer of size 9",
        "[CPU] Convolution node with name 'stem.conv/WithoutBiases' Check 'ptr' failed at "
        "src/plugins/intel_cpu/src/cpu_memory.cpp:257:\nFailed to allocate 4423680000 bytes of memory\n",
        "Unable to allocate 1.51 TiB for an array with shape (1000000, 3, 260, 260) and data type float32",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc((void**)&p, size);",
    ],
    "architecture": [
        "The cudaLaunchKernel failed, ret[209], no kernel image is available for execution on the device",
        "CUBLAS_STATUS_ARCH_MISMATCH: The function requires a feature absent from the device architecture; "
        "usually caused by compute capability",
    ],
    "driver is too old": [
        "\n----\n- Cuda error:\n----\nThe cudaGetLastError[35], "
        "CUDA driver version is insufficient for CUDA runtime version",
        "the provided PTX was compiled with an unsupported toolchain.",
    ],
    "libcudnn.so.8 is missing": [
        UNSUPPORTED.format("GPU") + f"- Device load error message:\n{NO_ASCEND}\n{NO_CUDNN}",
    ],
    "libcublasLt.so.12 is missing": [
        "[ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: "
        f"libcublasLt.so.12: {CANNOT_OPEN}",
    ],
    "CANN's library libge_runner.so": [UNSUPPORTED.format("Ascend") + NO_ASCEND],
    "--shm-size": ["NCCL Error: unhandled system error, ncclSystemError: System call failed or device malfunctioned."],
    "HCCL": ["EI0006: Getting socket times out. Reason: Remote Rank did not send the data in time."],
    "CUDA_VISIBLE_DEVICES": ["SetDevice for id:3 failed, ret[101], invalid device ordinal."],
}


@pytest.mark.parametrize("said, text", [(said, text) for said, texts in TEXTS.items() for text in texts])
def test_messages(said, text):
    message = message_for(RuntimeError(text))
    assert said in message and "\n" not in message


def test_other_errors_pass():
    assert message_for(RuntimeError("For 'MatMul', the input shapes do not fit")) == ""
    with pytest.raises(ZeroDivisionError), explained():
        raise ZeroDivisionError
    with pytest.raises(InputError, match="memory is full"), explained():
        raise RuntimeError("cudaMalloc failed, ret[2], out of memory")


def test_the_batch_that_fits():
    """gpu8 puts 128 pictures on a card at once: a card of 12 GiB is told a share that divides them and fits, and the
    more memory the larger.
    """
    recipe, full = load("recipes/gpu8.yaml"), RuntimeError("cudaMalloc failed, ret[2], out of memory")
    shares = []
    for memory in (4, 8, 12, 24):
        words = message_for(full, recipe, memory * GIB).replace(",", "").split()
        share, parts = int(words[words.index("about") + 1]), int(words[words.index("train.accumulate:") + 1])
        assert share * parts == 128 and parts > 1
        assert share * picture_bytes(recipe.model, "O3") < memory * GIB
        shares.append(share)
    assert shares == sorted(shares) and shares[0] < shares[-1]
    assert "not a single one" in message_for(full, recipe, GIB)
    assert "train.accumulate to 2" in message_for(full, recipe)
    unfit = message_for(full, recipe, 1000 * GIB)  # it did not fit, so half is tried though the estimate says otherwise
    assert "about 64 should fit: set train.accumulate: 2" in unfit


def test_the_estimate_is_near_what_was_measured():
    """B2 at 260 pixels in float32: 426 MiB a picture between batches of 4 and 8 on a CPU.

    It may err on the safe side only.
    """
    ratio = picture_bytes(load("recipes/gpu1.yaml").model, "O0") / (426 * 2**20)
    assert 1 <= ratio < 1.2
