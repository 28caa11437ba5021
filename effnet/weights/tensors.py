"""Named tensors out of other libraries' weight files, without running anything that is in them and without those
libraries.

`.pth`/`.pt` (PyTorch, both layouts), `.safetensors`, `.npz`, `.h5`/`.hdf5` (Keras).
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np

from effnet.errors import InputError

STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of torch.save's layout before 1.6
WRAPPERS = ("state_dict", "model", "model_state_dict")  # under which training scripts keep the state dict


def read(path, member=""):
    """`{name: array}` of the weight file at `path`, or of `member` inside it where `path` is a zip archive such as a
    wheel.

    Raises InputError if the file is missing, damaged, of an unknown kind, or wants more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weight file")
    where = f"{path}:{member}" if member else str(path)
    ending = Path(member or path).suffix.lower()
    if ending not in READERS:
        raise InputError(f"{where}: weights are read from {', '.join(READERS)}, not '{ending}'")
    try:
        file = io.BytesIO(_member(path, member)) if member else open(path, "rb")
        with file:
            return READERS[ending](file)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:  # the parsers raise almost anything on damaged bytes
        raise InputError(f"{where}: damaged or not a {ending} file ({_first_line(error)}); fetch it again") from None


def _member(path, member):
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


# A tensor before its bytes are there: in the old layout they follow the pickle. `storage` is a list [dtype, count,
# bytes].
Promise = namedtuple("Promise", "storage offset shape strides")


def _pth(file):
    start = file.read(4)
    file.seek(0)
    return _pth_zip(file) if start == b"PK\x03\x04" else _pth_legacy(file)


def _pth_zip(file):
    with zipfile.ZipFile(file) as archive:
        pickled = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise InputError("a zip file without PyTorch's data.pkl")
        folder = pickled[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise InputError("written on a big-endian machine, which is not read here")
        storages = {}
        tree = _unpickle(io.BytesIO(archive.read(pickled[0])), storages)
        for key, storage in storages.items():
            storage[2] = archive.read(f"{folder}data/{key}")
    return _arrays(tree)


def _pth_legacy(file):
    if _unpickle(file, {}) != LEGACY_MAGIC:
        raise InputError("not a file of torch.save")
    _unpickle(file, {})  # protocol version
    if not _unpickle(file, {}).get("little_endian", False):
        raise InputError("written on a big-endian machine, which is not read here")
    storages = {}
    tree = _unpickle(file, storages)
    for key in _unpickle(file, {}):
        dtype, count, _ = storages[key]
        if struct.unpack("<q", file.read(8))[0] != count:
            raise InputError(f"storage {key} is not as long as the file says")
        storages[key][2] = file.read(count * np.dtype(dtype).itemsize)
    return _arrays(tree)


def _unpickle(file, storages):
    """The next pickle in `file`, built of tensors, plain values and OrderedDict only; `storages` collects what
    tensors refer to.
    """

    def rebuild(storage, offset, shape, strides, *_):
        return Promise(storage, offset, shape, strides)

    allowed = {("collections", "OrderedDict"): OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): rebuild}
    allowed |= {("torch", name): dtype for name, dtype in STORAGES.items()}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) not in allowed:
                raise InputError(
                    f"its pickle asks for {module}.{name}; only tensors are read and no code is run: "
                    "save it again as torch.save(model.state_dict(), path) or .safetensors"
                )
            return allowed[module, name]

        def persistent_load(self, reference):
            kind, dtype, key, _, count, *view = reference
            if kind != "storage" or dtype not in STORAGES.values() or any(view):
                raise InputError(f"its pickle refers to {reference!r}, which is not a plain tensor storage")
            return storages.setdefault(key, [dtype, count, None])

    return Unpickler(file).load()


def _arrays(tree):
    for wrapper in WRAPPERS:
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(isinstance(value, Promise) for value in tree.values()):
        raise InputError(
            "holds no state dict (names to tensors); save it again as torch.save(model.state_dict(), path)"
        )
    return {str(name): _array(promise) for name, promise in tree.items()}


def _array(promise):
    (dtype, count, data), offset, shape, strides = promise
    flat = np.frombuffer(data, dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    size = math.prod(shape)
    # the checks keep a forged shape from reading past the storage or from blowing a few bytes up to gigabytes
    if len(flat) != count or min((offset, size, *strides)) < 0 or (size and last >= count) or size > count:
        raise InputError(f"a tensor of shape {tuple(shape)} does not fit its storage of {len(flat)} values")
    strides = [stride * flat.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides).copy()


def _safetensors(file):
    from safetensors.numpy import load

    return load(file.read())


def _npz(file):
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _h5(file):
    """Named `layer/tensor`: Keras repeats layer and model names above that and TensorFlow adds `:0`."""
    import h5py

    arrays = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and not path.startswith("optimizer_weights"):
            name = "/".join(path.split("/")[-2:]).removesuffix(":0")
            if name in arrays:
                raise InputError(
                    f"two tensors end in {name}; layers without names (.weights.h5) are not read: "
                    "save with model.save('x.h5')"
                )
            arrays[name] = item[()]

    with h5py.File(file, "r") as tree:
        tree.visititems(visit)
    return arrays


READERS = {".pth": _pth, ".pt": _pth, ".safetensors": _safetensors, ".npz": _npz, ".h5": _h5, ".hdf5": _h5}


def _first_line(error):
    return (str(error) or type(error).__name__).strip().split("\n")[0].strip(" .")[:120]
