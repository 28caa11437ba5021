"""Shards -> models/effnet.ckpt (the final weights) and the training's curves; models/checkpoints to resume from.

Exit code 75: SIGTERM stopped it, the state is saved; run it again to go on. The environment says what to do about a run
under other code that is there already: CONTINUE=1 goes on with it, ANEW=1 trains from the beginning.
"""

import contextlib
import os
import signal

from effnet import errors, recipe
from effnet.devices import launch, machine
from effnet.devices.messages import explained
from effnet.evaluation.evaluator import Evaluator
from effnet.files import sha256
from effnet.network import checkpoint, device
from effnet.network.ranks import join
from effnet.results import clock, metrics, provenance
from effnet.results.curves import curves, write_summary
from effnet.runs import identity
from effnet.runs.run import Run, alone
from effnet.shards.dataset import Dataset
from effnet.training import start
from effnet.training.loop import train

START = "models/start/start.ckpt"  # stage `pretrained` puts it there
CHECKPOINTS = "models/checkpoints"  # no output of the stage: its bytes are this machine's
MODEL = "models/effnet.ckpt"
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h


def main():
    params = recipe.load()
    settings = params.train
    if settings.device_num > 1 and not launch.inside():
        machine.check(settings.device_target, settings.device_num)
        return launch.run(launch.command("stages.train", settings.device_num))

    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    device.start(settings.device_target, settings.threads)
    ranks = join(settings.device_num)
    say = print if ranks.rank == 0 else lambda text: None
    train_set, val_set = Dataset("data/prepared", "train"), Dataset("data/prepared", "val")
    initial, origin, source = starting_weights(params, say)
    meta = identity.of_model(params, train_set, source)
    this = identity.of_run(params, train_set, origin)
    run = Run(CHECKPOINTS, this, settings.keep_checkpoint_max, ranks, wish(), say, MODEL)
    evaluator = Evaluator(meta, params.validation, params.data.workers, ranks)

    def validate(weights):
        return metrics.summarize(metrics.results(evaluator(weights, val_set, show=False), val_set.labels))

    with explained(params, machine.memory(settings.device_target)), records(ranks) as log:
        done = train(params, train_set, run, validate, initial, log, lambda: bool(stopped))
    if done is None:
        print("stopped by SIGTERM; the state is saved, run again to go on")
        return EXIT_STOPPED
    if ranks.rank == 0:
        write_results(*done, run, meta, train_set, settings)
    return 0


def starting_weights(params, say):
    """(weights or None, digest of their file, where they come from in words)."""
    if not params.model.pretrained:
        return None, "", "trained here"
    weights, meta = start.load(params, START, say)
    return weights, sha256(START), f"fine-tuned from {meta['source']} ({meta.get('licence', 'own weights')})"


def wish():
    return next((wish for wish in ("anew", "continue") if os.environ.get(wish.upper())), "")


@contextlib.contextmanager
def records(ranks):
    """What takes each epoch's record: on the first rank curves, with the folder of checkpoints held for this
    training.
    """
    if ranks.rank > 0:
        yield lambda record: None
        return
    with alone(CHECKPOINTS), curves("metrics/train") as log:
        yield log


def write_results(weights, place, run, meta, train_set, settings):
    checkpoint.save(MODEL, weights, meta | run.record(place))
    write_summary("metrics/train.json", place)
    where = {"target": settings.device_target, "number": settings.device_num}
    more = {"continued": run.continued} if run.continued else {}
    provenance.write("metrics/provenance/train.json", meta, train_set, where, **more)
    timed = [record for record in place.history if "seconds" in record]  # none of a model that was pulled
    if timed:
        images = sum(record["images_per_second"] * record["seconds"] for record in timed)
        clock.write("metrics/clock/train.json", sum(record["seconds"] for record in timed), images, epochs=timed)


if __name__ == "__main__":
    errors.run(main)
