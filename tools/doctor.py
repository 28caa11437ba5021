"""`make doctor`: for CPU, GPU and Ascend what is there, what is missing, and the command that mends it.

`python -m tools.doctor [cpu] [gpu] [ascend]`: exit code 0 if the named ones (none named: the CPU) can be used, else 1.
`python -m tools.doctor RECIPE.yaml`: whether the devices that a recipe asks for are here; exit code 0, or one sentence
and 2.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from effnet import errors, recipe
from effnet.devices import cuda, machine
from effnet.devices.messages import first_sentence, message_for
from effnet.errors import InputError

SETUP_GPU = "make setup DEVICE=gpu"
TARGETS = ("cpu", "gpu", "ascend")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="cpu|gpu|ascend|RECIPE.yaml", help="default: all three")
    targets = parser.parse_args().targets
    if len(targets) == 1 and targets[0].endswith(".yaml"):
        settings = recipe.load(targets[0]).train
        machine.check(settings.device_target, settings.device_num)
        return 0
    wrong = [target for target in targets if target not in TARGETS]
    if wrong:
        raise InputError(f"'{wrong[0]}' is not one of {', '.join(TARGETS)}, nor one recipe's file")
    usable = {target: report(target) for target in targets or TARGETS}
    return 0 if all(usable[target] for target in targets or ("cpu",)) else 1


def report(target):
    """Print the findings about `target`; whether it can be used."""
    findings = {"cpu": cpu, "gpu": gpu, "ascend": ascend}[target]()
    usable = not any(mend for _, mend in findings)
    name = "Ascend" if target == "ascend" else target.upper()
    print(f"{name}: {'can be used' if usable else 'cannot be used yet'}")
    for text, mend in findings:
        print(f"  {'MISSING' if mend else 'ok     '}  {text}" + (f"\n           -> {mend}" if mend else ""))
    return usable


def cpu():
    """Findings: (what, command that mends it or "" if nothing is wrong)."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 10) <= sys.version_info[:2] <= (3, 12)
    mend = "make setup PYTHON=/path/to/python3.12   (MindSpore needs 3.10 to 3.12)"
    here = machine.describe()
    return [
        (f"Python {version}", "" if fits else mend),
        _package("mindspore"),
        _one_onnxruntime(),
        (f"{here['cpu']}, {here['cores']} cores", ""),
    ]


def gpu():
    """As cpu(). With the wheels in place and no card, the driver's libcuda.so.1 is all that is missing."""
    found = [_package("mindspore"), _one_onnxruntime(gpu=True)]
    try:
        version, cards = cuda.driver()
        names = ", ".join(
            f"{c.name} (capability {c.capability[0]}.{c.capability[1]}, {c.memory / 2**30:.0f} GiB)" for c in cards
        )
        found.append((f"NVIDIA driver for CUDA {version[0]}.{version[1]}: {names}", ""))
        if objection := cuda.objection(version, cards):
            found.append((objection, "another card, or a newer driver: see docs/gpu.md"))
        if version < (12, 0):
            needs = f"ONNX Runtime's CUDA provider needs driver {cuda.OLDEST[12]} or newer"
            found.append((needs, "update the NVIDIA driver"))
    except InputError as error:
        found.append((str(error).split(";")[0], str(error).split("; ")[-1]))
    plugin = machine.mindspore_folder() / "lib/plugin/libmindspore_gpu.so.11.6"
    found += _libraries("MindSpore's GPU plugin", plugin, cuda.CUDA11)
    if not (cuda.CUDA11 / "bin/nvcc").is_file():
        lacks = "bin/nvcc, which MindSpore asks for the CUDA version, is missing in the environment's cuda11 folder"
        found.append((lacks, SETUP_GPU))
    onnxruntime = importlib.util.find_spec("onnxruntime")
    for folder in onnxruntime.submodule_search_locations if onnxruntime else ():
        provider = Path(folder, "capi/libonnxruntime_providers_cuda.so")
        if provider.is_file():
            found += _libraries("ONNX Runtime's CUDA provider", provider, cuda.CUDA12)
    if not any(mend for _, mend in found):
        found.append(_starts("GPU"))
    return found


