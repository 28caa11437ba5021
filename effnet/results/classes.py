"""Which class is which: a model's classes beside those of the pictures.

Their numbers alone do not tell: folders `0` to `999`, sorted as text, put class 10 in place 2.
"""

import difflib
import re

from effnet.errors import InputError

WNID = re.compile(r"n\d{8}")
NAMED = 5  # of a long list of classes, so many are named


def ids_of(meta):
    """The ids (folder names, wnids) of the classes of a model with this meta, in the order of its outputs."""
    return list(meta.get("class_ids") or meta["classes"])


def require_same(meta, pictures, model, data):
    """Raise InputError unless the model's classes are those of `pictures` (a Dataset), place by place.

    model, data: how the sentence names the two.
    """
    mine, theirs = ids_of(meta), list(pictures.class_ids)
    if mine == theirs:
        return
    problem = f"{model} has {len(mine)} classes, {data} has {len(theirs)}, and they are not the same"
    advice = "; `make eval MODEL=... DATA=...` finds classes by id, name or number"
    if strange := [name for name in theirs if name not in set(mine)]:
        raise InputError(f"{problem}: {_strange(strange, mine)}{advice}")
    if missing := [name for name in mine if name not in set(theirs)]:
        raise InputError(f"{problem}: of the model's, {len(missing)} are missing: {_some(missing)}{advice}")
    place = next(k for k, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
    raise InputError(
        f"{model} and {data} number the same classes differently: {place} is {mine[place]} of the one and "
        f"{theirs[place]} of the other{advice}"
    )


def find(path, names, meta, partial=True):
    """`(outputs, words)`: which of the model's outputs each of `names` is, the classes of the pictures at `path`; and
    how they were read.

    Names are the model's class ids, else its classes' names (whatever the case; _ and - count as spaces), else numbers
    of outputs from 0. partial: whether numbers may name some of the model's classes only. Raises InputError where not
    all names are found, naming them and the nearest, and where two are one class.
    """
    ids, people = ids_of(meta), meta["classes"]
    by_id = dict(zip(ids, range(len(ids)), strict=True))
    by_name = {}
    for output, name in enumerate(people):
        by_name.setdefault(_plain(name), []).append(output)
    by_name = {name: outputs[0] for name, outputs in by_name.items() if len(outputs) == 1}
    readings = [
        ("wnids of ImageNet" if all(map(WNID.fullmatch, ids)) else "the model's class ids", map(by_id.get, names)),
        ("names of classes", [by_name.get(_plain(name)) for name in names]),
    ]
    if all(name.isascii() and name.isdecimal() for name in names) and (partial or len(names) == len(ids)):
        numbers = [int(name) if int(name) < len(ids) else None for name in names]
        readings.append((f"numbers of the model's outputs, 0 to {len(ids) - 1}", numbers))
    readings = [(words, list(outputs)) for words, outputs in readings]
    words, outputs = max(readings, key=lambda reading: len(ids) - reading[1].count(None))
    if strange := [name for name, output in zip(names, outputs, strict=True) if output is None]:
        read = f", read as {words}" if len(strange) < len(names) else ""
        raise InputError(
            f"{path}: {len(strange)} of the {len(names)} classes are none of the model's {len(ids)}{read}: "
            f"{_strange(strange, [*by_name, *ids])}"
        )
    if twice := [name for name, output in zip(names, outputs, strict=True) if outputs.count(output) > 1]:
        raise InputError(
            f"{path}: more than one folder for the same class, read as {words}: {_some(twice)}; put them together"
        )
    return outputs, words


def _strange(names, known):
    """Names in words, each with the nearest of those that are known."""
    near = [difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.5) for name in names[:NAMED]]
    told = [
        f"'{name}'" + (f" (nearest: {found[0]})" if found else "") for name, found in zip(names, near, strict=False)
    ]
    return ", ".join(told) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _some(names):
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _plain(name):
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()
