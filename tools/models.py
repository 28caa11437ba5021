"""What each model is: `python -m tools.models` lists dvc.yaml's artifacts with recipe, data, accuracy, licence, and
where they are.

All of it is read from the files of this commit - metrics, provenance, dvc.lock, recipe - so that a clone without any
model can list them.
"""

import json
from pathlib import Path

import yaml

from effnet import errors, recipe
from effnet.files import digest
from effnet.network import checkpoint
from effnet.results.metrics import interval
from effnet.weights import pretrained
from tools.repo import opened, sentence

LICENCE = "Apache-2.0"  # the file LICENSE
MEASURED_BY = {"models/effnet.ckpt": "evaluate", "models/effnet.onnx": "onnx_eval", "models/effnet.mindir": "infer310"}
READ_BY = MEASURED_BY | {"models/effnet.mindir": "build310"}  # which hands it on to infer310


def main():
    artifacts = yaml.safe_load(Path("dvc.yaml").read_text())["artifacts"]
    params = recipe.load()
    with opened() as repo:
        outputs, remotes = {str(out): out for out in repo.index.outs}, _remotes(repo)
        for name, artifact in artifacts.items():
            path = artifact["path"]
            print(f"{name}: {path} ({artifact['type']}) - {artifact['desc']}")
            print(f"  {_accuracy(repo, outputs[path])}")
            print(f"  {_origin(path, params)}")
            print(f"  licence {_licence(params.model.pretrained)}")
            print(f"  {_places(outputs[path], remotes)}")
    for path in sorted(Path("models/pretrained").glob("*.ckpt")):
        _, meta = checkpoint.load(path)
        print(f"{path.stem}: {path} (pretrained, not versioned) - {meta['variant']} from {meta['source']}")
        print(f"  licence {meta.get('licence', 'unknown')}; published top-1 {meta.get('expected_top1', 0):.1%}")
    return 0


def _accuracy(repo, output):
    stage = MEASURED_BY[str(output)]
    found = _json(f"metrics/{stage}.json")
    if not found:
        return f"never measured: stage {stage} did not run"
    read = [
        dep.hash_info
        for stage in repo.index.stages
        if stage.addressing == READ_BY[str(output)]
        for dep in stage.deps
        if str(dep) == str(output)
    ]
    earlier = "" if output.hash_info in read else f"; of an earlier model, `dvc repro {stage}` measures this one"
    low, high = interval(found)
    return (
        f"top-1 {found['top1']:.2%} ({low:.2%} - {high:.2%}) of {found['images']:,} pictures, by stage {stage}{earlier}"
    )


def _origin(path, params):
    found = _json(f"metrics/provenance/{MEASURED_BY[path]}.json")
    if not found:
        return "recipe and data: not recorded"
    now = digest(recipe.training_values(params))
    same = "params.yaml's" if found["recipe"] == now else "not that of params.yaml now"
    return f"recipe {found['recipe'][:12]} ({same}), data {found['data'][:12]}"


def _licence(start):
    """In words, for a model that was trained from the weights `start`, as model.pretrained names them."""
    if not start:
        return f"{LICENCE}, trained here from random weights"
    row = pretrained.sources().get(start)
    if row:
        return f"{row['licence']}, fine-tuned here from {start}"
    return f"that of {start}, from which it was fine-tuned here"


def _places(output, remotes):
    if not output.hash_info:
        return "never made: `make repro` makes it"
    if not output.exists:
        here = "not in the workspace"
    else:
        here = "in the workspace, but not as dvc.lock records it" if output.changed_checksum() else "in the workspace"
    cached = output.cache.exists(output.hash_info.value)
    places = [here, "in the cache" if cached else "not in the cache", _sent(output, remotes)]
    return ", ".join(places) + ("" if cached else ": `make pull` brings it, `make repro` makes it")


def _sent(output, remotes):
    names = [name for name, store in remotes.items() if store.exists(output.hash_info.value)]
    return f"in remote {', '.join(names)}" if names else "in no remote"


def _remotes(repo):
    """`{name: object store}` of the remotes that answer; each is tried once, and what is wrong with it said."""
    stores = {}
    for name, options in repo.config["remote"].items():
        try:
            store = repo.cloud.get_remote_odb(name)
            store.fs.exists(store.path)
        except Exception as error:
            said = sentence(error, options["url"])
            if said is None:
                raise
            print(f"note: {said}")
        else:
            stores[name] = store
    return stores


def _json(path):
    return json.loads(Path(path).read_text()) if Path(path).exists() else None


if __name__ == "__main__":
    errors.run(main)
