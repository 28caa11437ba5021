"""models/infer310: the C++ program, effnet310, and models/effnet.mindir in the version that MindSpore Lite reads."""

import shutil
from pathlib import Path

from effnet import errors
from effnet.mindir.version_1 import to_version_1
from effnet.runtimes import infer310


def main():
    target = Path("models/infer310")
    to_version_1("models/effnet.mindir", target / "effnet.mindir")
    folder = infer310.build("build/infer310", infer310.mindspore_lite())
    (target / "effnet310").unlink(missing_ok=True)  # may be a link into DVC's cache
    shutil.copy(folder / "effnet310", target)


if __name__ == "__main__":
    errors.run(main)
