"""Optimizers as one update of all parameters: what the recipe's `train.opt` names. The learning rate comes in with each step.

Weight decay acts on everything but batch normalisation's scale and shift, as in tensorflow/tpu and in the original.
"""

import mindspore as ms
from mindspore import nn, ops
from mindspore.ops import operations as P


def _decays(parameter):
    return not parameter.name.endswith((".gamma", ".beta"))


def states(parameters, prefix, value):
    """One state per parameter, named `prefix.NAME`, filled with "zeros", "ones" or (None) the parameter's own value."""
    clones = []
    for p in parameters:
        clone = p.clone() if value is None else p.clone(value)
        clone.name, clone.requires_grad = f"{prefix}.{p.name}", False
        clones.append(clone)
    return ms.ParameterTuple(clones)


class RMSProp(nn.Cell):
    """TensorFlow's RMSProp: s = d s + (1 - d) g^2, m = mu m + lr g / sqrt(s + eps), w = w - m; s starts at one.

    Source: tensorflow/core/kernels/training_ops.cc ApplyRMSProp; tf.train.RMSPropOptimizer initialises the mean square with ones.
    """

    def __init__(self, parameters, train):
        super().__init__(auto_prefix=False)
        self.parameters = ms.ParameterTuple(parameters)
        self.mean_square = states(parameters, "mean_square", "ones")
        self.moment = states(parameters, "moment", "zeros")
        self.decay = tuple(train.weight_decay if _decays(p) else 0.0 for p in parameters)
        self.rho, self.momentum, self.eps = train.rms_decay, train.momentum, train.opt_eps
        self.op = P.ApplyRMSProp()

    def construct(self, grads, lr):
        for i in range(len(self.parameters)):
            w, g = self.parameters[i], grads[i]
            if self.decay[i] > 0:
                g = g + self.decay[i] * w
            self.op(w, self.mean_square[i], self.moment[i], lr, g, self.rho, self.momentum, self.eps)
        return lr


class SGD(nn.Cell):
    """Nesterov momentum: m = mu m + g, w = w - lr (g + mu m)."""

    def __init__(self, parameters, train):
        super().__init__(auto_prefix=False)
        self.parameters = ms.ParameterTuple(parameters)
        self.moment = states(parameters, "moment", "zeros")
        self.decay = tuple(train.weight_decay if _decays(p) else 0.0 for p in parameters)
        self.momentum = train.momentum

    def construct(self, grads, lr):
        for i in range(len(self.parameters)):
            w, g = self.parameters[i], grads[i]
            if self.decay[i] > 0:
                g = g + self.decay[i] * w
            moment = self.moment[i] * self.momentum + g  # by hand: ApplyMomentum's CPU kernel ignores use_nesterov
            ops.assign(self.moment[i], moment)
            ops.assign(w, w - lr * (g + self.momentum * moment))
        return lr


class AdamW(nn.Cell):
    """Adam with bias correction and decoupled weight decay: w = w - lr wd w before Adam's step.

    Source: Loshchilov & Hutter, https://arxiv.org/abs/1711.05101; beta 1 is `momentum`, beta 2 `rms_decay`.
    """

    def __init__(self, parameters, train):
        super().__init__(auto_prefix=False)
        self.parameters = ms.ParameterTuple(parameters)
        self.moment = states(parameters, "moment", "zeros")
        self.second_moment = states(parameters, "second_moment", "zeros")
        self.decay = tuple(train.weight_decay if _decays(p) else 0.0 for p in parameters)
        self.beta1, self.beta2, self.eps = train.momentum, train.rms_decay, train.opt_eps
        self.power1 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="beta1_power", requires_grad=False)
        self.power2 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="beta2_power", requires_grad=False)

    def construct(self, grads, lr):
        power1, power2 = self.power1 * self.beta1, self.power2 * self.beta2
        ops.assign(self.power1, power1)
        ops.assign(self.power2, power2)
        for i in range(len(self.parameters)):
            w = self.parameters[i]
            # by hand: MindSpore's Adam adds epsilon before the bias correction, the paper and PyTorch after it
            m = self.moment[i] * self.beta1 + grads[i] * (1 - self.beta1)
            v = self.second_moment[i] * self.beta2 + ops.square(grads[i]) * (1 - self.beta2)
            ops.assign(self.moment[i], m)
            ops.assign(self.second_moment[i], v)
            step = (m / (1 - power1)) / (ops.sqrt(v / (1 - power2)) + self.eps)
            ops.assign(w, w * (1 - lr * self.decay[i]) - lr * step)
        return lr


OPTIMIZERS = {"rmsprop": RMSProp, "sgd": SGD, "adamw": AdamW}


def create(parameters, train):
    """The optimizer of the recipe's `train` section over `parameters`; its own state is in `.get_parameters()` besides them."""
    return OPTIMIZERS[train.opt](list(parameters), train)
