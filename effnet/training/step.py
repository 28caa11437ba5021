"""One training step as a compiled graph: a pure function of (state, batch, masks, loss scale, learning rate, EMA
decay).
"""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from effnet.arch.family import keep_rates, plan
from effnet.data.streams import mask_generator
from effnet.network import ranks as processes
from effnet.network.layers import Normalize
from effnet.training import optimizers
from effnet.training.loss import SmoothedCrossEntropy

_sum_of_squares, _follow, _add, _clear = (
    ops.MultitypeFuncGraph(name) for name in ("sum_of_squares", "follow", "add", "clear")
)


@_sum_of_squares.register("Tensor")
def _(grad):
    return ops.square(grad.astype(ms.float32)).sum()


@_follow.register("Tensor", "Tensor", "Tensor")
def _(decay, average, weight):
    return ops.assign(average, weight + (average - weight) * decay)


@_add.register("Tensor", "Tensor")
def _(total, grad):
    return ops.assign_add(total, grad)


@_clear.register("Tensor")
def _(total):
    return ops.assign(total, ops.zeros_like(total))


class Forward(nn.Cell):
    """A batch's mean loss times the loss scale."""

    def __init__(self, net, recipe):
        super().__init__(auto_prefix=False)
        self.net, self.normalize = net, Normalize(recipe.augment.mean, recipe.augment.std)
        self.loss = SmoothedCrossEntropy(recipe.model.class_num, recipe.train.label_smooth_factor)

    def construct(self, images, labels, others, lam, path_keep, feature_keep, scale):
        logits = self.net(self.normalize(images), path_keep, feature_keep)
        return self.loss(logits, labels, others, lam) * scale


class Gradients(nn.Cell):
    """Scaled loss and scaled gradients of a batch, averaged over all devices."""

    def __init__(self, net, parameters, recipe, ranks):
        super().__init__(auto_prefix=False)
        self.forward = Forward(net, recipe)  # a child of its own, or set_train would not reach the network
        self.value_and_grad = ms.value_and_grad(self.forward, None, parameters)
        self.reduce = nn.DistributedGradReducer(parameters, mean=True, degree=ranks) if ranks > 1 else None
        self.sum = ops.AllReduce() if ranks > 1 else None
        self.ranks = ranks

    def construct(self, images, labels, others, lam, path_keep, feature_keep, scale):
        loss, grads = self.value_and_grad(images, labels, others, lam, path_keep, feature_keep, scale)
        if self.reduce is not None:
            grads = self.reduce(grads)
            loss = self.sum(loss) / self.ranks
        return loss / scale, grads


class Update(nn.Cell):
    """Unscale, clip, apply, and let the average weights follow. Returns whether the gradients were finite.

    Gradients that are not finite change nothing if the loss scale is dynamic; a fixed scale lets them through, and the
    loss shows it.
    """

    def __init__(self, net, parameters, train):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizers.create(parameters, train)
        self.clip, self.dynamic, self.averaging = train.clip_norm, train.loss_scale == 0, train.ema_decay > 0
        self.weights = ms.ParameterTuple(net.get_parameters())  # running statistics too, as in tensorflow/tpu
        self.ema = optimizers.states(self.weights, "ema", None) if self.averaging else ()
        self.map = ops.HyperMap()

    def construct(self, grads, scale, lr, ema_decay):
        factor, finite = 1 / scale, True
        if self.clip > 0 or self.dynamic:
            norm = ops.sqrt(ops.addn(self.map(_sum_of_squares, grads))) * factor
            if self.clip > 0:  # as torch.nn.utils.clip_grad_norm_ and tf.clip_by_global_norm
                factor = factor * ops.minimum(self.clip / norm, ms.Tensor(1.0, ms.float32))
            if self.dynamic:
                finite = ops.isfinite(norm)
        if finite:
            self.optimizer(grads, factor, lr)
            if self.averaging:
                self.map(ops.partial(_follow, ema_decay), self.ema, self.weights)
        return finite


class Step(nn.Cell):
    """One batch, one update, in one graph. Returns (mean loss over all devices, gradients finite)."""

    def __init__(self, gradients, update):
        super().__init__(auto_prefix=False)
        self.gradients, self.update = gradients, update

    def construct(self, images, labels, others, lam, path_keep, feature_keep, scale, lr, ema_decay):
        loss, grads = self.gradients(images, labels, others, lam, path_keep, feature_keep, scale)
        return loss, self.update(grads, scale, lr, ema_decay)


class Accumulate(nn.Cell):
    """Add one micro-batch's gradients to a running sum; returns its mean loss."""

    def __init__(self, gradients, total):
        super().__init__(auto_prefix=False)
        self.gradients, self.total, self.map = gradients, total, ops.HyperMap()

    def construct(self, images, labels, others, lam, path_keep, feature_keep, scale):
        loss, grads = self.gradients(images, labels, others, lam, path_keep, feature_keep, scale)
        self.map(_add, self.total, grads)
        return loss


