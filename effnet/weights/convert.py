"""Other people's weights in: from the names and layouts of four libraries to ours, every tensor accounted for."""

import re
from itertools import groupby

import numpy as np

from effnet.arch.family import VARIANTS, plan
from effnet.arch.layers import shapes
from effnet.errors import InputError

OUR_BN = ("gamma", "beta", "moving_mean", "moving_variance")
TORCH_BN = ("weight", "bias", "running_mean", "running_var")
# PyTorch's counters; Keras' layer of pre-processing
IGNORED = re.compile(r"num_batches_tracked$|^normalization(_\d+)?/")


def convert(tensors, variant, class_num):
    """`{name: float32 array}` under our names, of a network of another library.

    `tensors` is what tensors.py read; EfficientNet-PyTorch's, torchvision's, timm's and Keras' names are told apart by
    themselves. Raises InputError listing what is missing, unexpected or misshapen.
    """
    given = {_plain(name): value for name, value in tensors.items() if not IGNORED.search(name)}
    style = _style(given)
    found = _classes(given, style, variant)
    names = theirs(variant, style)
    problems = _problems(given, names, shapes(variant, found), style)
    if problems:
        for other in VARIANTS:
            if other != variant and not _problems(
                given, theirs(other, style), shapes(other, _classes(given, style, other)), style
            ):
                raise InputError(f"these are weights of {other}, not of {variant}")
        raise InputError(f"not the weights of {variant}: {'; '.join(problems)}")
    if found != class_num:
        raise InputError(f"the head has {found} classes, expected {class_num}")
    weights = {ours: _layout(given[name], ours, style).astype(np.float32) for ours, name in names.items()}
    broken = [names[ours] for ours, value in weights.items() if not np.isfinite(value).all()]
    if broken:
        raise InputError(f"values that are not finite in {_some(broken)}")
    return weights


STEMS = {  # the first convolution's name tells whose names they are
    "_conv_stem.weight": "efficientnet_pytorch",
    "features.0.0.weight": "torchvision",
    "conv_stem.weight": "timm",
    "stem_conv/kernel": "keras",
}


def _plain(name):
    """Without DataParallel's prefix; Keras 2 said depthwise_kernel where Keras 3 says kernel."""
    return name.removeprefix("module.").replace("/depthwise_kernel", "/kernel")


def _style(given):
    for stem, style in STEMS.items():
        if stem in given:
            return style
    raise InputError(
        f"names of no library known here (EfficientNet-PyTorch, torchvision, timm, Keras): {_some(sorted(given))}"
    )


def _classes(given, style, variant):
    """The number of classes of their head; 0 if there is none."""
    bias = given.get(theirs(variant, style)["classifier.bias"])
    return 0 if bias is None else bias.size


def _problems(given, names, wanted, style):
    """What keeps the tensors `given` from being the network of the `wanted` shapes: a list of phrases."""
    known = set(names.values())
    missing = [name for name in names.values() if name not in given]
    unexpected = [name for name in given if name not in known]
    misshapen = [
        f"{name} {given[name].shape}"
        for ours, name in names.items()
        if name in given and _layout(given[name], ours, style).shape != wanted[ours]
    ]
    lists = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    return [f"{len(some)} {what} ({_some(some)})" for what, some in lists.items() if some]


def _some(names):
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _layout(value, ours, style):
    """The array in our order of axes, (out, in, height, width) and (out, in).

    Squeeze-and-excitation's 1x1 kernels become matrices.
    """
    if style == "keras" and value.ndim == 4:  # (height, width, in, out); depthwise (height, width, channels, 1)
        value = value.transpose((2, 3, 0, 1) if ".depthwise." in ours else (3, 2, 0, 1))
    elif style == "keras" and value.ndim == 2:
        value = value.T
    if ".se." in ours and value.ndim == 4 and value.shape[2:] == (1, 1):
        value = value[:, :, 0, 0]
    return value


