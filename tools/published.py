"""What was published for a recipe (tools/published.yaml), beside what was measured here.

    python -m tools.published    a tag published/NAME of each row: a commit that holds its figures as
                                 metrics/evaluate.json and the recipe as params.yaml, for `dvc metrics diff`

The table is the record, since a file is in every clone, branch and review. The commits are made of it, with fixed names
and dates, so that they are the same wherever they are made.
"""

import json
import os
import subprocess
from pathlib import Path

import yaml

from effnet import errors, recipe
from effnet.errors import InputError
from effnet.results.metrics import DIGITS, interval
from effnet.weights import pretrained

ROOT = Path(__file__).parents[1]
TABLE, PREFIX = ROOT / "tools/published.yaml", "published/"
SECTIONS = ("model", "data", "augment", "train", "validation", "evaluate")  # which decide what is measured
IMAGENET = 50_000  # pictures of the validation set, all of which a verdict asks for
HEADER = ["", "measured", "published", "difference", "its 95% interval"]
SHOWN = 5  # of the keys that differ, so many are named
WHO = {"NAME": "published", "EMAIL": "published@localhost", "DATE": "2021-08-17T00:00Z"}  # the original's day


def rows():
    """`{recipe: its row of the table}`, top1 and top5 as shares of 1."""
    found = {}
    for name, row in yaml.safe_load(TABLE.read_text()).items():
        row = {"top1": pretrained.source(row["weights"])["top1"], **row} if "weights" in row else row
        shares = {key: round(row[key] / 100, DIGITS) for key in ("top1", "top5") if key in row}
        found[name] = row | shares
    return found


def experiment(params):
    """`(recipe's name, [how params differs from it])` of the published recipe that `params` (recipe.Recipe) is nearest
    to, or None where none is of the same network and data.
    """
    here, found = _deciding(params), []
    for name in rows():
        there = _deciding(recipe.load(ROOT / f"recipes/{name}.yaml"))
        if all(here[key] == there[key] for key in ("model.variant", "data.source")):
            other = [f"{key} {here[key]} ({there[key]} there)" for key in here if here[key] != there[key]]
            found.append((name, other))
    return min(found, key=lambda pair: len(pair[1]), default=None)


def _deciding(params):
    """`{"section.key": value}` of all in a recipe that decides what evaluation measures."""
    found = {}
    for name in SECTIONS:
        section = getattr(params, name)
        for key, field in type(section).model_fields.items():
            if field.json_schema_extra != recipe.NO_BYTE:
                found[f"{name}.{key}"] = getattr(section, key)
    return found


def verdict(top1, images, measured, but=""):
    """In words: whether the published `top1` of so many `images` lies in `measured`, the 95% interval (low, high) of
    the measured one. `but` is what speaks against a verdict, and takes its place.
    """
    said = f"published top-1 {top1:.2%} on {images:,} pictures, "
    if but:
        return said + but
    low, high = measured
    place = "within" if low <= top1 <= high else "above" if top1 > high else "below"
    return f"{said}{place} the 95% interval of the measured"


def judged(row, measured, but=""):
    """The verdict on a row of the table; there is none but on as many pictures as ImageNet's validation set has."""
    few = "" if measured["images"] == IMAGENET else f"these {measured['images']:,} are only indicative"
    return verdict(row["top1"], row["images"], interval(measured), but or few)


def beside(params, measured, hours=None):
    """`(sentence, rows under HEADER)` of what was published for the recipe `params` and what was `measured`
    (metrics/evaluate.json), or None where nothing was. hours: of training here, where that is known.
    """
    found = experiment(params)
    if found is None:
        return None
    name, other = found
    row, but = rows()[name], ""
    if other:
        more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        but = f"of another experiment: this recipe is not {name} any more: {'; '.join(other[:SHOWN])}{more}"
    sentence = f"Recipe {name}, {row['what']}: {judged(row, measured, but)}."
    return sentence, compared(row, measured | {"hours": hours})


