"""A training's curves, epoch by epoch, as files that DVC plots."""

import contextlib

from effnet.errors import InputError
from effnet.files import write_json
from effnet.results.clock import git
from effnet.results.metrics import DIGITS


@contextlib.contextmanager
def curves(folder):
    """f(record) that adds an epoch's record to `folder`/plots/metrics/*.tsv and metrics.json, as dvclive writes them.

    The first record replaces what is there: a training that does not begin leaves the curves of the one before. Raises
    InputError in a git repository without a commit, which dvclive asks for.
    """
    if git("rev-parse", "--git-dir") is not None and git("rev-parse", "HEAD") is None:
        raise InputError("this git repository has no commit yet; run `git add -A && git commit -m start` first")
    from dvclive import Live  # half a second to import

    with contextlib.ExitStack() as opened:
        live = None

        def log(record):
            nonlocal live
            if live is None:
                live = opened.enter_context(Live(folder, report=None, save_dvc_exp=False, dvcyaml=None))
            live.step = record["epoch"]
            for name, value in record.items():
                if name not in ("epoch", "seconds", "images_per_second"):  # a clock's
                    live.log_metric(name, value)
            live.make_summary()

        yield log


def write_summary(path, place):
    """The training in three figures."""
    last = place.history[-1]
    write_json(
        path, {"epoch": last["epoch"], "loss": round(last["loss"], DIGITS), "best_top1": round(place.best_top1, DIGITS)}
    )
