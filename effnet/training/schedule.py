"""The learning rate as one pure function of the step."""

import math

STEPS_AT = (0.3, 0.6, 0.8)  # of all epochs: where the original's `steps` mode decays


def learning_rate(step, steps_per_epoch, train):
    """Learning rate of update `step` (from 0) under the recipe's `train` section.

    The frozen epochs' updates count in `step` and have none: all below counts from the first after them. Warm-up rises
    linearly from lr_init to lr_max over warmup_epochs. After it, with t the share of the remaining steps
    done:
      linear        lr_max + (lr_end - lr_max) t
      cosine        lr_end + (lr_max - lr_end) (1 + cos(pi t)) / 2
      poly          lr_end + (lr_max - lr_end) (1 - t) ** lr_decay_rate
      steps         lr_max * lr_decay_rate ** (how many of 30%, 60%, 80% of all epochs are over), not below lr_end
      exponential   lr_max * lr_decay_rate ** floor(epoch / lr_decay_epochs), not below lr_end; epochs count from step
                    0, as in tensorflow/tpu efficientnet utils.py build_learning_rate
    """
    step -= train.freeze_epochs * steps_per_epoch
    total = (train.epoch_size - train.freeze_epochs) * steps_per_epoch
    warmup = round(train.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return train.lr_init + (train.lr_max - train.lr_init) * step / warmup
    t = (step - warmup) / max(1, total - warmup)
    span = train.lr_max - train.lr_end
    if train.lr_decay_mode == "linear":
        return train.lr_max - span * t
    if train.lr_decay_mode == "cosine":
        return train.lr_end + span * (1 + math.cos(math.pi * t)) / 2
    if train.lr_decay_mode == "poly":
        return train.lr_end + span * (1 - t) ** train.lr_decay_rate
    if train.lr_decay_mode == "steps":
        times = sum(step >= share * total for share in STEPS_AT)
    else:
        times = math.floor(step / (train.lr_decay_epochs * steps_per_epoch))
    return max(train.lr_end, train.lr_max * train.lr_decay_rate**times)


def ema_decay(updates, train):
    """Decay of the average weights at an update, `updates` having been done; small at first with a warm-up.

    tensorflow: tf.train.ExponentialMovingAverage with num_updates. timm: ModelEmaV3.get_decay(updates + 1) with
    use_warmup, gamma 1 and power 2/3 (timm/utils/model_ema.py); its own first update, too, copies the weights.
    """
    if train.ema_warmup == "tensorflow":
        return min(train.ema_decay, (1 + updates) / (10 + updates))
    if train.ema_warmup == "timm":
        return min(train.ema_decay, 1 - (1 + updates) ** (-2 / 3))
    return train.ema_decay
