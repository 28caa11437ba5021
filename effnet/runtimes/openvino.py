"""The exported model under OpenVINO, on the CPU. Imports neither MindSpore nor ONNX Runtime.

On one processor its answers are the same bytes from run to run, whatever the number of threads and the batch
(tests/runtimes/test_openvino.py); another processor's differ in the last digits. Not so bfloat16 with AMX (Intel since
Sapphire Rapids): there they differ by less than its rounding.
"""

import os

import numpy as np

from effnet.devices.messages import message_for
from effnet.errors import InputError
from effnet.runtimes.exported import Exported, require

# what OpenVINO calls each precision: as a hint to its compiler, and as what a processor can do
HINTS = {"float32": "f32", "bfloat16": "bf16"}
CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16"}


class Model(Exported):
    """The ONNX file at `path`, compiled for this processor, on `threads` threads (0, and at most: as many as cores).

    precision: in which convolutions of a float32 file multiply, "float32" or "bfloat16" (sums are of float32); what an
    int8 file holds in int8 stays so. Without a hint OpenVINO would take bfloat16 wherever the processor has it.

    Raises InputError where OpenVINO is not installed, for a file that is not a model of ours, and for a precision that
    this processor does not have: OpenVINO would silently take float32.
    """

    def __init__(self, path, precision="float32", threads=0):
        require(path)
        core, here = processor()
        if CAPABILITIES[precision] not in here:
            raise InputError(
                f"OpenVINO: {precision} asked for, which this processor has no instructions for (it has "
                f"{', '.join(here)}); use float32 or int8"
            )
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # two programs would sit on the same core
        }
        try:
            graph = _read(path)
            self.compiled = core.compile_model(graph, "CPU", options)
        except Exception as error:  # OpenVINO's classes have no common one
            raise InputError(message_for(error) or f"{path}: OpenVINO cannot load it ({_last(error)})") from None
        said = graph.get_rt_info()["framework"] if graph.has_rt_info("framework") else {}
        inputs, outputs = graph.inputs, graph.outputs
        shape = [side.get_length() if side.is_static else None for i in inputs[:1] for side in i.partial_shape]
        properties = {key: value.astype(str) for key, value in said.items()}
        super().__init__(path, properties, [i.any_name for i in inputs], [o.any_name for o in outputs], shape)
        try:
            self(np.zeros((1, *self.size, 3), np.uint8))  # which chooses the kernels
        except RuntimeError as error:
            raise InputError(f"OpenVINO cannot compute in {precision} here ({_last(error)}); use float32") from None
        self.provider = f"OpenVINO CPU, {precision}"

    def __call__(self, images):
        """uint8 (N, H, W, 3) pictures -> logits (N, classes) float32."""
        return self.compiled({"image": self.normalize(images)})["logits"]


def processor():
    """OpenVINO's Core, and what this processor can compute in, by OpenVINO's names.

    Its oneDNN reads the environment here, once. What effnet.network sets there for MindSpore's would take bfloat16 away
    from it; DNNL_MAX_CPU_ISA is read as well, and left alone.
    """
    held = os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    try:
        import openvino

        core = openvino.Core()
        return core, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except ImportError as error:
        raise InputError(
            f"OpenVINO is not installed in this environment ({error}); `pip install effnet[openvino]` or `make setup` "
            "installs it"
        ) from None
    finally:
        if held is not None:
            os.environ["ONEDNN_MAX_CPU_ISA"] = held


def _read(path):
    """The graph of an ONNX file; no other of OpenVINO's readers is asked, since each would print why it cannot."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(path)))


def _last(error):
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]
