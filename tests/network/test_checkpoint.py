"""Checkpoints: whole or not at all, damaged ones named, nothing lost."""

import os
import subprocess
import tempfile

import mindspore as ms
import numpy as np
import pytest

from effnet.errors import InputError
from effnet.network import checkpoint

ARRAYS = {"stem.conv.weight": np.arange(5000, dtype=np.float32).reshape(50, 100), "scalar": np.float32(3).reshape(())}


def test_round_trip_and_same_bytes(tmp_path):
    first, second = tmp_path / "a.ckpt", tmp_path / "b" / "b.ckpt"
    for path in (first, second):
        checkpoint.save(path, ARRAYS, {"classes": ["ä", "b"], "loss": 0.1})
    assert first.read_bytes() == second.read_bytes() and os.stat(first).st_mode & 0o777 == 0o644
    arrays, meta = checkpoint.load(first)
    assert meta == {"classes": ["ä", "b"], "loss": 0.1}
    assert all((arrays[name] == value).all() and arrays[name].shape == value.shape for name, value in ARRAYS.items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-7],
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b[:900] + b"x" + b[901:],
        lambda b: b"no" * 99,
    ],
)
def test_damaged_files_are_named(tmp_path, damage):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, ARRAYS, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="a.ckpt: damaged"):
        checkpoint.load(path)


def test_missing_and_foreign_files(tmp_path):
    hints = {"none.ckpt": "", "effnet.ckpt": "; `dvc repro train` makes it, `dvc pull` brings it"}
    hints |= {"start.ckpt": "; `dvc repro pretrained`", "pretrained/b2.ckpt": "; `make pretrained MODEL=b2` makes it"}
    for name, hint in hints.items():
        with pytest.raises(InputError, match=f"{name}: no such checkpoint{hint or '$'}"):
            checkpoint.load(tmp_path / name)
    ms.save_checkpoint(
        [{"name": "w", "data": ms.Tensor(np.zeros(3, np.float32))}], str(tmp_path / "f.ckpt"), crc_check=True
    )
    with pytest.raises(InputError, match="not written by this project"):
        checkpoint.load(tmp_path / "f.ckpt")


def test_a_file_that_may_not_be_read_is_not_called_damaged():
    with tempfile.NamedTemporaryFile(suffix=".ckpt") as file:  # in a folder that everybody may enter
        os.chmod(file.name, 0)
        user = os.geteuid()
        os.seteuid(user or 65534)  # root may read what it likes
        try:
            with pytest.raises(PermissionError, match=file.name):
                checkpoint.load(file.name)
        finally:
            os.seteuid(user)


def test_another_architecture_or_class_count(tmp_path):
    checkpoint.save(tmp_path / "m.ckpt", ARRAYS, {"variant": "efficientnet_b0", "class_num": 10})
    with pytest.raises(InputError, match="holds efficientnet_b0, but model.variant is efficientnet_b2"):
        checkpoint.load_model(tmp_path / "m.ckpt", "efficientnet_b2", 10)
    with pytest.raises(InputError, match="has 10 classes, but model.class_num is 1000"):
        checkpoint.load_model(tmp_path / "m.ckpt", "efficientnet_b0", 1000)


def test_a_model_without_an_epsilon_has_the_reference_s(tmp_path):
    """Those from before it was a recipe's."""
    checkpoint.save(tmp_path / "m.ckpt", ARRAYS, {"variant": "efficientnet_b0"})
    assert checkpoint.load_model(tmp_path / "m.ckpt")[1] == {"variant": "efficientnet_b0", "bn_eps": 1e-3}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_full_disk_leaves_the_old_file(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).returncode:
        pytest.skip("no right to mount a tmpfs here")
    try:
        checkpoint.save(disk / "a.ckpt", {"w": np.zeros(100, np.float32)}, {"old": True})
        with pytest.raises(InputError, match="a.ckpt: could not be written.*earlier files are untouched"):
            checkpoint.save(disk / "a.ckpt", {"w": np.random.default_rng(0).random(100_000).astype(np.float32)}, {})
        assert checkpoint.load(disk / "a.ckpt")[1] == {"old": True}
        assert os.listdir(disk) == ["a.ckpt"]
    finally:
        subprocess.run(["umount", disk])
