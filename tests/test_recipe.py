"""Recipes: every ready one is valid and holds the published numbers; every mistake is named."""

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
    assert (ascend.data.batch_size, ascend.train.lr_init, ascend.train.lr_max, ascend.train.lr_end) == (
        8 * 256,
        1e-4,
        0.13,
        1e-5,
    )
    assert (gpu.data.batch_size, gpu.train.lr_init, gpu.train.lr_max, gpu.train.lr_end) == (8 * 128, 7e-5, 0.092, 7e-6)
    for r in (ascend, gpu):
        assert (r.train.device_num, r.train.epoch_size, r.train.warmup_epochs, r.train.lr_decay_mode) == (
            8,
            350,
            2,
            "linear",
        )
        assert (r.train.rms_decay, r.train.momentum, r.train.opt_eps, r.train.weight_decay) == (0.9, 0.9, 1e-3, 1e-5)
        assert (r.train.label_smooth_factor, r.train.loss_scale, r.model.drop_connect, r.model.dropout) == (
            0.1,
            1024,
            0,
            0.3,
        )
        assert (r.model.image_size, r.evaluate.resize, r.evaluate.crop, r.augment.interpolation) == (
            260,
            280,
            260,
            "bilinear",
        )


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
        ("resize: 32", "resize: 16", ["evaluate.crop", "larger than evaluate.resize"]),
        ("  opt: rmsprop\n", "", ["'train.opt' is missing"]),
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


def test_digest_ignores_layout(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(Path("recipes/smoke.yaml").read_text())))
    assert recipe.digest(recipe.load(path)) == recipe.digest(recipe.load("recipes/smoke.yaml"))
    assert recipe.digest(recipe.load(path)) != recipe.digest(recipe.load("recipes/digits.yaml"))
