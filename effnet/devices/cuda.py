"""NVIDIA's libraries and driver: found and loaded without anyone editing LD_LIBRARY_PATH. Imports neither MindSpore nor
ONNX Runtime.

MindSpore's GPU plugin is built for CUDA 11.6, ONNX Runtime's CUDA provider for CUDA 12. Wheels of two CUDA majors
overwrite each other in site-packages (libcurand.so.10, libcusolver.so.11, nvidia/*/__init__.py), so each set has a
folder of its own in the environment; `make setup DEVICE=gpu` fills both. A library that is loaded already satisfies
whoever asks for its name later, wherever it lies.
"""

import ctypes
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from effnet.errors import InputError

CUDA11 = Path(sys.prefix, "cuda11")  # requirements-cuda11.txt, and bin/nvcc
CUDA12 = Path(sys.prefix, "cuda12")  # requirements-cuda12.txt
LIBRARIES = "nvidia/*/lib/*.so*"
TENSORRT = "tensorrt_libs/*.so*"
DRIVER = "libcuda.so.1"

# What MindSpore 2.10's plugin can run on. Its kernels (libcuda_ops.so.11) hold machine code for compute capability 6.0,
# 6.1, 7.0, 7.5 and 8.0 and PTX for 6.0 and 8.6, which the driver compiles for 9.0. cuDNN 8.9 and cuBLAS 11.11 hold
# machine code up to 9.0.
CAPABILITIES = (6, 0), (9, 0)
# Oldest drivers: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes (table "CUDA Toolkit and Minimum Required
# Driver Version").
OLDEST = {11: "450.80.02", 12: "525.60.13"}
CODE_FOR_HOPPER = (11, 8)  # the first driver interface that knows compute capability 9.0

Card = namedtuple("Card", "name capability memory")  # memory in bytes


def load(folder, pattern=LIBRARIES):
    """Load every library under `folder`; a second call costs nothing. Returns {file name: reason} of those that do not
    load.

    They depend on each other, so whatever fails is tried again as long as something else succeeded.
    """
    waiting = sorted(folder.glob(pattern))
    while True:
        failed = {}
        for path in waiting:
            try:
                # RTLD_LOCAL: names are matched all the same, and torch's own cuBLAS sees none of our symbols
                ctypes.CDLL(str(path))
            except OSError as error:
                failed[path] = str(error)
        if len(failed) == len(waiting):
            return {path.name: reason for path, reason in failed.items()}
        waiting = list(failed)


def has_driver():
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def prepare_mindspore(plugins):
    """Before mindspore is imported: let it find its GPU plugin's libraries. `plugins` is mindspore/lib/plugin.

    MindSpore looks for its GPU plugin only if CUDA_HOME is set, and asks CUDA_HOME/bin/nvcc which of its two plugins to
    take. The wheels hold no nvcc; setup.sh writes one that answers that question.
    """
    if not (CUDA11 / "bin/nvcc").is_file() or not has_driver():
        return
    load(CUDA11)
    load(plugins, "gpu11.6/libn*.so*")  # NCCL and MindSpore's use of it, which it opens by name alone
    os.environ["CUDA_HOME"] = str(CUDA11)


def unresolved(library, folder=None):
    """Names of the libraries that `library` needs, directly or through others, and that neither the system nor `folder`
    (if any) has.

    The dynamic linker itself says so (ldd), with `folder`'s libraries in its path.
    """
    paths = {str(path.parent) for path in folder.glob(LIBRARIES)} if folder else ()
    path = ":".join([*sorted(paths), os.environ.get("LD_LIBRARY_PATH", "")]).strip(":")
    listed = subprocess.run(
        ["ldd", str(library)], env=os.environ | {"LD_LIBRARY_PATH": path}, capture_output=True, text=True
    ).stdout
    return sorted({line.split()[0] for line in listed.splitlines() if line.endswith("=> not found")})


def driver():
    """(CUDA version of the driver as (major, minor), [Card]).

    Raises InputError in one sentence if there is none or it does not start.
    """
    try:
        lib = ctypes.CDLL(DRIVER)
    except OSError:
        raise InputError(
            f"the NVIDIA driver's {DRIVER} is not found; install the driver "
            "(Debian, Ubuntu: apt-get install nvidia-driver)"
        ) from None
    number = ctypes.c_int()
    lib.cuDriverGetVersion(ctypes.byref(number))
    version = number.value // 1000, number.value % 1000 // 10
    _ask(lib.cuInit(0), lib)
    _ask(lib.cuDeviceGetCount(ctypes.byref(number)), lib)
    return version, [_card(lib, i) for i in range(number.value)]


def objection(version, cards):
    """Why MindSpore's plugin cannot run on this driver and these cards, with what to do; empty if it can."""
    oldest, newest = CAPABILITIES
    if version < (11, 0):
        return (
            f"the NVIDIA driver is too old (CUDA {_dotted(version)}): "
            f"MindSpore's GPU plugin needs {OLDEST[11]} or newer; update the driver"
        )
    if not cards:
        return "the NVIDIA driver shows no card; look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES"
    for card in cards:
        capability = _dotted(card.capability)
        if not oldest <= card.capability[:2] <= newest:
            return (
                f"{card.name} has compute capability {capability}, "
                f"MindSpore's CUDA 11.6 plugin and cuDNN 8.9 have code for {_dotted(oldest)} to {_dotted(newest)}; "
                "leave it out with CUDA_VISIBLE_DEVICES, or evaluate the ONNX file on it"
            )
        if card.capability == newest and version < CODE_FOR_HOPPER:
            return (
                f"the NVIDIA driver is too old (CUDA {_dotted(version)}) "
                f"to compile MindSpore's kernels for {card.name}; update it to 520.61.05 or newer"
            )
    return ""


def _card(lib, index):
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory, name = ctypes.c_size_t(), ctypes.create_string_buffer(256)
    _ask(lib.cuDeviceGet(ctypes.byref(device), index), lib)
    _ask(lib.cuDeviceGetName(name, len(name), device), lib)
    _ask(lib.cuDeviceGetAttribute(ctypes.byref(major), 75, device), lib)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    _ask(lib.cuDeviceGetAttribute(ctypes.byref(minor), 76, device), lib)
    _ask(lib.cuDeviceTotalMem_v2(ctypes.byref(memory), device), lib)
    return Card(name.value.decode(), (major.value, minor.value), memory.value)


def _ask(code, lib):
    if code:
        text = ctypes.c_char_p()
        lib.cuGetErrorString(code, ctypes.byref(text))
        said = (text.value or b"unknown error").decode()
        raise InputError(f"the NVIDIA driver does not start: {said} (code {code}); look at `nvidia-smi`")


def _dotted(version):
    return ".".join(map(str, version))
