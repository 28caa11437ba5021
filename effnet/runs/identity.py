"""What decides a run's weights, so that a checkpoint of anything else is never taken for this run's."""

from collections import namedtuple
from importlib.metadata import version
from pathlib import Path

from effnet.files import digest
from effnet.recipe import training_values
from effnet.runs import normal_form

ROOT = Path(__file__).parents[1]
# whose code makes the weights; validation only watches
FOLDERS = ("arch", "native", "shards", "data", "network", "training")
PACKAGES = ("mindspore", "numpy", "pillow", "scikit-learn", "scipy")

# inputs: what differs in recipe, data and starting weights; code: in functions and versions. Each a list of phrases.
Difference = namedtuple("Difference", "inputs code")


def of_run(recipe, dataset, start=""):
    """Identity of a training: the recipe's deciding values one by one, the data's digest, the code by function,
    versions.

    `start` is the digest of the weights it starts from, where these are not random.
    """
    return {
        "recipe": training_values(recipe),
        "data": dataset.digest,
        "start": start,
        "code": normal_form.of_folders(ROOT, FOLDERS),
        "versions": {name: version(name) for name in PACKAGES},
    }


def difference(old, new):
    """`Difference` between two identities; both lists empty if they are of the same run."""
    recipe = sorted(
        key for key in old["recipe"].keys() | new["recipe"].keys() if old["recipe"].get(key) != new["recipe"].get(key)
    )
    inputs = [f"{key} {old['recipe'].get(key)}" for key in recipe]
    inputs += [f"{what} {old[what][:8] or 'none'}" for what in ("data", "start") if old[what] != new[what]]
    code = []
    for file in sorted(old["code"].keys() | new["code"].keys()):
        before, now = old["code"].get(file, {}), new["code"].get(file, {})
        code += [
            f"{name} in effnet/{file}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
    names = sorted(old["versions"].keys() | new["versions"].keys())
    pairs = [(name, old["versions"].get(name, "none"), new["versions"].get(name, "none")) for name in names]
    code += [f"{name} {before}, now {now}" for name, before, now in pairs if before != now]
    return Difference(inputs, code)


def of_model(recipe, dataset, source="trained here"):
    """A model's meta: what is needed to use it, and where it comes from. Its pre-processing is what validation used."""
    model, validation, augment = recipe.model, recipe.validation, recipe.augment
    return {
        "variant": model.variant, "class_num": model.class_num, "padding": model.padding, "bn_eps": model.bn_eps,
        "image_size": model.image_size,
        "classes": dataset.classes, "class_ids": dataset.class_ids,
        "mean": augment.mean, "std": augment.std,
        "resize": validation.resize, "crop": validation.crop, "interpolation": validation.interpolation,
        "source": source, "seed": recipe.train.seed,
        "recipe_digest": digest(training_values(recipe)), "data_digest": dataset.digest,
    }  # fmt: skip
