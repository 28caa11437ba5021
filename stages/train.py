"""Shards -> models/effnet.ckpt (the final weights) and the training's curves; models/checkpoints to resume from.

Exit code 75: SIGTERM stopped it, the state is saved; run it again to go on. The environment says what to do about a run
under other code that is there already: CONTINUE=1 goes on with it, ANEW=1 trains from the beginning.
"""

import contextlib
import functools
import os
import socket

from effnet import errors, recipe
from effnet.devices import launch, machine
from effnet.devices.messages import explained
from effnet.evaluation.evaluator import Evaluator
from effnet.files import sha256
from effnet.network import device
from effnet.network.ranks import gather, join
from effnet.results import clock, metrics, provenance
from effnet.results.curves import curves, write_summary
from effnet.runs import agreement, identity, stopping
from effnet.runs.run import Run, alone
from effnet.shards.dataset import Dataset
from effnet.training import start
from effnet.training.loop import train

START = "models/start/start.ckpt"  # stage `pretrained` puts it there
CHECKPOINTS = "models/checkpoints"  # no output of the stage: its bytes are this machine's
MODEL, RECORD = "models/effnet.ckpt", "metrics/provenance/run.json"


def main():
    params = recipe.load()
    settings = params.train
    if settings.device_num > 1 and not launch.inside():
        machine.check(settings.device_target, settings.device_num)
        return launch.run(launch.command("stages.train", settings.device_num, settings.device_target))

    launch.follow_launcher()
    told = stopping.listen()
    device.start(settings.device_target, settings.threads, settings.deterministic, settings.tf32)
    ranks = join(settings.device_num)
    every = 1 if settings.device_target == "CPU" else stopping.EVERY
    stop = stopping.Stop(told, ranks, every, lambda steps: launch.sign_of_life(ranks.rank, steps))
    params, say = on_this_machine(params, ranks)
    train_set, val_set = Dataset("data/prepared", "train"), Dataset("data/prepared", "val")
    params = recipe.fitted(params, len(train_set.class_ids), len(train_set))
    settings = params.train
    say(
        f"{len(train_set)} training pictures of {params.model.class_num} classes: {settings.epoch_size} epochs, "
        f"batches of {params.data.batch_size}, learning rate at most {settings.lr_max:g}; "
        "the first step compiles the network"
    )
    initial, origin, source = starting_weights(params, train_set.class_ids, say)
    meta = identity.of_model(params, train_set, source)
    this = identity.of_run(params, train_set, origin)
    run = Run(CHECKPOINTS, this, settings.keep_checkpoint_max, ranks, wish(), say, MODEL, RECORD)
    evaluator = Evaluator(meta, params.validation, params.data.workers, ranks)

    def validate(weights, dataset=val_set):
        agreement.check_weights(weights, ranks)
        logits = evaluator(weights, dataset, show=False, stop=stop)
        return None if logits is None else metrics.summarize(metrics.results(logits, dataset.labels))

    with explained(params, machine.memory(settings.device_target)), records(ranks) as log:
        agreement.check(this, CHECKPOINTS, (MODEL, RECORD), wish(), ranks)
        done = train(params, train_set, run, validate, initial, log, stop)
    if done is None:
        print(launch.STOPPED, flush=True)
        # msrun would kill those that are not quite through; the launcher has read the line
        return 0 if launch.follows() else launch.EXIT_STOPPED
    if ranks.rank == 0:
        write_results(*done, run, meta, train_set, settings)
    return 0


def on_this_machine(params, ranks):
    """The recipe with this rank's number of decoding threads, and what says something once a machine."""
    hosts = gather(socket.gethostname(), ranks)
    here = hosts[ranks.rank]
    threads = params.data.workers or machine.cores_for(hosts.count(here))
    params = params.model_copy(update={"data": params.data.model_copy(update={"workers": threads})})
    say = functools.partial(print, flush=True)  # a log must not end with what was said first
    return params, say if hosts.index(here) == ranks.rank else lambda text: None


def starting_weights(params, class_ids, say):
    """(weights or None, digest of their file, where they come from in words)."""
    if not params.model.pretrained:
        return None, "", "trained here"
    weights, meta = start.load(params, START, class_ids, say)
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
    run.finish(weights, meta, place)
    write_summary("metrics/train.json", place)
    precision = provenance.precision(settings.device_target, settings.amp_level, settings.tf32)
    where = {"target": settings.device_target, "number": settings.device_num, "precision": precision}
    provenance.write("metrics/provenance/train.json", meta, train_set, where)
    timed = [record for record in place.history if "seconds" in record]  # none of a model that was pulled
    if timed:
        images = sum(record["images_per_second"] * record["seconds"] for record in timed)
        clock.write("metrics/clock/train.json", sum(record["seconds"] for record in timed), images, epochs=timed)


if __name__ == "__main__":
    errors.run(main)
