"""What each model is: `python -m tools.models` lists dvc.yaml's artifacts with recipe, data, accuracy, licence, and
where they are; then other people's weights that are versioned here.

All of it is read from the files of this commit - metrics, provenance, dvc.lock, recipe - so that a clone without any
model can list them.
"""

from pathlib import Path

from effnet import errors, parsed, recipe
from effnet.files import digest
from effnet.results.metrics import interval
from effnet.weights import pretrained
from tools.facts import RUNTIMES
from tools.pretrained import named_rows, path_of
from tools.repo import opened, require_answer, sentence

LICENCE = "Apache-2.0"  # the file LICENSE
FAMILY = "bench/family.json"  # what tools/family.py measured
MEASURED_BY = {"models/effnet.ckpt": "evaluate", "models/effnet.onnx": "onnx_eval", "models/effnet.mindir": "infer310"}
READ_BY = MEASURED_BY | {"models/effnet.mindir": "build310"}  # which hands it on to infer310


def main():
    params = recipe.load()
    with opened() as repo:
        outputs = {str(out): out for out in repo.index.outs}
        remotes = _remotes(repo, [out.hash_info.value for out in outputs.values() if out.hash_info])
        for name, artifact in repo.artifacts.read().get("dvc.yaml", {}).items():
            path = artifact.path
            print(f"{name}: {path} ({artifact.type}) - {artifact.desc}")
            print(f"  {_accuracy(repo, outputs[path])}")
            print(f"  {_origin(path, params)}")
            print(f"  licence {licence(params.model.pretrained)}")
            print(f"  {_places(outputs[path], remotes)}")
        for name in named_rows():
            _tell_row(name, outputs[path_of(name)], remotes)
    others = len(pretrained.sources()) - len(named_rows())
    print(f"{others} more rows of other people's weights: `make pretrained` lists them")
    return 0


def _tell_row(name, output, remotes):
    """What is known of other people's weights without having them."""
    row, found = pretrained.source(name), (parsed.json_file(Path(FAMILY), parsed.Parsed) or {}).get(name)
    print(f"{name}: {output} (pretrained) - {row['variant']} from {row.get('url') or row['package']}")
    measured = f"measured here {found['top1']:.2%} of {found['images']} pictures" if found else "not measured here"
    print(f"  top-1 published {row['top1']:.2f}%; {measured}")
    md5 = output.hash_info.value
    print(f"  licence {row['licence']}, {f'md5 {md5}' if md5 else 'checksum not recorded yet'}")
    print(f"  {_places(output, remotes, f'make pretrained MODEL={name}')}")


def _accuracy(repo, output):
    stage = MEASURED_BY[str(output)]
    found = parsed.metrics_file(Path(f"metrics/{RUNTIMES[stage].metrics}.json"))
    if not found:
        return f"never measured: stage {stage} did not run, or the recipe leaves it out"
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
    found = parsed.json_file(Path(f"metrics/provenance/{MEASURED_BY[path]}.json"), parsed.Provenance)
    if not found:
        return "recipe and data: not recorded"
    now = digest(recipe.training_values(params))
    same = "params.yaml's" if found["recipe"] == now else "not that of params.yaml now"
    return f"recipe {found['recipe'][:12]} ({same}), data {found['data'][:12]}"


def licence(start):
    """In words, for a model that was trained from the weights `start`, as model.pretrained names them."""
    if not start:
        return f"{LICENCE}, trained here from random weights"
    row = pretrained.sources().get(start)
    if row:
        return f"{row['licence']}, fine-tuned here from {start}"
    return f"that of {start}, from which it was fine-tuned here"


def _places(output, remotes, maker="make repro"):
    if not output.hash_info:
        return f"never made: `{maker}` makes it"
    if not output.exists:
        here = "not in the workspace"
    else:
        here = "in the workspace, but not as dvc.lock records it" if output.changed_checksum() else "in the workspace"
    cached = output.cache.exists(output.hash_info.value)
    having = [name for name, store in remotes.items() if store.exists(output.hash_info.value)]
    places = [here, "in the cache" if cached else "not in the cache"]
    places += [f"in remote {', '.join(having)}" if having else "in no remote"]
    how = f"`make pull` brings it, `{maker}` makes it" if having else f"`{maker}` makes it"
    return ", ".join(places) + ("" if cached else f": {how}")


def _remotes(repo, objects):
    """`{name: object store}` of the remotes that answer; each is asked once, and what is wrong with it said."""
    stores = {}
    for name, options in repo.config["remote"].items():
        try:
            store = repo.cloud.get_remote_odb(name)
            for wanted in objects[:1]:
                require_answer(store, wanted)
        except Exception as error:
            said = sentence(error, options["url"])
            if said is None:
                raise
            print(f"note: {said}")
        else:
            stores[name] = store
    return stores


if __name__ == "__main__":
    errors.run(main)
