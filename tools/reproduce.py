"""Make everything again from raw data and compare with the committed metrics:
`python -m tools.reproduce [--keep FOLDER]`.

Clones the last commit into a temporary folder with an empty DVC cache and runs `dvc repro` there: no output of an
earlier run is used. Raw data (data/raw, data/pictures) is the folder's own. Exit code 0: every metrics file is equal;
1: not, with what differs and why that can be.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from effnet import errors
from effnet.errors import InputError
from effnet.results import clock
from tools import verify
from tools.repo import opened

RAW = ("data/raw", "data/pictures")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="FOLDER", help="clone into this new folder and leave it there")
    keep = parser.parse_args().keep
    with opened():
        verify.require_numbers()
        edited = clock.git_state()["edited"]
    if edited:
        print(f"note: uncommitted edits are not in the clone: {', '.join(edited[:5])}", file=sys.stderr)
    if keep and Path(keep).exists():
        raise InputError(f"{keep}: exists already; name a new folder")
    folder = Path(keep or tempfile.mkdtemp(prefix="effnet-reproduce-")).resolve()
    try:
        subprocess.run(["git", "clone", "-q", ".", folder], check=True)
        for name in RAW:
            if Path(name).exists():
                (folder / name).symlink_to(Path(name).resolve())
        (folder / "dvc.lock").unlink(missing_ok=True)  # what stands in it is what is to be shown
        verify.run(["-m", "dvc", "repro"], folder, code=folder)
        return verify.compare(folder)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    errors.run(main)
