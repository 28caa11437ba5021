"""What each model is: `python workflow/models.py` lists dvc.yaml's artifacts with recipe, data, accuracy, licence, and where they are."""

import json
from pathlib import Path

import yaml
from repo import opened

from effnet import checkpoint, errors

LICENCE = "Apache-2.0 (trained here)"
ACCURACY = {"models/effnet.ckpt": "evaluate", "models/effnet.onnx": "onnx_eval", "models/effnet.mindir": "infer310"}


def main():
    artifacts = yaml.safe_load(Path("dvc.yaml").read_text())["artifacts"]
    with opened() as repo:
        outputs = {str(out): out for out in repo.index.outs}
        for name, artifact in artifacts.items():
            path = artifact["path"]
            print(f"{name}: {path} ({artifact['type']}) - {artifact['desc']}")
            for line in describe(path, outputs.get(path)):
                print(f"  {line}")
    for path in sorted(Path("models/pretrained").glob("*.ckpt")):
        _, meta = checkpoint.load(path)
        print(f"{path.stem}: {path} (pretrained, not versioned) - {meta['variant']} from {meta['source']}")
        print(f"  licence {meta.get('licence', 'unknown')}; published top-1 {meta.get('expected_top1', 0):.1%}")
    return 0


def describe(path, output):
    """Lines about one artifact: from the metrics and provenance that were measured with it, and from DVC."""
    stage = ACCURACY.get(path)
    metrics, origin = (_json(f"metrics/{kind}{stage}.json") for kind in ("", "provenance/"))
    if metrics and origin:
        yield f"top-1 {metrics['top1']:.2%} ({metrics['top1_low']:.2%} - {metrics['top1_high']:.2%}) of {metrics['images']:,} pictures, by stage {stage}"
        yield f"recipe {origin['recipe'][:12]}, data {origin['data'][:12]}, code {(origin['revision'] or 'no git')[:12]}{' with edits' if origin['edited'] else ''}"
    else:
        yield "never evaluated here"
    model = _json("models/effnet.json")
    yield f"licence {LICENCE if not model or model['source'].startswith('trained') else model['source']}"
    here = Path(path).exists()
    cached = output is not None and output.hash_info and output.cache.exists(output.hash_info.value)
    yield f"{'in the workspace' if here else 'not in the workspace'}, {'in the cache' if cached else 'not in the cache: `make pull` brings it, `make repro` makes it'}"


def _json(path):
    return json.loads(Path(path).read_text()) if Path(path).exists() else None


if __name__ == "__main__":
    errors.run(main)
