"""The network as MindSpore cells; its sizes come from effnet/model.py."""

from effnet import device  # first: it sets what MindSpore reads when it is imported

import mindspore as ms
from mindspore import nn, ops
from mindspore.communication import get_group_size

from effnet import kernels
from effnet.model import BN_EPS, initial_weights, plan


class Swish(nn.Cell):
    """x * sigmoid(x), written out: with its gradient faster than nn.SiLU on CPU, and MindSpore Lite 2.0 gets SiLU wrong."""

    def __init__(self, sigmoid):
        super().__init__()
        self.sigmoid = sigmoid

    def construct(self, x):
        return x * self.sigmoid(x)


def global_average(x):
    """(N, C, H, W) -> (N, C), summed in float32. One long row per channel: ReduceMean over H and W is several times slower on CPU."""
    _, channels, height, width = x.shape
    mean = ops.reshape(x, (-1, height * width)).astype(ms.float32).sum(axis=1) * (1 / (height * width))
    return ops.reshape(mean.astype(x.dtype), (-1, channels))


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with the statistics of the batch over all devices. MindSpore's own SyncBatchNorm does not run on a CPU.

    As there, the running variance is the unbiased one.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sum, self.ranks = ops.AllReduce(), get_group_size()

    def construct(self, x):
        if not self.training:
            return self._normalize(x, self.moving_mean, self.moving_variance)
        count = x.shape[0] * x.shape[2] * x.shape[3] * self.ranks
        mean = self._mean(x)
        variance = self._mean(ops.square(x - ops.reshape(mean, (1, -1, 1, 1))))
        new = self.momentum  # the share of the new value: nn.BatchNorm2d turns its argument round
        ops.assign(self.moving_mean, (1 - new) * self.moving_mean + new * mean)
        ops.assign(self.moving_variance, (1 - new) * self.moving_variance + new * variance * (count / (count - 1)))
        return self._normalize(x, mean, variance)

    def _mean(self, x):
        """Of each channel, over all devices. One long row per image and channel first: see global_average."""
        return self.sum(global_average(x).mean(axis=0)) / self.ranks

    def _normalize(self, x, mean, variance):
        scale = self.gamma / ops.sqrt(variance + self.eps)
        return x * ops.reshape(scale, (1, -1, 1, 1)) + ops.reshape(self.beta - mean * scale, (1, -1, 1, 1))


class ConvBN(nn.Cell):
    """Convolution without bias, batch normalisation, activation (or none). `fast`: with the operators of effnet/kernels.py."""

    def __init__(
        self, channels_in, channels_out, kernel, stride=1, group=1, act=None, padding="same", bn_momentum=0.99, norm=nn.BatchNorm2d, fast=False
    ):
        super().__init__()
        # TensorFlow's SAME pads a stride-2 input on the bottom and right first; PyTorch's k//2 pads all sides alike
        pads = {"pad_mode": "same"} if padding == "same" else {"pad_mode": "pad", "padding": kernel // 2}
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, group=group, has_bias=False, weight_init="zeros", **pads)
        self.depthwise = kernels.depthwise(stride, padding) if fast and group > 1 else None
        if fast and norm is nn.BatchNorm2d:
            swish = act if isinstance(act, Swish) else None
            self.bn = kernels.BatchNorm2d(channels_out, BN_EPS, bn_momentum, swish)
            self.act = act if swish is None else None
        else:
            self.bn = norm(channels_out, eps=BN_EPS, momentum=bn_momentum)
            self.act = act

    def construct(self, x):
        x = self.conv(x) if self.depthwise is None else self.depthwise(x, self.conv.weight)
        x = self.bn(x).astype(x.dtype)  # under O2 normalised in float32, carried on in float16
        return x if self.act is None else self.act(x)


