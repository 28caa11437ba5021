"""Stage 5: smaller ONNX files, as export.quantize asks -> models/quantized/effnet.float16.onnx, models/quantized/effnet.int8.onnx."""

from pathlib import Path

import numpy as np

from effnet import errors, quantize, recipe
from effnet.data.shards import Dataset
from effnet.errors import InputError


def main():
    params = recipe.load()
    settings, source, folder = params.export, "models/effnet.onnx", Path("models/quantized")
    folder.mkdir(parents=True, exist_ok=True)  # DVC expects it, with or without files
    if settings.quantize and "onnx" not in settings.formats:
        raise InputError("export.quantize: both kinds are made for ONNX; put onnx among export.formats or leave quantize empty")
    if "int8" in settings.quantize:
        pictures = quantize.calibration_pictures(Dataset("data/prepared", "train"), params.evaluate, settings.calibration_images)
        quantize.to_int8(folder / "effnet.int8.onnx", source, pictures)
    if "float16" in settings.quantize:
        from effnet import checkpoint, export  # these need MindSpore

        weights, meta = checkpoint.load_model("models/effnet.ckpt", params.model.variant, params.model.class_num)
        height, width = settings.height or params.evaluate.crop, settings.width or params.evaluate.crop
        export.to_onnx(folder / "effnet.float16.onnx", weights, meta, height, width, settings.opset, settings.normalize, np.float16)
    return 0


if __name__ == "__main__":
    errors.run(main)
