"""The training step again, independently: float64 PyTorch functions on a dictionary of weights. Nothing of effnet but
its table is used.

`python tests/peers/reference.py` rewrites tests/peers/steps.npz, the small values that `make test` compares with
without torch.
"""

import dataclasses
from pathlib import Path

import numpy as np

STORED = Path(__file__).with_name("steps.npz")
# 16 images of 64 pixels leave batch normalisation 64 values a channel in the last blocks: with 8 of 32 it sees 8, and
# twenty steps multiply float32's rounding of the first by a million
STEPS, IMAGES, SIDE, CLASSES = 20, 16, 64, 10


@dataclasses.dataclass
class Case:
    """One way to train; the names are the recipe's."""

    opt: str = "rmsprop"
    opt_eps: float = 1e-3
    rms_decay: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 1e-2  # large, so that decaying a wrong parameter shows
    decay_biases: bool = True
    clip_norm: float = 0.0
    accumulate: int = 1
    ema_decay: float = 0.0
    train_bn: bool = True
    rate: float = 1e-3
    mixed: bool = False


CASES = {
    "rmsprop": Case(),
    "sgd": Case("sgd", rate=5e-3),
    "adamw": Case(
        "adamw", opt_eps=1e-3, rms_decay=0.999
    ),  # with 1e-8 a gradient that is only rounding moves a weight by a whole rate
    "weights_only": Case("sgd", weight_decay=10.0, decay_biases=False, rate=5e-3),  # large: biases are small
    "ema": Case(ema_decay=0.9999),
    "clip": Case("sgd", clip_norm=0.5, rate=5e-3),
    "accumulate": Case(accumulate=2, train_bn=False, rate=2e-4),
    "mixed": Case(mixed=True),
}


def batches(case):
    """STEPS batches: uint8 images (N, S, S, 3), labels, others, lam."""
    random = np.random.default_rng(7)
    for _ in range(STEPS):
        images = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype(np.uint8)
        labels, others = random.integers(0, CLASSES, (2, IMAGES)).astype(np.int32)
        lam = random.random(IMAGES).astype(np.float32) if case.mixed else np.ones(IMAGES, np.float32)
        yield images, labels, others, lam


def rates(case):
    return [case.rate * (1 + step / STEPS) for step in range(STEPS)]


