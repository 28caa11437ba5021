"""Optimizers as one update of all parameters: what the recipe's `train.opt` names. The rate comes in with each step.

Weight decay acts on everything but batch normalisation's scale and shift, as in tensorflow/tpu and in the original;
with decay_biases off not on biases either, as in timm.
Each rule is mapped over the parameters with HyperMap: written as Python loops, the 300 updates of B2 take half a minute
to compile.
"""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from effnet.network import operators

N, T = "Number", "Tensor"
_rmsprop, _fused_rmsprop, _sgd, _adamw = (
    ops.MultitypeFuncGraph(name) for name in ("rmsprop", "fused_rmsprop", "sgd", "adamw")
)
_apply_rmsprop = ops.ApplyRMSProp()


def create(parameters, train):
    """The optimizer of the recipe's `train` section over `parameters`.

    optimizer(grads, factor, lr) updates them by grads * factor.
    """
    rules = {"rmsprop": RMSProp, "sgd": SGD, "adamw": AdamW}
    if train.device_target == "CPU" and operators.usable():
        rules |= {"rmsprop": RMSPropInC, "adamw": AdamWInC}
    return rules[train.opt](list(parameters), train)


def states(parameters, prefix, value):
    """One state per parameter, named `prefix.NAME`, filled with "zeros", "ones" or (None) the parameter's own value."""
    clones = []
    for p in parameters:
        clone = p.clone() if value is None else p.clone(value)
        clone.name, clone.requires_grad = f"{prefix}.{p.name}", False
        clones.append(clone)
    return ms.ParameterTuple(clones)


class Optimizer(nn.Cell):
    """What all have in common: the parameters, each one's share of the learning rate and its decay, and one state of
    each kind per parameter.
    """

    def __init__(self, parameters, train, **kinds):
        super().__init__(auto_prefix=False)
        self.parameters = ms.ParameterTuple(parameters)
        self.share = tuple(1.0 if p.name.startswith("classifier.") else train.lr_trunk for p in parameters)
        spared = (".gamma", ".beta") if train.decay_biases else (".gamma", ".beta", ".bias")
        self.decay = tuple(0.0 if p.name.endswith(spared) else train.weight_decay for p in parameters)
        for kind, value in kinds.items():
            setattr(self, kind, states(parameters, kind, value))
        self.map = ops.HyperMap()

    def told(self, *rule):
        """For network/optimizers.c: a tensor a parameter, of the rule's constants, its share of the rate, its decay."""
        return tuple(ms.Tensor([*rule, *own], ms.float32) for own in zip(self.share, self.decay, strict=True))


def _rate(lr, share):
    return lr if share == 1 else lr * share


def _with_decay(grad, factor, decay, w):
    return grad * factor + decay * w if decay > 0 else grad * factor


class RMSProp(Optimizer):
    """TensorFlow's RMSProp: s = d s + (1 - d) g^2, m = mu m + lr g / sqrt(s + eps), w = w - m; s starts at one.

    Source: tensorflow/core/kernels/training_ops.cc ApplyRMSProp; tf.train.RMSPropOptimizer initialises the mean square
    with ones. On accelerators by MindSpore's ApplyRMSProp, one kernel a parameter. Not on a CPU: there that rounds
    differently with the number of threads, which MindSpore picks by timing them.
    """

    def __init__(self, parameters, train):
        super().__init__(parameters, train, mean_square="ones", moment="zeros")
        self.rho, self.momentum, self.eps = train.rms_decay, train.momentum, train.opt_eps
        self.rule = _rmsprop if train.device_target == "CPU" else _fused_rmsprop

    def construct(self, grads, factor, lr):
        rule = ops.partial(self.rule, self.rho, self.momentum, self.eps, lr, factor)
        return self.map(rule, self.share, self.decay, self.parameters, self.mean_square, self.moment, grads)


@_rmsprop.register(N, N, N, T, T, N, N, T, T, T, T)
def _(rho, mu, eps, lr, factor, share, decay, w, square, moment, grad):
    lr, grad = _rate(lr, share), _with_decay(grad, factor, decay, w)
    s = rho * square + (1 - rho) * ops.square(grad)
    m = mu * moment + lr * grad / ops.sqrt(s + eps)
    ops.assign(square, s)
    ops.assign(moment, m)
    return ops.assign(w, w - m)


@_fused_rmsprop.register(N, N, N, T, T, N, N, T, T, T, T)
def _(rho, mu, eps, lr, factor, share, decay, w, square, moment, grad):
    grad = _with_decay(grad, factor, decay, w)
    return _apply_rmsprop(w, square, moment, _rate(lr, share), grad, rho, mu, eps)


