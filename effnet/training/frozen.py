"""The frozen epochs of fine-tuning: a pretrained trunk looks at the pictures, and only the classifier learns.

With the trunk frozen, what it makes of a picture never changes: so it looks at each epoch's pictures once, without
gradients, and the classifier is then fitted to all of it in memory - a convex problem of seconds, solved to the end
instead of step by step.
"""

import mindspore as ms
import numpy as np
from scipy.special import log_softmax

from effnet.data.loader import train_batches
from effnet.data.presets import train_preset
from effnet.network import checkpoint
from effnet.network.efficientnet import load_weights
from effnet.network.predict import Predict
from effnet.progress import bar


class Trunk(Predict):
    """uint8 NHWC pictures -> float32 features (N, channels), in evaluation mode."""

    def construct(self, images):
        return self.net.features(self.normalize(images)).astype(ms.float32)


def fit_classifier(recipe, net, state, train_set):
    """Fit the classifier in `state` on what the frozen rest of `net` makes of the recipe's `freeze_epochs`; returns
    the loss.
    """
    weights = {p.name: p.asnumpy() for p in net.get_parameters()}
    features, labels = look(recipe, weights, train_set)
    kernel, bias, loss = softmax_regression(features, labels, recipe.model.class_num)
    fitted = {
        f"{prefix}classifier.{name}": value
        for prefix in ("", "ema.")
        for name, value in (("weight", kernel), ("bias", bias))
    }
    checkpoint.restore([p for p in state if p.name in fitted], fitted)
    return loss


def look(recipe, weights, train_set):
    """Features (n, channels) float32 and labels (n,) of the pictures that training would have had in the frozen epochs.

    Same order, crops and flips, but without mixup and cutmix.
    """
    model, augment, settings, data = recipe.model, recipe.augment, recipe.train, recipe.data
    meta = {name: getattr(model, name) for name in ("variant", "class_num", "padding")} | {
        "mean": augment.mean,
        "std": augment.std,
    }
    trunk = Trunk(meta)
    load_weights(trunk.net, weights)
    preset = train_preset(model.image_size, augment, settings.seed)
    features, labels = [], []
    total = len(train_set) // data.batch_size * data.batch_size * settings.freeze_epochs
    with bar(total=total, what="frozen epochs") as progress:
        for epoch in range(settings.freeze_epochs):
            for batch in train_batches(train_set, preset, data.batch_size, epoch, settings.seed, workers=data.workers):
                features.append(trunk(ms.Tensor(batch.images)).asnumpy())
                labels.append(batch.labels.copy())
                progress.update(len(batch.labels))
    return np.concatenate(features), np.concatenate(labels)


def softmax_regression(features, labels, classes):
    """Multinomial logistic regression: kernel (classes, channels) and bias (classes,), both float32, and the mean cross
    entropy.

    Minimises mean cross entropy + |kernel|^2 / (2 n): scikit-learn's LogisticRegression with its default C = 1. Of two
    classes scikit-learn fits one row, whose half and minus half are the two rows; the same penalty on both asks for C =
    2. A class that no picture shows gets a bias that keeps it from being answered.
    """
    from sklearn.linear_model import LogisticRegression  # seconds to import, and few recipes freeze

    features, present = features.astype(np.float64), np.unique(labels)
    kernel, bias = np.zeros((classes, features.shape[1])), np.full(classes, -30.0)
    if len(present) == 1:
        bias[present] = 0.0
    else:
        fitted = LogisticRegression(C=2.0 if len(present) == 2 else 1.0, tol=1e-5, max_iter=1000).fit(features, labels)
        rows = fitted.coef_, fitted.intercept_
        kernel[present], bias[present] = (np.concatenate([-x, x]) / 2 if len(present) == 2 else x for x in rows)
    loss = -log_softmax(features @ kernel.T + bias, axis=1)[np.arange(len(labels)), labels].mean()
    return kernel.astype(np.float32), bias.astype(np.float32), float(loss)
