"""What ONNX Runtime refuses: a provider that is not there, a file that is not ours; and that nothing is sent home."""

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from effnet.errors import InputError
from effnet.export import onnx_graph
from effnet.runtimes.onnx_runtime import Model
from tests.export.test_onnx_graph import meta, random_weights


def test_an_absent_provider_is_an_error_not_a_silent_cpu_run(tmp_path):
    onnx_graph.write(tmp_path / "m.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    with pytest.raises(InputError, match="onnx.provider: CANN asked for"):
        Model(tmp_path / "m.onnx", "CANN")


def test_what_is_not_our_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Model(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(InputError, match="bad.onnx: ONNX Runtime cannot load it"):
        Model(tmp_path / "bad.onnx")
    onnx_graph.write(tmp_path / "m.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    with pytest.raises(InputError, match="48 x 48 pixels, got 32 x 32"):
        Model(tmp_path / "m.onnx")(np.zeros((5, 32, 32, 3), np.uint8))
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.input[0].name = model.graph.node[0].input[0] = "x"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="expected input `image`"):
        Model(tmp_path / "other.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    kept = [p for p in model.metadata_props if p.key != "classes"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "nameless.onnx")
    with pytest.raises(InputError, match="nameless.onnx: expected .* class names inside"):
        Model(tmp_path / "nameless.onnx")


def test_nothing_is_written_below_the_home_to_be_sent(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-c", "import effnet.runtimes.onnx_runtime"]
    subprocess.run(command, env=env | {"HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.rglob("*nnxruntime*"))


CUDA = "CUDAExecutionProvider"


@pytest.mark.skipif(CUDA not in onnxruntime.get_available_providers(), reason="no CUDA provider here")
def test_a_float32_file_is_computed_in_float32_on_a_card(tmp_path):
    onnx_graph.write(tmp_path / "m.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    model = Model(tmp_path / "m.onnx", "CUDA")
    assert model.session.get_provider_options()[CUDA]["use_tf32"] == "0"
