"""A training's checkpoints: kept, pruned, locked, and taken up only by the run that they are of."""

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from effnet import parsed
from effnet.arch.layers import totals
from effnet.errors import InputError
from effnet.files import sha256, write_json
from effnet.network import checkpoint
from effnet.network.ranks import ALONE, on_first, wait_for_all
from effnet.runs.identity import difference
from effnet.training.place import Place
from effnet.training.step import share_statistics

HOUR = 3600  # seconds of training that are not thrown away unasked
HOURS_WORK = 1.5e13  # multiply-accumulates of such an hour on two cores, for a model that was trained elsewhere
WAYS_ON = "CONTINUE=1 goes on all the same and records it, ANEW=1 trains from the beginning"


class Run:
    """The training that keeps its checkpoints in `folder`: step-N.ckpt to go on from, best.ckpt the best by validation.

    identity   of the run that is to be trained (effnet/runs/identity.py)
    model      path of the model that training ends with: one of this run that is there already, pulled from a remote
               or made here, is taken up
    record     path of the JSON that says which run `model` is the end of. Not in the model: other code may well make
               the same weights, and these are then the same bytes
    wish       "", "anew" or "continue": what the user asked for where there is another run
    keep       how many of the newest checkpoints stay
    """

    def __init__(self, folder, identity, keep=1, ranks=ALONE, wish="", say=print, model=None, record=None):
        self.folder, self.identity, self.keep, self.ranks = Path(folder), identity, keep, ranks
        self.model, self.record = model and Path(model), record and Path(record)
        self.seen = self.folder / "frozen.ckpt"
        self.wish, self.say = wish, say
        self.continued = []  # where the run went on under other code, and what differed

    def take_up(self, state):
        """Put the finished model or the newest checkpoint into `state` and return its Place; None to train anew.

        Which it is, is said. Raises InputError where only code or versions differ and too much would be lost.
        """
        if self.wish != "anew" and (place := self._finished_model(state)):
            return place
        found = newest(self.folder, self.say)
        act = None if found is None else self._judge(*found)
        wait_for_all(self.ranks)  # each has read before the first moves anything
        if act:
            on_first(act, self.ranks)
            self.continued = []
            return None
        if found is None:
            return None
        arrays, meta = found
        checkpoint.restore(state, arrays)
        return Place(**meta["place"])

    def _finished_model(self, state):
        """The Place of the model that is there already, its weights in `state`; None where it is another run's."""
        if not self.model or not self.model.is_file():
            return None
        back = "`git checkout` brings back what was committed, ANEW=1 trains from the beginning"
        kept = parsed.json_file(self.record, parsed.FinishedRun, back)
        found = kept and difference(kept["identity"], self.identity)
        if not kept or found.inputs:
            return None
        if kept["model"] != sha256(self.model):
            brings = f"`dvc checkout {self.model}` brings that one"
            self.say(f"{self.model}: not the model that {self.record} tells of, so it is not taken up; {brings}")
            return None
        weights, _ = checkpoint.load(self.model)
        place, what = Place(**kept["place"]), f"{self.model} is the finished model"
        continued = kept["continued"]
        if found.code:
            if checkpoints(self.folder):  # there is more to say about those
                return None
            if self.wish != "continue":
                if work(self.identity, place) <= HOURS_WORK:
                    return None
                raise InputError(
                    f"{what} of this recipe and data, and since then the code changed: {named(found)}. {WAYS_ON}"
                )
            continued = [*continued, {"epoch": place.epoch, "step": 0, "changed": found.code}]
        self.continued = continued
        whose = f"recipe and data, if not of this code ({named(found)})" if found.code else "recipe, data and code"
        self.say(f"{what} of this {whose}: taken up, nothing is trained (ANEW=1 trains)")
        arrays = {f"{prefix}{name}": array for prefix in ("", "ema.", "chosen.") for name, array in weights.items()}
        checkpoint.restore([p for p in state if p.name in arrays], arrays)
        return place

    def features(self):
        """What keep_features kept of this very run: {name: array}, or None."""
        if self.wish == "anew" or not self.seen.is_file():
            return None
        try:
            arrays, meta = checkpoint.load(self.seen)
        except InputError as error:
            return self.say(f"{error}; the frozen epochs begin anew")
        if any(difference(meta["identity"], self.identity)):
            return None
        self.say(f"{self.seen}: the frozen epochs go on after {len(arrays['labels'])} pictures")
        return arrays

    def keep_features(self, arrays):
        """Keep what the frozen trunk made of the pictures so far, until there is a checkpoint."""
        if self.ranks.rank == 0:
            checkpoint.save(self.seen, arrays, {"identity": self.identity})

    def finish(self, weights, meta, place):
        """Write the model {name: array} with its `meta`, and beside it what another clone needs to take it up."""
        clock = ("seconds", "images_per_second")
        history = [{name: value for name, value in record.items() if name not in clock} for record in place.history]
        told = {"epoch": place.epoch, "updates": place.updates, "best_top1": place.best_top1}
        told |= {"chosen": place.chosen, "history": history}
        checkpoint.save(self.model, weights, meta)
        of_run = {"identity": self.identity, "place": told, "continued": self.continued}
        write_json(self.record, {"model": sha256(self.model)} | of_run)

    def _judge(self, arrays, meta):
        """None to take the checkpoint up; else what to do with the folder before training starts anew."""
        place, found = Place(**meta["place"]), difference(meta["identity"], self.identity)
        self.continued = meta["continued"]
        finished = place.epoch >= meta["identity"]["recipe"]["train.epoch_size"]
        what = "finished run" if finished else f"run that had come to epoch {place.epoch + 1}, step {place.step + 1}"
        what = f"{self.folder} holds a {what}"
        if self.wish == "anew":
            return lambda: self._leave(f"{what}; ANEW=1:", finished, place, found.inputs)
        if found.inputs:
            what = f"{what} of another recipe or other data ({'; '.join(found.inputs[:3])})"
            return lambda: self._leave(f"{what};", finished, place, found.inputs)
        if found.code:
            changed = named(found)
            if self.wish == "continue":
                self.continued = [*self.continued, {"epoch": place.epoch, "step": place.step, "changed": found.code}]
                self.say(f"{what}; going on with it under other code ({changed}), as CONTINUE=1 asks")
            elif finished and sum(record["seconds"] for record in place.history) <= HOUR:
                return lambda: self._leave(f"{what} of other code ({changed});", finished, place, [])
            else:
                raise InputError(f"{what}, and since then the code changed: {changed}. {WAYS_ON}")
        if finished:
            self.say(f"{what} of this recipe, data and code: taken up, nothing is trained (ANEW=1 trains)")
        else:
            self.say(f"resumed at epoch {place.epoch + 1}, step {place.step + 1} ({place.updates} updates done)")
        return None

    def _leave(self, what, finished, place, inputs):
        """Let a finished run give way; move an unfinished one to a name that says what it was, losing nothing."""
        if finished:
            shutil.rmtree(self.folder)
            self.say(f"{what} it gives way (DVC's cache has its weights, if DVC ran it), training starts anew")
            return
        was = re.sub(r"[^\w.+-]+", "_", ".".join(inputs[:2] or ["same_recipe"]))[:60]
        names = (f"{self.folder.name}.epoch_{place.epoch + 1}.{was}{f'.{n}' if n else ''}" for n in range(10_000))
        there = next(path for name in names if not (path := self.folder.with_name(name)).exists())
        self.folder.rename(there)
        back = f"rm -rf {self.folder} && mv {there} {self.folder}"
        again = f", with {', '.join(inputs)} in the recipe again" if inputs else ""
        self.say(f"{what} it is set aside, training starts anew. To bring it back: `{back}`{again}")

    def save(self, state, place):
        """Write the state after `place.updates` updates, whole or not at all, and keep the newest ones only.

        One of a later step was there before and could not be taken up: it is set aside, or it would count as the newest
        and this one as the old one to be deleted.
        """
        share_statistics(state, self.ranks)

        def write():
            meta = {"identity": self.identity, "place": dataclasses.asdict(place), "continued": self.continued}
            written = self.folder / f"step-{place.updates:08d}.ckpt"
            checkpoint.save(written, checkpoint.arrays_of(state), meta)
            for later in (path for path in checkpoints(self.folder) if path.name > written.name):
                aside = later.rename(later.with_name(f"unusable-{later.name}"))
                self.say(f"{later}: could not be taken up and is of a later step; it is now {aside.name}")
            for old in checkpoints(self.folder)[self.keep :]:
                old.unlink()
            self.seen.unlink(missing_ok=True)

        on_first(write, self.ranks)

    def keep_best(self, weights, place):
        """Write best.ckpt if the last epoch's top-1 is the best so far."""
        last = place.history[-1]
        if last["top1"] > place.best_top1:
            place.best_top1 = last["top1"]
            meta = {"epoch": place.epoch, "top1": last["top1"]}
            on_first(lambda: checkpoint.save(self.folder / "best.ckpt", weights, meta), self.ranks)


