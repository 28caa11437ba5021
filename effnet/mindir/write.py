"""MINDIR and AIR out of a model's weights, by MindSpore's own export."""

import mindspore as ms
from mindspore.train.mind_ir_pb2 import ModelProto

from effnet.devices import machine
from effnet.errors import InputError
from effnet.files import aside
from effnet.mindir.canonical import canonical
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.network.layers import Layers


def write(path, weights, meta, height, width, file_format="MINDIR"):
    """Write MINDIR (dynamic batch) or AIR (batch 1; needs an Ascend backend): float32 NCHW, normalised -> logits."""
    if file_format == "AIR" and machine.missing("Ascend"):
        raise InputError(
            f"AIR needs an Ascend backend: {machine.missing('Ascend')}; take the MINDIR file and convert it there"
        )
    net = EfficientNet(meta["variant"], meta["class_num"], Layers(meta["padding"], meta["bn_eps"]))
    net.update_parameters_name()
    load_weights(net, weights)
    net.set_train(False)
    batch = None if file_format == "MINDIR" else 1
    image = ms.Tensor(shape=[batch, 3, height, width], dtype=ms.float32)
    with aside(path) as made:
        ms.export(net, image, file_name=str(made.with_suffix("")), file_format=file_format)
        if file_format == "MINDIR":
            made.chmod(0o644)  # MindSpore writes 0400
            model = ModelProto.FromString(made.read_bytes())
            canonical(model)
            made.write_bytes(model.SerializeToString(deterministic=True))
            ms.load(str(made))  # what it cannot read again must not be left
