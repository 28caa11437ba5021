"""A stage run again beside the project, which stays as it is."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

READ = ("models", "data/prepared", "params.yaml")  # by the stages that evaluate


@contextmanager
def folder():
    """A temporary folder in which the stages that evaluate find what they read here."""
    with tempfile.TemporaryDirectory() as made:
        for name in READ:
            target = Path(made, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(name).resolve())
        yield Path(made)


def run(arguments, folder, code, **options):
    """Run Python with these arguments in `folder`, on the project in `code`; subprocess's CompletedProcess."""
    env = os.environ | {"PYTHONPATH": str(code)}
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=env, **options)
