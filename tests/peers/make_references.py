"""Writes tests/network/references.npz: logits of other libraries' networks, on weights that NumPy makes from a seed.

    python -m tests.peers.make_references      needs torch, efficientnet_pytorch, torchvision, timm

The test that uses them, tests/network/test_efficientnet.py, needs none of these.
"""

from pathlib import Path

import numpy as np

from tests.network.test_efficientnet import CASES, EPS, pictures, random_weights
from tests.peers.nets import put, torch_net


def main():
    logits = {}
    for name, (library, variant, _, size) in CASES.items():
        net, forward = torch_net(library, variant, size, EPS, class_num=10)
        put(net, library, variant, random_weights(variant, 10))
        for training in (False, True):
            logits[f"{name}_{'training' if training else 'evaluation'}"] = forward(pictures(size), training)
    np.savez(Path(__file__).parents[1] / "network" / "references.npz", **logits)


if __name__ == "__main__":
    main()
