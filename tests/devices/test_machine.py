"""Devices that are missing, too old or full: what the user is told.

Faults of drivers and cards come from a driver library made for it.
"""

import os
import subprocess
import sys

import pytest

from effnet.devices import cuda
from effnet.devices.messages import explained, message_for, picture_bytes
from effnet.errors import InputError
from effnet.recipe import load
from tests.conftest import ROOT

GIB = 2**30


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Folder with a libcuda.so.1 that FAKE_* variables steer."""
    folder = tmp_path_factory.mktemp("driver")
    source = ROOT / "tests/fake_driver.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1", source], check=True
    )
    return folder


def ask(recipe, driver="", **fake):
    """`python -m effnet.device recipes/RECIPE.yaml` in a process of its own: (exit code, error)."""
    env = (
        os.environ
        | {"LD_LIBRARY_PATH": str(driver), "CUDA_HOME": "/nowhere"}
        | {key: str(value) for key, value in fake.items()}
    )
    done = subprocess.run(
        [sys.executable, "-m", "effnet.device", f"recipes/{recipe}.yaml"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_cpu_is_always_here():
    assert ask("smoke")[0] == 0


@pytest.mark.parametrize("recipe, said", [("gpu1", "libcuda.so.1 is not found"), ("ascend8", "no Ascend device")])
def test_nothing_here(recipe, said):
    code, error = ask(recipe)
    if code == 0:
        pytest.skip("this machine has the device")
    assert code == 2 and said in error and "make doctor" in error and error.count("\n") == 1


def test_cards_that_will_do(driver):
    assert ask("gpu1", driver)[0] == 0
    assert ask("gpu8", driver, FAKE_CARDS=8)[0] == 0
    assert ask("gpu1", driver, FAKE_CAPABILITY=90, FAKE_CUDA=12040)[0] == 0


@pytest.mark.parametrize(
    "recipe, fake, said",
    [
        ("gpu8", {"FAKE_CARDS": 2}, "8 GPU devices asked for on this machine, 2 are here"),
        ("gpu1", {"FAKE_CARDS": 0}, "shows no card"),
        ("gpu1", {"FAKE_INIT": 100}, "no CUDA-capable device is detected"),
        ("gpu1", {"FAKE_CUDA": 10020}, "driver is too old (CUDA 10.2)"),
        ("gpu1", {"FAKE_CAPABILITY": 90, "FAKE_CUDA": 11060}, "driver is too old (CUDA 11.6) to compile"),
        ("gpu1", {"FAKE_CAPABILITY": 52}, "capability 5.2"),
        ("gpu1", {"FAKE_CAPABILITY": 120}, "capability 12.0"),
    ],
)
def test_cards_that_will_not_do(driver, recipe, fake, said):
    code, error = ask(recipe, driver, **fake)
    assert code == 2 and said in error and error.count("\n") == 1


def test_libraries_load_whatever_their_order(tmp_path):
    """a needs z, which sorts after it; b needs what is nowhere."""
    folder = tmp_path / "nvidia/x/lib"
    folder.mkdir(parents=True)
    (tmp_path / "empty.c").write_text("int nothing;")

    def make(name, *needs):
        linked = [f"-l:{need}" for need in needs]
        command = [
            "cc",
            "-shared",
            "-fPIC",
            f"-Wl,-soname,{name}",
            "-Wl,--no-as-needed",
            "-o",
            folder / name,
            tmp_path / "empty.c",
            f"-L{folder}",
        ]
        subprocess.run([*command, *linked], check=True)

    make("libeffnet_z.so.1")
    make("libeffnet_a.so.1", "libeffnet_z.so.1")
    make("libeffnet_gone.so.1")
    make("libeffnet_b.so.1", "libeffnet_gone.so.1")
    (folder / "libeffnet_gone.so.1").unlink()
    failed = cuda.load(tmp_path)
    assert list(failed) == ["libeffnet_b.so.1"] and "libeffnet_gone.so.1" in failed["libeffnet_b.so.1"]
    assert cuda.unresolved(folder / "libeffnet_b.so.1", tmp_path) == ["libeffnet_gone.so.1"]
    assert cuda.unresolved(folder / "libeffnet_a.so.1", tmp_path) == []


# Texts as MindSpore 2.10, CUDA 11.8, ONNX Runtime and CANN print them
TEXTS = {
    "out of memory": [
        "\n----\n- Memory not enough:\n----\nDevice(id:0) memory isn't enough and alloc failed, kernel name: Default/Conv2D-op3, alloc size: 1073741824B.",
        "cudaMalloc failed, ret[2], out of memory",
        "The cudaStreamCreateWithFlags failed, ret[2], out of memory",
        "Malloc device memory failed, size[32212254720], ret[207001], Device 0 Available HBM size:34359738368",
        "[PID: 1613532] Memory_Allocation_Failure(EL0004): Failed to allocate memory.",
        "Non-zero status code returned while running Conv node. BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc((void**)&p, size);",
    ],
    "architecture": [
        "The cudaLaunchKernel failed, ret[209], no kernel image is available for execution on the device",
        "CUBLAS_STATUS_ARCH_MISMATCH: The function requires a feature absent from the device architecture; usually caused by compute capability",
    ],
    "driver is too old": [
        "\n----\n- Cuda error:\n----\nThe cudaGetLastError[35], CUDA driver version is insufficient for CUDA runtime version",
        "the provided PTX was compiled with an unsupported toolchain.",
    ],
    "libcudnn.so.8 is missing": [
        "Unsupported device target GPU. This process only supports one of the ['CPU'].\n- Device load error message:\n"
        "Load dynamic library: libmindspore_ascend.so.2 failed. libge_runner.so: cannot open shared object file: No such file or directory\n"
        "Load dynamic library: libmindspore_gpu.so.11.6 failed. libcudnn.so.8: cannot open shared object file: No such file or directory",
    ],
    "libcublasLt.so.12 is missing": [
        "[ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open "
        "shared object file: No such file or directory",
    ],
    "CANN's library libge_runner.so": [
        "Unsupported device target Ascend. This process only supports one of the ['CPU'].\n"
        "Load dynamic library: libmindspore_ascend.so.2 failed. libge_runner.so: cannot open shared object file: No such file or directory",
    ],
    "--shm-size": ["NCCL Error: unhandled system error, ncclSystemError: System call failed or device malfunctioned."],
    "HCCL": ["EI0006: Getting socket times out. Reason: Remote Rank did not send the data in time."],
    "CUDA_VISIBLE_DEVICES": ["SetDevice for id:3 failed, ret[101], invalid device ordinal."],
}


@pytest.mark.parametrize("said, text", [(said, text) for said, texts in TEXTS.items() for text in texts])
def test_messages(said, text):
    message = message_for(RuntimeError(text))
    assert (said in message) if said != "out of memory" else "memory is full" in message
    assert "\n" not in message


def test_other_errors_pass():
    assert message_for(RuntimeError("For 'MatMul', the input shapes do not fit")) == ""
    with pytest.raises(ZeroDivisionError), explained():
        1 / 0
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
