"""models/effnet.ckpt -> models/effnet.air, on a machine with Ascend devices: `python -m tools.air`.

AIR is for Ascend's ATC. MindSpore has deprecated it: prefer the ONNX or MINDIR file.
"""

from effnet import errors, recipe, trained
from effnet.devices import machine
from effnet.mindir.write import write
from effnet.network import device


def main():
    params = recipe.load()
    height, width = (side or params.evaluate.crop for side in (params.export.height, params.export.width))
    weights, meta = trained.load("models/effnet.ckpt", params.model.variant, params.model.class_num)
    if not machine.missing("Ascend"):  # else `write` says what is missing
        device.start("Ascend")
    write("models/effnet.air", weights, meta, height, width, file_format="AIR")


if __name__ == "__main__":
    errors.run(main)
