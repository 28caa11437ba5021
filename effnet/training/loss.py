"""Cross entropy with label smoothing over targets that may be mixed from two labels."""

import mindspore as ms
from mindspore import nn, ops


class SmoothedCrossEntropy(nn.Cell):
    """Mean over the batch of -sum(target * log_softmax(logits)), in float32.

    The target puts 1 - factor on the true class and factor / (classes - 1) on each other one, as in the original's
    CrossEntropySmooth; TensorFlow's smoothing by f is the same with factor = f * (classes - 1) / classes. `labels` and
    `others` (N,) int32 are mixed as lam * target(labels) + (1 - lam) * target(others), lam (N,) float32.
    """

    def __init__(self, classes, factor):
        super().__init__()
        self.classes = classes
        self.on, self.off = ms.Tensor(1 - factor, ms.float32), ms.Tensor(factor / (classes - 1), ms.float32)
        self.onehot = ops.OneHot()

    def construct(self, logits, labels, others, lam):
        lam = ops.reshape(lam, (-1, 1))
        target = lam * self.onehot(labels, self.classes, self.on, self.off)
        target = target + (1 - lam) * self.onehot(others, self.classes, self.on, self.off)
        logits = logits.astype(ms.float32)
        return -(target * ops.log_softmax(logits, -1)).sum(axis=-1).mean()
