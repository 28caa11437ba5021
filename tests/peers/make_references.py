"""Writes tests/data/references.npz: logits of other libraries' networks on weights that NumPy makes again from a seed.

    python -m tests.peers.make_references      needs torch, efficientnet_pytorch, torchvision, timm

The test that uses them, tests/test_parity.py, needs none of these.
"""

from pathlib import Path

import numpy as np

from tests.peers.nets import put, torch_net
from tests.test_parity import CASES, EPS, pictures, random_weights


def main():
    logits = {}
    for name, (library, variant, _, size) in CASES.items():
        net, forward = torch_net(library, variant, size, EPS, class_num=10)
        put(net, library, variant, random_weights(variant, 10))
        for training in (False, True):
            logits[f"{name}_{'training' if training else 'evaluation'}"] = forward(pictures(size), training)
    np.savez(Path(__file__).parents[1] / "data" / "references.npz", **logits)


if __name__ == "__main__":
    main()
