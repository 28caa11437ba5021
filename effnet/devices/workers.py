"""The processes that msrun started here, as Linux shows them in /proc: which live, which hang."""

import contextlib
import os
import time
from pathlib import Path

HANGS = 60  # seconds without a sign of life, while others have one
STANDING = "Tt"  # states of a process that was stopped


def of(msrun):
    """(numbers of msrun's workers that live, in the order of their ranks; those of its scheduler, none where the master
    is elsewhere).
    """
    try:
        children = [int(word) for word in Path(f"/proc/{msrun}/task/{msrun}/children").read_text().split()]
    except OSError:
        return [], []
    leading = alive(children)
    return leading, [child for child in children if child not in leading and (_stat(child) or "Z")[0] != "Z"]


def alive(processes):
    """Those of `processes` that live and lead a session, as msrun's workers do (its scheduler does not)."""
    return [process for process in processes if (found := _stat(process)) and found[0] != "Z" and found[3] == process]


def send(number, processes):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def sign(folder, rank, steps):
    """In a rank, after each step: a sign of life for `hanging`, "process steps" in a file whose time says when."""
    with contextlib.suppress(OSError):
        Path(folder, f"rank_{rank}.alive").write_text(f"{os.getpid()} {steps}")


def hanging(folder, processes):
    """Which rank keeps the others waiting, and since when, in a sentence; empty if none does.

    That is one that is behind the others with its steps, or that was stopped, and has shown none for HANGS seconds.
    """
    signs = {}
    for path in Path(folder).glob("rank_*.alive"):
        with contextlib.suppress(OSError, ValueError):
            process, steps = map(int, path.read_text().split())
            if process in processes:
                signs[int(path.stem.rpartition("_")[2])] = process, steps, path.stat().st_mtime
    furthest = max((steps for _, steps, _ in signs.values()), default=0)
    for rank, (process, steps, when) in sorted(signs.items()):
        standing = (_stat(process) or "?")[0] in STANDING
        if (standing or steps < furthest) and time.time() - when > HANGS:
            since, why = time.strftime("%H:%M:%S", time.localtime(when)), " (it is stopped)" if standing else ""
            return f"rank {rank}, process {process}, has shown no sign of life since {since}{why}; the others wait"
    return ""


def _stat(process):
    """(state, parent, group, session) of a process, None where there is none."""
    try:
        state, *numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return state, *map(int, numbers)
