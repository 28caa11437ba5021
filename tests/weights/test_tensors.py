"""Reading other libraries' weight files: what is in them, and nothing run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from effnet.errors import InputError
from effnet.weights import tensors

STORED = Path(__file__).parent  # zip.pth and legacy.pth were written by torch 2.13


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_pth_of_both_layouts(name):
    found = tensors.read(STORED / name)
    assert list(found) == ["w", "t", "h", "n", "part"]
    np.testing.assert_array_equal(found["w"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found["t"], found["w"].T)  # stored with other strides
    np.testing.assert_array_equal(found["part"], [4, 5, 6])  # a view into a longer storage
    assert found["h"].dtype == np.float16 and found["h"].tolist() == [1.5, -2] and found["n"] == 7


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def zipped(pickled, path, **storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_that_would_run_a_command_is_refused_and_not_run(tmp_path, protocol):
    evil = pickle.dumps({"w": Attack(tmp_path / "owned")}, protocol)
    with pytest.raises(InputError, match=r"posix.system; only tensors are read and no code is run"):
        tensors.read(zipped(evil, tmp_path / "evil.pth"))
    (tmp_path / "old.pth").write_bytes(pickle.dumps(tensors.LEGACY_MAGIC, 2) + pickle.dumps(1001, 2) + evil)
    with pytest.raises(InputError, match=r"old.pth: its pickle asks for posix.system"):
        tensors.read(tmp_path / "old.pth")
    assert not (tmp_path / "owned").exists()
    pickle.loads(evil)  # it would have worked
    assert (tmp_path / "owned").exists()


def forged(shape, strides, count=4, offset=0):
    """A pickle of one float32 tensor that claims what is given, by opcodes: torch is not needed to write it."""

    def number(value):
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0aX\x03\0\0\0cpu" + number(count) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + numbers(shape)
        + numbers(strides)
        + b"\x89"
        + hooks
        + b"tR"
    )
    return b"\x80\x02}X\x01\0\0\0w" + tensor + b"s."


def test_a_forged_shape_neither_reads_past_its_storage_nor_fills_the_memory(tmp_path):
    data = np.arange(4, dtype=np.float32).tobytes()
    good = tensors.read(zipped(forged((2, 2), (2, 1)), tmp_path / "good.pth", a=data))
    np.testing.assert_array_equal(good["w"], [[0, 1], [2, 3]])
    for shape, strides, offset in [
        ((2, 3), (3, 1), 0),
        ((2, 2), (2, 1), 1),
        ((10**9, 10**9), (0, 0), 0),
        ((2,), (-1,), 1),
        ((1,), (1,), -1),
    ]:
        path = zipped(forged(shape, strides, offset=offset), tmp_path / "bad.pth", a=data)
        with pytest.raises(InputError, match="does not fit its storage"):
            tensors.read(path)
    with pytest.raises(InputError, match="does not fit its storage of 3 values"):
        tensors.read(zipped(forged((2, 2), (2, 1)), tmp_path / "short.pth", a=data[:-4]))


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_pth_is_refused_in_a_sentence(tmp_path, name, share):
    whole = (STORED / name).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="cut.pth: .*(damaged|does not fit|not as long)"):
        tensors.read(tmp_path / "cut.pth")


def test_npz_safetensors_and_h5(tmp_path):
    h5py, safetensors = pytest.importorskip("h5py"), pytest.importorskip("safetensors.numpy")
    values = {"a": np.arange(3.0, dtype=np.float32), "b": np.ones((2, 2), np.float16)}
    np.savez(tmp_path / "x.npz", **values)
    safetensors.save_file(values, tmp_path / "x.safetensors")
    with h5py.File(tmp_path / "x.h5", "w") as file:  # as Keras nests it
        file["model_weights/stem_conv/net/stem_conv/kernel:0"] = values["a"]
        file["optimizer_weights/adam/step"] = 1
    for name in ("x.npz", "x.safetensors"):
        found = tensors.read(tmp_path / name)
        assert found.keys() == values.keys() and all(np.array_equal(found[k], values[k]) for k in values)
    assert list(tensors.read(tmp_path / "x.h5")) == ["stem_conv/kernel"]
    for name in ("x.npz", "x.safetensors", "x.h5"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
        with pytest.raises(InputError, match=f"{name}: damaged or not a"):
            tensors.read(tmp_path / name)


def test_npz_with_a_pickle_inside_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", w=np.array([Attack(tmp_path / "owned")], object))
    with pytest.raises(InputError, match="x.npz: damaged or not a .npz file .*allow_pickle"):
        tensors.read(tmp_path / "x.npz")
    assert not (tmp_path / "owned").exists()


def test_what_is_not_a_weight_file_is_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"?")
    with pytest.raises(InputError, match="weights are read from .pth, .pt, .safetensors"):
        tensors.read(tmp_path / "x.bin")
    with pytest.raises(InputError, match="no such weight file"):
        tensors.read(tmp_path / "absent.pth")
    (tmp_path / "page.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="page.pth: damaged or not a .pth file"):
        tensors.read(tmp_path / "page.pth")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(InputError, match="without PyTorch's data.pkl"):
        tensors.read(tmp_path / "other.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        tensors.read(zipped(pickle.dumps({"epoch": 3}, 2), tmp_path / "epoch.pth"))


def test_a_member_of_a_wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as archive:
        buffer = io.BytesIO()
        np.savez(buffer, w=np.ones(2))
        archive.writestr("package/w.npz", buffer.getvalue())
    assert tensors.read(tmp_path / "package.whl", "package/w.npz")["w"].tolist() == [1, 1]
    with pytest.raises(InputError, match="package.whl:package/none.npz: damaged"):
        tensors.read(tmp_path / "package.whl", "package/none.npz")
