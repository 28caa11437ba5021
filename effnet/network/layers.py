"""The layers that the network is built of, as MindSpore has them: for every device, and for other runtimes' files."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.communication import get_group_size

from effnet.arch.family import BN_EPS


class Swish(nn.Cell):
    """x * sigmoid(x), written out: with its gradient faster than nn.SiLU on CPU, and MindSpore Lite 2.0 gets SiLU
    wrong.
    """

    def construct(self, x):
        return x * ops.sigmoid(x)


def global_average(x):
    """(N, C, H, W) -> (N, C), summed in float32.

    One long row per channel: ReduceMean over H and W is several times slower on CPU.
    """
    _, channels, height, width = x.shape
    mean = ops.reshape(x, (-1, height * width)).astype(ms.float32).sum(axis=1) * (1 / (height * width))
    return ops.reshape(mean.astype(x.dtype), (-1, channels))


def scale(x, gate):
    """Each plane of x (N, C, H, W) times its gate (N, C)."""
    return x * ops.reshape(gate, (-1, x.shape[1], 1, 1))


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with the statistics of the batch over all devices. MindSpore's own SyncBatchNorm does not run on a
    CPU.

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
        factor = self.gamma / ops.sqrt(variance + self.eps)
        return x * ops.reshape(factor, (1, -1, 1, 1)) + ops.reshape(self.beta - mean * factor, (1, -1, 1, 1))


class Layers:
    """What a network asks for its layers: convolution, normalisation with activation, swish, sigmoid, global average,
    scaling. Here MindSpore's own.

    padding      'same', TensorFlow's, or 'symmetric', PyTorch's k//2
    bn_eps       added to batch normalisation's variance
    bn_momentum  share of the old value in its running statistics
    sync_bn      batch statistics over all devices (after effnet.network.ranks.join)
    """

    def __init__(self, padding="same", bn_eps=BN_EPS, bn_momentum=0.99, sync_bn=False):
        self.padding, self.bn_eps, self.bn_momentum, self.sync_bn = padding, bn_eps, bn_momentum, sync_bn
        self.swish, self.sigmoid, self.average, self.scale = Swish(), ops.sigmoid, global_average, scale

    def convolution(self, channels_in, channels_out, kernel, stride=1, group=1, cell=nn.Conv2d):
        """A convolution without bias.

        SAME pads a stride-2 input on the bottom and right first, k//2 all sides alike.
        """
        pads = {"pad_mode": "same"} if self.padding == "same" else {"pad_mode": "pad", "padding": kernel // 2}
        options = {"group": group, "has_bias": False, "weight_init": "zeros"}
        return cell(channels_in, channels_out, kernel, stride, **options, **pads)

    def norm(self, channels, act):
        """Batch normalisation, and the activation that is left to do after it (None: none)."""
        kind = SyncBatchNorm2d if self.sync_bn else nn.BatchNorm2d
        return kind(channels, eps=self.bn_eps, momentum=self.bn_momentum), act


class Normalize(nn.Cell):
    """uint8 NHWC pictures -> float32 NCHW, (x - mean) / std per channel, on the device: a quarter of the bytes to
    copy.
    """

    def __init__(self, mean, std):
        super().__init__(auto_prefix=False)
        self.mean, self.std = (ms.Tensor(np.array(values, np.float32)) for values in (mean, std))

    def construct(self, images):
        return ops.transpose((images.astype(ms.float32) - self.mean) / self.std, (0, 3, 1, 2))
