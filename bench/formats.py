"""Which format for the shards: tar with an index, ArrayRecord or MindRecord?

    python -m bench.formats [FOLDER] [--rounds 5]

Writing, opening, and reading in an order shuffled over the whole set, of JPEGs of FOLDER, or of made-up bytes of
ImageNet's mean size where there are none. Everything is read from the page cache: what is compared is the formats' own
cost. Ours is written with SHA-256 and fsync, theirs without.
"""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench import rounds
from bench.onnx import jpegs
from bench.rounds import each

COUNT, SHARDS, THREADS = 4000, 4, 2
PEERS = {"array_record": "ArrayRecord", "mindrecord": "MindRecord"}
WHAT = {  # figure of a side: in words, unit
    "read_2_threads": ("random reads of shards, 2 threads", "pictures/s"),
    "read_1_threads": ("random reads of shards, 1 thread", "pictures/s"),
    "write": ("writing shards", "pictures/s"),
    "open": ("opening a set", "1/s"),
    "density": ("bytes of JPEG in a byte on disk", ""),
}


def side(name, folder, count):
    rng = np.random.default_rng(0)
    pictures = [path.read_bytes() for path in jpegs(folder)] or [rng.bytes(110_000) for _ in range(100)]
    pictures = [pictures[i % len(pictures)] for i in range(count)]
    with tempfile.TemporaryDirectory() as scratch:
        return SIDES[name](Path(scratch), pictures, rng.permutation(count).tolist())


def main():
    args = rounds.arguments(__doc__, folder=True).parse_args()
    if args.side:
        print(json.dumps(side(args.side, args.folder, 100 if args.tiny else COUNT)))
        return 0
    turns = rounds.Turns("bench.formats", args)
    found = turns(SIDES, also=[args.folder])
    rows = [
        rounds.row(what, words, each(found["tar"], key), each(found[peer], key), unit=unit)
        for key, (what, unit) in WHAT.items()
        for peer, words in PEERS.items()
    ]
    print(json.dumps(turns.result("formats", rows, ("array_record", "mindspore", "numpy"), pictures=COUNT)))
    return 0


def rates(write, open_, read, size, content, order):
    """Time the three steps; `read` takes (opened, threads) and returns the bytes read."""
    start = time.perf_counter()
    write()
    written = time.perf_counter() - start
    start = time.perf_counter()
    opened = open_()
    found = {"write": len(order) / written, "open": 1 / (time.perf_counter() - start)}
    total = sum(map(len, content))
    found["density"] = total / size()
    for threads in (1, THREADS):
        start = time.perf_counter()
        assert read(opened, threads) == total
        found[f"read_{threads}_threads"] = len(order) / (time.perf_counter() - start)
    return found


def threaded(read_one, order, threads):
    """Total bytes of read_one(i) over `order`, dealt out to threads."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda k: sum(len(read_one(i)) for i in order[k::threads]), range(threads)))


def folder_size(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


def tar(folder, pictures, order):
    from effnet.shards.dataset import Dataset
    from effnet.sources.writer import write_index, write_shard

    def write():
        records = []
        for k, part in enumerate(np.array_split(np.arange(len(pictures)), SHARDS)):
            name = f"train-{k:05d}.tar"
            record = write_shard(folder / name, [(f"c/{i}.JPEG", pictures[i], 0) for i in part])
            records.append(record | {"file": name, "bad": []})
        write_index(folder, {}, ["c"], ["c"], {"train": records})

    def read(dataset, threads):
        return threaded(dataset.read, order, threads)

    return rates(write, lambda: Dataset(folder, "train"), read, lambda: folder_size(folder), pictures, order)


def array_record(folder, pictures, order):
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    parts = np.array_split(np.arange(len(pictures)), SHARDS)
    starts = np.cumsum([0] + [len(part) for part in parts])

    def write():
        for k, part in enumerate(parts):
            writer = ArrayRecordWriter(str(folder / f"train-{k:05d}.array_record"), "group_size:1,uncompressed")
            for i in part:
                writer.write(pictures[i])
            writer.close()

    def read(readers, threads):
        def one(i):
            shard = int(np.searchsorted(starts, i, "right")) - 1
            return readers[shard].read([int(i - starts[shard])])[0]

        return threaded(one, order, threads)

    def open_():
        return [ArrayRecordReader(str(path), "readahead_buffer_size:0") for path in sorted(folder.iterdir())]

    return rates(write, open_, read, lambda: folder_size(folder), pictures, order)


def mindrecord(folder, pictures, order):
    """MindRecord's Python cannot read by number: MindDataset gets the whole order, and 1 or 2 of its own threads."""
    from mindspore import dataset, mindrecord

    file = str(folder / "train.mindrecord")

    def write():
        writer = mindrecord.FileWriter(file, SHARDS)
        writer.add_schema({"data": {"type": "bytes"}, "label": {"type": "int32"}}, "pictures")
        for i in range(0, len(pictures), 100):
            writer.write_raw_data([{"data": data, "label": 0} for data in pictures[i : i + 100]])
        writer.commit()

    def rows(threads):
        paths = [f"{file}{k}" for k in range(SHARDS)]
        return dataset.MindDataset(paths, ["data"], threads, sampler=dataset.SubsetSampler(order))

    def open_():
        assert rows(1).get_dataset_size() == len(order)

    def read(_, threads):
        each = rows(threads).create_dict_iterator(num_epochs=1, output_numpy=True)
        return sum(row["data"].nbytes for row in each)

    return rates(write, open_, read, lambda: folder_size(folder), pictures, order)


SIDES = {"tar": tar, "array_record": array_record, "mindrecord": mindrecord}

if __name__ == "__main__":
    rounds.program(main)
