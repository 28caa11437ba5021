"""A training's curves, epoch by epoch, as files that DVC plots."""

import contextlib

from effnet.files import write_json


@contextlib.contextmanager
def curves(folder):
    """f(record) that adds an epoch's record to `folder`/plots/metrics/*.tsv and metrics.json, as dvclive writes them.

    The first record replaces what is there: a training that does not begin leaves the curves of the one before.
    """
    from dvclive import Live  # half a second to import

    with contextlib.ExitStack() as opened:
        live = None

        def log(record):
            nonlocal live
            if live is None:
                live = opened.enter_context(Live(folder, report=None, save_dvc_exp=False, dvcyaml=None))
            live.step = record["epoch"]
            for name, value in record.items():
                if name not in ("epoch", "seconds"):
                    live.log_metric(name, value)
            live.make_summary()

        yield log


def write_summary(path, history, best_top1):
    """The training in four figures, from the records of its epochs."""
    rates = [record["images_per_second"] for record in history]
    last = {name: history[-1][name] for name in ("epoch", "loss")}
    write_json(path, last | {"images_per_second": sum(rates) / len(rates), "best_top1": best_top1})