def train(case, plan, weights, trainable, bn_momentum, smoothing, padding="same"):
    """(losses (STEPS,), final weights {name: float64 array}; the average ones if the case keeps an average)."""
    import torch
    import torch.nn.functional as F

    w = {name: torch.tensor(value, dtype=torch.float64) for name, value in weights.items()}
    for name in trainable:
        w[name].requires_grad_()

    def pad(x, kernel, stride):
        if padding == "symmetric":
            return F.pad(x, [kernel // 2] * 4)
        total = max(0, (-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1])
        return F.pad(x, (total // 2, total - total // 2) * 2)

    def conv_bn(x, name, stride=1, groups=1):
        kernel = w[f"{name}.conv.weight"]
        x = F.conv2d(pad(x, kernel.shape[2], stride), kernel, stride=stride, groups=groups)
        mean, var, gamma, beta = (
            w[f"{name}.bn.{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return F.batch_norm(x, mean, var, gamma, beta, case.train_bn, 1 - bn_momentum, 1e-3)

    def logits_of(x):
        x = F.silu(conv_bn(x, "stem", 2))
        for i, block in enumerate(plan.blocks):
            y, name = x, f"blocks.{i}"
            if block.expand > 1:
                y = F.silu(conv_bn(y, f"{name}.expand"))
            y = F.silu(conv_bn(y, f"{name}.depthwise", block.stride, y.shape[1]))
            gate = F.silu(F.linear(y.mean((2, 3)), w[f"{name}.se.reduce.weight"], w[f"{name}.se.reduce.bias"]))
            gate = torch.sigmoid(F.linear(gate, w[f"{name}.se.expand.weight"], w[f"{name}.se.expand.bias"]))
            y = conv_bn(y * gate[:, :, None, None], f"{name}.project")
            x = x + y if block.stride == 1 and block.channels_in == block.channels_out else y
        x = F.silu(conv_bn(x, "head")).mean((2, 3))
        return F.linear(x, w["classifier.weight"], w["classifier.bias"])

    parameters = [w[name] for name in trainable]
    spared = (".gamma", ".beta") if case.decay_biases else (".gamma", ".beta", ".bias")
    decayed, rest = ([w[name] for name in trainable if name.endswith(spared) == which] for which in (False, True))
    groups = [{"params": decayed, "weight_decay": case.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if case.opt == "sgd":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=case.momentum, nesterov=True)
    elif case.opt == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(case.momentum, case.rms_decay), eps=case.opt_eps)
    else:  # torch's RMSprop puts epsilon outside the root and starts at zero: TensorFlow's by hand
        optimizer = None
        square, moment = [torch.ones_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters]

    average = {name: value.detach().clone() for name, value in w.items()}
    losses = []
    for step, ((images, labels, others, lam), rate) in enumerate(zip(batches(case), rates(case), strict=True)):
        x = torch.tensor((images.astype(np.float64) - 127.5) / 127.5).permute(0, 3, 1, 2)
        onehot = [F.one_hot(torch.tensor(y).long(), CLASSES).double() for y in (labels, others)]
        soft = [y * (1 - smoothing) + (1 - y) * smoothing / (CLASSES - 1) for y in onehot]
        share = torch.tensor(lam).double()[:, None]
        loss = F.cross_entropy(logits_of(x), share * soft[0] + (1 - share) * soft[1])
        losses.append(loss.item())
        for p in parameters:
            p.grad = None
        loss.backward()
        if case.clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, case.clip_norm)
        if optimizer:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        else:
            with torch.no_grad():
                for name, p, s, m in zip(trainable, parameters, square, moment, strict=True):
                    g = p.grad if name.endswith(spared) else p.grad + case.weight_decay * p
                    s.mul_(case.rms_decay).add_((1 - case.rms_decay) * g * g)
                    m.mul_(case.momentum).add_(rate * g / torch.sqrt(s + case.opt_eps))
                    p.sub_(m)
        decay = min(case.ema_decay, (1 + step) / (10 + step))
        for name, value in average.items():
            value.mul_(decay).add_((1 - decay) * w[name].detach())
    final = average if case.ema_decay else w
    return np.array(losses), {name: value.detach().numpy() for name, value in final.items()}


def digest(weights):
    """A few numbers of each tensor, in the order of names:

    (tensors, 6) float64: first and last two values, mean, norm.
    """
    rows = []
    for name in sorted(weights):
        flat = np.asarray(weights[name], np.float64).ravel()
        rows.append([flat[0], flat[1], flat[-2], flat[-1], flat.mean(), np.sqrt((flat**2).mean())])
    return np.array(rows)


def toy():
    """(plan, initial weights, names of the trainable ones) of the toy variant; weights from shapes alone, as effnet
    makes them.
    """
    from effnet.arch.family import plan
    from effnet.arch.initial import initial_weights

    sizes = plan("efficientnet_toy")
    shapes = shapes_of(sizes, CLASSES)
    return sizes, initial_weights(shapes, seed=3), [name for name in shapes if "moving" not in name]


def shapes_of(plan, classes):
    shapes = {}

    def conv_bn(name, cin, cout, kernel):
        shapes[f"{name}.conv.weight"] = (cout, cin, kernel, kernel)
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"{name}.bn.{part}"] = (cout,)

    def dense(name, cin, cout):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (cout, cin), (cout,)

    conv_bn("stem", 3, plan.stem, 3)
    for i, block in enumerate(plan.blocks):
        wide = block.channels_in * block.expand
        if block.expand > 1:
            conv_bn(f"blocks.{i}.expand", block.channels_in, wide, 1)
        conv_bn(f"blocks.{i}.depthwise", 1, wide, block.kernel)
        if block.channels_se:
            dense(f"blocks.{i}.se.reduce", wide, block.channels_se)
            dense(f"blocks.{i}.se.expand", block.channels_se, wide)
        conv_bn(f"blocks.{i}.project", wide, block.channels_out, 1)
    conv_bn("head", plan.blocks[-1].channels_out, plan.head, 1)
    dense("classifier", plan.head, classes)
    return shapes


def main():
    stored = {}
    for name, case in CASES.items():
        losses, weights = train(case, *toy(), bn_momentum=0.9, smoothing=0.1)
        stored[f"{name}.losses"], stored[f"{name}.weights"] = losses, digest(weights)
        print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    np.savez_compressed(STORED, **stored)


if __name__ == "__main__":
    main()
