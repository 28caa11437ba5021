"""What decides a run's result, as digests: a checkpoint of anything else is never resumed."""

import hashlib
from pathlib import Path

import mindspore

# which keys of the recipe do not decide the weights: where work happens and what is kept, not what comes out
ELSEWHERE = {
    "data.root", "data.shards", "data.shorter_side", "data.bad_images",  # the data's own digest speaks for them
    "data.workers", "train.save_checkpoint_epochs", "train.save_checkpoint_steps", "train.keep_checkpoint_max", "evaluate.batch_size",
}  # fmt: skip


def of_run(recipe, dataset, start=""):
    """Identity of a training run: the recipe's deciding values one by one, the data's digest, the code's and MindSpore's version.

    `start` is the digest of the weights it starts from, where these are not random.
    """
    sections = recipe.model_dump(mode="json", include={"model", "data", "augment", "train", "evaluate"})
    flat = {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
    return {
        "recipe": {key: value for key, value in flat.items() if key not in ELSEWHERE},
        "data": dataset.digest,
        "start": start,
        "code": code_digest(),
        "mindspore": mindspore.__version__,
    }


def code_digest():
    """Hex SHA-256 over the library's Python and C sources, by name."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted([*root.glob("*.py"), *root.glob("data/*.py"), *root.glob("native/*.[ch]")]):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def of_model(recipe, dataset, source="trained here"):
    """What a model carries with it: what is needed to use it, and where it comes from."""
    from effnet.recipe import digest

    model, evaluate, augment = recipe.model, recipe.evaluate, recipe.augment
    return {
        "variant": model.variant, "class_num": model.class_num, "padding": model.padding, "image_size": model.image_size,
        "classes": dataset.classes, "class_ids": dataset.class_ids,
        "mean": augment.mean, "std": augment.std,
        "resize": evaluate.resize, "crop": evaluate.crop, "interpolation": evaluate.interpolation,
        "source": source, "recipe_digest": digest(recipe), "data_digest": dataset.digest,
    }  # fmt: skip