class SqueezeExcite(nn.Cell):
    """Scale each channel by a gate computed from all channels' averages."""

    def __init__(self, channels, squeezed, act, fast=False):
        super().__init__()
        self.reduce = nn.Dense(channels, squeezed, weight_init="zeros", bias_init="zeros")
        self.expand = nn.Dense(squeezed, channels, weight_init="zeros", bias_init="zeros")
        self.act = act
        self.channels = channels
        self.sigmoid = kernels.sigmoid() if fast else ops.sigmoid
        self.scale = kernels.scale() if fast else None

    def construct(self, x):
        gate = self.sigmoid(self.expand(self.act(self.reduce(global_average(x)))))
        return x * ops.reshape(gate, (-1, self.channels, 1, 1)) if self.scale is None else self.scale(x, gate)


class MBConv(nn.Cell):
    """Inverted residual: expand, depthwise, squeeze-and-excitation, project; with drop connect on the residual branch."""

    def __init__(self, block, act, **conv):
        super().__init__()
        wide = block.channels_in * block.expand
        self.expand = ConvBN(block.channels_in, wide, 1, act=act, **conv) if block.expand > 1 else None
        self.depthwise = ConvBN(wide, wide, block.kernel, block.stride, group=wide, act=act, **conv)
        self.se = SqueezeExcite(wide, block.channels_se, act, conv["fast"]) if block.channels_se else None
        self.project = ConvBN(wide, block.channels_out, 1, **conv)
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
    """Float NCHW pictures -> logits (N, classes).

    `path_keep` (N, blocks) and `feature_keep` (N, features) are the masks of drop connect and dropout, already divided by the keep
    rate; None switches them off. They come in from outside, so that a training step is a pure function of what it is given.
    `fast` uses effnet/kernels.py: float32 on a CPU, and not for export.
    """

    def __init__(self, variant, class_num, padding="same", bn_momentum=0.99, sync_bn=False, fast=False):
        super().__init__()
        sizes = plan(variant)
        act = ops.relu6 if sizes.lite else Swish(kernels.sigmoid() if fast else ops.sigmoid)
        conv = {"padding": padding, "bn_momentum": bn_momentum, "norm": SyncBatchNorm2d if sync_bn else nn.BatchNorm2d, "fast": fast}
        self.stem = ConvBN(3, sizes.stem, 3, 2, act=act, **conv)
        self.blocks = nn.CellList([MBConv(block, act, **conv) for block in sizes.blocks])
        self.head = ConvBN(sizes.blocks[-1].channels_out, sizes.head, 1, act=act, **conv)
        self.classifier = nn.Dense(sizes.head, class_num, weight_init="zeros", bias_init="zeros")

    def features(self, x, path_keep=None):
        """Float NCHW pictures -> what the classifier sees, (N, channels)."""
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x, None if path_keep is None else path_keep[:, i])
        return global_average(self.head(x))

    def construct(self, x, path_keep=None, feature_keep=None):
        x = self.features(x, path_keep)
        if feature_keep is not None:
            x = x * feature_keep.astype(x.dtype)
        return self.classifier(x)


def create(model, seed=0, sync_bn=False, amp_level="O0"):
    """The network that a recipe's `model` section describes, with its initial weights. Names of parameters are set.

    sync_bn: batch statistics over all devices (after effnet.launch.join). amp_level: see `mixed_precision`.
    """
    fast = amp_level == "O0" and kernels.usable()
    net = mixed_precision(EfficientNet(model.variant, model.class_num, model.padding, model.bn_momentum, sync_bn, fast), amp_level)
    net.update_parameters_name()
    load_weights(net, initial_weights({p.name: p.shape for p in net.get_parameters()}, seed))
    return net


def mixed_precision(net, amp_level):
    """Compute in float16: O2 all but batch normalisation, O3 everything, O0 nothing. The weights stay float32 and are cast when used."""
    if amp_level != "O0":
        net.to_float(ms.float16)
    if amp_level == "O2":
        for _, cell in net.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.to_float(ms.float32)
    return net


def load_weights(net, weights):
    """Put `{name: float32 array}` into the network; names and shapes must have been checked (see effnet/checkpoint.py)."""
    for parameter in net.get_parameters():
        parameter.set_data(ms.Tensor(weights[parameter.name], parameter.dtype))
