"""Smaller ONNX files, as export.quantize asks -> models/quantized/effnet.float16.onnx,
models/quantized/effnet.int8.onnx.
"""

from pathlib import Path

import numpy as np

from effnet import errors, recipe
from effnet.files import whole
from effnet.runtimes import int8
from effnet.shards.dataset import Dataset

FOLDER = Path("models/quantized")


def main():
    params = recipe.load()
    export, evaluate = params.export, params.evaluate
    if not export.quantize:
        with whole(FOLDER / "README", "w") as file:  # DVC expects something in the folder
            file.write("export.quantize is empty: the recipe asks for no smaller files\n")
    if "int8" in export.quantize:
        pictures = int8.calibration_pictures(Dataset("data/prepared", "train"), evaluate, export.calibration_images)
        int8.to_int8(FOLDER / "effnet.int8.onnx", "models/effnet.onnx", pictures, params.onnx.threads)
    if "float16" in export.quantize:
        from effnet import trained  # needs MindSpore
        from effnet.export import onnx_graph

        weights, meta = trained.load("models/effnet.ckpt")
        height, width = export.height or evaluate.crop, export.width or evaluate.crop
        meta |= evaluate.preprocessing()
        path = FOLDER / "effnet.float16.onnx"
        onnx_graph.write(path, weights, meta, height, width, export.opset, export.normalize, np.float16)


if __name__ == "__main__":
    errors.run(main)
