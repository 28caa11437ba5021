"""From a data source to a folder of shards: in parallel, restartable, each shard and the whole folder there in full or not at all.

Everything is built in FOLDER.part, beside FOLDER: what is finished there survives a kill -9 or a full disk, and the next run takes it
over where its key - a digest of all that decides a shard's bytes - and its checksum still fit. The last act is to rename the folder.
"""

import contextlib
import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import PIL

from effnet.data import digits, folder as folders
from effnet.data.picture import problem, shrink
from effnet.data.shards import write_index, write_shard
from effnet.errors import InputError
from effnet.files import sha256, sync_folder, write_json
from effnet.progress import bar
from effnet.recipe import digest

SEED = 0  # of the order in the shards; training shuffles over the whole set again, every epoch


def prepare(data, folder, class_num):
    """Pack the source that `data` (a recipe's section) names into shards in `folder`, replacing what was there.

    The folder's bytes depend on the pictures and on source, shards, shorter_side and bad_images, not on the number of processes.
    Raises InputError for a source that is not as it should be, an unreadable picture (unless data.bad_images is 'skip'), a full
    disk, or another `prepare` at work on the same folder.
    """
    folder = Path(folder)
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    with _alone(part), _source(data) as source:
        if len(source.class_ids) != class_num:
            raise InputError(f"data.root: found {len(source.class_ids)} classes, model.class_num says {class_num}")
        for leftover in part.glob(".*.part"):
            leftover.unlink()
        records = _pack(_tasks(source, data, part), part, data.workers or len(os.sched_getaffinity(0)))
        settings = data.model_dump(include={"source", "shards", "shorter_side", "bad_images"})
        write_index(part, settings, source.class_ids, source.classes, records)
        _publish(part, folder, records)
    _tell(records)


@contextlib.contextmanager
def _alone(part):
    with open(part / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{part}: another `prepare` is at work here; wait for it or stop it") from None
        yield


@contextlib.contextmanager
def _source(data):
    if data.source == "digits":
        with tempfile.TemporaryDirectory() as root:
            digits.write(root)
            yield folders.read(root)
    elif data.source == "folder":
        yield folders.read(data.root)
    else:
        raise InputError(f"data.source: '{data.source}' is not here yet")


def _tasks(source, data, part):
    """One (file, Split, settings) per shard. A fixed shuffle of the whole split mixes the classes in every shard."""
    shares = {"train": data.shards, "val": max(1, round(data.shards * len(source.val.names) / len(source.train.names)))}
    tasks = []
    for name, count in shares.items():
        split = getattr(source, name)
        if count > len(split.names):
            raise InputError(f"data.shards: {data.shards} for {len(split.names)} pictures in {name}; use fewer")
        order = np.random.default_rng(SEED).permutation(len(split.names))
        for number, members in enumerate(np.array_split(order, count)):
            tasks.append((part / f"{name}-{number:05d}.tar", _take(split, members), data.shorter_side, data.bad_images))
    return tasks


def _take(split, members):
    return folders.Split(
        [split.names[i] for i in members],
        split.labels[members],
        split.place,
        split.files and [split.files[i] for i in members],
        None if split.spans is None else split.spans[members],
    )


def _pack(tasks, part, processes):
    """Run `_write` over the tasks. Returns {split: [record, ...]} in the shards' order."""
    context = multiprocessing.get_context("spawn")  # a fork would copy whatever threads and locks the caller holds
    counter, stop = context.Value("q", 0), context.Event()
    total, done = sum(len(split.names) for _, split, *_ in tasks), 0
    with ProcessPoolExecutor(processes, context, _start, (counter, stop)) as pool, bar(total=total, what="prepare") as progress:
        futures = [pool.submit(_write, *task) for task in tasks]
        try:
            waiting = futures
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                progress.update(counter.value - done)
                done += counter.value - done
                for future in finished:
                    future.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, OSError) and error.errno:
                kept = sum(f.done() and not f.cancelled() and f.exception() is None for f in futures)
                raise InputError(
                    f"{part}: {os.strerror(error.errno).lower()} while writing; {kept} of {len(tasks)} shards are finished and kept: "
                    "mend that and run again"
                ) from None
            if isinstance(error, BrokenProcessPool):
                raise InputError("a process of `prepare` was killed, perhaps for want of memory; run again with a lower data.workers") from None
            raise
    records = {"train": [], "val": []}
    for (path, *_), future in zip(tasks, futures):
        records[path.name.split("-")[0]].append(future.result())
    return records


def _start(counter, stop):
    """In each process: share the counter, leave Ctrl-C to the parent, and end with the parent even if that is killed."""
    global _counter, _stop
    _counter, _stop = counter, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _write(path, split, shorter_side, bad_images):
    """Write one shard, or take over a finished one that fits. Returns its record."""
    key = digest(split.names, split.labels.tolist(), _stamps(split), shorter_side, bad_images, PIL.__version__ if shorter_side else "")
    note = path.with_suffix(".json")
    if note.exists():
        record = json.loads(note.read_text())
        if record["key"] == key and path.exists() and sha256(path) == record["sha256"]:
            _count(len(split.names))
            return record
        note.unlink()
    bad = []
    record = write_shard(path, _pictures(split, shorter_side, bad_images, bad))
    record |= {"file": path.name, "key": key, "bad": bad}
    write_json(note, record)
    return record


def _stamps(split):
    """Size and time of every file that `split` is read from: what tells that a picture was changed between two runs."""
    paths = [split.place] if split.files is None else [os.path.join(split.place, file) for file in split.files]
    return [[stat.st_size, stat.st_mtime_ns] for stat in map(os.stat, paths)]


def _pictures(split, shorter_side, bad_images, bad):
    archive = None if split.files else open(split.place, "rb", buffering=0)
    for i, (name, label) in enumerate(zip(split.names, split.labels.tolist())):
        if archive:
            data = os.pread(archive.fileno(), split.spans[i, 1], split.spans[i, 0])
        else:
            data = Path(split.place, split.files[i]).read_bytes()
        wrong = problem(data)
        if not wrong:
            yield name, shrink(data, shorter_side) if shorter_side else data, label
        elif bad_images == "skip":
            bad.append(f"{name}: {wrong}")
        else:
            raise InputError(f"{split.place}: {name} is unreadable: {wrong}; replace it, or set data.bad_images: skip to leave such pictures out")
        _count(1)
        if _stop.is_set():
            raise InputError("stopped")


def _count(pictures):
    with _counter.get_lock():
        _counter.value += pictures


def _publish(part, folder, records):
    """Give the finished folder its name; only now go the files of an earlier recipe and the notes for a restart."""
    for path in part.iterdir():
        if path.suffix == ".json" and path.name != "index.json" or path.suffix == ".tar" and path.name not in _files(records):
            path.unlink()
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    (folder / ".lock").unlink()
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _files(records):
    return {record["file"] for split in records.values() for record in split}


def _tell(records):
    bad = [name for split in records.values() for record in split for name in record["bad"]]
    if bad:
        print(f"{len(bad)} unreadable pictures left out (all in index.json): {'; '.join(sorted(bad)[:10])}", file=sys.stderr)
