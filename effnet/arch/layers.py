"""What a variant consists of, by arithmetic alone: layers, parameters, multiply-accumulates. Needs no framework."""

import math
from collections import namedtuple

from effnet.arch.family import VARIANTS, plan
from effnet.errors import InputError

# kernel: shape of the weight; output: (channels, side); parameters include batch normalisation's scale and shift, not
# its running statistics; macs: multiply-accumulates of one image through convolutions and dense layers, which the
# papers print as "FLOPs"
Layer = namedtuple("Layer", "name kind kernel output parameters macs")


def layers(variant, image_size=None, class_num=1000):
    """Every layer with weights, in order, as `Layer` rows; named as its parameters are in a checkpoint."""
    sizes = plan(variant)
    side = image_size or VARIANTS[variant].image_size
    rows = []

    def conv(name, channels_in, channels_out, kernel=1, stride=1, depthwise=False):
        nonlocal side
        side = math.ceil(side / stride)  # with either padding
        shape = (channels_out, 1 if depthwise else channels_in, kernel, kernel)
        weights = math.prod(shape)
        kind = f"{'depthwise' if depthwise else 'conv'} {kernel}x{kernel}" + (f" /{stride}" if stride > 1 else "")
        rows.append(Layer(name, kind, shape, (channels_out, side), weights + 2 * channels_out, weights * side * side))

    def dense(name, features_in, features_out):
        weights = features_in * features_out
        rows.append(
            Layer(name, "dense", (features_out, features_in), (features_out, 1), weights + features_out, weights)
        )

    conv("stem", 3, sizes.stem, 3, 2)
    for number, block in enumerate(sizes.blocks):
        name, wide = f"blocks.{number}", block.channels_in * block.expand
        if block.expand > 1:
            conv(f"{name}.expand", block.channels_in, wide)
        conv(f"{name}.depthwise", wide, wide, block.kernel, block.stride, depthwise=True)
        if block.channels_se:
            dense(f"{name}.se.reduce", wide, block.channels_se)
            dense(f"{name}.se.expand", block.channels_se, wide)
        conv(f"{name}.project", wide, block.channels_out)
    conv("head", sizes.blocks[-1].channels_out, sizes.head)
    dense("classifier", sizes.head, class_num)
    return rows


def shapes(variant, class_num=1000):
    """`{name: shape}` of every parameter of the network and every running statistic, as
    effnet/network/efficientnet.py names them.
    """
    found = {}
    for row in layers(variant, class_num=class_num):
        if row.kind == "dense":
            found |= {f"{row.name}.weight": row.kernel, f"{row.name}.bias": row.kernel[:1]}
        else:
            found[f"{row.name}.conv.weight"] = row.kernel
            found |= {
                f"{row.name}.bn.{part}": row.kernel[:1] for part in ("gamma", "beta", "moving_mean", "moving_variance")
            }
    return found


def totals(variant, image_size=None, class_num=1000):
    """`(parameters, macs)` of the whole network."""
    rows = layers(variant, image_size, class_num)
    return sum(row.parameters for row in rows), sum(row.macs for row in rows)


def full_name(variant):
    """`efficientnet_b2` for `b2` or itself. Raises InputError for what is not in the table."""
    name = variant if variant in VARIANTS else f"efficientnet_{variant}"
    if name not in VARIANTS:
        raise InputError(f"'{variant}' is not a variant; choose one of {', '.join(VARIANTS)}")
    return name


def table(variant, image_size=None, class_num=1000):
    """The text that `effnet info` prints: one line a layer, then the totals."""
    rows = layers(variant, image_size, class_num)
    lines = [f"{'layer':<22} {'kind':<18} {'output':>14} {'parameters':>12} {'MACs':>15}"]
    for row in rows:
        channels, side = row.output
        output = f"{channels} x {side} x {side}" if side > 1 or row.kind != "dense" else str(channels)
        lines.append(f"{row.name:<22} {row.kind:<18} {output:>14} {row.parameters:>12,} {row.macs:>15,}")
    parameters, macs = totals(variant, image_size, class_num)
    size = image_size or VARIANTS[variant].image_size
    lines.append(f"{variant} at {size} x {size}, {class_num} classes: {parameters:,} parameters, {macs:,} MACs")
    return "\n".join(lines)