class Apply(nn.Cell):
    """Update from the sum of `count` micro-batches' gradients, and start the sum again."""

    def __init__(self, update, total, count):
        super().__init__(auto_prefix=False)
        self.update, self.total, self.count, self.map = update, total, count, ops.HyperMap()

    def construct(self, scale, lr, ema_decay):
        finite = self.update(self.total, scale * self.count, lr, ema_decay)
        self.map(_clear, self.total)
        return finite


def create(net, parameters, recipe, ranks=processes.ALONE, train_bn=True):
    """`(step, state)`: step(batch, masks, scale, lr, ema_decay) -> (losses, finite), and the parameters that a
    checkpoint must hold. `losses` are the micro-batches' mean losses, still on the device: mean_loss() fetches them.

    `batch` is this device's share (effnet.data.loader.Batch), `masks` as keep_masks returns them. `parameters` are the
    ones to train; `train_bn` False keeps batch normalisation at its running statistics.
    """
    parameters = ms.ParameterTuple(list(parameters))
    gradients, update = Gradients(net, parameters, recipe, ranks.count), Update(net, parameters, recipe.train)
    state = {p.name: p for p in [*net.get_parameters(), *update.get_parameters()]}
    count = recipe.train.accumulate
    if count == 1:
        graph = Step(gradients, update).set_train(train_bn)

        def step(batch, masks, scale, lr, ema_decay):
            loss, finite = graph(*tensors(batch, masks), *map(_scalar, (scale, lr, ema_decay)))
            return [loss], finite

    else:
        total = optimizers.states(parameters, "gradient_sum", "zeros")
        accumulate, apply = Accumulate(gradients, total).set_train(train_bn), Apply(update, total, count)

        def step(batch, masks, scale, lr, ema_decay):
            losses = []
            for part in np.split(np.arange(len(batch.labels)), count):
                inputs = tensors(
                    type(batch)(*(x[part] for x in batch)), tuple(None if m is None else m[part] for m in masks)
                )
                losses.append(accumulate(*inputs, _scalar(scale)))
            return losses, apply(*map(_scalar, (scale, lr, ema_decay)))

    return step, list(state.values())


def share_statistics(state, ranks):
    """Give all devices the mean of their running statistics.

    These follow linearly and do not act on training, so it does not matter when.
    """
    if ranks.count == 1:
        return
    mine = [p for p in state if p.name.endswith(("moving_mean", "moving_variance"))]
    mean = processes.total(np.concatenate([p.asnumpy().ravel() for p in mine]), ranks) / np.float32(ranks.count)
    for p, part in zip(mine, np.split(mean, np.cumsum([p.size for p in mine])[:-1]), strict=True):
        p.set_data(ms.Tensor(part.reshape(p.shape)))


def mean_loss(losses):
    """The mean of a step's `losses` as a float; waits for the device."""
    return float(np.mean([loss.asnumpy() for loss in losses], dtype=np.float64))


def keep_masks(recipe, epoch, number, ranks=processes.ALONE):
    """Masks of drop connect (images, blocks) and dropout (images, features) for a rank's share of global batch
    `number`, float32.

    Each entry is 0 or 1 / keep rate, the same on any number of devices and after any restart (effnet/data/streams.py).
    None where the recipe's rate is 0.
    """
    model, sizes, images = recipe.model, plan(recipe.model.variant), recipe.data.batch_size
    share, first = images // ranks.count, images * ranks.rank // ranks.count  # ours of the pictures
    path = feature = None

    def numbers(skip, width):
        return mask_generator(recipe.train.seed, epoch, number, skip + first * width).random((share, width), np.float32)

    if model.drop_connect > 0:
        rates = keep_rates(sizes.blocks, model.drop_connect)
        path = (numbers(0, len(sizes.blocks)) < rates) / rates
    if model.dropout > 0:
        keep = np.float32(1 - model.dropout)
        skip = images * len(sizes.blocks) if model.drop_connect > 0 else 0  # drop connect's come first
        feature = (numbers(skip, sizes.head) < keep) / keep
    return path, feature


def _scalar(value):
    return ms.Tensor(value, ms.float32)


def tensors(batch, masks):
    """Over the arrays' own memory: nobody writes to them any more, and ms.Tensor would copy 50 MB a step."""
    arrays = [batch.images, batch.labels, batch.others, batch.lam]
    arrays += [None if mask is None else mask.astype(np.float32, copy=False) for mask in masks]
    return [None if array is None else ms.Tensor.from_numpy(array) for array in arrays]
