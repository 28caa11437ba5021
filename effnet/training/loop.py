"""The training loop, to be read top to bottom.

    make demo                      the whole pipeline on the embedded digits
    make train-cpu                 the recipe in force
    make train-ascend8             the original's recipe on eight NPUs

A step is a pure function of (state, batch, masks, scale, rate), and batch and masks of (seed, epoch, step): so a run
that was killed and started again from a checkpoint ends with the same bytes as one that never stopped.
"""

import time

import numpy as np

from effnet.data.loader import train_batches
from effnet.data.presets import train_preset
from effnet.network import efficientnet
from effnet.network.checkpoint import restore
from effnet.progress import bar
from effnet.training import feed
from effnet.training import step as steps
from effnet.training.frozen import fit_classifier
from effnet.training.holdout import split
from effnet.training.optimizers import states
from effnet.training.place import FIRST_SCALE, Place, Update
from effnet.training.schedule import ema_decay, learning_rate

STEPS_AHEAD = 50  # that a device may be given before we look at their losses


def train(recipe, train_set, run, validate, initial=None, on_epoch=lambda record: None, stop=lambda: False):
    """Train to the end of the recipe, going on from what `run` (effnet/runs/run.py) has kept.

    validate   f(weights {name: array}, held_out=None) -> {"loss", "top1", "top5"} on the validation set, or on the
               pictures held out of the training set; asked after each epoch; None where `stop` ended it
    initial    weights that a new run starts from; random ones if None
    on_epoch   gets each epoch's record, those of a resumed run first
    stop       asked after each step; once it is true the state is saved and None returned, and the run can go on later

    Returns (weights {name: array}, Place): the last epoch's weights, or those chosen by what was held out. Raises
    InputError for a loss that is not finite, naming the step; the last good checkpoint stays.
    """
    settings, ranks, batch_size = recipe.train, run.ranks, recipe.data.batch_size
    net = efficientnet.create(recipe.model, settings.seed, settings.sync_bn and ranks.count > 1, settings.amp_level)
    if initial:
        efficientnet.load_weights(net, initial)
    step, state = steps.create(net, net.trainable_params(), recipe, ranks, train_bn=not settings.freeze_bn)
    train_set, held_out = split(train_set, settings.holdout, settings.seed)
    chosen = states(net.get_parameters(), "chosen", None) if held_out else ()
    state += chosen  # so that checkpoints hold the best weights so far
    place = run.take_up(state) or Place(scale=settings.loss_scale or FIRST_SCALE)
    for record in place.history:
        on_epoch(record)

    per_epoch, dynamic = len(train_set) // batch_size, settings.loss_scale == 0
    # at each loss: the next step needs a dynamic scale, and a CPU has nothing else to do; a device would wait for us
    look_at_once = dynamic or settings.device_target == "CPU"
    milestones = settings.freeze_epochs, settings.epoch_size  # always saved
    while place.epoch < settings.epoch_size:
        began, first, pending = time.perf_counter(), place.updates, []
        if place.epoch < settings.freeze_epochs:  # all of them at once
            loss, rate = fit_classifier(recipe, net, state, train_set, held_out, run, stop), 0.0
            if loss is None:
                return None
            place.updates = settings.freeze_epochs * per_epoch
            place.epoch = settings.freeze_epochs - 1  # the last of them ends below
        else:
            # the last one's: none may be left to do
            rate = learning_rate(max(0, place.updates - 1), per_epoch, settings)
            for batch, masks in batches(recipe, train_set, place, ranks):
                rate = learning_rate(place.updates, per_epoch, settings)
                done = step(batch, masks, place.scale, rate, ema_decay(place.updates, settings))
                pending.append(Update(place.step, rate, *done))
                place.step, place.updates = place.step + 1, place.updates + 1
                stopping, every = stop(), settings.save_checkpoint_steps
                saving = stopping or (every and place.updates % every == 0)
                if look_at_once or saving or len(pending) == STEPS_AHEAD:
                    place.settle(pending, dynamic)
                if saving:
                    run.save(state, place)
                if stopping:
                    return None
            place.settle(pending, dynamic)
            loss = place.loss_sum / per_epoch
        seconds = time.perf_counter() - began
        weights = final_weights(state, settings, ranks)
        found = validate(weights)
        of_held_out = validate(weights, held_out) if held_out and found else found
        if of_held_out is None:  # stopped: all of the epoch is done but this
            if place.epoch >= settings.freeze_epochs:
                run.save(state, place)
            return None
        place.end_epoch(loss, found, rate, (place.updates - first) * batch_size, seconds)
        on_epoch(place.history[-1])
        run.say(place.line(batch_size))
        if held_out and place.choose(of_held_out["top1"], len(held_out)):
            restore(chosen, {f"chosen.{name}": array for name, array in weights.items()})
        run.keep_best(weights, place)  # before save: the checkpoint says how good the best is
        if place.epoch % settings.save_checkpoint_epochs == 0 or place.epoch in milestones:
            run.save(state, place)
    if held_out:
        run.say(place.choice(len(held_out)))
        return weights_of(state, "chosen."), place
    return final_weights(state, settings, ranks), place


def batches(recipe, train_set, place, ranks):
    """What is left of the epoch's batches with their masks, this rank's share of each, under a bar that shows the mean
    loss so far.
    """
    settings, data, augment = recipe.train, recipe.data, recipe.augment
    total = len(train_set) // data.batch_size * data.batch_size
    left = train_batches(
        train_set,
        train_preset(recipe.model.image_size, augment, settings.seed),
        data.batch_size,
        place.epoch,
        settings.seed,
        augment.mixup,
        augment.cutmix,
        start_step=place.step,
        rank=ranks.rank,
        ranks=ranks.count,
        workers=data.workers,
    )
    with bar(total=total, what=f"epoch {place.epoch + 1}/{settings.epoch_size}", disable=ranks.rank > 0) as progress:
        progress.update(place.step * data.batch_size)
        for batch in feed.with_masks(left, recipe, place.epoch, place.step, ranks):
            yield batch
            progress.update(data.batch_size)
            if place.settled:
                progress.set_postfix(loss=f"{place.loss_sum / place.settled:.3f}", refresh=False)


def final_weights(state, settings, ranks):
    """The network's weights in `state`: the average ones where the recipe keeps an average."""
    steps.share_statistics(state, ranks)
    return weights_of(state, "ema." if settings.ema_decay > 0 else "")


def weights_of(state, prefix):
    """Those of the state's arrays that are a network's weights under names with this prefix."""
    ours = tuple(prefix + part for part in ("stem.", "blocks.", "head.", "classifier."))
    return {p.name.removeprefix(prefix): np.array(p.asnumpy()) for p in state if p.name.startswith(ours)}
