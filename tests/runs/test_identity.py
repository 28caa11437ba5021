"""A run's identity: what is in it, and what of it differs."""

from types import SimpleNamespace

from effnet.recipe import load
from effnet.runs import identity
from tests.conftest import ROOT

DATASET = SimpleNamespace(digest="d" * 64, classes=["a", "b"], class_ids=["a", "b"])


def of(**changes):
    """Identity under the smoke recipe with some keys changed: of(train__lr_max=0.1)."""
    recipe = load(ROOT / "recipes/smoke.yaml")
    for key, value in changes.items():
        section, name = key.split("__")
        recipe = recipe.model_copy(update={section: getattr(recipe, section).model_copy(update={name: value})})
    return identity.of_run(recipe, DATASET)


def differs(**changes):
    return identity.difference(of(), of(**changes))


def test_the_same_recipe_is_the_same_run():
    assert differs() == ([], [])


def test_what_decides_no_weight_is_not_in_it():
    for key, value in {
        "train__keep_checkpoint_max": 9, "train__save_checkpoint_epochs": 7, "train__save_checkpoint_steps": 3,
        "data__workers": 5, "data__root": "/elsewhere", "data__shards": 7, "evaluate__resize": 99, "evaluate__crop": 20,
        "evaluate__interpolation": "bicubic", "evaluate__batch_size": 7, "export__opset": 20, "onnx__batch_size": 3,
        "onnx__threads": 5,
    }.items():  # fmt: skip
        assert differs(**{key: value}) == ([], []), key


def test_what_decides_them_is_named_with_its_old_value():
    assert differs(train__lr_max=0.1, data__batch_size=32).inputs == ["data.batch_size 64", "train.lr_max 0.003"]
    assert differs(train__threads=3).inputs == ["train.threads 2"]
    assert differs(augment__color_jitter=(0.1, 0, 0)).inputs == ["augment.color_jitter [0.0, 0.0, 0.0]"]
    other = of() | {"data": "e" * 64}
    assert identity.difference(of(), other).inputs == ["data dddddddd"]
    assert identity.difference(of(), of() | {"start": "f" * 64}).inputs == ["start none"]


def test_code_and_versions_are_named_by_function_and_package():
    old = of()
    code = {**old["code"], "training/loop.py": old["code"]["training/loop.py"] | {"train": "0"}}
    assert identity.difference(old, old | {"code": code}).code == ["train in effnet/training/loop.py"]
    versions = old["versions"] | {"mindspore": "9.9"}
    assert identity.difference(old, old | {"versions": versions}).code == [
        f"mindspore {old['versions']['mindspore']}, now 9.9"
    ]


def test_the_code_that_makes_the_weights_is_in_it_and_no_other():
    files = of()["code"].keys()
    assert {"network/operators.c", "native/decode.c", "training/loop.py", "data/augment.py", "arch/family.py"} <= files
    assert not [f for f in files if f.split("/")[0] in ("devices", "results", "evaluation", "runs", "cli", "weights")]
