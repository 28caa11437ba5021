"""Exact evaluation: every image of a set, once, whatever the batch size and the number of devices."""

import mindspore as ms
import numpy as np

from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.network import ranks
from effnet.network.efficientnet import load_weights
from effnet.network.predict import Predict
from effnet.progress import bar

IMAGES_PER_EXCHANGE = 4096  # logits of so many images at a time travel between devices


class Evaluator:
    """The evaluation graph, compiled once: `evaluator(weights, dataset)` -> logits (n, classes) float32 in the set's
    order.

    settings: a recipe's section `evaluate` or `validation`; workers: decoding threads, 0 for one per core.
    """

    def __init__(self, meta, settings, workers=0, where=ranks.ALONE):
        self.predict = Predict(meta, settings.amp_level)
        self.settings, self.workers, self.ranks = settings, workers, where
        self.class_num = meta["class_num"]

    def __call__(self, weights, dataset, show=True, stop=lambda: False):
        """On one device, `stop` is asked after each batch; once it is true the answer is None."""
        load_weights(self.predict.net, weights)
        size, count = self.settings.batch_size, 0
        logits = np.zeros((len(dataset), self.class_num), np.float32)
        batches = eval_batches(dataset, eval_preset(self.settings), size, *self.ranks, self.workers)
        with bar(total=len(dataset), what="evaluate", disable=not show or self.ranks.rank) as progress:
            for batch in batches:
                images = batch.images
                missing = size - len(images)
                if missing:  # one compiled shape: fill up, and drop what the filling gave
                    images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
                logits[batch.indices] = self.predict(ms.Tensor(images)).asnumpy()[: len(batch.indices)]
                count += len(batch.indices)
                if self.ranks.count == 1 and stop():
                    return None
                progress.update(len(batch.indices) * self.ranks.count)
        return self._exchange(logits, count, len(dataset))

    def _exchange(self, logits, count, expected):
        """Give every rank all logits. Each image is non-zero on one rank only, so the sum over ranks is exact."""
        for start in range(0, expected, IMAGES_PER_EXCHANGE):
            part = slice(start, start + IMAGES_PER_EXCHANGE)
            logits[part] = ranks.total(logits[part], self.ranks)
        count = int(ranks.total([count], self.ranks)[0])
        if count != expected:
            raise InputError(
                f"evaluation saw {count} images, the set has {expected}: some were lost or repeated; "
                "prepare the pictures again"
            )
        return logits