class SGD(Optimizer):
    """Nesterov momentum: m = mu m + g, w = w - lr (g + mu m). By hand: ApplyMomentum on a CPU ignores use_nesterov."""

    def __init__(self, parameters, train):
        super().__init__(parameters, train, moment="zeros")
        self.momentum = train.momentum

    def construct(self, grads, factor, lr):
        rule = ops.partial(_sgd, self.momentum, lr, factor)
        return self.map(rule, self.share, self.decay, self.parameters, self.moment, grads)


@_sgd.register(N, T, T, N, N, T, T, T)
def _(mu, lr, factor, share, decay, w, moment, grad):
    lr, grad = _rate(lr, share), _with_decay(grad, factor, decay, w)
    new = mu * moment + grad
    ops.assign(moment, new)
    return ops.assign(w, w - lr * (grad + mu * new))


class AdamW(Optimizer):
    """Adam with bias correction and decoupled weight decay: w = w (1 - lr wd) before Adam's step.

    Source: Loshchilov & Hutter, https://arxiv.org/abs/1711.05101; beta 1 is `momentum`, beta 2 `rms_decay`. By hand:
    MindSpore's Adam adds epsilon before the bias correction, the paper and PyTorch after it.
    """

    def __init__(self, parameters, train):
        super().__init__(parameters, train, moment="zeros", second_moment="zeros")
        self.beta1, self.beta2, self.eps = train.momentum, train.rms_decay, train.opt_eps
        self.power1 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="beta1_power", requires_grad=False)
        self.power2 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="beta2_power", requires_grad=False)

    def powers(self):
        """Both betas to the number of this update."""
        power1, power2 = self.power1 * self.beta1, self.power2 * self.beta2
        ops.assign(self.power1, power1)
        ops.assign(self.power2, power2)
        return power1, power2

    def construct(self, grads, factor, lr):
        power1, power2 = self.powers()
        rule = ops.partial(_adamw, self.beta1, self.beta2, self.eps, power1, power2, lr, factor)
        return self.map(rule, self.share, self.decay, self.parameters, self.moment, self.second_moment, grads)


@_adamw.register(N, N, N, T, T, T, T, N, N, T, T, T, T)
def _(beta1, beta2, eps, power1, power2, lr, factor, share, decay, w, first, second, grad):
    lr, grad = _rate(lr, share), grad * factor
    m, v = beta1 * first + (1 - beta1) * grad, beta2 * second + (1 - beta2) * ops.square(grad)
    ops.assign(first, m)
    ops.assign(second, v)
    step = (m / (1 - power1)) / (ops.sqrt(v / (1 - power2)) + eps)
    return ops.assign(w, w * (1 - lr * decay) - lr * step)


class RMSPropInC(RMSProp):
    """The same bytes as by hand, by network/optimizers.c: one operator a parameter, where there are 17."""

    def __init__(self, parameters, train):
        super().__init__(parameters, train)
        self.constants = self.told(self.rho, _rest(self.rho), self.momentum, self.eps)
        self.rule = _in_c("rmsprop", 4)

    def construct(self, grads, factor, lr):
        rule = ops.partial(self.rule, (lr, factor))
        return self.map(rule, self.constants, self.parameters, self.mean_square, self.moment, grads)


class AdamWInC(AdamW):
    """The same bytes as by hand, by network/optimizers.c."""

    def __init__(self, parameters, train):
        super().__init__(parameters, train)
        self.constants = self.told(self.beta1, _rest(self.beta1), self.beta2, _rest(self.beta2), self.eps)
        self.rule = _in_c("adamw", 6)

    def construct(self, grads, factor, lr):
        power1, power2 = self.powers()
        rule = ops.partial(self.rule, (lr, factor, power1, power2))
        return self.map(rule, self.constants, self.parameters, self.moment, self.second_moment, grads)


def _rest(share):
    """1 - share, as a graph computes it."""
    return np.float32(1) - np.float32(share)


def _in_c(name, others):
    """The rule `name` of network/optimizers.c for one parameter with two states, by so many other arguments."""
    operator, rule = operators.changing(name, 3, others), ops.MultitypeFuncGraph(f"{name}_in_c")

    @rule.register("Tuple", T, T, T, T, T)
    def _(told, constants, w, first, second, grad):
        return operator(w, first, second, grad, constants, *told)

    return rule
