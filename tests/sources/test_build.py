"""effnet/sources: build.py, pack.py, picture.py, folder.py, digits.py: pictures in, shards out, whatever happens on
the way.
"""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from effnet.errors import InputError
from effnet.shards.dataset import Dataset
from effnet.sources import pack
from effnet.sources.build import build_shards
from effnet.sources.folder import shuffled
from effnet.sources.picture import problem, shrink
from tests.pictures import contents, jpeg, odd, settings, tree

CHILD = """
import sys
from effnet.sources.build import build_shards
from effnet.errors import run

from tests.pictures import settings
if __name__ == "__main__":
    root, folder, class_num, shards = sys.argv[1:]
    run(lambda: build_shards(settings(root, shards=int(shards)), folder, int(class_num)))
"""


def child(tmp_path, root, folder, shards, class_num=3):
    """`prepare` in a process of its own, to be killed."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(script), str(root), str(folder), str(class_num), str(shards)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def as_dict(folder, split):
    dataset = Dataset(folder, split)
    return {name: dataset.read(i) for i, name in enumerate(dataset.names)}


def test_the_shuffle_is_the_same_on_every_machine():
    assert shuffled(8, 0).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert sorted(shuffled(1000, 7)) == list(range(1000))


def test_digits_are_the_same_bytes_for_any_number_of_processes(tmp_path):
    for workers in (1, 2):
        build_shards(settings(source="digits", shards=4, workers=workers), tmp_path / str(workers), 10)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    train, val = Dataset(tmp_path / "1", "train"), Dataset(tmp_path / "1", "val")
    assert len(train) + len(val) == 1797
    assert not set(train.names) & set(val.names)
    from sklearn.datasets import load_digits

    digits = load_digits()
    for dataset in (train, val):
        for i in range(0, len(dataset), 50):
            number = int(dataset.names[i][-9:-5])
            assert dataset.labels[i] == digits.target[number] == int(dataset.classes[dataset.labels[i]])
            image = Image.open(io.BytesIO(dataset.read(i))).resize((8, 8), Image.Resampling.BOX)
            assert np.corrcoef(np.asarray(image).ravel(), digits.images[number].ravel())[0, 1] > 0.95
    assert np.bincount(val.labels).tolist() == [round(0.2 * n) for n in np.bincount(digits.target)]


def test_a_folder_keeps_its_bytes_and_labels(tmp_path):
    files = tree(tmp_path / "raw", train=20, val=5)
    build_shards(settings(tmp_path / "raw"), tmp_path / "out", 3)
    for split in ("train", "val"):
        assert as_dict(tmp_path / "out", split) == files[split]
        dataset = Dataset(tmp_path / "out", split)
        assert [dataset.class_ids[label] for label in dataset.labels] == [name.split("/")[0] for name in dataset.names]
    shards = json.loads((tmp_path / "out" / "index.json").read_text())["splits"]["train"]["shards"]
    assert len(shards) == 3 and all(len(shard["classes"]) == 3 for shard in shards), "every shard mixes the classes"
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "out" / ".lock").exists()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_odd_pictures_are_sound_and_broken_ones_are_not():
    assert {name: problem(data) for name, data in odd().items()} == dict.fromkeys(odd())
    assert all(Image.open(io.BytesIO(data)).convert("RGB").size == (48, 40) for data in odd().values())
    whole = jpeg(1, (200, 150))
    for cut in (300, len(whole) // 4, len(whole) // 2, len(whole) - 20):
        assert problem(whole[:cut]), f"cut at {cut} of {len(whole)}"
    assert "truncated" in problem(jpeg(2, (200, 150), progressive=True)[:-500])
    assert problem(odd()["png"][:-100])
    assert problem(b"") == "empty file"
    assert problem(b"hello, I am not a picture") == "not a picture"


def test_bad_pictures_stop_or_are_left_out_and_named(tmp_path, capfd):
    files = tree(tmp_path / "raw")
    bad = {"ant/cut.JPEG": jpeg(1, (200, 150))[:-300], "bee/note.txt": b"hello", "cat/empty.JPEG": b""}
    for name, data in bad.items():
        (tmp_path / "raw/train" / name).write_bytes(data)
    with pytest.raises(InputError, match=r"(ant/cut|bee/note|cat/empty).* cannot be read: .*bad_images: skip"):
        build_shards(settings(tmp_path / "raw"), tmp_path / "out", 3)
    assert not (tmp_path / "out").exists()
    build_shards(settings(tmp_path / "raw", bad_images="skip"), tmp_path / "out", 3)
    assert as_dict(tmp_path / "out", "train") == files["train"]
    skipped = json.loads((tmp_path / "out/index.json").read_text())["splits"]["train"]["skipped"]
    assert [line.split(":")[0] for line in skipped] == sorted(bad)
    assert "3 unreadable pictures left out" in capfd.readouterr().err


def test_shorter_side_shrinks_what_is_larger_and_nothing_else(tmp_path):
    big, tall, small = jpeg(1, (200, 100), subsampling=0), jpeg(2, (90, 300), "L"), jpeg(3, (70, 64))
    for data, size, mode in (
        (big, (128, 64), "RGB"),
        (tall, (64, 213), "L"),
        (jpeg(4, (100, 100), "CMYK"), (64, 64), "RGB"),
    ):
        image = Image.open(io.BytesIO(shrink(data, 64)))
        assert (image.format, image.size, image.mode) == ("JPEG", size, mode)
        expected = np.asarray(
            Image.open(io.BytesIO(data)).convert(mode).resize(size, Image.Resampling.BICUBIC), np.float32
        )
        assert np.abs(np.asarray(image, np.float32) - expected).mean() < 2, "JPEG's loss at quality 95, no more"
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(shrink(big, 64)))) == 0
    assert shrink(small, 64) is small
    tree(tmp_path / "raw", size=(60, 50))
    build_shards(settings(tmp_path / "raw", shorter_side=40), tmp_path / "out", 3)
    assert {Image.open(io.BytesIO(data)).size for data in as_dict(tmp_path / "out", "train").values()} == {(48, 40)}


def outliving(session, seconds=20):
    """Processes of a session, as `ps` lists them, that have not ended within some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        lines = subprocess.run(
            ["ps", "-o", "stat=,pid=,cmd=", "-s", str(session)], capture_output=True, text=True
        ).stdout.splitlines()
        lines = [line for line in lines if not line.startswith("Z")]
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)


