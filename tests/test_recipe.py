"""Recipes: every ready one is valid and holds the published numbers; every mistake is named."""

import json
import re
from pathlib import Path

import pytest
import yaml

from effnet import recipe
from effnet.errors import InputError

READY = sorted(Path("recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_recipes_are_valid(path):
    recipe.load(path)
    assert path.read_text().startswith("# "), "a recipe opens with what it costs and what it reached"


def test_the_original_has_two_sets_of_hyper_parameters():
    ascend, gpu = recipe.load("recipes/ascend8.yaml"), recipe.load("recipes/gpu8.yaml")

    def rates(r):
        return r.data.batch_size, r.train.lr_init, r.train.lr_max, r.train.lr_end

    assert rates(ascend) == (8 * 256, 1e-4, 0.13, 1e-5) and rates(gpu) == (8 * 128, 7e-5, 0.092, 7e-6)
    for r in (ascend, gpu):
        train, model = r.train, r.model
        schedule = (train.device_num, train.epoch_size, train.warmup_epochs, train.lr_decay_mode)
        assert schedule == (8, 350, 2, "linear")
        assert (train.rms_decay, train.momentum, train.opt_eps, train.weight_decay) == (0.9, 0.9, 1e-3, 1e-5)
        assert (train.label_smooth_factor, train.loss_scale, model.drop_connect, model.dropout) == (0.1, 1024, 0, 0.3)
        assert (model.image_size, r.augment.interpolation) == (260, "bilinear")
        for section in (r.validation, r.evaluate):
            assert (section.resize, section.crop) == (280, 260)


def edited(tmp_path, old, new):
    text = Path("recipes/smoke.yaml").read_text()
    assert re.search(old, text)
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(old, new, text, count=1))
    return path


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("lr_max:", "lr_maks:", ["params.yaml:", "unknown key 'train.lr_maks'", "did you mean 'lr_max'?"]),
        ("  momentum: 0.9", "  momentum: 1.5", ["train.momentum", "less than 1", "1.5"]),
        ("epoch_size: 2", "epoch_size: two", ["train.epoch_size", "'two'"]),
        ("batch_size: 64", "batch_size: 0", ["data.batch_size", "greater than or equal to 1"]),
        ("device_num: 1", "device_num: 3", ["data.batch_size", "64 is not divisible", "3"]),
        ("efficientnet_toy", "efficientnet_b22", ["model.variant", "efficientnet_b2'?"]),
        (
            r"(validation:\n.*)resize: 32",
            r"\1resize: 16",
            ["validation.crop: 32", "larger than validation.resize"],
        ),
        (r"(evaluate:\n.*)resize: 32", r"\1resize: 16", ["evaluate.crop: 32", "larger than evaluate.resize"]),
        ("  opt: rmsprop\n", "", ["'train.opt' is missing"]),
        (
            "device_num: 1\n  threads: 2",
            "device_num: 1\n  threads: -1",
            ["train.threads", "greater than or equal to 0", "-1"],
        ),
        ("model:", "model: [", ["not valid YAML"]),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, says):
    path = edited(tmp_path, old, new)
    with pytest.raises(InputError) as error:
        recipe.load(path)
    for words in says:
        assert words in str(error.value)


def test_the_line_is_the_key_s(tmp_path):
    path = edited(tmp_path, "  momentum: 0.9", "  momentum: 7")
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "momentum: 7" in text)
    with pytest.raises(InputError, match=f"params.yaml:{line}: train.momentum"):
        recipe.load(path)


def test_a_key_that_is_gone_says_what_came_of_it(tmp_path):
    path = edited(tmp_path, "export:\n", "export:\n  formats: [onnx, mindir]\n")
    with pytest.raises(InputError, match="'export.formats' is no key any more: ONNX and MINDIR are always written"):
        recipe.load(path)


def test_a_recipe_from_before_the_section_validation_is_told_of_it(tmp_path):
    tree = yaml.safe_load(Path("recipes/smoke.yaml").read_text())
    del tree["validation"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(InputError, match="key 'validation' is missing; add it"):
        recipe.load(tmp_path / "params.yaml")


def test_what_decides_a_training_ignores_layout_and_what_decides_no_byte(tmp_path):
    smoke = recipe.training_values(recipe.load("recipes/smoke.yaml"))
    tree = yaml.safe_load(Path("recipes/smoke.yaml").read_text())
    for section, changes in {
        "data": {"workers": 3, "root": "elsewhere", "shards": 9},  # the prepared pictures have a digest of their own
        "train": {"save_checkpoint_epochs": 5, "save_checkpoint_steps": 7, "keep_checkpoint_max": 9},
        "evaluate": {"batch_size": 7},
        "export": {"opset": 20},
        "onnx": {"batch_size": 7, "threads": 5},
    }.items():
        assert tree[section].keys() >= changes.keys()
        tree[section] |= changes
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert recipe.training_values(recipe.load(path)) == smoke
    assert recipe.training_values(recipe.load("recipes/digits.yaml")) != smoke
    json.dumps(smoke)  # as a checkpoint keeps it


@pytest.mark.parametrize(
    "key, value",
    [
        ("model.dropout", 0.5),
        ("data.batch_size", 32),
        ("augment.mixup", 0.3),
        ("validation.resize", 40),
        ("train.threads", 3),
    ],
)
def test_what_decides_a_training_is_told_key_by_key(tmp_path, key, value):
    smoke = recipe.training_values(recipe.load("recipes/smoke.yaml"))
    tree, (section, name) = yaml.safe_load(Path("recipes/smoke.yaml").read_text()), key.split(".")
    tree[section][name] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    found = recipe.training_values(recipe.load(tmp_path / "params.yaml"))
    assert found == smoke | {key: value} != smoke
