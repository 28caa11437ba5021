"""models/effnet.ckpt -> models/effnet.onnx, models/effnet.mindir and what they say of themselves,
models/effnet.json.
"""

from effnet import errors, recipe, trained
from effnet.export import onnx_graph
from effnet.files import write_json
from effnet.mindir.write import write
from effnet.network import device


def main():
    params = recipe.load()
    export, evaluate = params.export, params.evaluate
    height, width = export.height or evaluate.crop, export.width or evaluate.crop
    weights, meta = trained.load("models/effnet.ckpt", params.model.variant, params.model.class_num)
    meta |= evaluate.preprocessing()
    onnx_graph.write("models/effnet.onnx", weights, meta, height, width, export.opset, export.normalize)
    device.start(params.train.device_target)
    write("models/effnet.mindir", weights, meta, height, width)
    write_json("models/effnet.json", meta | {"height": height, "width": width})


if __name__ == "__main__":
    errors.run(main)