def times(part):
    return {path.name: path.stat().st_mtime_ns for path in part.glob("*.tar")}


def test_kill_9_loses_no_finished_shard(tmp_path):
    tree(tmp_path / "raw", train=120, val=10, size=(400, 300))
    process = child(tmp_path, tmp_path / "raw", tmp_path / "out", shards=12)
    part = tmp_path / "out.part"
    deadline = time.monotonic() + 30
    while len(list(part.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not outliving(process.pid)
    finished = {path.stem for path in part.glob("*.json")}
    assert 3 <= len(finished) < 13, "killed in the middle"
    before = times(part)
    expected = {f"{split}-{k:05d}.tar" for split, count in (("train", 12), ("val", 1)) for k in range(count)} - {
        f"{name}.tar" for name in finished
    }
    assert redone(tmp_path, before, shards=12) == expected
    build_shards(settings(tmp_path / "raw", shards=12), tmp_path / "undisturbed", 3)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_ctrl_c_ends_all_processes_without_a_traceback(tmp_path):
    tree(tmp_path / "raw", train=120, val=10, size=(400, 300))
    process = child(tmp_path, tmp_path / "raw", tmp_path / "out", shards=12)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out.part/*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    assert not outliving(process.pid) and not (tmp_path / "out").exists()
    assert not list((tmp_path / "out.part").glob(".*.part"))


def interrupted(tmp_path, **changes):
    """out.part with every shard finished, but for the one that holds a picture that cannot be read.

    Returns that picture's path.
    """
    tree(tmp_path / "raw", train=10)
    broken = tmp_path / "raw/val/bee/0.JPEG"
    sound = broken.read_bytes()
    broken.write_bytes(b"broken")
    with pytest.raises(InputError, match="val: bee/0.JPEG cannot be read: not a picture"):
        build_shards(settings(tmp_path / "raw", **changes), tmp_path / "out", 3)
    broken.write_bytes(sound)
    return times(tmp_path / "out.part")


def redone(tmp_path, before, **changes):
    build_shards(settings(tmp_path / "raw", **changes), tmp_path / "out", 3)
    return {name for name, when in times(tmp_path / "out").items() if before.get(name) != when}


def test_a_finished_shard_that_was_damaged_is_written_again(tmp_path):
    before = interrupted(tmp_path)
    damaged = tmp_path / "out.part/train-00001.tar"
    with open(damaged, "r+b") as file:
        file.seek(1000)
        file.write(b"\xff\x00\xff")
    assert redone(tmp_path, before) == {"train-00001.tar", "val-00000.tar"}


def test_a_picture_changed_between_two_runs_is_noticed(tmp_path):
    before = interrupted(tmp_path)
    (tmp_path / "raw/train/ant/3.JPEG").write_bytes(jpeg(99))
    assert len(redone(tmp_path, before)) == 2  # its shard, and the one that was not finished
    assert as_dict(tmp_path / "out", "train")["ant/3.JPEG"] == jpeg(99)


def test_another_recipe_takes_nothing_over_and_leaves_nothing_behind(tmp_path):
    before = interrupted(tmp_path, shards=5)
    redone(tmp_path, before, shards=2)
    assert sorted(contents(tmp_path / "out")) == sorted(
        [
            "index.json",
            "train.npy",
            "train.txt",
            "val.npy",
            "val.txt",
            "train-00000.tar",
            "train-00001.tar",
            "val-00000.tar",
        ]
    )


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path):
    tree(tmp_path / "raw")
    build_shards(settings(tmp_path / "raw"), tmp_path / "out", 3)
    before = contents(tmp_path / "out")
    (tmp_path / "raw/train/ant/0.JPEG").write_bytes(b"broken")
    with pytest.raises(InputError):
        build_shards(settings(tmp_path / "raw"), tmp_path / "out", 3)
    assert contents(tmp_path / "out") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting a small tmpfs, which only root may")
def test_a_full_disk_is_one_sentence_and_a_second_run_goes_on(tmp_path):
    tree(tmp_path / "raw", train=30, size=(300, 200))
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(InputError, match=r"out.part: no space left on device; the \d+ finished shards are kept"):
            build_shards(settings(tmp_path / "raw", shards=6), disk / "out", 3)
        before = times(disk / "out.part")
        assert before and not list((disk / "out.part").glob(".*.part")), "finished shards stay, the torn one goes"
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        build_shards(settings(tmp_path / "raw", shards=6), disk / "out", 3)
        assert before.items() <= times(disk / "out").items()
        assert len(Dataset(disk / "out", "train")) == 90
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_second_prepare_refuses(tmp_path):
    tree(tmp_path / "raw")
    (tmp_path / "out.part").mkdir()
    with open(tmp_path / "out.part/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = child(tmp_path, tmp_path / "raw", tmp_path / "out", shards=2)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.strip() == f"error: {tmp_path}/out.part: another `prepare` is at work here; wait for it or stop it"


def test_a_killed_worker_is_one_sentence(tmp_path, monkeypatch):
    tree(tmp_path / "raw")
    monkeypatch.setattr(pack, "_start", _die)
    with pytest.raises(InputError, match="a process of `prepare` was killed"):
        build_shards(settings(tmp_path / "raw"), tmp_path / "out", 3)


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_that_is_not_as_it_should_be_is_named(tmp_path):
    def refused(message, class_num=3, **changes):
        with pytest.raises(InputError, match=message):
            build_shards(settings(**{"root": tmp_path / "raw"} | changes), tmp_path / "out", class_num)

    refused("raw/train: no such folder")
    tree(tmp_path / "raw")
    refused("data.root: empty", root="")
    refused(
        r"raw has 3 classes \(ant, bee, cat\), model.class_num says 10; write 3 there, or 0 to take as many",
        class_num=10,
    )
    refused("data.shards: 19 shards for 18 pictures in train", shards=19)
    (tmp_path / "raw/val/dog").mkdir()
    refused(r"val/ has 1 classes that train/ has not: dog")
    (tmp_path / "raw/val/dog").rename(tmp_path / "raw/train/dog")
    refused("raw/train/dog: an empty folder", class_num=4)
    (tmp_path / "raw/train/dog/deeper").mkdir()
    refused("raw/train/dog/deeper: not a file", class_num=4)
    (tmp_path / "raw/train/dog/deeper").rmdir()
    (tmp_path / "raw/train/dog/a\nb.JPEG").write_bytes(jpeg(1))
    refused("cannot be printed; rename it", class_num=4)
