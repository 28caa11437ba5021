"""OpenVINO against ONNX Runtime on a trained model and its validation pictures; what it refuses; that nothing is sent
home.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from effnet import recipe
from effnet.comparison import parity
from effnet.errors import InputError
from effnet.export import onnx_graph
from effnet.runtimes import by_name, onnx_runtime, openvino
from effnet.runtimes.exported import logits_of
from effnet.shards.dataset import Dataset
from tests.conftest import ROOT, Project
from tests.export.test_onnx_graph import meta, random_weights
from tools import facts

pytest.importorskip("openvino", reason="OpenVINO does not install everywhere; see setup.sh")
_, HERE = openvino.processor()
NO_BFLOAT16 = pytest.mark.skipif("BF16" not in HERE, reason="no bfloat16 on this processor")
PRECISIONS = ["openvino", pytest.param("openvino-bfloat16", marks=NO_BFLOAT16), "openvino-int8"]
TILES = "amx_tile" in Path("/proc/cpuinfo").read_text()


@pytest.fixture(scope="module")
def pictures(finished):
    """The trained model's path, its validation pictures as a Dataset, and evaluation settings."""
    params = recipe.load(finished.folder / "params.yaml")
    return finished.folder / "models/effnet.onnx", Dataset(finished.folder / "data/prepared", "val"), params.evaluate


@pytest.fixture(scope="module")
def answers(pictures):
    """`f(runtime, threads=2, batch=8)` -> logits."""
    path, dataset, settings = pictures

    def answers(name, threads=2, batch=8):
        return logits_of(by_name.load(by_name.file_of(path, name), name, threads), dataset, settings, batch)

    return answers


def test_float32_answers_as_onnx_runtime_does(answers, pictures):
    found = {"onnx": answers("onnx"), "openvino": answers("openvino")}
    parity.check(found, pictures[1].names)
    assert len(found["onnx"]) == 359 and parity.worst(parity.pairs(found), ["onnx", "openvino"]) <= 1e-4


@NO_BFLOAT16
def test_bfloat16_rounds_and_answers_alike(answers):
    exact, rounded = answers("onnx"), answers("openvino-bfloat16")
    of = {"onnx": "float32", "openvino_bfloat16": "bfloat16"}
    parity.check_rounded({"onnx": exact, "openvino_bfloat16": rounded}, of)
    # eight bits, not 24: it did not silently compute in float32
    assert 1e-4 < parity.off(rounded, exact) < parity.LIMITS["bfloat16"]


def test_int8_is_as_near_to_float32_as_onnx_runtimes(answers):
    of = {"onnx": "float32", "onnx_int8": "int8", "openvino_int8": "int8"}
    parity.check_rounded({name: answers(name.replace("_", "-")) for name in of}, of)


@pytest.mark.parametrize("name", PRECISIONS)
def test_threads_batch_and_run_change_no_byte_but_with_amx_in_bfloat16(name, answers):
    first = answers(name)
    for threads, batch in ((2, 8), (1, 8), (2, 5), (1, 64)):
        again = answers(name, threads, batch)
        if name == "openvino-bfloat16" and TILES:  # it takes AMX's tiles or not by the batch: sums in another order
            assert parity.off(again, first) < parity.off(first, answers("openvino"))
        else:
            assert again.tobytes() == first.tobytes()


def test_normalisation_inside_gives_the_same_answers(tmp_path):
    found, images = [], np.random.default_rng(1).integers(0, 256, (5, 48, 48, 3), np.uint8)
    for normalize in ("inside", "outside"):
        onnx_graph.write(tmp_path / f"{normalize}.onnx", random_weights(), meta(), 48, 48, 21, normalize)
        model = openvino.Model(tmp_path / f"{normalize}.onnx")
        found.append(model(images))
        assert model.inside == (normalize == "inside")
        assert model.meta == onnx_runtime.Model(tmp_path / f"{normalize}.onnx").meta
    np.testing.assert_allclose(*found, atol=1e-4)


def test_what_is_not_our_model_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    onnx_graph.write(path, random_weights(), meta(), 48, 48, 21, "outside")
    with pytest.raises(InputError, match="48 x 48 pixels, got 32 x 32"):
        openvino.Model(path)(np.zeros((5, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="none.onnx: no such file"):
        openvino.Model(tmp_path / "none.onnx")
    model = onnx.load(path)
    model.graph.input[0].name = model.graph.node[0].input[0] = "x"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="other.onnx: expected input `image`, .* found .*'x'"):
        openvino.Model(tmp_path / "other.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "nameless.onnx")
    with pytest.raises(InputError, match="nameless.onnx: expected .* class names inside"):
        openvino.Model(tmp_path / "nameless.onnx")
    data = path.read_bytes()
    for name, content in (("junk", b"not onnx"), ("cut", data[: len(data) // 2]), ("empty", b"")):
        (tmp_path / f"{name}.onnx").write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.onnx: (OpenVINO cannot load it|expected input `image`)"):
            openvino.Model(tmp_path / f"{name}.onnx")


def alone(code, **env):
    """Python in a process of its own."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_processor_without_bfloat16_is_told_so(pictures):
    arguments = ["predict", "a.jpg", "--runtime", "openvino-bfloat16", "--model", str(pictures[0])]
    code = f"from effnet import errors; from effnet.cli.main import main; errors.run(lambda: main({arguments}))"
    done = alone(code, DNNL_MAX_CPU_ISA="AVX2")  # instruction sets without it, as far as OpenVINO's kernels know
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "OpenVINO: bfloat16 asked for" in done.stderr or "cannot compute in bfloat16 here" in done.stderr


def test_nothing_is_sent_home(pictures, tmp_path):
    code = f"""
import sys
from effnet.runtimes import by_name
sys.addaudithook(lambda event, _: event.startswith("socket.") and print(event))
by_name.load({str(pictures[0])!r}, "openvino")
print(sys.modules["openvino_telemetry"])
"""
    done = alone(code, HOME=str(tmp_path))
    assert done.stdout == "None\n" and not list(tmp_path.iterdir())


def test_a_batch_that_memory_does_not_hold_is_refused(pictures):
    path, dataset, settings = pictures

    class Endless:
        classes, names = dataset.classes, dataset.names

        def __len__(self):
            return 10**12

    with pytest.raises(InputError, match=r"a batch of 10,000,000 pictures .* takes at least .* lower onnx.batch_size"):
        logits_of(openvino.Model(path), Endless(), settings, 10**7)


def test_the_pipeline_evaluates_and_compares(finished, tmp_path):
    project = Project(shutil.copytree(finished.folder, tmp_path / "project", symlinks=True))
    asked = ["float32", "int8", *(["bfloat16"] if "BF16" in HERE else [])]
    project.set(onnx__openvino=asked)
    project.run("python", "-m", "stages.onnx_eval")
    project.run("python", "-m", "stages.parity")
    found = facts.read(project.folder)
    names = ["openvino", "openvino_int8", *(["openvino_bfloat16"] if "BF16" in HERE else [])]
    assert {*found["metrics"]} == {"evaluate", "onnx_eval", "float16", "int8", "infer310", *names}
    assert found["metrics"]["openvino"] == found["metrics"]["onnx_eval"]
    assert found["provenance"]["openvino"][0]["versions"]["openvino"].startswith("20")
    assert "openvino" not in found["provenance"]["evaluate"][0]["versions"]
    pairs = {row["pair"] for row in found["parity"]}
    assert {f"onnx-{name}" for name in names} <= pairs
    worst = json.loads((project.folder / "metrics/parity.json").read_text())["worst_difference"]
    assert 0 < worst <= 1e-3
