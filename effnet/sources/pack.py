"""Shards written by several processes, each shard by one of them; a finished shard that still fits is taken over."""

import json
import multiprocessing
import os
import signal
import threading
import warnings
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import PIL

from effnet.errors import InputError
from effnet.files import digest, sha256, write_json
from effnet.progress import bar
from effnet.shards.index import FORMAT
from effnet.sources.picture import problem, shrink
from effnet.sources.writer import write_shard


def pack(jobs, shorter_side, bad_images, processes):
    """Write each job's (path, Split) as a shard; beside it path.json, its record with "file", "key" and "bad" added.

    Raises InputError for an unreadable picture where `bad_images` is 'stop'; OSError as the disk gives it.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy whatever threads and locks the caller holds
    counter, stop = context.Value("q", 0), context.Event()
    total = sum(len(split.names) for _, split in jobs)
    with (
        ProcessPoolExecutor(processes, context, _start, (counter, stop)) as pool,
        bar(total=total, what="prepare") as progress,
    ):
        try:
            waiting = [pool.submit(_write, path, split, shorter_side, bad_images) for path, split in jobs]
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                progress.update(counter.value - progress.n)
                for future in finished:
                    future.result()
        except BrokenProcessPool:
            raise InputError(
                "a process of `prepare` was killed, perhaps for want of memory; run again with fewer data.workers"
            ) from None
        finally:
            stop.set()  # after an error or Ctrl-C, the shards under way end at their next picture
            pool.shutdown(cancel_futures=True)


def _start(counter, stop):
    """In each process: keep what is shared, leave Ctrl-C to the parent, and end with the parent even if that is
    killed.
    """
    global _counter, _stop
    _counter, _stop = counter, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Pillow's about broken EXIF, which is not the pixels' fault

    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _write(path, split, shorter_side, bad_images):
    key = digest(
        FORMAT,
        split.names,
        split.labels.tolist(),
        _stamps(split),
        shorter_side,
        bad_images,
        PIL.__version__ if shorter_side else "",
    )
    note = path.with_suffix(".json")
    if note.exists():
        record = _noted(note)
        if record.get("key") == key and path.exists() and sha256(path) == record["sha256"]:
            _count(len(split.names))
            return
        note.unlink()
    bad = []
    record = write_shard(path, _pictures(split, shorter_side, bad_images, bad))
    write_json(note, record | {"file": path.name, "key": key, "bad": bad})


def _noted(note):
    """What an earlier run noted of a shard; nothing, if that run was cut off while it wrote."""
    try:
        record = json.loads(note.read_bytes())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _stamps(split):
    """Size and time of every file that `split` is read from: they tell that a picture was changed between two runs."""
    paths = [split.place] if split.files is None else [os.path.join(split.place, file) for file in split.files]
    return [[stat.st_size, stat.st_mtime_ns] for stat in map(os.stat, paths)]


def _pictures(split, shorter_side, bad_images, bad):
    for name, data, label in zip(split.names, _read(split), split.labels.tolist(), strict=True):
        if _stop.is_set():
            raise InputError("stopped")
        if wrong := problem(data):
            if bad_images == "stop":
                raise InputError(
                    f"{split.place}: {name} cannot be read: {wrong}; "
                    "replace it, or set data.bad_images: skip to leave such pictures out"
                )
            bad.append(f"{name}: {wrong}")
        else:
            yield name, shrink(data, shorter_side) if shorter_side else data, label
        _count(1)


def _read(split):
    if split.spans is None:
        for file in split.files:
            with open(os.path.join(split.place, file), "rb") as picture:
                yield picture.read()
    else:
        with open(split.place, "rb") as archive:
            for offset, size in split.spans.tolist():
                yield os.pread(archive.fileno(), size, offset)


def _count(pictures):
    with _counter.get_lock():
        _counter.value += pictures
