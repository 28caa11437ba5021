"""A toy model in each form, and pictures, for the command line."""

import pytest

from effnet.export import onnx_graph
from effnet.network import checkpoint
from tests.network.test_efficientnet import random_weights
from tests.pictures import jpeg

CLASSES = ["ant", "bee", "cat"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with effnet.ckpt and effnet.onnx of one random toy network."""
    folder = tmp_path_factory.mktemp("models")
    weights = random_weights("efficientnet_toy", 3)
    meta = {
        "variant": "efficientnet_toy", "class_num": 3, "padding": "same", "bn_eps": 1e-3, "image_size": 32,
        "classes": CLASSES, "class_ids": ["n1", "n2", "n3"],
        "mean": [127.0, 127.0, 127.0], "std": [128.0, 128.0, 128.0],
        "resize": 40, "crop": 32, "interpolation": "bicubic", "source": "test",
    }  # fmt: skip
    checkpoint.save(folder / "effnet.ckpt", weights, meta)
    onnx_graph.write(folder / "effnet.onnx", weights, meta, 32, 32, 21, "outside")
    onnx_graph.write(folder / "wide.onnx", weights, meta, 32, 64, 21, "outside")
    onnx_graph.write(folder / "inside.onnx", weights, meta, 32, 32, 21, "inside")
    return folder


@pytest.fixture
def photos(tmp_path):
    for seed in range(3):
        (tmp_path / "album" / str(seed)).mkdir(parents=True)
        (tmp_path / "album" / str(seed) / f"{seed}.jpg").write_bytes(jpeg(seed))
    (tmp_path / "album" / "notes.txt").write_text("not a picture, and not asked for")
    return tmp_path
