"""CPU, GPU, Ascend: what each needs, in one place. Import this before mindspore."""

import functools
import os
import platform
from pathlib import Path

from effnet.errors import InputError


def _host_has_avx512():
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


# On AVX-512 hosts MindSpore's oneDNN falls back to reference convolutions; held to AVX2 it uses its fast ones, five times faster.
# It reads the variable once, when mindspore is imported. A value that the user set is left alone.
if platform.machine() == "x86_64" and _host_has_avx512():
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("GLOG_v", "4")  # failures reach us as exceptions; MindSpore's own log lines would bury ours


@functools.cache  # MindSpore refuses to be told twice
def start(target, deterministic=True):
    """Make `target` ("CPU", "GPU" or "Ascend") MindSpore's device in graph mode. Raises InputError if it is not there."""
    import mindspore as ms

    check(target)
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device(target)
    ms.set_deterministic(deterministic)


def check(target, devices=1):
    """Raise InputError in one sentence unless `devices` devices of `target` are here."""
    if missing(target):
        raise InputError(f"train.device_target: {target} asked for, but {missing(target)}; use device_target: CPU or run where the device is")
    here = {"CPU": devices, "GPU": len(_nodes("nvidia")), "Ascend": len(_nodes("davinci"))}[target]
    if devices > here:
        raise InputError(f"train.device_num: {devices} {target} devices asked for on this machine, {here} are here")


def _nodes(name):
    return list(Path("/dev").glob(f"{name}[0-9]*"))


def missing(target):
    """What keeps `target` from being used here, in words; empty if nothing does."""
    return {"CPU": lambda: "", "GPU": _missing_gpu, "Ascend": _missing_ascend}[target]()


def _missing_ascend():
    if not _nodes("davinci"):
        return "no Ascend device (/dev/davinci*) is visible on this machine"
    if not os.environ.get("ASCEND_HOME_PATH") and not Path("/usr/local/Ascend").is_dir():
        return "CANN is not installed (no /usr/local/Ascend; source its set_env.sh)"
    return ""


def _missing_gpu():
    import ctypes

    if not _nodes("nvidia"):
        return "no NVIDIA device (/dev/nvidia*) is visible on this machine"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "the NVIDIA driver's libcuda.so.1 is not found"
    return ""


def describe():
    """What a measurement must name: processor or device, cores, MindSpore's convolution setting."""
    cpu = platform.processor() or platform.machine()
    try:
        cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "default")}


def main():
    """`python -m effnet.device RECIPE`: check that the recipe's devices are here, before anything is started."""
    import sys

    from effnet import recipe

    train = recipe.load(sys.argv[1]).train
    check(train.device_target, train.device_num)
    return 0


if __name__ == "__main__":
    from effnet import errors

    errors.run(main)
