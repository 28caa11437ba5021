"""int8 files: how far from float32, the same bytes twice, and what cannot be calibrated.

Trained weights are in tests/pipeline and tests/comparison/test_imagenet100.py.
"""

import json
import os

import numpy as np
import onnx
import pytest

from effnet.errors import InputError
from effnet.export import onnx_graph
from effnet.recipe import Evaluate
from effnet.runtimes import int8
from effnet.runtimes.int8 import calibration_pictures, to_int8
from effnet.runtimes.onnx_runtime import Model
from tests import pictures as made
from tests.export.test_onnx_graph import meta, random_weights

SETTINGS = Evaluate(resize=48, crop=48, interpolation="bilinear", batch_size=8, amp_level="O0")


class Pictures(list):
    """As much of a Dataset as calibration asks for."""

    read = list.__getitem__

    @property
    def names(self):
        return [f"ant/{i}.JPEG" for i in range(len(self))]


@pytest.fixture(scope="module", params=["efficientnet_toy", "efficientnet_lite0"])
def source(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    onnx_graph.write(path, random_weights(request.param), meta(request.param), 48, 48, 21, "outside")
    return path


@pytest.fixture(scope="module")
def images():
    return calibration_pictures(Pictures(made.jpeg(i) for i in range(40)), SETTINGS, 24)


def test_answers_stay_close_and_the_file_is_a_third(source, images, tmp_path):
    to_int8(tmp_path / "int8.onnx", source, images)
    f32, int8 = Model(source), Model(tmp_path / "int8.onnx")
    expected, found = f32(images), int8(images)
    assert (
        0 < np.abs(found - expected).max() < 0.5 * expected.std()
    )  # seven bits of these weights are drawn, not learnt
    assert int8.meta == f32.meta | {"quantized": "int8, calibrated on 24 training pictures"}
    assert int8(images[:1]).shape == (1, 10)  # the batch is still free
    weights = {t.name: t for t in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    kernel, scale = weights["head.weight_quantized"], weights["head.weight_scale"]
    assert kernel.data_type == onnx.TensorProto.INT8
    assert list(scale.dims) == [kernel.dims[0]]  # one scale per output channel
    assert weights["classifier.weight"].data_type == onnx.TensorProto.FLOAT
    share = 0.6 if "toy" in f32.meta["variant"] else 0.4
    assert (tmp_path / "int8.onnx").stat().st_size < share * source.stat().st_size


def test_the_same_pictures_give_the_same_bytes(source, images, tmp_path):
    for name in "ab":
        to_int8(tmp_path / f"{name}.onnx", source, images)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_so_many_threads_as_the_recipe_says(source, images, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(int8, "Model", lambda *args, **named: asked.append(named) or Model(*args, **named))
    to_int8(tmp_path / "int8.onnx", source, images, 3)
    assert asked == [{"threads": 3}]
    assert Model(source, threads=3).session.get_session_options().intra_op_num_threads == 3
    assert Model(source).session.get_session_options().intra_op_num_threads == len(os.sched_getaffinity(0))


def test_normalisation_inside_gives_the_same_answers(images, tmp_path):
    for normalize in ("inside", "outside"):
        onnx_graph.write(tmp_path / f"{normalize}.onnx", random_weights(), meta(), 48, 48, 21, normalize)
        to_int8(tmp_path / f"{normalize}8.onnx", tmp_path / f"{normalize}.onnx", images)
    inside, outside = (Model(tmp_path / f"{normalize}8.onnx") for normalize in ("inside", "outside"))
    assert inside.inside and np.abs(inside(images) - outside(images)).max() < 0.05 * outside(images).std()


def test_pictures_are_spread_over_the_whole_set():
    dataset = Pictures(made.jpeg(i) for i in range(9))
    whole, three = calibration_pictures(dataset, SETTINGS, 9), calibration_pictures(dataset, SETTINGS, 3)
    np.testing.assert_array_equal(three, whole[[0, 4, 8]])


def test_what_cannot_calibrate_is_refused(source, images, tmp_path):
    with pytest.raises(InputError, match="calibration_images: 1 asked for, the training set holds 0"):
        calibration_pictures(Pictures(), SETTINGS, 1)
    with pytest.raises(InputError, match="calibration_images: 4 asked for, the training set holds 3"):
        calibration_pictures(Pictures([b""] * 3), SETTINGS, 4)
    with pytest.raises(InputError, match="ant/1.JPEG: not a readable picture"):
        calibration_pictures(Pictures([made.jpeg(0), made.jpeg(1)[:200]]), SETTINGS, 2)
    with pytest.raises(InputError, match="no pictures to calibrate"):
        to_int8(tmp_path / "int8.onnx", source, images[:0])
    with pytest.raises(InputError, match="48 x 48 pixels, got 32 x 32"):
        to_int8(tmp_path / "int8.onnx", source, images[:, :32, :32])
    with pytest.raises(InputError, match="gone.onnx: no such file"):
        to_int8(tmp_path / "int8.onnx", tmp_path / "gone.onnx", images)
    assert not list(tmp_path.iterdir())


def test_the_stage_refuses_in_one_sentence(project):
    failed = project.run("python", "-m", "stages.quantize", check=False)
    assert failed.returncode == 2 and "index.json: no prepared pictures here; run `dvc repro prepare`" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_float16_and_int8_are_evaluated_like_float32(finished):
    def read(name):
        return json.loads((finished.folder / f"metrics/{name}.json").read_text())

    whole = read("onnx/float32")
    for kind in ("float16", "int8"):
        found = read(f"onnx/{kind}")
        assert found.keys() == whole.keys() and found["images"] == whole["images"]
        with np.load(finished.folder / f"metrics/logits/onnx_{kind}.npz") as kept:
            assert kept["logits"].shape == (359, 10)
    assert abs(read("onnx/float16")["top1"] - whole["top1"]) < 0.01
