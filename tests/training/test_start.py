"""What a training starts from: other weights go with the recipe or are refused, a head of other classes is replaced."""

import pytest

from effnet.errors import InputError
from effnet.network import checkpoint
from effnet.recipe import load
from effnet.training import start
from tests.network.test_efficientnet import random_weights

TOY = "efficientnet_toy"
DIGITS = [str(digit) for digit in range(10)]


def meta(recipe, **changes):
    """Of weights that go with the recipe, but for the changes."""
    fits = {
        "variant": recipe.model.variant, "class_num": 10, "padding": recipe.model.padding, "bn_eps": 0.001,
        "mean": list(recipe.augment.mean), "std": list(recipe.augment.std),
        "interpolation": recipe.validation.interpolation, "classes": DIGITS, "class_ids": DIGITS,
    }  # fmt: skip
    return fits | changes


def test_a_head_of_another_size_is_replaced_and_that_is_said():
    weights, initial, said = random_weights(TOY, 10), random_weights(TOY, 5), []
    found = start.fit_head(weights, initial, False, said.append)
    assert said == ["the pretrained head has 10 classes, the recipe 5: a new head is trained"]
    assert found["classifier.weight"] is initial["classifier.weight"]
    assert found["stem.conv.weight"] is weights["stem.conv.weight"]
    assert start.fit_head(weights, random_weights(TOY, 10), True, said.append) is weights and len(said) == 1


@pytest.mark.parametrize("ids", [[f"n{digit}" for digit in DIGITS], DIGITS[::-1]], ids=["other", "another order"])
def test_a_head_of_as_many_other_classes_is_replaced_and_that_is_said(tmp_path, ids):
    recipe, weights, said = load("recipes/smoke.yaml"), random_weights(TOY, 10), []
    weights["classifier.weight"] = weights["classifier.weight"] + 1
    checkpoint.save(tmp_path / "start.ckpt", weights, meta(recipe, class_ids=ids))
    found, _ = start.load(recipe, tmp_path / "start.ckpt", DIGITS, said.append)
    told = "the pretrained head has 10 classes, the recipe 10, but others or in another order: a new head is trained"
    assert said == [told]
    assert found["classifier.weight"].mean() < 0.5 < weights["classifier.weight"].mean()


def test_weights_that_go_with_the_recipe_are_taken(tmp_path):
    recipe, weights = load("recipes/smoke.yaml"), random_weights(TOY, 10)
    checkpoint.save(tmp_path / "start.ckpt", weights, meta(recipe, source="elsewhere"))
    found, said = start.load(recipe, tmp_path / "start.ckpt", DIGITS)
    assert said["source"] == "elsewhere" and found.keys() == weights.keys()
    assert all((found[name] == value).all() for name, value in weights.items())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"variant": "efficientnet_b0"}, "model.variant: efficientnet_toy, the weights need efficientnet_b0"),
        ({"bn_eps": 1e-5}, "model.bn_eps: 0.001, the weights need 1e-05"),
        ({"padding": "symmetric"}, "model.padding: same, the weights need symmetric"),
        ({"mean": [1.0, 2.0, 3.0]}, r"augment.mean: \[.*\], the weights need \[1.0, 2.0, 3.0\]"),
        ({"std": [1.0, 2.0, 3.0]}, r"augment.std: \[.*\], the weights need \[1.0, 2.0, 3.0\]"),
        ({"interpolation": "bicubic"}, "validation.interpolation: bilinear, the weights need bicubic"),
    ],
)
def test_weights_that_need_another_recipe_are_refused_with_the_keys(tmp_path, changes, message):
    recipe = load("recipes/smoke.yaml")
    checkpoint.save(tmp_path / "start.ckpt", random_weights(TOY, 10), meta(recipe, **changes))
    with pytest.raises(InputError, match=f"model.pretrained: .*start.ckpt does not go with the recipe: {message}"):
        start.load(recipe, tmp_path / "start.ckpt", DIGITS)
