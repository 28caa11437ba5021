"""CPU, GPU, Ascend: what this machine has of them, and what is missing.

Neither MindSpore nor ONNX Runtime is imported.
"""

import importlib.util
import os
import platform
import re
from pathlib import Path

from effnet.devices import cuda
from effnet.errors import InputError


def mindspore_folder():
    """Where mindspore is installed, without importing it. Raises InputError if it is not."""
    found = importlib.util.find_spec("mindspore")
    if found is None:
        raise InputError("mindspore is not installed in this environment; `make setup` installs it")
    return Path(found.submodule_search_locations[0])


def check(target, devices=1):
    """Raise InputError in one sentence unless `devices` devices of `target` are here."""
    if missing(target):
        raise InputError(
            f"train.device_target: {target} asked for, but {missing(target)} "
            "(`make doctor` says more; device_target: CPU needs none)"
        )
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
    """Device files of the Ascend devices that this machine shows, of those that ASCEND_RT_VISIBLE_DEVICES lets
    through. Raises InputError if that is no list of numbers.
    """
    there = {int(path.name.removeprefix("davinci")): path for path in Path(dev).glob("davinci[0-9]*")}
    chosen = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
    if chosen is None:
        return [there[number] for number in sorted(there)]
    if not re.fullmatch(r"(\d+(-\d+)?(,|$))*", chosen):
        raise InputError(f"ASCEND_RT_VISIBLE_DEVICES={chosen}: expected numbers of devices, such as 0,1,2,3")
    spans = [[int(end) for end in part.split("-")] for part in chosen.split(",") if part]
    return [there[number] for span in spans for number in range(span[0], span[-1] + 1) if number in there]


def flags():
    """The processor's instruction sets in one line, as Linux names them; empty where it does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else ()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def vectors():
    """The widest vectors of this processor that are of use here: "avx512f", "avx2", or "" for neither."""
    return next((name for name in ("avx512f", "avx2") if name in flags().split()), "")


def cores_for(processes):
    """Cores for each of so many processes that share this machine: those it is bound to, or its part of all that their
    parent may use.
    """
    mine, all_of_them = (len(os.sched_getaffinity(process)) for process in (0, os.getppid()))
    return max(1, min(mine, all_of_them // processes))


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
    """What a measurement must name: processor and its vectors, cores, MindSpore's convolution setting."""
    cpu, widest = platform.processor() or platform.machine(), vectors()
    try:
        cpu = next(
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return {
        "cpu": f"{cpu} ({widest})" if widest else cpu,
        "cores": len(os.sched_getaffinity(0)),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "default"),
    }
