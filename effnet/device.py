"""CPU, GPU, Ascend: what each needs, in one place. Import this before mindspore.

`python -m effnet.device recipes/gpu8.yaml` says whether this machine has what the recipe asks for: nothing and exit code 0, or one
sentence and exit code 2. `python -m effnet.doctor` (`make doctor`) says it all.
"""

import functools
import importlib.util
import os
import platform
import sys
from pathlib import Path

from effnet import cuda
from effnet.device_errors import first_sentence, message_for
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
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads of effnet/kernels.py would spin in MindSpore's way: a third slower
os.environ.setdefault("GLOG_v", "4")  # failures reach us as exceptions; MindSpore's own log lines would bury ours


def mindspore_folder():
    """Where mindspore is installed, without importing it. Raises InputError if it is not."""
    found = importlib.util.find_spec("mindspore")
    if found is None:
        raise InputError("mindspore is not installed in this environment; `make setup` installs it")
    return Path(found.submodule_search_locations[0])


# MindSpore looks for devices when it is imported, before a recipe can say which one it wants.
if "mindspore" not in sys.modules:
    cuda.prepare_mindspore(mindspore_folder() / "lib/plugin")


@functools.cache  # MindSpore refuses to be told twice
def start(target, deterministic=True):
    """Make `target` ("CPU", "GPU" or "Ascend") MindSpore's device in graph mode. Raises InputError if it is not there."""
    import mindspore as ms

    check(target)
    try:
        ms.set_device(target)
    except RuntimeError as error:
        raise InputError(message_for(error) or f"MindSpore cannot use {target}: {first_sentence(error)}; run `make doctor`") from None
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_deterministic(deterministic)
    if target == "GPU":
        gpu = ms.device_context.gpu
        gpu.op_precision.conv_allow_tf32(False)  # amp_level O0 says float32
        if deterministic:  # the GPU plugin does not know set_deterministic; of cuDNN's backward algorithms, these add in a fixed order
            gpu.op_tuning.conv_wgrad_algo("algo_1")
            gpu.op_tuning.conv_dgrad_algo("algo_1")


def check(target, devices=1):
    """Raise InputError in one sentence unless `devices` devices of `target` are here."""
    if missing(target):
        raise InputError(f"train.device_target: {target} asked for, but {missing(target)} (`make doctor` says more; device_target: CPU needs none)")
    here = {"CPU": lambda: devices, "GPU": lambda: len(cuda.driver()[1]), "Ascend": lambda: len(npus())}[target]()
    if devices > here:
        raise InputError(f"train.device_num: {devices} {target} devices asked for on this machine, {here} are here")


def missing(target):
    """What keeps `target` from being used here, in words; empty if nothing does."""
    return {"CPU": lambda: "", "GPU": _missing_gpu, "Ascend": _missing_ascend}[target]()


def memory(target):
    """Bytes of memory of the smallest device, 0 where it is not known."""
    return min((card.memory for card in cuda.driver()[1]), default=0) if target == "GPU" else 0


def npus(dev="/dev"):
    """Device files of the Ascend devices that this machine shows."""
    return sorted(Path(dev).glob("davinci[0-9]*"))


def _missing_gpu():
    try:
        version, cards = cuda.driver()
    except InputError as error:
        return str(error)
    if not cuda.CUDA11.is_dir() and not os.environ.get("CUDA_HOME"):
        return "MindSpore's CUDA 11 libraries are not installed; `make setup DEVICE=gpu` installs them"
    return cuda.objection(version, cards)


def _missing_ascend():
    if not npus():
        return "no Ascend device (/dev/davinci*) is visible on this machine"
    if not os.environ.get("ASCEND_HOME_PATH"):
        return "CANN's environment is not set; source its set_env.sh, as in docs/ascend.md"
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
    from effnet import recipe

    if len(sys.argv) != 2:
        raise InputError("usage: python -m effnet.device RECIPE.yaml")
    train = recipe.load(sys.argv[1]).train
    check(train.device_target, train.device_num)
    return 0


if __name__ == "__main__":
    from effnet import errors

    errors.run(main)
