"""Real weights on real pictures: Lite0 and Lite2 on a hundred of ImageNet's, picture by picture as PyTorch sees them (tests/peers/lite.py)."""

from pathlib import Path

import numpy as np
import pytest

from effnet import checkpoint, export, predict, pretrained
from effnet.errors import InputError
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
    checkpoint.save_model(folder / f"{name}.ckpt", weights, meta)
    export.to_onnx(folder / f"{name}.onnx", weights, meta, meta["crop"], meta["crop"], 21, "outside")
    reference = np.load(Path(__file__).parent / "data" / "imagenet100.npz")
    assert [file.name[:9] for file in files] == reference["wnids"].tolist()
    look = predict.preset(meta, meta["crop"])
    images = np.stack([look(file.read_bytes()) for file in files])
    return name, reference, folder, images, [meta["class_ids"].index(file.name[:9]) for file in files]


def logits(model, images):
    return np.concatenate([model(images[i : i + 20]) for i in range(0, len(images), 20)])


@pytest.mark.parametrize("ending", ["ckpt", "onnx"])
def test_every_pictures_top1_is_pytorchs(case, ending):
    name, reference, folder, images, labels = case
    model, _, _ = predict.load(folder / f"{name}.{ending}")
    found = logits(model, images)
    np.testing.assert_array_equal(found.argmax(1), reference[f"{name}_top1"])
    np.testing.assert_allclose(found.max(1), reference[f"{name}_largest"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), reference[f"{name}_norm"], rtol=1e-5)
    assert (found.argmax(1) == labels).mean() == REFERENCE_TOP1[name]


def test_wrong_normalisation_would_show(case):
    name, reference, folder, images, _ = case
    model, _, _ = predict.load(folder / f"{name}.onnx")
    model.mean, model.std = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)
    found = logits(model, images)
    assert np.abs(found.max(1) - reference[f"{name}_largest"]).max() > 1 and (found.argmax(1) != reference[f"{name}_top1"]).sum() > 3
