"""The frozen epochs of fine-tuning: a pretrained trunk looks at the pictures, and only the classifier learns.

With the trunk frozen, what it makes of a picture never changes: so it looks at each epoch's pictures once, without gradients, and the
classifier is then fitted to all of it in memory - a convex problem of seconds, solved to the end instead of step by step.
"""

from effnet import device  # noqa: F401  before mindspore

import mindspore as ms
import numpy as np
from scipy.optimize import minimize

from effnet.data.loader import train_batches
from effnet.data.presets import train_preset
from effnet.evaluate import Predict
from effnet.network import load_weights
from effnet.progress import bar


class Trunk(Predict):
    """uint8 NHWC pictures -> float32 features (N, channels), in evaluation mode."""

    def construct(self, images):
        return self.net.features(self.normalize(images)).astype(ms.float32)


def frozen_epochs(recipe, weights, train_set):
    """Train the classifier for the recipe's `freeze_epochs` on top of the frozen rest of `weights`.

    Returns ({"classifier.weight", "classifier.bias"}, loss): float32 arrays and the mean cross entropy over the pictures seen. Those are
    the pictures that training would have had in these epochs - same order, crops and flips -, without mixup and cutmix.
    """
    trunk, settings, data = Trunk(recipe), recipe.train, recipe.data
    load_weights(trunk.net, weights)
    preset = train_preset(recipe.model.image_size, recipe.augment, settings.seed)
    seen, labels = [], []
    total = len(train_set) // data.batch_size * data.batch_size * settings.freeze_epochs
    with bar(total=total, what="frozen epochs") as progress:
        for epoch in range(settings.freeze_epochs):
            for batch in train_batches(train_set, preset, data.batch_size, epoch, settings.seed, workers=data.workers):
                seen.append(trunk(ms.Tensor(batch.images)).asnumpy())
                labels.append(batch.labels.copy())
                progress.update(len(batch.labels))
    kernel, bias, loss = softmax_regression(np.concatenate(seen), np.concatenate(labels), recipe.model.class_num)
    return {"classifier.weight": kernel, "classifier.bias": bias}, loss


def softmax_regression(features, labels, classes):
    """Multinomial logistic regression by L-BFGS from zero. Returns kernel (classes, channels), bias (classes,), both float32, and the loss.

    Minimises mean cross entropy + |kernel|^2 / (2 n): scikit-learn's LogisticRegression with its default C = 1.
    """
    features = features.astype(np.float64)
    n, channels = features.shape
    target = np.eye(classes)[labels]

    def objective(flat):
        kernel, bias = flat[:-classes].reshape(classes, channels), flat[-classes:]
        logits = features @ kernel.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        log_odds = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        error = (np.exp(log_odds) - target) / n
        value = -(log_odds * target).sum() / n + (kernel**2).sum() / (2 * n)
        return value, np.concatenate([(error.T @ features + kernel / n).ravel(), error.sum(axis=0)])

    found = minimize(objective, np.zeros(classes * (channels + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-5})
    kernel = found.x[:-classes].reshape(classes, channels)
    return kernel.astype(np.float32), found.x[-classes:].astype(np.float32), float(found.fun - (kernel**2).sum() / (2 * n))
