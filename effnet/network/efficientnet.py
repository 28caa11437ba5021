"""The network as MindSpore cells; its sizes come from effnet/arch/family.py, its layers from layers.py or operators.py.

Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019,
https://arxiv.org/abs/1905.11946. Reference: tensorflow/tpu models/official/efficientnet/efficientnet_model.py.
"""

import mindspore as ms
from mindspore import nn, ops

from effnet.arch.family import plan
from effnet.arch.initial import initial_weights
from effnet.network import operators
from effnet.network.layers import Layers, SyncBatchNorm2d


class ConvBN(nn.Cell):
    """Convolution without bias, batch normalisation, activation (or none)."""

    def __init__(self, layers, channels_in, channels_out, kernel, stride=1, group=1, act=None):
        super().__init__()
        self.conv = layers.convolution(channels_in, channels_out, kernel, stride, group)
        self.bn, self.act = layers.norm(channels_out, act)  # which may take the activation into itself

    def construct(self, x):
        x = self.conv(x)
        x = self.bn(x).astype(x.dtype)  # under O2 normalised in float32, carried on in float16
        return x if self.act is None else self.act(x)


class SqueezeExcite(nn.Cell):
    """Scale each channel by a gate computed from all channels' averages."""

    def __init__(self, layers, channels, squeezed, act):
        super().__init__()
        self.reduce = nn.Dense(channels, squeezed, weight_init="zeros", bias_init="zeros")
        self.expand = nn.Dense(squeezed, channels, weight_init="zeros", bias_init="zeros")
        self.average, self.act, self.sigmoid, self.scale = layers.average, act, layers.sigmoid, layers.scale

    def construct(self, x):
        return self.scale(x, self.sigmoid(self.expand(self.act(self.reduce(self.average(x))))))


class MBConv(nn.Cell):
    """Inverted residual: expand, depthwise, squeeze-and-excitation, project; drop connect acts on the residual
    branch.
    """

    def __init__(self, layers, block, act):
        super().__init__()
        wide = block.channels_in * block.expand
        self.expand = ConvBN(layers, block.channels_in, wide, 1, act=act) if block.expand > 1 else None
        self.depthwise = ConvBN(layers, wide, wide, block.kernel, block.stride, group=wide, act=act)
        self.se = SqueezeExcite(layers, wide, block.channels_se, act) if block.channels_se else None
        self.project = ConvBN(layers, wide, block.channels_out, 1)
        self.residual = block.stride == 1 and block.channels_in == block.channels_out

    def construct(self, x, keep):
        y = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        y = y if self.se is None else self.se(y)
        y = self.project(y)
        if not self.residual:
            return y
        if keep is not None:
            y = y * ops.reshape(keep, (-1, 1, 1, 1)).astype(y.dtype)
        return x + y


class EfficientNet(nn.Cell):
    """Float NCHW pictures -> logits (N, classes). Its weights are zeros until `create` or `load_weights` gives them.

    `path_keep` (N, blocks) and `feature_keep` (N, features) are the masks of drop connect and dropout, already divided
    by the keep rate; None switches them off. They come in from outside, so that a training step is a pure function of
    what it is given.
    """

    def __init__(self, variant, class_num, layers=None):
        super().__init__()
        sizes, layers = plan(variant), layers or Layers()
        act = ops.relu6 if sizes.lite else layers.swish
        self.stem = ConvBN(layers, 3, sizes.stem, 3, 2, act=act)
        self.blocks = nn.CellList([MBConv(layers, block, act) for block in sizes.blocks])
        self.head = ConvBN(layers, sizes.blocks[-1].channels_out, sizes.head, 1, act=act)
        self.average = layers.average
        self.classifier = nn.Dense(sizes.head, class_num, weight_init="zeros", bias_init="zeros")

    def features(self, x, path_keep=None):
        """Float NCHW pictures -> what the classifier sees, (N, channels)."""
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x, None if path_keep is None else path_keep[:, i])
        return self.average(self.head(x))

    def construct(self, x, path_keep=None, feature_keep=None):
        x = self.features(x, path_keep)
        if feature_keep is not None:
            x = x * feature_keep.astype(x.dtype)
        return self.classifier(x)


def create(model, seed=0, sync_bn=False, amp_level="O0"):
    """The network that a recipe's `model` section describes, with its initial weights and its parameters named."""
    layers = operators.best_layers(model.padding, model.bn_eps, model.bn_momentum, sync_bn, amp_level)
    net = mixed_precision(EfficientNet(model.variant, model.class_num, layers), amp_level)
    net.update_parameters_name()
    load_weights(net, initial_weights({p.name: p.shape for p in net.get_parameters()}, seed, model.initial))
    return net


def mixed_precision(net, amp_level):
    """Compute in float16: O2 all but batch normalisation, O3 everything, O0 nothing.

    Weights stay float32 and are cast when used. Statistics over all devices are float32 under O3 too, as inside the
    devices' own batch normalisation: the square of a deviation above 255 is no float16.
    """
    if amp_level != "O0":
        net.to_float(ms.float16)
        exact = nn.BatchNorm2d if amp_level == "O2" else SyncBatchNorm2d
        for _, cell in net.cells_and_names():
            if isinstance(cell, exact):
                cell.to_float(ms.float32)
    return net


def load_weights(net, weights):
    """Put `{name: float32 array}` into the network; names and shapes must have been checked (see checkpoint.py)."""
    for parameter in net.get_parameters():
        parameter.set_data(ms.Tensor(weights[parameter.name], parameter.dtype))
