"""The exported model under ONNX Runtime. Does not import MindSpore."""

import os

import onnxruntime

from effnet.devices import cuda
from effnet.devices.messages import message_for
from effnet.errors import InputError
from effnet.runtimes.exported import Exported, require

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
    "CANN": "CANNExecutionProvider",
}
# NVIDIA's libraries round what they multiply to TF32's ten bits, unless told otherwise
CUDA_TF32 = "use_tf32"
TENSORRT_TF32 = "NVIDIA_TF32_OVERRIDE"  # its provider has no such option, its library reads the environment


class Model(Exported):
    """The file at `path` in a session of its own, on `threads` threads (0: as many as cores). tf32: whether CUDA and
    TensorRT may round float32 products.

    Raises InputError for a file that is not a model of ours, and for a provider that is not there: never another one in
    its place.
    """

    def __init__(self, path, provider="CPU", threads=0, tf32=False):
        require(path)
        wanted = PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise InputError(
                f"onnx.provider: {provider} asked for, but this ONNX Runtime has only {', '.join(_installed())}; "
                "see docs/gpu.md"
            )
        for libraries in {"CUDA": [cuda.LIBRARIES], "TensorRT": [cuda.LIBRARIES, cuda.TENSORRT]}.get(provider, []):
            cuda.load(cuda.CUDA12, libraries)
        if provider == "TensorRT" and not tf32:
            os.environ.setdefault(TENSORRT_TF32, "0")
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        self.options.log_severity_level = 3
        try:
            chosen = [(wanted, {CUDA_TF32: str(int(tf32))} if provider == "CUDA" else {})]
            self.session = onnxruntime.InferenceSession(str(path), self.options, providers=chosen)
        except Exception as error:  # ONNX Runtime raises a dozen classes of its own
            raise InputError(
                message_for(error) or f"{path}: ONNX Runtime cannot load it ({str(error).strip().splitlines()[0]})"
            ) from None
        self.provider = self.session.get_providers()[0]
        if self.provider != wanted:
            raise InputError(
                f"onnx.provider: {provider} asked for, but ONNX Runtime fell back to {self.provider}; run `make doctor`"
            )
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        properties = self.session.get_modelmeta().custom_metadata_map
        super().__init__(path, properties, [i.name for i in inputs], [o.name for o in outputs], inputs[0].shape)

    def __call__(self, images):
        """uint8 (N, H, W, 3) pictures -> logits (N, classes) float32."""
        return self.session.run(["logits"], {"image": self.normalize(images)})[0]


def _installed():
    return [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