def compared(row, measured):
    """Rows under HEADER of text: the row's figures beside the measured ones; shares in percent."""
    cells = []
    for key, title in (("top1", "top-1"), ("top5", "top-5")):
        if key in row:
            ends = interval({"top1": measured[key], "images": measured["images"]})
            spread = " - ".join(f"{100 * (end - row[key]):+.2f}" for end in ends)
            difference = f"{100 * (measured[key] - row[key]):+.2f}"
            cells.append([title, f"{100 * measured[key]:.2f}", f"{100 * row[key]:.2f}", difference, spread])
    titles = (("loss", "loss"), ("smoothed_loss", "label-smoothed loss"), ("images", "images"), ("hours", "hours"))
    for key, title in titles:
        if key in row:
            here, there = measured.get(key), row[key]
            text = [f"{value:,}" if isinstance(value, int) else f"{value:.4g}" for value in (here, there) if value]
            difference = f"{here - there:+.4f}" if here and "loss" in key else ""
            cells.append([title, *([] if here else ["-"]), *text, difference, ""])
    return cells


def table():
    """Header and rows of what was published, none of which was run here."""
    found = []
    for name, row in rows().items():
        params = recipe.load(ROOT / f"recipes/{name}.yaml")
        loss = row.get("loss") or row.get("smoothed_loss")
        kind = ", label-smoothed" if "smoothed_loss" in row else ""
        found.append([
            f"{params.model.variant} at {params.evaluate.crop} px: {row['what']}", f"{100 * row['top1']:.2f}",
            f"{100 * row['top5']:.2f}" if "top5" in row else "-", f"{loss:.2f}{kind}" if loss else "-",
            f"{row['images']:,}", f"{row['hours']:g}" if "hours" in row else "-", f"`{name}`",
        ])  # fmt: skip
    return ["published for ImageNet, not run here", "top-1", "top-5", "loss", "images", "hours", "recipe"], found


def tag(name):
    """Write the tag published/NAME; returns it. Raises InputError where this is no git repository."""
    row = rows()[name]
    keys = ("top1", "top5", "loss", "smoothed_loss", "images")
    figures = json.dumps({key: row[key] for key in keys if key in row}, indent=2) + "\n"
    params = (ROOT / f"recipes/{name}.yaml").read_text()
    metrics = _tree({"evaluate.json": figures})
    tree = _tree({"dvc.yaml": "metrics:\n  - metrics/evaluate.json\n", "params.yaml": params}, {"metrics": metrics})
    message = f"Published: {row['what']}\n\n{row['source']}\n"
    commit = _git("commit-tree", tree, "-F", "-", given=message)
    _git("update-ref", f"refs/tags/{PREFIX}{name}", commit)
    return f"{PREFIX}{name}"


def _tree(files, folders=None):
    """A git tree of `{name: text}` and `{name: tree}`."""
    blobs = {name: _git("hash-object", "-w", "--stdin", given=text) for name, text in files.items()}
    entries = [f"100644 blob {blob}\t{name}" for name, blob in blobs.items()]
    entries += [f"040000 tree {tree}\t{name}" for name, tree in (folders or {}).items()]
    return _git("mktree", given="\n".join(entries) + "\n")


def _git(*command, given=""):
    env = os.environ | {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()}
    done = subprocess.run(["git", *command], input=given, text=True, capture_output=True, env=env)
    if done.returncode:
        raise InputError(f"git {command[0]}: {done.stderr.strip().splitlines()[0]}")
    return done.stdout.strip()


def main():
    for name, row in rows().items():
        print(f"{tag(name):<20} top-1 {row['top1']:.2%}, {row['what']}")
    print(f"`make compare A={PREFIX}ascend8`, `dvc metrics diff {PREFIX}ascend8 HEAD --targets metrics/evaluate.json`")


if __name__ == "__main__":
    errors.run(main)
