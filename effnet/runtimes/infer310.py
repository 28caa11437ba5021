"""The C++ application for Ascend 310 and 310P, which runs on a CPU as well: built, fed and read from here.

MindSpore Lite 2.0.0 comes from its wheel on PyPI. The wheel is tagged for Python 3.7, but its headers and libraries do
not depend on Python. Where MS_LITE_HOME names an unpacked MindSpore Lite (as on a machine with Ascend devices), that
one is used instead.
"""

import filecmp
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

import effnet
from effnet import native
from effnet.data.presets import decode
from effnet.download import by_pip
from effnet.errors import InputError
from effnet.files import CACHE, aside, naming, sha256

PACKAGE = Path(effnet.__file__).parent
# the C++ project: inside the package in a wheel, beside it in a checkout
SOURCES = PACKAGE / "infer310" if (PACKAGE / "infer310").is_dir() else PACKAGE.parent / "infer310"
WHEEL = "mindspore_lite-2.0.0-cp37-cp37m-manylinux1_x86_64.whl"
WHEEL_SHA256 = "199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec"
PACKAGES = "cmake g++ libjpeg-dev nlohmann-json3-dev"  # Debian's and Ubuntu's names
DONE, BAD_INPUT, NO_DEVICE, BAD_PICTURES = 0, 2, 3, 4  # exit codes, see main.cc


def mindspore_lite(cache=CACHE):
    """Folder of MindSpore Lite: $MS_LITE_HOME, or the unzipped wheel in the folder `cache`, downloaded (169 MB) the
    first time.

    Outside of the project, so that it serves every checkout and every temporary experiment.
    """
    if home := os.environ.get("MS_LITE_HOME"):
        if not Path(home).is_dir():
            raise InputError(
                f"MS_LITE_HOME={home}: no such folder; unpack MindSpore Lite 2.0 there or unset the variable"
            )
        return Path(home)
    unzipped = Path(cache) / "mindspore-lite-2.0.0"
    if not unzipped.is_dir():
        if platform.machine() != "x86_64":
            raise InputError(
                f"MindSpore Lite has no wheel for {platform.machine()}: unpack its release of 2.0 for this processor "
                "(https://www.mindspore.cn/lite) and set MS_LITE_HOME to the folder; "
                "`dvc repro evaluate onnx_eval` runs all that does without it"
            )
        Path(cache).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _download(folder)
            with zipfile.ZipFile(Path(folder) / WHEEL) as wheel:
                wheel.extractall(Path(folder) / "unzipped")
            try:
                os.replace(Path(folder) / "unzipped", unzipped)
            except OSError:
                if not unzipped.is_dir():  # else another process was first
                    raise
    return unzipped / "mindspore_lite"


def _download(folder):
    options = "--python-version 37 --implementation cp --abi cp37m --platform manylinux1_x86_64"
    print("downloading MindSpore Lite 2.0.0 (169 MB)", file=sys.stderr)
    try:
        by_pip("mindspore-lite==2.0.0", Path(folder) / WHEEL, *options.split())
    except InputError as error:
        raise InputError(f"{error}; unpack MindSpore Lite 2.0.0 by hand and set MS_LITE_HOME") from None
    found = sha256(Path(folder) / WHEEL)
    if found != WHEEL_SHA256:
        raise InputError(
            f"{WHEEL}: SHA-256 {found}, expected {WHEEL_SHA256}; the download is damaged or not the published file"
        )


