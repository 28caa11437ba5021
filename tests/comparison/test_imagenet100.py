"""Real weights on real pictures:

Lite0 and Lite2 on a hundred of ImageNet's, picture by picture as PyTorch sees them (tests/peers/lite.py).
"""

from pathlib import Path

import numpy as np
import pytest

from effnet.cli import predict
from effnet.comparison import parity
from effnet.errors import InputError
from effnet.export import onnx_graph
from effnet.files import write_json
from effnet.mindir.version_1 import to_version_1
from effnet.mindir.write import write
from effnet.network import checkpoint, device
from effnet.recipe import Evaluate
from effnet.runtimes import infer310, onnx_runtime
from effnet.runtimes.exported import logits_of
from effnet.runtimes.int8 import to_int8
from effnet.weights import pretrained
from tests.conftest import ROOT

REFERENCE_TOP1 = {"lite0": 0.89, "lite2": 0.91}  # of PyTorch on these hundred pictures


@pytest.fixture(scope="module", params=["lite0", "lite2"])
def case(request, shared, tmp_path_factory):
    """(name, reference, folder with NAME.ckpt and NAME.onnx, the pictures pre-processed, their class indices)."""
    files = sorted((shared / "imagenet100").glob("*.JPEG"))
    name, folder = request.param, tmp_path_factory.mktemp("lite")
    try:
        weights, meta = pretrained.load(name, ROOT / "data/raw/weights")
    except InputError as error:
        if "could not download" not in str(error):
            raise
        pytest.skip(str(error))
    checkpoint.save(folder / f"{name}.ckpt", weights, meta)
    onnx_graph.write(folder / f"{name}.onnx", weights, meta, meta["crop"], meta["crop"], 21, "outside")
    reference = np.load(Path(__file__).with_name("imagenet100.npz"))
    assert [file.name[:9] for file in files] == reference["wnids"].tolist()
    look = predict.preset(meta, meta["crop"])
    images = np.stack([look(file.read_bytes()) for file in files])
    return name, reference, folder, images, [meta["class_ids"].index(file.name[:9]) for file in files]


def logits(model, images):
    return np.concatenate([model(images[i : i + 20]) for i in range(0, len(images), 20)])


def answers(case, ending):
    """Logits of the hundred pictures by NAME.ending, computed once."""
    name, _, folder, images, _ = case
    kept = folder / f"{ending}.npy"
    if not kept.exists():
        np.save(kept, logits(predict.load(folder / f"{name}.{ending}")[0], images))
    return np.load(kept)


@pytest.mark.parametrize("ending", ["ckpt", "onnx"])
def test_every_pictures_top1_is_pytorchs(case, ending):
    name, reference, folder, images, labels = case
    found = answers(case, ending)
    np.testing.assert_array_equal(found.argmax(1), reference[f"{name}_top1"])
    np.testing.assert_allclose(found.max(1), reference[f"{name}_largest"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), reference[f"{name}_norm"], rtol=1e-5)
    assert (found.argmax(1) == labels).mean() == REFERENCE_TOP1[name]


def test_wrong_normalisation_would_show(case):
    name, reference, folder, images, _ = case
    model, _, _ = predict.load(folder / f"{name}.onnx")
    model.mean = np.array([123.675, 116.28, 103.53], np.float32)
    model.std = np.array([58.395, 57.12, 57.375], np.float32)
    found = logits(model, images)
    assert (
        np.abs(found.max(1) - reference[f"{name}_largest"]).max() > 1
        and (found.argmax(1) != reference[f"{name}_top1"]).sum() > 3
    )


class Loose:
    """The hundred files as a data set."""

    def __init__(self, folder, classes):
        self.files = sorted(folder.glob("*.JPEG"))
        self.names, self.classes = [file.name for file in self.files], classes
        self.labels = np.zeros(len(self.files), np.int32)

    def __len__(self):
        return len(self.files)

    def read(self, i):
        return self.files[i].read_bytes()


@pytest.mark.parametrize("case", ["lite0"], indirect=True)
def test_every_runtime_answers_alike(case, shared, effnet310, tmp_path, capsys):
    """MindSpore, ONNX Runtime, the C++ program: equal top-1 and logits within the parity stage's limit; int8 within a
    point of float32.

    int8 is calibrated on photographs of flowers: other pictures, as training pictures are."""
    name, _, folder, images, labels = case
    weights, meta = checkpoint.load_model(folder / f"{name}.ckpt")
    dataset = Loose(shared / "imagenet100", meta["classes"])
    device.start("CPU")
    write(tmp_path / "m.mindir", weights, meta, meta["crop"], meta["crop"])
    to_version_1(tmp_path / "m.mindir", tmp_path / "v1.mindir")
    write_json(tmp_path / "meta.json", meta | {"height": meta["crop"], "width": meta["crop"]})
    program, model = effnet310 / "effnet310", onnx_runtime.Model(folder / f"{name}.onnx")
    settings = Evaluate(**{key: meta[key] for key in ("resize", "crop", "interpolation")}, batch_size=8, amp_level="O0")
    found = {
        "mindspore": answers(case, "ckpt"),
        "onnx": logits_of(model, dataset, settings, batch_size=8),
        "infer310": infer310.logits_of(program, tmp_path / "v1.mindir", tmp_path / "meta.json", dataset)[0],
    }
    parity.check(found, dataset.names)
    assert all(pair["equal_top1"] == 1 for pair in parity.pairs(found).values())
    look, flowers = predict.preset(meta, meta["crop"]), sorted((shared / "flowers" / "train").rglob("*.jpg"))[::8]
    calibration = np.stack([look(file.read_bytes()) for file in flowers])
    to_int8(tmp_path / "int8.onnx", folder / f"{name}.onnx", calibration)
    int8 = logits(onnx_runtime.Model(tmp_path / "int8.onnx"), images)
    float32, top1 = ((answers.argmax(1) == labels).mean() for answers in (found["onnx"], int8))
    equal = (int8.argmax(1) == found["onnx"].argmax(1)).mean()
    with capsys.disabled():
        print(f"\n{name}: top-1 {float32:.2f} in float32, {top1:.2f} in int8, {equal:.2f} of answers equal")
    assert abs(top1 - float32) <= 0.01 + 1e-9
