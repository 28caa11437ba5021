"""The layers in C (operators.c, pointwise.c) for float32 on a CPU: several times faster than MindSpore's own, with less
to keep, and closer.

Depthwise convolution, 1x1 convolution of small planes, batch normalisation with its activation, swish, sigmoid, and
squeeze-and-excitation's scaling, as MindSpore custom operators with their gradients, a global average's gradient, and
what changes parameters: running statistics and optimizers.c. Results do not depend on the number of threads. Files for
other runtimes cannot hold them: export does without.
"""

import functools
import platform
from pathlib import Path

import mindspore as ms
from mindspore import nn, ops
from mindspore.ops import signature

from effnet.arch.family import BN_EPS
from effnet.devices.machine import mindspore_folder, vectors
from effnet.native.build import shared_library
from effnet.network.layers import Layers, Swish, global_average

FOLDER = Path(__file__).parent
SMALL = 16  # pixels of a plane up to which pointwise.c is faster than oneDNN's own convolution


def usable():
    """Whether the operators can be used here: MindSpore on an x86-64 CPU."""
    return ms.get_context("device_target") == "CPU" and platform.machine() == "x86_64"


def best_layers(padding, bn_eps=BN_EPS, bn_momentum=0.99, sync_bn=False, amp_level="O0"):
    """The layers to compute with: those in C where they can be, else MindSpore's own. See Layers for the arguments."""
    kind = LayersInC if amp_level == "O0" and usable() else Layers
    return kind(padding, bn_eps, bn_momentum, sync_bn)


class LayersInC(Layers):
    """As Layers; dense convolutions and 1x1 convolutions of large planes stay MindSpore's."""

    def __init__(self, *args):
        super().__init__(*args)
        self.swish, self.sigmoid, self.average, self.scale = SwishInC(), elementwise("sigmoid"), Average(), scale()

    def convolution(self, channels_in, channels_out, kernel, stride=1, group=1):
        kind = Depthwise if group > 1 else Pointwise if kernel == 1 else nn.Conv2d
        conv = super().convolution(channels_in, channels_out, kernel, stride, group, kind)
        if group > 1:
            conv.operator = depthwise(stride, self.padding)
        return conv

    def norm(self, channels, act):
        if self.sync_bn:
            return super().norm(channels, act)
        inside = "_swish" if isinstance(act, Swish) else "_relu6" if act is ops.relu6 else ""
        return BatchNorm2d(channels, self.bn_eps, self.bn_momentum, inside), None if inside else act


class Depthwise(nn.Conv2d):
    """nn.Conv2d with one group a channel, by `operator`."""

    def construct(self, x):
        return self.operator(x, self.weight)


class Pointwise(nn.Conv2d):
    """nn.Conv2d with a kernel of one pixel; of small planes, by pointwise.c."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.operator = pointwise()

    def construct(self, x):
        small = x.shape[2] * x.shape[3] <= SMALL
        return self.operator(x, self.weight) if small else super().construct(x)


def _first(x, *others):
    return x


def _first_three(x, y, z, *others):
    return x, y, z


@functools.cache
def _library():
    """Compiled for this processor's vectors: gcc takes wider ones apart, at several times the cost."""
    onednn = mindspore_folder() / "lib/libdnnl.so.3"  # which pointwise.c calls, and MindSpore has loaded by then
    options = ["-lm", str(onednn)]
    if name := vectors():
        options.append(f"-m{name}")
    return shared_library(FOLDER, options)


def of_two(name, shape):
    """Operator `name` of two inputs, with the gradients of both by `name`_grad; shape: f(the shapes of both) -> what it
    answers has.
    """

    def both(x, y, dout):
        return x, y

    grad = ops.Custom(f"{_library()}:{name}_grad", both, both, "aot")

    def bprop(x, y, out, dout):
        return grad(x, y, dout)

    return ops.Custom(f"{_library()}:{name}", shape, _first, "aot", bprop)


