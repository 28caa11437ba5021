"""Is one model better than another, or is it noise? `python -m tools.compare A [B]`; A and B are branches, tags,
commits or experiments.

Compares the answers that the `evaluate` stage of each stored for every validation picture. Without B: the working tree.
published/ascend8 and its like are what was published for a recipe (tools/published.yaml): figures without answers.
"""

import argparse
from pathlib import Path

from effnet import errors, parsed
from effnet.comparison import paired
from effnet.errors import InputError
from tools import published
from tools.repo import git, opened, require_revision
from tools.summary import aligned

TABLE = "metrics/evaluate/per_image.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a")
    parser.add_argument("b", nargs="?", default="", help="the working tree if not given")
    args = parser.parse_args()
    if not args.a:
        raise InputError(
            "which models? `make compare A=main B=other` compares two branches, "
            "`make compare A=main` one with the working tree"
        )
    names = (args.a, args.b or "the working tree")
    for mine, other, title in ((args.a, args.b, names[1]), (args.b, args.a, names[0])):
        if mine.startswith(published.PREFIX):
            print(with_published(mine, other, title))
            return 0
    print(paired.sentence(paired.compare(read(args.a), read(args.b), names), names))
    return 0


def with_published(revision, other, title):
    """What was published as `revision`, published/NAME, beside what `other` measured ("": the working tree), which is
    called `title`.
    """
    name, rows, file = revision.removeprefix(published.PREFIX), published.rows(), "metrics/evaluate.json"
    if name not in rows:
        raise InputError(f"'{name}' is not in tools/published.yaml; it has {', '.join(rows)}")
    text = git("show", f"{other}:{file}") if other else Path(file).exists() and Path(file).read_text()
    if not text:
        raise InputError(f"{title}: no {file} there; `make repro` makes it")
    row, found = rows[name], parsed.json_text(text, f"{title}: {file}", parsed.Metrics)
    rows = aligned([published.HEADER, *published.compared(row, found)])
    advice = f"`dvc params diff {revision} --targets params.yaml` says whether the recipes differ"
    return f"{title} {found['top1']:.2%}: {published.judged(row, found)}\n{rows}\n{advice}"


def read(revision):
    """The table of `revision` ("": of the working tree), from the workspace, DVC's cache or the remote."""
    from dvc.api import DVCFileSystem

    if not revision:
        try:
            with open(TABLE) as file:
                return paired.read(file, TABLE)
        except FileNotFoundError:
            raise InputError(f"{TABLE}: not here; `make repro` makes it, `make pull` brings it") from None
    with opened() as repo:
        revision = _experiment(repo, revision)
        require_revision(revision)
        try:
            with DVCFileSystem(".", rev=revision).open(TABLE, "r") as file:
                return paired.read(file, f"{revision}:{TABLE}")
        except FileNotFoundError as error:
            held = git("cat-file", "-e", f"{revision}:dvc.lock") is not None
            why = f"was never fetched here; `dvc fetch --revs {revision}` brings it" if held else "was never evaluated"
            raise InputError(f"{revision}: {why} ({error.filename or TABLE})") from None


def _experiment(repo, name):
    """An experiment's commit for its name; any other name as it is."""
    if git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") is not None:
        return name
    found = dict(pair for pairs in repo.experiments.ls(all_commits=True).values() for pair in pairs)  # name -> revision
    return found.get(name) or name


if __name__ == "__main__":
    errors.run(main)
