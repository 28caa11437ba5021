"""What the benchmarks that train here and in PyTorch share: our stages in a folder of their own, a side as a process,
a part of a page.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from effnet import errors
from effnet.files import whole

ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def pipeline(params, stages, links=()):
    """A folder in which the pipeline's `stages` ran with the recipe `params` (a tree). links: paths of this repository
    that it finds there too.
    """
    with tempfile.TemporaryDirectory() as work:
        Path(work, "params.yaml").write_text(yaml.safe_dump(params))
        for name in links:
            Path(work, name).parent.mkdir(parents=True, exist_ok=True)
            Path(work, name).symlink_to(ROOT / name)
        for stage in stages:
            command = [sys.executable, "-m", f"stages.{stage}"]
            done = subprocess.run(command, cwd=work, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=sys.stderr)
            if done.returncode:
                raise errors.InputError(f"stages.{stage} failed; what it said is above")
        yield Path(work)


def measure(module, *arguments):
    """What `python -m bench.MODULE ARGUMENTS` printed last, as JSON, and its processor's seconds: those of other work
    on the machine change a clock's.
    """
    began = processor_seconds()
    command = [sys.executable, "-m", f"bench.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise errors.InputError(
            f"{' '.join(command[1:])} failed; what it said is above (`make test-peers` installs the peers)"
        )
    return json.loads(done.stdout.splitlines()[-1]) | {"seconds": round(processor_seconds() - began, 1)}


def processor_seconds():
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_part(page, name, text):
    """Put `text` between <!-- NAME --> and the next <!-- end --> of `page`."""
    before, rest = page.read_text().split(f"<!-- {name} -->\n")
    with whole(page, "w") as file:
        file.write(f"{before}<!-- {name} -->\n{text}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}")
