"""The training loop: one screenful, read top to bottom. `make demo`, `make train-cpu` or `dvc repro train` run it.

A step is a pure function of (state, batch, masks, scale, rate), and the batch and masks of (seed, epoch, step): so a run that was killed
and started again from a checkpoint ends with the same bytes as one that never stopped.
"""

import dataclasses
import math
import time

import numpy as np

from effnet import checkpoint, metrics, network, step as steps
from effnet.data.loader import train_batches
from effnet.data.presets import train_preset
from effnet.errors import InputError
from effnet.evaluate import Evaluator
from effnet.features import frozen_epochs
from effnet.model import plan
from effnet.progress import bar
from effnet.schedule import learning_rate

OVERFLOWS_IN_A_ROW = 100  # so many skipped updates mean that no loss scale will do
GOOD_STEPS_TO_DOUBLE = 2000


@dataclasses.dataclass
class Place:
    """Where a run stands; plain numbers, kept in its checkpoints."""

    epoch: int = 0  # epochs finished
    step: int = 0  # updates done in the epoch under way
    updates: int = 0
    loss_sum: float = 0.0  # over the steps of the epoch under way
    scale: float = 1.0  # loss scale
    good_steps: int = 0  # since the dynamic scale changed
    overflows: int = 0  # updates skipped in a row
    best_top1: float = -1.0
    history: list = dataclasses.field(default_factory=list)  # one record per finished epoch


