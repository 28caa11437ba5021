"""What `effnet tune` measured of a model on this machine, kept for `effnet predict --fast`.

It lies in the user's cache and not beside the model: it is true of one processor, and what lies beside a model travels
with it. Its name is a digest of all that a choice rests on - the model's bytes and those of its int8 file, processor
and cores, versions - so a stale one is never found.
"""

from typing import Annotated, Literal

from pydantic import Field

from effnet import parsed
from effnet.devices import machine
from effnet.errors import InputError
from effnet.files import CACHE, digest, sha256, write_json
from effnet.recipe import Share, Threads
from effnet.results.provenance import versions
from effnet.runtimes import NAMES, by_name


class Measured(parsed.Parsed):
    """One row of what `effnet tune` measured; equal_top1: share of pictures answered as in float32, where known."""

    runtime: Literal[NAMES]
    threads: Annotated[Threads, Field(ge=1)]
    batch: parsed.Count
    images_per_second: float = Field(gt=0)
    equal_top1: Share | None


class Tuning(parsed.Parsed):
    """The file."""

    rows: list[Measured] = Field(min_length=1)
    least: Share
    pictures: str


def keep(model, rows, least, pictures):
    """Write what was measured of the ONNX file `model`; returns the path.

    rows: dictionaries as Measured; least: share of answers that a choice must have in common with float32;
    pictures: in words, which they were.
    """
    write_json(place(model), {"model": str(model), "rows": rows, "least": least, "pictures": pictures})
    return place(model)


def find(model, count):
    """The row to run `model` on `count` pictures with, or None where it was not tuned here: the fastest of those that
    answer as float32 does and whose batch they fill.

    Raises InputError for a damaged file.
    """
    path = place(model)
    found = parsed.json_file(path, Tuning, f"`effnet tune {model}` makes it anew")
    if not found:
        return None
    row = best(found["rows"], found["least"], count)
    if not row:
        raise InputError(f"{path}: damaged, no row of one picture in float32; `effnet tune {model}` makes it anew")
    return row


def best(rows, least, count):
    """The fastest of `rows`, float32 or with the share `least` of its answers, that takes no more than `count` pictures
    at a time; None where there is none.
    """
    fit = [row for row in rows if row["batch"] <= max(1, count) and suits(row, least)]
    return max(fit, key=lambda row: row["images_per_second"], default=None)


def suits(row, least):
    """Whether a row is of float32, or was measured to answer as float32 does in the share `least` of pictures."""
    return "-" not in row["runtime"] or (row["equal_top1"] or 0) >= least


def told(row):
    """A row in words."""
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return f"{row['runtime']}, {threads}, batch {row['batch']}"


def place(model):
    """Path of what is kept of `model` on this machine, whether it is there or not."""
    try:
        int8 = sha256(by_name.file_of(model, "onnx-int8"))
    except InputError:  # there is none
        int8 = None
    described = machine.describe()
    of = [sha256(model), int8, described["cpu"], described["cores"], machine.flags(), versions(["openvino"])]
    return CACHE / "tuned" / f"{digest(*of)[:16]}.json"
