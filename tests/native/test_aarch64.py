"""effnet/native on the processors of most Ascend hosts: the pixels are those of x86-64.

Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user and libjpeg62-turbo-dev:arm64 (Ubuntu:
libjpeg-turbo8-dev:arm64), after `dpkg --add-architecture arm64`.
"""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from effnet import native
from effnet.native.build import FLAGS
from tests.conftest import SHARED
from tests.pictures import jpeg

LIBRARIES = Path("/usr/lib/aarch64-linux-gnu")
EMULATOR = ["qemu-aarch64", "-L", "/", "-E", f"LD_LIBRARY_PATH={LIBRARIES}"]
SHAPES = [(640, 480), (480, 640), (333, 500), (1000, 750), (300, 300), (2000, 1500)]


def compiled(compiler, program, *options):
    sources = [Path(__file__).with_name("pixels.c"), *native.FOLDER.glob("*.c")]
    flags = [flag for flag in FLAGS if flag not in ("-shared", "-fPIC")]
    command = [compiler, *flags, f"-I{native.FOLDER}", *sources, "-o", program, *options, "-ljpeg", "-lm"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return program


def digest(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.strip()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares with x86-64, which this machine is not")
def test_the_pixels_are_those_of_x86_64(tmp_path):
    missing = [name for name in ("aarch64-linux-gnu-gcc", "qemu-aarch64") if not shutil.which(name)]
    missing += [] if (LIBRARIES / "libjpeg.so").exists() else ["libjpeg's files for arm64"]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; the head of this file names the packages")
    files = sorted(SHARED.glob("imagenet100/*"))
    kinds = [{"subsampling": "4:2:0"}, {"subsampling": "4:4:4"}, {"subsampling": "4:2:2", "progressive": True}]
    for i, shape in enumerate(SHAPES):
        files.append(tmp_path / f"{i}.jpg")
        files[-1].write_bytes(jpeg(i, shape, ("RGB", "RGB", "L")[i % 3], **({} if i % 3 == 2 else kinds[i % 2])))
    here = compiled("cc", tmp_path / "here")
    there = compiled("aarch64-linux-gnu-gcc", tmp_path / "there", f"-L{LIBRARIES}", "-I/usr/include")
    assert digest(here, *files) == digest(*EMULATOR, there, *files)
