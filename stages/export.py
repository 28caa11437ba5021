"""Stage 4: models/effnet.ckpt -> models/effnet.onnx, models/effnet.mindir, as the recipe's export section says."""

import argparse

from effnet import checkpoint, device, errors, export, recipe
from effnet.files import write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, help="input height in pixels, instead of export.height")
    parser.add_argument("--width", type=int, help="input width in pixels, instead of export.width")
    args = parser.parse_args()
    params = recipe.load()
    settings = params.export
    height = args.height or settings.height or params.evaluate.crop
    width = args.width or settings.width or params.evaluate.crop
    weights, meta = checkpoint.load_model("models/effnet.ckpt", params.model.variant, params.model.class_num)
    if "onnx" in settings.formats:
        export.to_onnx("models/effnet.onnx", weights, meta, height, width, settings.opset, settings.normalize)
    for file_format in ("mindir", "air"):
        if file_format in settings.formats:
            device.start(params.train.device_target)
            export.to_mindspore(f"models/effnet.{file_format}", weights, meta, height, width, file_format.upper())
    write_json("models/effnet.json", meta | {"height": height, "width": width})
    return 0


if __name__ == "__main__":
    errors.run(main)
