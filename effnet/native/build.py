"""C sources compiled for this machine the first time they are wanted: into the user's cache, under a name that is a
digest of all that decides the library, so that it is never a stale one and serves every checkout.
"""

import hashlib
import os
import platform
import shlex
import subprocess
from pathlib import Path

from effnet.errors import InputError
from effnet.files import CACHE, aside

# No contraction to fused multiply-add: weights are computed in double, and must be the same on every processor. With
# errno to set, sqrtf is no vector's instruction.
FLAGS = ["-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-fopenmp", "-Wno-psabi"]
FLAGS += ["-ffp-contract=off", "-fno-math-errno"]


def shared_library(folder, options=("-lm",)):
    """Path of `folder`'s C sources as a shared library, compiled with these `options` too if it is not there yet.

    Raises InputError if that fails.
    """
    sources = sorted(Path(folder).glob("*.[ch]"))
    command = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    digest.update(" ".join([*command, *options, platform.machine()]).encode())
    library = CACHE / f"{Path(folder).name}-{digest.hexdigest()[:16]}.so"
    if not library.exists():
        try:
            with aside(library) as made:
                command += [*(str(path) for path in sources if path.suffix == ".c"), "-o", str(made), *options]
                subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            errors = [line for line in (getattr(error, "stderr", None) or "").splitlines() if "error" in line] or [
                str(error)
            ]
            raise InputError(f"{folder}: cannot compile it ({errors[0]}); install gcc and libjpeg-dev") from None
    return library