def depthwise(stride, padding):
    """f(x (N, C, H, W), weight (C, 1, k, k)) -> the convolution of each channel with its own kernel; padding "same"
    or "symmetric".
    """
    return of_two(f"depthwise_{padding}", lambda x, weight: (x[0], x[1], -(-x[2] // stride), -(-x[3] // stride)))


def pointwise():
    """f(x (N, in, H, W), weight (out, in, 1, 1)) -> the convolution (N, out, H, W)."""
    return of_two("pointwise", lambda x, weight: (x[0], weight[0], x[2], x[3]))


def scale():
    """f(x (N, C, H, W), gate (N, C)) -> each plane times its gate."""
    return of_two("scale", _first)


def elementwise(name):
    """f(x) -> 1 / (1 + exp(-x)) to 2 units in the last place for "sigmoid", x times that for "swish".

    MindSpore's sigmoid on a CPU is ten times further off, which B2's 92 of them show.
    """
    grad = ops.Custom(f"{_library()}:{name}_grad", _first, _first, "aot")

    def bprop(x, out, dout):
        return (grad(x, dout),)

    return ops.Custom(f"{_library()}:{name}_", _first, _first, "aot", bprop)


class SwishInC(Swish):
    def __init__(self):
        super().__init__()
        self.operator = elementwise("swish")

    def construct(self, x):
        return self.operator(x)


class Average(nn.Cell):
    """global_average: its gradient is one number all over a plane, which MindSpore tiles one by one."""

    def __init__(self):
        super().__init__()
        self.spread = ops.Custom(f"{_library()}:spread", _first, _first, "aot")

    def construct(self, x):
        return global_average(x)

    def bprop(self, x, out, dout):
        return (self.spread(x, dout),)


def changing(name, parameters, others):
    """f(parameters ..., others ...), so many of each: operator `name`, which changes the parameters where they lie.

    What it returns says nothing. MindSpore orders it after all that reads the parameters before it, as it does Assign.
    """
    operator = ops.Custom(f"{_library()}:{name}", lambda *shapes: (1,), lambda *types: ms.float32, "aot")
    operator.add_prim_attr("side_effect_mem", True)
    written, read = (signature.sig_rw.RW_WRITE,) * parameters, (signature.sig_rw.RW_READ,) * others
    operator.set_signatures([signature.make_sig(f"x{i}", rw) for i, rw in enumerate(written + read)])
    return operator


def batch_norm(act):
    """f(x (N, C, H, W), gamma (C,), beta (C,), eps (1,)) -> (y, mean (C,), biased variance (C,)), by the batch's
    statistics, with `act` ("", "_swish" or "_relu6") done to y.
    """

    def with_statistics(x, gamma, *others):
        return x, gamma, gamma

    name = f"{_library()}:batch_norm{act}"
    grad = ops.Custom(f"{name}_grad", _first_three, _first_three, "aot")

    def bprop(x, gamma, beta, eps, out, dout):
        return (*grad(x, gamma, beta, eps, out[1], out[2], dout[0]), ops.zeros_like(eps))

    return ops.Custom(name, with_statistics, with_statistics, "aot", bprop)


def frozen_norm(act):
    """f(x (N, C, H, W), gamma (C,), beta (C,), eps (1,), mean (C,), variance (C,)) -> y, by the given statistics."""
    name = f"{_library()}:frozen_norm{act}"
    grad = ops.Custom(f"{name}_grad", _first_three, _first_three, "aot")

    def bprop(x, gamma, beta, eps, mean, variance, out, dout):
        constants = ops.zeros_like(eps), ops.zeros_like(mean), ops.zeros_like(variance)
        return (*grad(x, gamma, beta, eps, mean, variance, dout), *constants)

    return ops.Custom(name, _first, _first, "aot", bprop)


class BatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with an activation after it: "", "_swish" or "_relu6"."""

    def __init__(self, channels, eps, momentum, act=""):
        super().__init__(channels, eps=eps, momentum=momentum)
        self.by_batch, self.by_moving, self.epsilon = batch_norm(act), frozen_norm(act), ms.Tensor([eps], ms.float32)
        new = self.momentum  # nn.BatchNorm2d turns its argument round
        self.follow, self.shares = changing("follow_statistics", 2, 4), ms.Tensor([1 - new, new], ms.float32)

    def construct(self, x):
        if not self.training:
            return self.by_moving(x, self.gamma, self.beta, self.epsilon, self.moving_mean, self.moving_variance)
        y, mean, variance = self.by_batch(x, self.gamma, self.beta, self.epsilon)
        self.follow(self.moving_mean, self.moving_variance, mean, variance, x, self.shares)
        return y