def train(
    recipe, train_set, val_set, folder, identity, rank=0, ranks=1, initial=None, say=print, on_epoch=lambda record: None, stop=lambda: False
):
    """Train to the end of the recipe, from the newest checkpoint in `folder` if it is of the same `identity`.

    Returns (weights {name: array}, place), or None if `stop()` became true: the state is then saved and the run can go on later. The best
    weights by validation top-1 are kept in folder/best.ckpt. `on_epoch` gets each epoch's record, those of a resumed run first.
    A new run starts from the weights `initial` where given, else from random ones.
    Raises InputError for a loss that is not finite, naming the step; the last good checkpoint stays.
    """
    sizes, settings = plan(recipe.model.variant), recipe.train
    net = network.create(recipe.model, settings.seed, settings.sync_bn and ranks > 1, settings.amp_level)
    if initial:
        network.load_weights(net, initial)
    step, state = steps.create(net, net.trainable_params(), recipe, ranks)
    place = _resume(folder, identity, state, rank, say) or Place(scale=settings.loss_scale or 2.0**16)
    for record in place.history:
        on_epoch(record)

    preset = train_preset(recipe.model.image_size, recipe.augment, settings.seed)
    batch_size, share = recipe.data.batch_size, recipe.data.batch_size // ranks
    per_epoch = len(train_set) // batch_size
    evaluator = Evaluator(recipe, rank, ranks)
    eager = settings.loss_scale == 0 or settings.device_target == "CPU"  # look at each loss at once; else a device would wait for us

    def save():
        steps.share_statistics(state, ranks)
        if rank == 0:
            meta = {"identity": identity, "place": dataclasses.asdict(place)}
            checkpoint.save_run(folder, place.updates, checkpoint.arrays_of(state), meta, settings.keep_checkpoint_max)

    def finish(loss, images, rate, seconds):
        """The end of an epoch: evaluate, record, keep what is best, save."""
        steps.share_statistics(state, ranks)
        weights = final_weights(state, settings)
        found = metrics.summarize(metrics.results(evaluator(weights, val_set, show=False), val_set.labels))
        place.history.append({
            "epoch": place.epoch + 1,
            "loss": loss,
            "val_loss": found["loss"],
            "top1": found["top1"],
            "top5": found["top5"],
            "learning_rate": rate,
            "images_per_second": images / seconds,
            "seconds": seconds,
        })  # fmt: skip
        on_epoch(place.history[-1])
        say(_line(place.history[-1], images // batch_size))
        if found["top1"] > place.best_top1:
            place.best_top1 = found["top1"]
            if rank == 0:
                checkpoint.save(f"{folder}/best.ckpt", weights, {"epoch": place.epoch + 1, "top1": found["top1"]})
        place.epoch, place.step, place.loss_sum = place.epoch + 1, 0, 0.0
        if place.epoch % settings.save_checkpoint_epochs == 0 or place.epoch in (settings.freeze_epochs, settings.epoch_size):
            save()

    if place.epoch < settings.freeze_epochs:
        began = time.perf_counter()
        classifier, loss = frozen_epochs(recipe, checkpoint.arrays_of(net.get_parameters()), train_set)
        classifier |= {f"ema.{name}": value for name, value in classifier.items()}
        checkpoint.restore([p for p in state if p.name in classifier], classifier)
        place.epoch, place.updates = settings.freeze_epochs - 1, settings.freeze_epochs * per_epoch
        finish(loss, settings.freeze_epochs * per_epoch * batch_size, 0.0, time.perf_counter() - began)

    while place.epoch < settings.epoch_size:
        began, first = time.perf_counter(), place.step
        batches = train_batches(
            train_set, preset, batch_size, place.epoch, settings.seed, recipe.augment.mixup, recipe.augment.cutmix,
            start_step=first, rank=rank, ranks=ranks, workers=recipe.data.workers,
        )  # fmt: skip
        pending, rate = [], learning_rate(max(0, place.updates - 1), per_epoch, settings)
        with bar(total=per_epoch * batch_size, what=f"epoch {place.epoch + 1}/{settings.epoch_size}", disable=rank > 0) as progress:
            progress.update(first * batch_size)
            for batch in batches:
                rate = learning_rate(place.updates, per_epoch, settings)
                masks = steps.keep_masks(recipe, sizes.blocks, sizes.head, place.epoch, place.step, batch_size)
                masks = [None if m is None else m[rank * share : (rank + 1) * share] for m in masks]
                ema_decay = min(settings.ema_decay, (1 + place.updates) / (10 + place.updates))
                pending.append((place.step, step(batch, masks, place.scale, rate, ema_decay)))
                place.step += 1
                place.updates += 1
                progress.update(batch_size)
                saving = settings.save_checkpoint_steps and place.updates % settings.save_checkpoint_steps == 0
                stopping = stop()
                if eager or saving or stopping or len(pending) == 50:
                    _settle(pending, place, rate, settings)
                    progress.set_postfix(loss=f"{place.loss_sum / place.step:.3f}", lr=f"{rate:.2g}", refresh=False)
                if saving or stopping:
                    save()
                if stopping:
                    return None
        _settle(pending, place, rate, settings)
        finish(place.loss_sum / per_epoch, (per_epoch - first) * batch_size, rate, time.perf_counter() - began)
    return final_weights(state, settings), place


def final_weights(state, settings):
    """The network's weights in `state`: the average ones where the recipe keeps an average."""
    prefix = "ema." if settings.ema_decay > 0 else ""
    names = [p.name for p in state if p.name.startswith("ema.")] if prefix else [p.name for p in state if _is_weight(p.name)]
    arrays = {p.name: p for p in state}
    return {name.removeprefix(prefix): np.array(arrays[name].asnumpy()) for name in names}


def _is_weight(name):
    return name.startswith(("stem.", "blocks.", "head.", "classifier."))


def _settle(pending, place, rate, settings):
    """Fetch the losses of the steps since the last time: add them up, steer the dynamic scale, stop at one that is not finite."""
    for number, (losses, finite) in pending:
        loss, skipped = steps.mean_loss(losses), settings.loss_scale == 0 and not bool(finite)
        where = f"epoch {place.epoch + 1}, step {number + 1}"
        if skipped:
            place.scale, place.good_steps, place.overflows = max(1.0, place.scale / 2), 0, place.overflows + 1
            if place.overflows == OVERFLOWS_IN_A_ROW:
                raise InputError(f"{where}: gradients overflowed {OVERFLOWS_IN_A_ROW} times in a row; lower train.lr_max or use amp_level O0")
        else:
            place.good_steps, place.overflows = place.good_steps + 1, 0
            if settings.loss_scale == 0 and place.good_steps == GOOD_STEPS_TO_DOUBLE:
                place.scale, place.good_steps = place.scale * 2, 0
        if not math.isfinite(loss) and not skipped:
            raise InputError(
                f"{where}: the loss is {loss} at learning rate {rate:.3g}; lower train.lr_max or lengthen train.warmup_epochs "
                "(the last good checkpoint is kept)"
            )
        place.loss_sum += loss if math.isfinite(loss) else 0.0
    pending.clear()


def _resume(folder, identity, state, rank, say):
    """Take up the newest run in `folder`, or return None where there is none of the same identity."""
    found = checkpoint.newest_run(folder, say)
    if found is None:
        return None
    arrays, meta = found
    place = Place(**meta["place"])
    if meta["identity"] != identity:
        difference = _difference(meta["identity"], identity)
        if difference == "recipe (train.epoch_size)" and place.epoch > identity["recipe"]["train.epoch_size"]:
            raise InputError(
                f"train.epoch_size: {identity['recipe']['train.epoch_size']}, but the run in {folder} has finished epoch {place.epoch}; "
                f"write {place.epoch} or more, or move {folder} away to train anew"
            )
        if rank > 0:
            return None
        aside = checkpoint.set_aside(folder)
        say(f"{folder} held a run of another {difference}; it is now in {aside}, training starts anew")
        return None
    checkpoint.restore(state, arrays)
    say(f"resumed at epoch {place.epoch + 1}, step {place.step + 1} ({place.updates} updates done)")
    return place


def _difference(old, new):
    parts = []
    for part in new:
        if old.get(part) != new[part]:
            keys = [k for k in new[part] if old[part].get(k) != new[part][k]] if isinstance(new[part], dict) else []
            parts.append(f"{part} ({', '.join(keys)})" if keys else part)
    return ", ".join(parts)


def _line(record, steps_timed):
    """One epoch's log line, in the original's words (times in ms) and with what it left out."""
    ms = record["seconds"] * 1000
    return (
        f"epoch {record['epoch']}: epoch time: {ms:.0f}, per step time: {ms / max(1, steps_timed):.1f}, avg loss: {record['loss']:.4f}, "
        f"lr: {record['learning_rate']:.3g}, images/s: {record['images_per_second']:.1f}, "
        f"val loss: {record['val_loss']:.4f}, top1: {record['top1']:.4f}, top5: {record['top5']:.4f}"
    )
