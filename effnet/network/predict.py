"""The network as it answers: pictures in, logits out, nothing learnt."""

import mindspore as ms
from mindspore import nn

from effnet.network import operators
from effnet.network.efficientnet import EfficientNet, mixed_precision
from effnet.network.layers import Normalize


class Predict(nn.Cell):
    """uint8 NHWC pictures -> float32 logits, in evaluation mode. Its weights are zeros until load_weights(net).

    meta: what a model says of itself (effnet/runs/identity.py); variant, class_num, padding, bn_eps, mean and std are
    used. amp_level: as mixed_precision has it.
    """

    def __init__(self, meta, amp_level="O0"):
        super().__init__(auto_prefix=False)
        self.normalize = Normalize(meta["mean"], meta["std"])
        layers = operators.best_layers(meta["padding"], meta["bn_eps"], amp_level=amp_level)
        self.net = mixed_precision(EfficientNet(meta["variant"], meta["class_num"], layers), amp_level)
        self.net.update_parameters_name()
        self.set_train(False)

    def construct(self, images):
        return self.net(self.normalize(images)).astype(ms.float32)