def named(found):
    """The first of the differences of code, and how many more there are."""
    return found.code[0] + (f" and {len(found.code) - 1} more" if len(found.code) > 1 else "")


def work(identity, place):
    """Multiply-accumulates of a training, forwards and backwards: how much would be lost with it."""
    recipe = identity["recipe"]
    _, macs = totals(recipe["model.variant"], recipe["model.image_size"], recipe["model.class_num"])
    return 3 * macs * place.updates * recipe["data.batch_size"]


def checkpoints(folder):
    """Those to go on from in `folder`, newest first."""
    return sorted(Path(folder).glob("step-*.ckpt"), reverse=True)


def newest(folder, say=print):
    """`(arrays, meta)` of the newest undamaged checkpoint in `folder`, or None.

    Each damaged one, and one that no training can go on from, is named and passed over.
    """
    for path in checkpoints(folder):
        try:
            arrays, meta = checkpoint.load(path)
            if not {"identity", "place", "continued"} <= meta.keys():
                raise InputError(f"{path}: a model, not a checkpoint to go on from")
            return arrays, meta
        except InputError as error:
            say(f"{error}; trying the one before")
    return None


@contextlib.contextmanager
def alone(folder):
    """Hold `folder` for this training, and clear away what one that was killed left half-written there.

    Raises InputError naming the process that holds it already, and where no checkpoint could be written there.
    """
    path = lock_of(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_room(Path(folder))
    with open(path, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"{folder}: another training is at work here: {lock.read().strip()}; wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()} ({' '.join(sys.orig_argv[1:])})\n")
        lock.flush()
        os.fsync(lock.fileno())  # other machines read it (effnet/runs/agreement.py)
        for part in Path(folder).glob(".*.part"):
            shutil.rmtree(part)
        yield


def _require_room(folder):
    """Write to `folder`, or where it will be made: the first epoch is not trained in vain."""
    place = folder if os.path.lexists(folder) else folder.parent
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x")
    except OSError as error:
        raise InputError(
            f"{place}: no checkpoint could be written there ({error.strerror}); nothing is trained before it is a "
            "folder of yours with room in it"
        ) from None


def lock_of(folder):
    """Beside the `folder` of checkpoints: the file that says who trains there."""
    return Path(folder).with_name(f"{Path(folder).name}.lock")
