"""What ONNX Runtime's side refuses: a provider that is not there, a file that is not ours."""

import numpy as np
import onnx
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
