"""Exact evaluation: every image of a set, once, whatever the batch size and the number of devices."""

from effnet import device  # noqa: F401  before mindspore

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from effnet import kernels
from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.network import EfficientNet, load_weights
from effnet.progress import bar
from effnet.step import Normalize

IMAGES_PER_EXCHANGE = 4096  # logits of so many images at a time travel between devices


class Predict(nn.Cell):
    """uint8 NHWC pictures -> logits, in evaluation mode."""

    def __init__(self, recipe):
        super().__init__(auto_prefix=False)
        model = recipe.model
        self.normalize = Normalize(recipe.augment)
        self.net = EfficientNet(model.variant, model.class_num, model.padding, model.bn_momentum, fast=kernels.usable())
        self.net.update_parameters_name()
        self.set_train(False)

    def construct(self, images):
        return self.net(self.normalize(images)).astype(ms.float32)


class Evaluator:
    """The evaluation graph, compiled once: `evaluator(weights, dataset)` -> logits (n, classes) float32 in the data set's order."""

    def __init__(self, recipe, rank=0, ranks=1):
        self.predict, self.recipe, self.rank, self.ranks = Predict(recipe), recipe, rank, ranks

    def __call__(self, weights, dataset, show=True):
        load_weights(self.predict.net, weights)
        settings, count = self.recipe.evaluate, 0
        logits = np.zeros((len(dataset), self.recipe.model.class_num), np.float32)
        batches = eval_batches(dataset, eval_preset(settings), settings.batch_size, self.rank, self.ranks, self.recipe.data.workers)
        with bar(total=len(dataset), what="evaluate", disable=not show or self.rank) as progress:
            for batch in batches:
                images = batch.images
                missing = settings.batch_size - len(images)
                if missing:  # one compiled shape: fill up, and drop what the filling gave
                    images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
                logits[batch.indices] = self.predict(ms.Tensor(images)).asnumpy()[: len(batch.indices)]
                count += len(batch.indices)
                progress.update(len(batch.indices) * self.ranks)
        return self._exchange(logits, count, len(dataset))

    def _exchange(self, logits, count, expected):
        """Give every rank all logits. Each image is non-zero on one rank only, so the sum over ranks is exact."""
        if self.ranks > 1:
            add = ops.AllReduce()
            for start in range(0, expected, IMAGES_PER_EXCHANGE):
                logits[start : start + IMAGES_PER_EXCHANGE] = add(ms.Tensor(logits[start : start + IMAGES_PER_EXCHANGE])).asnumpy()
            count = int(add(ms.Tensor([count], ms.float32)).asnumpy()[0])  # no integers in the CPU's AllReduce
        if count != expected:
            raise InputError(f"evaluation saw {count} images, the set has {expected}: some were lost or repeated; prepare the pictures again")
        return logits
