"""DVC's graph is true: each stage depends on the code it runs, the keys it reads and the versions it uses, and on no
others.

Derived three ways: Python's imports by reading the sources, files and keys by watching each stage of the smallest
recipe, the C++ program's sources as the compiler wrote them down.
"""

import ast
import json
import re
from pathlib import Path

import pytest
import tomlkit
import yaml
from dvc.repo import Repo

from tests.conftest import ROOT, copied, copy_project

GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
CODE = ("effnet/", "stages/", "infer310/", "tools/")
# What all may use and no byte of an output depends on.
NO_BYTE = {
    "effnet/__init__.py": "the version, for people",
    "effnet/errors.py": "how a program ends",
    "effnet/parsed.py": "it lets what it reads through as it is, or refuses it",
    "effnet/progress.py": "bars",
    "effnet/download.py": "what it brings is checked against a checksum",
    "effnet/recipe.py": "the schema counts by its values, which are the stages' params",
    "stages/__init__.py": "how a program ends while it loads",
}
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn"}  # by the name they are imported by
# Kept where it was made, neither dependency nor output. Who reads logits depends on the metrics that came with them.
LOCAL = ("build/", "metrics/clock/", "metrics/logits/", "models/checkpoints")
METRICS_OF = {
    "mindspore": "metrics/evaluate.json",
    "onnx": "metrics/onnx",
    "onnx_float16": "metrics/onnx",
    "onnx_int8": "metrics/onnx",
    "infer310": "metrics/infer310.json",
}
SAME_BYTES = {  # (stage, package) whose version decides nothing there
    **{("source", name): "it reads names and bytes" for name in ("numpy", "scikit-learn", "scipy", "pillow")},
    ("prepare", "numpy"): ".npy version 1.0 is what it is",
    ("prepare", "scipy"): "it only reads the devkit's meta.mat",
    ("prepare", "scikit-learn"): "it only holds the digits",
    ("build310", "numpy"): "one float32 constant",
    ("pretrained", "numpy"): "rounds to float32",
}


def imports(path):
    """(files of this project, top-level names of other packages) that the module at `path` imports, in functions
    too.
    """
    ours, others = set(), set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] not in ("effnet", "stages", "tools"):
                others.add(name.split(".")[0])
                continue
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                module = Path(*parts[:depth])
                ours |= {
                    str(file) for file in (module.with_suffix(".py"), module / "__init__.py") if (ROOT / file).exists()
                }
    return ours, others


