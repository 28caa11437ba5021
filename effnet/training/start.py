"""What a training starts from: other people's weights, checked against the recipe."""

from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.errors import InputError
from effnet.network.checkpoint import load_model


def load(recipe, path, class_ids, say=print):
    """`(weights, meta)` of our checkpoint at `path`, checked against the recipe.

    A head of other classes than `class_ids`, the pictures', is replaced by the recipe's random one, which is said.
    Raises InputError where the recipe does not agree with what the weights need.
    """
    found, meta = load_model(path)
    wrong = disagreements(recipe, meta)
    if wrong:
        raise InputError(f"model.pretrained: {path} does not go with the recipe: {'; '.join(wrong)}")
    initial = initial_weights(
        shapes(recipe.model.variant, recipe.model.class_num), recipe.train.seed, recipe.model.initial
    )
    same = (meta.get("class_ids") or meta["classes"]) == list(class_ids)
    return fit_head(found, initial, same, say), meta


def disagreements(recipe, meta):
    """What in `recipe` is not as the weights of this `meta` need it: a list of 'key: found, the weights need that'."""
    wanted = [
        ("model.variant", recipe.model.variant, meta["variant"]),
        ("model.padding", recipe.model.padding, meta["padding"]),
        ("model.bn_eps", recipe.model.bn_eps, meta["bn_eps"]),
        ("augment.mean", list(recipe.augment.mean), list(meta["mean"])),
        ("augment.std", list(recipe.augment.std), list(meta["std"])),
        ("validation.interpolation", recipe.validation.interpolation, meta["interpolation"]),
    ]
    return [f"{key}: {found}, the weights need {needed}" for key, found, needed in wanted if found != needed]


def fit_head(weights, initial, same, say=print):
    """The weights with `initial`'s classifier unless theirs is for the `same` classes, which is said."""
    if same:
        return weights
    old, new = len(weights["classifier.bias"]), len(initial["classifier.bias"])
    other = "" if old != new else ", but others or in another order"
    say(f"the pretrained head has {old} classes, the recipe {new}{other}: a new head is trained")
    return weights | {name: value for name, value in initial.items() if name.startswith("classifier.")}