def ascend(root="/usr/local/Ascend", dev="/dev"):
    """As cpu(). `root` is where Huawei's installers put driver and CANN."""
    found = [_package("mindspore")]
    npus = machine.npus(dev)
    install = "install the NPU driver and firmware of your device: docs/ascend.md, step 1"
    found.append((f"{len(npus)} Ascend device{'s'[: len(npus) != 1]} ({dev}/davinci*)", "" if npus else install))
    driver = _version(Path(root, "driver/version.info"))
    found.append((f"NPU driver {driver or 'in ' + root}", "" if driver else install))
    home = os.environ.get("ASCEND_HOME_PATH")
    if not home:
        scripts = sorted(Path(root).glob("*/set_env.sh"))
        if scripts:
            return [*found, (f"CANN is in {root}, its environment is not set", f"source {scripts[0]}")]
        return [*found, (f"CANN (none in {root})", "install CANN's toolkit and kernels: docs/ascend.md, step 2")]
    table = cann_versions()
    cann = next(filter(None, map(_version, sorted(Path(home).glob("compiler/version.info")))), "")
    fits = ".".join(re.findall(r"\d+", cann)[:2]) in table
    mend = f"install CANN {table[-1]}: docs/ascend.md, step 2"
    what = f"CANN {cann or '(no compiler/version.info)'} in {home}; MindSpore's table: {', '.join(table)}"
    found.append((what, "" if fits else mend))
    hccl = list(Path(home).glob("lib64/libhccl.so")) + list(Path(home).glob("*/lib64/libhccl.so"))
    found.append((f"HCCL, which joins several devices ({home}/lib64/libhccl.so)", "" if hccl else mend))
    plugin = machine.mindspore_folder() / "lib/plugin/libmindspore_ascend.so.2"
    found += _libraries("MindSpore's Ascend plugin", plugin, None, f"source {home}/set_env.sh, or {mend}")
    for name in ("te", "hccl"):
        there = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0
        found.append((f"CANN's Python package {name}", "" if there else f"source {home}/set_env.sh"))
    if not any(mend for _, mend in found):
        found.append(_starts("Ascend"))
    return found


def cann_versions():
    """The CANN versions that the installed MindSpore accepts, oldest first: the table inside the wheel, which its
    own check uses.
    """
    text = (machine.mindspore_folder() / "run_check/_check_version.py").read_text()
    return json.loads(re.search(r"class AscendEnvChecker.*?self\.version = (\[.*?\])", text, re.S)[1])


def _package(name):
    try:
        return f"{name} {importlib.metadata.version(name)}", ""
    except importlib.metadata.PackageNotFoundError:
        return f"the Python package {name}", "make setup"


def _one_onnxruntime(gpu=False):
    all_here = importlib.metadata.distributions()
    there = {d.name: d.version for d in all_here if re.fullmatch(r"onnxruntime(-\w+)?", d.name or "")}
    packages = " and ".join(f"{name} {version}" for name, version in sorted(there.items())) or "none"
    mend = SETUP_GPU if gpu or "onnxruntime-gpu" in there else "make setup DEVICE=cpu"
    if len(there) > 1:
        return f"two ONNX Runtime packages in one environment, each overwriting the other's files: {packages}", mend
    if gpu and "onnxruntime-gpu" not in there:
        return f"onnxruntime-gpu (in its place: {packages})", mend
    return packages if there else "onnxruntime", "" if there else mend


def _libraries(what, library, folder, mend=SETUP_GPU):
    """Findings about the libraries that `library` needs; the driver's is reported on its own."""
    if not library.is_file():
        mend = "use Linux on x86-64, for which PyPI's wheel holds it"
        return [(f"{what} ({library.name}) is not in this wheel", mend)]
    missing = cuda.unresolved(library, folder)
    wheels = [name for name in missing if name != cuda.DRIVER]
    if not wheels:
        rest = " but the driver's libcuda.so.1" if missing else ""
        return [(f"{what}: every library found{rest}", "")]
    majors = _majors(folder) if folder else {}
    wrong = [
        f"{name} is needed, {majors[name.split('.')[0]]} is there" for name in wheels if name.split(".")[0] in majors
    ]
    text = f"{what} needs {', '.join(wheels)}" + (f" - wrong CUDA major: {'; '.join(wrong)}" if wrong else "")
    return [(text, mend)]


def _majors(folder):
    """{library name without version: file name} of what lies in `folder`."""
    return {path.name.split(".")[0]: path.name for path in folder.glob(cuda.LIBRARIES)}


def _version(path):
    """The version in one of CANN's or the driver's version.info files ("Version=8.5.0"), or ""."""
    found = re.search(r"(?im)^version=(\S+)", path.read_text(errors="replace")) if path.is_file() else None
    return found[1] if found else ""


def _starts(target):
    """Finding: whether MindSpore really computes on `target`; in a process of its own, for MindSpore keeps its
    device.
    """
    code = (
        f"from effnet.network import device; device.start('{target}'); import mindspore as ms; "
        "assert (ms.Tensor([1.0]) + 1).asnumpy()[0] == 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode == 0:
        return f"MindSpore adds 1 and 1 on {target}", ""
    said = done.stderr.rpartition("Error:")[2]
    what = f"MindSpore does not start on {target}: {first_sentence(said)}"
    return what, message_for(said) or "see docs/gpu.md, docs/ascend.md"


if __name__ == "__main__":
    errors.run(main)