def closure(stage):
    """All that `imports` reaches from a stage's script; what decides no byte is not followed."""
    found, packages, waiting = set(), set(), [f"stages/{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            ours, others = ({}, {}) if path in NO_BYTE else imports(path)
            packages |= {PACKAGES.get(name, name) for name in others}
            waiting += ours
    return found, packages


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """{stage: what tests/recording.py wrote down} of the smoke recipe, and the project it ran in."""
    project, found = copy_project(tmp_path_factory.mktemp("recorded") / "project"), {}
    for stage in GRAPH:
        out = project.folder.parent / f"{stage}.json"
        project.run("python", "-m", "tests.recording", stage, out)
        found[stage] = json.loads(out.read_text())
    return found, project


def outputs_of(stage):
    outputs = [out for kind in ("outs", "metrics", "plots") for out in GRAPH[stage].get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in outputs]


def covers(dependency, path):
    return path == dependency or path.startswith(f"{dependency}/")


def compiled(folder):
    """Sources of the project that the compiler read for what is built in `folder`, by its own account."""
    text = " ".join(path.read_text() for path in folder.rglob("*.d"))
    paths = {(folder / word).resolve() for word in re.sub(r"\\\n", " ", text).split() if not word.endswith(":")}
    return {str(path.relative_to(ROOT)) for path in paths if path.is_relative_to(ROOT)}


@pytest.mark.parametrize("stage", GRAPH)
def test_dependencies_are_what_the_stage_reads(stage, recorded, request):
    records, project = recorded
    outputs = outputs_of(stage)
    opened = {path for path in records[stage]["files"] if (project.folder / path).is_file()}
    read = {path for path in opened if not path.startswith(("tests/", ".", *LOCAL))}
    read |= {METRICS_OF[Path(path).stem] for path in opened if path.startswith("metrics/logits/")}
    read |= closure(stage)[0]
    if stage == "infer310":
        read |= compiled(request.getfixturevalue("effnet310"))
    read -= {*NO_BYTE, "params.yaml"}
    dependencies = GRAPH[stage]["deps"]
    assert not [path for path in [*dependencies, *outputs] if path.startswith(LOCAL)]
    missing = [path for path in sorted(read) if not any(covers(d, path) for d in [*dependencies, *outputs])]
    assert not missing, f"{stage} reads what dvc.yaml does not name"
    script = (ROOT / f"stages/{stage}.py").read_text()  # ONNX Runtime and MindSpore Lite open files unseen
    unused = [d for d in dependencies if not any(covers(d, path) for path in read) and f'"{d}' not in script]
    assert not unused, f"dvc.yaml names what {stage} does not read"


@pytest.mark.parametrize("stage", GRAPH)
def test_params_are_the_keys_that_the_stage_reads(stage, recorded):
    from effnet import recipe

    where = {
        f"{name}.{key}"
        for name, field in recipe.Recipe.model_fields.items()
        for key, value in field.annotation.model_fields.items()
        if value.json_schema_extra == recipe.NO_BYTE
    }
    declared = {key for key in GRAPH[stage]["params"] if isinstance(key, str)}
    assert set(recorded[0][stage]["keys"]) - where == declared


def versions():
    return tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["tool"]["effnet"]["versions"]


@pytest.mark.parametrize("stage", GRAPH)
def test_versions_are_those_of_the_packages_it_imports(stage):
    declared = {
        key.rsplit(".", 1)[1]
        for entry in GRAPH[stage]["params"]
        if isinstance(entry, dict)
        for key in entry.get("pyproject.toml", [])
    }
    imported = closure(stage)[1] & versions().keys()
    assert declared == {name for name in imported if (stage, name) not in SAME_BYTES}


def test_each_version_decides_some_stage():
    used = {
        key.rsplit(".", 1)[1]
        for stage in GRAPH.values()
        for entry in stage["params"]
        if isinstance(entry, dict)
        for key in entry.get("pyproject.toml", [])
    }
    assert used == versions().keys()


def test_what_stays_where_it_was_made_is_ignored_by_git(project):
    """And what DVC leaves to git is not."""
    tracked = [
        next(iter(out))
        for stage in GRAPH.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
        if isinstance(out, dict) and next(iter(out.values())).get("cache") is False
    ]
    command = ["git", "check-ignore", "--no-index"]
    local = [f"{path.rstrip('/')}/x" for path in LOCAL]
    assert project.run(*command, *local).stdout.split() == local
    assert tracked and project.run(*command, *tracked, check=False).stdout == ""


def test_versions_are_those_of_the_lock():
    lock = (ROOT / "requirements.lock").read_text()
    assert versions() == {name: list(dict.fromkeys(re.findall(rf"^{name}==(\S+)", lock, re.M))) for name in versions()}


def test_what_trains_is_what_the_identity_hashes():
    from effnet.runs.identity import FOLDERS, PACKAGES

    folders = {path.split("/")[1] for path in closure("train")[0] if path.count("/") == 2}
    watching = {
        "devices",
        "evaluation",
        "results",
        "runs",
    }  # where it runs, what it is said to be worth, what is kept of it
    assert folders - watching == set(FOLDERS)
    declared = {
        key.rsplit(".", 1)[1]
        for entry in GRAPH["train"]["params"]
        if isinstance(entry, dict)
        for key in entry.get("pyproject.toml", [])
    }
    assert declared == set(PACKAGES)


@pytest.fixture(scope="module")
def edited(finished, tmp_path_factory):
    """A copy of the finished project, to be edited."""
    return copied(finished, tmp_path_factory.mktemp("edited") / "project")


EVERY = set(GRAPH) - {"source"}  # which runs each time
ALL_BUT = EVERY.difference
EVALUATED = {"evaluate", "export", "quantize", "onnx_eval"}
NETWORK = {"pretrained", "train", "evaluate", "export", "quantize", "build310"}
EDITS = {  # file, what is replaced by what (None: a line more at the end): the stages that run because of it alone
    ("effnet/data/augment.py", None): {"train", "evaluate", "quantize", "onnx_eval", "infer310"},
    ("effnet/data/presets.py", None): {"train", "evaluate", "quantize", "onnx_eval", "infer310"},
    ("effnet/sources/folder.py", None): {"prepare"},
    ("data/source.json", ('"content": ""', '"content": "another"')): {"prepare"},
    ("effnet/shards/dataset.py", None): {"prepare", "train", "evaluate", "quantize", "onnx_eval", "infer310", "parity"},
    ("effnet/training/optimizers.py", None): {"train"},
    ("effnet/evaluation/evaluator.py", None): {"train", "evaluate"},
    ("effnet/network/efficientnet.py", None): NETWORK,
    ("effnet/network/checkpoint.py", None): NETWORK,
    ("effnet/network/operators.c", None): NETWORK,
    ("effnet/native/decode.c", None): ALL_BUT({"prepare", "pretrained", "build310", "parity"}),
    ("effnet/native/colors.c", None): ALL_BUT({"prepare", "pretrained", "build310", "parity"}),
    ("effnet/native/resize.c", None): ALL_BUT({"prepare", "pretrained", "build310", "parity"}),
    ("effnet/arch/family.py", None): ALL_BUT({"prepare", "build310", "infer310", "parity"}),
    ("effnet/export/onnx_graph.py", None): {"export", "quantize"},
    ("effnet/mindir/canonical.py", None): {"export", "build310"},
    ("effnet/mindir/version_1.py", None): {"export", "build310"},
    ("effnet/results/clock.py", None): {"train", "evaluate", "onnx_eval", "infer310", "parity"},
    ("effnet/results/metrics.py", None): {"train", "evaluate", "onnx_eval", "infer310", "parity"},
    ("effnet/runs/run.py", None): {"train"},
    ("effnet/runtimes/onnx_runtime.py", None): {"quantize", "onnx_eval", "infer310"},
    ("effnet/comparison/paired.py", None): {"parity"},
    ("effnet/weights/table.yaml", None): {"pretrained"},
    ("effnet/files.py", None): EVERY,
    ("infer310/main.cc", None): {"infer310"},
    ("stages/evaluate.py", None): {"evaluate"},
    ("effnet/errors.py", None): set(),
    ("effnet/recipe.py", None): set(),
    ("effnet/cli/predict.py", None): set(),
    ("effnet/loose/pictures.py", None): set(),
    ("tools/doctor.py", None): set(),
    ("tools/report.py", None): set(),
    ("docs/design.md", None): set(),
    ("requirements.lock", None): set(),
    ("pyproject.toml", ("line-length = 120", "line-length = 100")): set(),
    ("pyproject.toml", ('mindspore = ["2.10.0"]', 'mindspore = ["2.11.0"]')): NETWORK,
    ("pyproject.toml", ("onnxruntime = [", 'onnxruntime = ["9", ')): {"quantize", "onnx_eval"},
    ("params.yaml", ("lr_max: 0.003", "lr_max: 0.004")): {"train"},
    ("params.yaml", ("keep_checkpoint_max: 2", "keep_checkpoint_max: 3")): set(),
    ("params.yaml", ("save_checkpoint_epochs: 1", "save_checkpoint_epochs: 2")): set(),
    ("params.yaml", ("workers: 0", "workers: 1")): set(),
    ("params.yaml", ("color_jitter: [0.0,", "color_jitter: [0.1,")): {"train"},
    ("params.yaml", ("shards: 2", "shards: 3")): {"prepare"},
    ("params.yaml", ("evaluate:\n  resize: 3", "evaluate:\n  resize: 4")): EVALUATED,
    ("params.yaml", ("validation:\n  resize: 3", "validation:\n  resize: 4")): {"train"},
    ("params.yaml", ("opset: 21", "opset: 20")): {"export", "quantize"},
    ("params.yaml", ("quantize: [float16, int8]", "quantize: [int8]")): {"quantize", "onnx_eval", "parity"},
    ("params.yaml", ("provider: CPU", "provider: CUDA")): {"onnx_eval"},
    ("params.yaml", ("threads: 2\n  epoch_size", "threads: 3\n  epoch_size")): {"train", "evaluate"},
    ("params.yaml", ("8\n  threads: 2", "8\n  threads: 3")): {"quantize", "onnx_eval", "infer310"},
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit[0]} {edit[1][1][:24] if edit[1] else ''}")
def test_an_edit_runs_what_it_concerns_and_nothing_else(edit, edited, monkeypatch):
    (name, change), expected = edit, EDITS[edit]
    path = edited.folder / name
    kept = path.read_text()
    if change:
        assert kept.count(change[0]) == 1
    path.write_text(kept.replace(*change) if change else kept + "\n")
    try:
        monkeypatch.chdir(edited.folder)  # DVC looks for its targets from here
        with Repo() as repo:  # twice as fast as a `dvc repro --dry`
            assert {stage.name for stage in repo.reproduce(dry=True)} - {"source"} == expected
    finally:
        path.write_text(kept)
