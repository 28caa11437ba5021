"""MINDIR and AIR out of a model's weights, by MindSpore's own export."""

import mindspore as ms

from effnet.devices import machine
from effnet.errors import InputError
from effnet.files import aside
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.network.layers import Layers


def write(path, weights, meta, height, width, file_format="MINDIR"):
    """Write MINDIR (dynamic batch) or AIR (batch 1; needs an Ascend backend): float32 NCHW, normalised -> logits."""
    if file_format == "AIR" and machine.missing("Ascend"):
        raise InputError(
            f"AIR needs an Ascend backend: {machine.missing('Ascend')}; take the MINDIR file and convert it there"
        )
    net = EfficientNet(meta["variant"], meta["class_num"], Layers(meta["padding"]))
    net.update_parameters_name()
    load_weights(net, weights)
    net.set_train(False)
    batch = None if file_format == "MINDIR" else 1
    image = ms.Tensor(shape=[batch, 3, height, width], dtype=ms.float32)
    with aside(path) as made:
        ms.export(net, image, file_name=str(made.with_suffix("")), file_format=file_format)
