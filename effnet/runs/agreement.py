"""Ranks that train together have the same code, recipe, data and checkpoints, and stay alike; or all of them stop."""

import hashlib
import json
import socket
from collections import Counter
from pathlib import Path

from effnet.errors import InputError
from effnet.files import sha256
from effnet.network.ranks import gather, wait_for_all
from effnet.runs.identity import difference
from effnet.runs.run import lock_of

SAME = "put the same commit, recipe and prepared data on every machine"
SEEN_BY_ALL = "models/ must be on a file system that all machines see, and the command the same on all"


def check(identity, folder, files, wish, ranks):
    """Compare over all ranks what decides the run and what they see of it: `folder` of checkpoints, once rank 0 holds
    it, and `files`.

    Raises the same InputError on each rank, naming the one that is not like the others and what differs.
    """
    if ranks.count == 1:
        return
    wait_for_all(ranks)  # rank 0 has written the lock
    sees = {"CONTINUE or ANEW": wish} | _seen(folder, files)
    mine = {"host": socket.gethostname(), "identity": identity, "sees": sees}
    all_of_them = [json.loads(text) for text in gather(json.dumps(mine), ranks)]
    usual = _usual([said["identity"] for said in all_of_them])
    for rank, said in enumerate(all_of_them):
        found = difference(usual, said["identity"])
        if phrases := found.inputs + found.code:
            more = f" and {len(phrases) - 3} more" if len(phrases) > 3 else ""
            raise InputError(
                f"rank {rank} on {said['host']} does not have what the other ranks have "
                f"({', '.join(phrases[:3])}{more}); {SAME}"
            )
    first = all_of_them[0]
    for rank, said in enumerate(all_of_them):
        for what, seen in first["sees"].items():
            if said["sees"][what] != seen:
                raise InputError(
                    f"{what}: rank {rank} on {said['host']} has {said['sees'][what] or 'none'}, "
                    f"rank 0 on {first['host']} has {seen or 'none'}; {SEEN_BY_ALL}"
                )


def check_weights(weights, ranks):
    """Raise the same InputError on each rank unless all have the same `weights` {name: array}, bit for bit."""
    if ranks.count == 1:
        return
    hashed = hashlib.sha256()
    for name, array in weights.items():
        hashed.update(name.encode() + array.tobytes())
    said = gather(hashed.hexdigest(), ranks)
    usual = _usual(said)
    for rank, digest in enumerate(said):
        if digest != usual:
            raise InputError(
                f"rank {rank} has other weights than the other ranks, though all got the same gradients; the device "
                "or its memory is not to be trusted (the last checkpoint of an epoch that ended well is kept)"
            )


def _seen(folder, files):
    """What this rank sees of the run's files, in words: checkpoints, the holder's note beside them, files."""
    there = sorted(Path(folder).glob("*.ckpt"))
    listed = ", ".join(f"{path.name} of {path.stat().st_size} bytes" for path in there)
    lock = lock_of(folder)
    return {
        str(folder): listed,
        str(lock): lock.read_text().strip() if lock.is_file() else "",
    } | {file: f"SHA-256 {sha256(file)[:16]}" if Path(file).is_file() else "" for file in files}


def _usual(values):
    """What most say; where as many say one thing as another, what the first of them says."""
    texts = [json.dumps(value, sort_keys=True) for value in values]
    return json.loads(Counter(texts).most_common(1)[0][0])