def theirs(variant, style):
    """`{our tensor: their tensor}` for the whole network."""
    dot, kernel, parts = ("/", "kernel", OUR_BN) if style == "keras" else (".", "weight", TORCH_BN)
    found = {}
    for ours, (layer, bn) in _layers(variant, style).items():
        if bn:
            found[f"{ours}.conv.weight"] = f"{layer}{dot}{kernel}"
            found |= {f"{ours}.bn.{our}": f"{bn}{dot}{part}" for our, part in zip(OUR_BN, parts, strict=True)}
        else:
            found |= {f"{ours}.weight": f"{layer}{dot}{kernel}", f"{ours}.bias": f"{layer}{dot}bias"}
    return found


def _layers(variant, style):
    """`{our layer: (their convolution or dense layer, their batch normalisation or None)}`."""
    sizes = plan(variant)
    found = dict(ENDS[style])
    # the first block of a stage is the one that changes the number of channels
    starts = np.cumsum([block.channels_in != block.channels_out for block in sizes.blocks])
    places = [(stage, repeat) for stage, group in groupby(starts.tolist()) for repeat, _ in enumerate(group)]
    for number, (block, (stage, repeat)) in enumerate(zip(sizes.blocks, places, strict=True)):
        layers = BLOCKS[style](number, stage, repeat, block.expand > 1, bool(block.channels_se))
        found |= {f"blocks.{number}.{layer}": pair for layer, pair in layers.items()}
    return found


ENDS = {
    "efficientnet_pytorch": {
        "stem": ("_conv_stem", "_bn0"),
        "head": ("_conv_head", "_bn1"),
        "classifier": ("_fc", None),
    },
    "torchvision": {
        "stem": ("features.0.0", "features.0.1"),
        "head": ("features.8.0", "features.8.1"),
        "classifier": ("classifier.1", None),
    },
    "timm": {"stem": ("conv_stem", "bn1"), "head": ("conv_head", "bn2"), "classifier": ("classifier", None)},
    "keras": {"stem": ("stem_conv", "stem_bn"), "head": ("top_conv", "top_bn"), "classifier": ("predictions", None)},
}


def _block_efficientnet_pytorch(number, stage, repeat, expand, se):
    at = f"_blocks.{number}."
    found = {"expand": (f"{at}_expand_conv", f"{at}_bn0")} if expand else {}
    found["depthwise"] = (f"{at}_depthwise_conv", f"{at}_bn1")
    if se:
        found |= {"se.reduce": (f"{at}_se_reduce", None), "se.expand": (f"{at}_se_expand", None)}
    return found | {"project": (f"{at}_project_conv", f"{at}_bn2")}


def _block_torchvision(number, stage, repeat, expand, se):
    at, place, found = f"features.{stage}.{repeat}.block.", 0, {}
    for layer in ["expand"] * expand + ["depthwise"] + ["se"] * se + ["project"]:
        if layer == "se":
            found |= {"se.reduce": (f"{at}{place}.fc1", None), "se.expand": (f"{at}{place}.fc2", None)}
        else:
            found[layer] = (f"{at}{place}.0", f"{at}{place}.1")
        place += 1
    return found


def _block_timm(number, stage, repeat, expand, se):
    at = f"blocks.{stage - 1}.{repeat}."
    layers = (
        {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
        if expand
        else {"depthwise": "conv_dw", "project": "conv_pw"}
    )
    found = {layer: (f"{at}{conv}", f"{at}bn{place + 1}") for place, (layer, conv) in enumerate(layers.items())}
    if se:
        found |= {"se.reduce": (f"{at}se.conv_reduce", None), "se.expand": (f"{at}se.conv_expand", None)}
    return found


def _block_keras(number, stage, repeat, expand, se):
    at = f"block{stage}{chr(ord('a') + repeat)}_"
    found = {"expand": (f"{at}expand_conv", f"{at}expand_bn")} if expand else {}
    found["depthwise"] = (f"{at}dwconv", f"{at}bn")
    if se:
        found |= {"se.reduce": (f"{at}se_reduce", None), "se.expand": (f"{at}se_expand", None)}
    return found | {"project": (f"{at}project_conv", f"{at}project_bn")}


BLOCKS = {
    "efficientnet_pytorch": _block_efficientnet_pytorch,
    "torchvision": _block_torchvision,
    "timm": _block_timm,
    "keras": _block_keras,
}
