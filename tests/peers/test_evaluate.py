"""`make eval` beside PyTorch, picture by picture: real weights on the hundred real pictures."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from effnet.weights import pretrained
from tests.conftest import ROOT
from tests.peers import lite

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_every_runtime_answers_as_pytorch_does(name, shared, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    files = sorted((shared / "imagenet100").glob("*.JPEG"))
    wnids, names = pretrained.imagenet_classes()
    pretrained.load(name, ROOT / "data/raw/weights")
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/weights").symlink_to(ROOT / "data/raw/weights")
    (tmp_path / "build").symlink_to(ROOT / "build")  # effnet310, if it was built before
    (tmp_path / "params.yaml").symlink_to(ROOT / "recipes/digits.yaml")
    command = [sys.executable, "-m", "tools.evaluate", "--model", name, "--data", shared / "imagenet100"]
    runtimes = ["mindspore", "onnx", "infer310"]
    subprocess.run(
        [*command, "--runtimes", " ".join(runtimes)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    found = json.loads((tmp_path / f"reports/eval/{name}-imagenet100.json").read_text())["runtimes"]
    logits = lite.logits(name, files, ROOT / "data/raw/weights")
    order = np.argsort(-logits, axis=1, kind="stable")
    place = (order == np.array([wnids.index(file.name[:9]) for file in files])[:, None]).argmax(axis=1)
    for runtime in runtimes:
        assert found[runtime]["images"] == len(files) == 100
        assert [found[runtime][key] for key in ("top1", "top5")] == [(place < k).mean() for k in (1, 5)]
        with open(tmp_path / f"reports/eval/{name}-imagenet100/{runtime}/per_image.csv", newline="") as table:
            predicted = {row["name"].split("/")[1]: row["predicted"] for row in csv.DictReader(table)}
        assert predicted == {file.name: names[best] for file, best in zip(files, order[:, 0], strict=True)}
