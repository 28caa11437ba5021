"""The EfficientNet family from one table of variants.

Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019,
https://arxiv.org/abs/1905.11946. Reference: tensorflow/tpu
models/official/efficientnet/{efficientnet_model,efficientnet_builder}.py, and lite/ for the Lite variants.
"""

import math
from collections import namedtuple

import numpy as np

Variant = namedtuple("Variant", "width depth image_size lite", defaults=(False,))

VARIANTS = {
    "efficientnet_b0": Variant(1.0, 1.0, 224),
    "efficientnet_b1": Variant(1.0, 1.1, 240),
    "efficientnet_b2": Variant(1.1, 1.2, 260),
    "efficientnet_b3": Variant(1.2, 1.4, 300),
    "efficientnet_b4": Variant(1.4, 1.8, 380),
    "efficientnet_b5": Variant(1.6, 2.2, 456),
    "efficientnet_b6": Variant(1.8, 2.6, 528),
    "efficientnet_b7": Variant(2.0, 3.1, 600),
    # Lite: no squeeze-and-excitation, ReLU6, stem, head and the outer stages' depth not scaled
    "efficientnet_lite0": Variant(1.0, 1.0, 224, True),
    "efficientnet_lite1": Variant(1.0, 1.1, 240, True),
    "efficientnet_lite2": Variant(1.1, 1.2, 260, True),
    "efficientnet_lite3": Variant(1.2, 1.4, 280, True),
    "efficientnet_lite4": Variant(1.4, 1.8, 300, True),
    # not of the paper: one narrow block a stage, for tests and smoke runs; B0 at half its width and depth, whose
    # residual blocks are there still, for bench/accuracy.py
    "efficientnet_toy": Variant(0.25, 0.1, 32),
    "efficientnet_half": Variant(0.5, 0.5, 64),
}
UNPUBLISHED = {"efficientnet_toy", "efficientnet_half"}

BN_EPS = 1e-3  # the reference's
SE_RATIO = 0.25  # of the block's input, not of its expanded width

Stage = namedtuple("Stage", "repeats kernel stride expand channels_in channels_out")

B0_STAGES = (
    Stage(1, 3, 1, 1, 32, 16),
    Stage(2, 3, 2, 6, 16, 24),
    Stage(2, 5, 2, 6, 24, 40),
    Stage(3, 3, 2, 6, 40, 80),
    Stage(3, 5, 1, 6, 80, 112),
    Stage(4, 5, 2, 6, 112, 192),
    Stage(1, 3, 1, 6, 192, 320),
)

Block = namedtuple("Block", "kernel stride expand channels_in channels_out channels_se")
Plan = namedtuple("Plan", "stem blocks head lite")


def round_channels(channels, width):
    """Channels scaled by `width`, rounded to a multiple of 8 and never down by more than 10%."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def plan(variant):
    """Every layer's size, independent of any framework: `Plan(stem, blocks, head, lite)`."""
    v = VARIANTS[variant]
    blocks = []
    for number, stage in enumerate(B0_STAGES):
        outer = number in (0, len(B0_STAGES) - 1)
        repeats = stage.repeats if v.lite and outer else math.ceil(stage.repeats * v.depth)
        first = number == 0 and v.lite  # fed by the stem, which Lite does not scale
        channels_in = stage.channels_in if first else round_channels(stage.channels_in, v.width)
        channels_out = round_channels(stage.channels_out, v.width)
        for repeat in range(repeats):
            cin, stride = (channels_in, stage.stride) if repeat == 0 else (channels_out, 1)
            se = 0 if v.lite else max(1, int(cin * SE_RATIO))
            blocks.append(Block(stage.kernel, stride, stage.expand, cin, channels_out, se))
    scale = (lambda channels: channels) if v.lite else (lambda channels: round_channels(channels, v.width))
    return Plan(scale(32), tuple(blocks), scale(1280), v.lite)


def keep_rates(blocks, drop_connect):
    """Chance that each block's residual branch survives in training, falling linearly with depth.

    Shape (len(blocks),).
    """
    return 1 - drop_connect * np.arange(len(blocks), dtype=np.float32) / len(blocks)
