"""The frozen epochs of fine-tuning: a pretrained trunk looks at the pictures, and only the classifier learns.

With the trunk frozen, what it makes of a picture never changes: so it looks at each epoch's pictures once, without
gradients, and the classifier is then fitted to all of it in memory - a convex problem of seconds, solved to the end
instead of step by step.
"""

import mindspore as ms
import numpy as np
from scipy.special import log_softmax

from effnet.data.loader import eval_batches, train_batches
from effnet.data.presets import eval_preset, train_preset
from effnet.network import checkpoint
from effnet.network.efficientnet import load_weights
from effnet.network.predict import Predict
from effnet.progress import bar

STRENGTHS = 10.0 ** np.arange(-3, 3)  # scikit-learn's C, from the strongest penalty to the weakest


class Trunk(Predict):
    """uint8 NHWC pictures -> float32 features (N, channels), in evaluation mode."""

    def construct(self, images):
        return self.net.features(self.normalize(images)).astype(ms.float32)


def fit_classifier(recipe, net, state, train_set, held_out, run, stop):
    """Fit the classifier in `state` on what the frozen rest of `net` makes of the recipe's `freeze_epochs`; returns
    the loss, or None where `stop` ended it: `run` keeps what was looked at, and the next time goes on from there.

    `held_out` pictures (None: there are none) choose the penalty.
    """
    model, augment = recipe.model, recipe.augment
    meta = {name: getattr(model, name) for name in ("variant", "class_num", "padding", "bn_eps")}
    trunk = Trunk(meta | {"mean": augment.mean, "std": augment.std})
    load_weights(trunk.net, {p.name: p.asnumpy() for p in net.get_parameters()})
    features, labels = look(recipe, trunk, train_set, run, stop)
    if stop():
        return None
    if held_out is None:
        head = softmax_regression(features, labels, model.class_num)
    else:
        held = look_once(recipe, trunk, held_out), held_out.labels
        head = best_head((features, labels), held, model.class_num, run.say, stop)
    if head is None:
        return None
    fitted = {
        f"{prefix}classifier.{name}": value
        for prefix in ("", "ema.")
        for name, value in zip(("weight", "bias"), head, strict=True)
    }
    checkpoint.restore([p for p in state if p.name in fitted], fitted)
    return float(cross_entropies(features, labels, *head).mean())


def look(recipe, trunk, train_set, run, stop):
    """Features (n, channels) float32 and labels (n,) of the pictures that training would have had in the frozen epochs.

    Same order, crops and flips, but without mixup and cutmix. However it ends, `run` keeps them.
    """
    size = recipe.data.batch_size
    total = len(train_set) // size * size * recipe.train.freeze_epochs
    kept = run.features()
    features, labels = ([], []) if kept is None else ([kept["features"]], [kept["labels"]])
    done = sum(map(len, labels))
    try:
        with bar(total=total, what="frozen epochs") as progress:
            progress.update(done)
            for batch in batches(recipe, train_set, done // size):
                if stop():
                    break
                features.append(trunk(ms.Tensor(batch.images)).asnumpy())
                labels.append(batch.labels.copy())
                progress.update(size)
    finally:  # Ctrl-C, too
        pairs = min(len(features), len(labels))
        if pairs:
            features, labels = np.concatenate(features[:pairs]), np.concatenate(labels[:pairs])
            run.keep_features({"features": features, "labels": labels})
    return features, labels


def batches(recipe, train_set, done):
    """The frozen epochs' batches but for the first `done`."""
    settings, data = recipe.train, recipe.data
    preset = train_preset(recipe.model.image_size, recipe.augment, settings.seed)
    begun, first = divmod(done, max(1, len(train_set) // data.batch_size))  # the loader refuses too few pictures
    for epoch in range(begun, settings.freeze_epochs):
        start = first if epoch == begun else 0
        yield from train_batches(
            train_set, preset, data.batch_size, epoch, settings.seed, start_step=start, workers=data.workers
        )


def look_once(recipe, trunk, dataset):
    """Features (n, channels) float32 of each picture of a set, as validation sees it."""
    size, found = recipe.validation.batch_size, []
    for batch in eval_batches(dataset, eval_preset(recipe.validation), size, workers=recipe.data.workers):
        images = np.zeros((size, *batch.images.shape[1:]), np.uint8)  # one compiled shape
        images[: len(batch.images)] = batch.images
        found.append(trunk(ms.Tensor(images)).asnumpy()[: len(batch.images)])
    return np.concatenate(found)


def best_head(seen, held, classes, say, stop):
    """Softmax regression on `seen` (features, labels) with the strongest penalty whose loss on `held` is within a
    standard error of the least: few pictures cannot tell those apart, and confidence that they do not bear out is in
    the way of what comes after. None where `stop` ended it.
    """
    heads, losses = [], []
    for strength in STRENGTHS:
        if stop():
            return None
        heads.append(softmax_regression(*seen, classes, strength))
        losses.append(cross_entropies(*held, *heads[-1]))
        if losses[-1].mean() > min(loss.mean() for loss in losses):  # and weaker ones are no better
            break
    least = min(losses, key=np.mean)
    bound = least.mean() + least.std() / np.sqrt(len(least))
    found = next(i for i, loss in enumerate(losses) if loss.mean() <= bound)
    said = f"C = {STRENGTHS[found]:g} of logistic regression, loss {losses[found].mean():.4f} on what was held out"
    say(f"the frozen trunk's classifier: {said}")
    return heads[found]


def softmax_regression(features, labels, classes, strength=1.0):
    """Multinomial logistic regression: kernel (classes, channels) and bias (classes,), both float32.

    Minimises mean cross entropy + |kernel|^2 / (2 n strength): scikit-learn's LogisticRegression with C = `strength`.
    Of two classes scikit-learn fits one row, whose half and minus half are the two rows; the same penalty on both asks
    for twice the C. A class that no picture shows gets a bias that keeps it from being answered.
    """
    from sklearn.linear_model import LogisticRegression  # seconds to import, and few recipes freeze

    features, present = features.astype(np.float64), np.unique(labels)
    kernel, bias = np.zeros((classes, features.shape[1])), np.full(classes, -30.0)
    if len(present) == 1:
        bias[present] = 0.0
    else:
        penalty = strength * (2.0 if len(present) == 2 else 1.0)
        fitted = LogisticRegression(C=penalty, tol=1e-5, max_iter=1000).fit(features, labels)
        rows = fitted.coef_, fitted.intercept_
        kernel[present], bias[present] = (np.concatenate([-x, x]) / 2 if len(present) == 2 else x for x in rows)
    return kernel.astype(np.float32), bias.astype(np.float32)


def cross_entropies(features, labels, kernel, bias):
    """Of each picture, -log softmax of the true class, (n,) float64."""
    logits = features.astype(np.float64) @ kernel.T + bias
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