def program(folder, lite):
    """Path of effnet310 in `folder`, for MindSpore Lite in the folder `lite`.

    What was compiled of the same sources, for another checkout or a temporary experiment, lies in the user's cache and
    is not compiled again. Raises InputError as `build` does.
    """
    sources = [path for place in (SOURCES, native.FOLDER) for path in sorted(place.glob("*.*")) if path.is_file()]
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources))
    told = [os.environ.get(name, "") for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")]
    digest.update(" ".join([*told, platform.machine(), str(Path(lite).resolve())]).encode())
    kept, made = CACHE / f"effnet310-{digest.hexdigest()[:16]}", Path(folder, "effnet310")
    if not kept.exists():
        build(folder, lite)
        with aside(kept) as copy:
            shutil.copyfile(made, copy)
    elif not made.exists() or not filecmp.cmp(kept, made, shallow=False):
        with aside(made) as copy:
            shutil.copyfile(kept, copy)
        made.chmod(0o755)
    return made


def build(folder, lite=None, tests=False, sanitize=False, fuzz=False):
    """Configure and build in `folder`; returns it. With `lite`, MindSpore Lite's folder, `folder`/effnet310 is built.

    `tests` adds the test programs; `sanitize` compiles with AddressSanitizer and UndefinedBehaviorSanitizer; `fuzz`
    adds the libFuzzer harness and compiles with clang. Raises InputError naming the packages to install where something
    is missing.
    """
    for tool in ("cmake", "clang++") if fuzz else ("cmake",):
        if not shutil.which(tool):
            raise InputError(f"{tool} is not installed; run: apt install {PACKAGES}{' clang' if fuzz else ''}")
    cache = Path(folder, "CMakeCache.txt")
    if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={SOURCES}\n" not in cache.read_text():
        shutil.rmtree(folder)  # made for another checkout, or this one was moved
    switches = {"APP": lite is not None, "TESTS": tests, "SANITIZE": sanitize, "FUZZ": fuzz}
    options = [f"-DEFFNET_{name}={'ON' if on else 'OFF'}" for name, on in switches.items()] + [
        f"-DEFFNET_NATIVE={native.FOLDER}"
    ]
    if lite is not None:
        options.append(f"-DMS_LITE_HOME={Path(lite).resolve()}")
    if fuzz:
        options += ["-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++"]
    extra = " doctest-dev" if tests else ""
    _run(
        ["cmake", "-S", SOURCES, "-B", folder, *options],
        f"{folder}: cmake cannot configure effnet310",
        f"apt install {PACKAGES}{extra}",
    )
    jobs = str(len(os.sched_getaffinity(0)))
    _run(
        ["cmake", "--build", folder, "--parallel", jobs],
        f"{folder}: effnet310 does not compile",
        f"apt install {PACKAGES}{extra}",
    )
    return Path(folder)


def _run(command, problem, advice):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise InputError(f"{problem} (its messages are above); if something is missing, run: {advice}")


def logits_of(binary, model, meta, dataset, device="cpu", batch=8, threads=None):
    """Logits (n, classes) float32 of every picture of `dataset` by effnet310, and its own report (a dict; latencies in
    ms).

    binary   effnet310, as `build` made it
    model    MINDIR of version 1 (effnet/mindir/version_1.py writes it)
    meta     JSON that the export wrote beside the model
    device   cpu, gpu, ascend310 or ascend310p

    The pictures pass through a temporary folder ($TMPDIR chooses where), decoded if they are no JPEG. Raises
    InputError with effnet310's own sentence where it fails, and where a picture cannot be read: figures are of all
    pictures or none.
    """
    with tempfile.TemporaryDirectory() as work:
        pictures, report, logits = (Path(work) / name for name in ("pictures", "report.json", "logits.npy"))
        pictures.mkdir()
        with naming(pictures):
            for i in range(len(dataset)):
                data = dataset.read(i)
                if native.is_jpeg(data):
                    (pictures / f"{i:09d}.jpg").write_bytes(data)
                else:
                    Image.fromarray(decode(data)).save(pictures / f"{i:09d}.ppm")
        options = {
            "device": device,
            "model": model,
            "meta": meta,
            "input": pictures,
            "batch": batch,
            "json": report,
            "logits": logits,
        }
        options |= {"threads": threads} if threads else {}
        _answer([Path(binary).resolve(), *(f"--{name}={value}" for name, value in options.items())])
        answers, report = np.load(logits), json.loads(report.read_text())
    if report["bad"]:
        first = report["bad"][0]
        name = dataset.names[int(Path(first["file"]).stem)]
        raise InputError(
            f"effnet310 cannot read {len(report['bad'])} of the pictures, the first being {name}: {first['problem']}"
        )
    return answers, report


def _answer(command):
    """Run effnet310, its messages passed on as they come."""
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        for last in process.stderr:
            if not last.startswith("error: "):
                sys.stderr.write(last)
    if process.returncode not in (DONE, BAD_PICTURES):
        advice = (
            f"; build it again (exit code {process.returncode})"
            if process.returncode not in (BAD_INPUT, NO_DEVICE)
            else ""
        )
        raise InputError(f"effnet310: {last.strip().removeprefix('error: ') or 'no message'}{advice}")
