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
        assert (model.image_size, r.augment.interpolation) == (260, "linear")
        for section in (r.validation, r.evaluate):
            assert (section.resize, section.crop) == (280, 260)


def test_every_value_of_every_recipe_has_its_source():
    """recipes/sources.tsv pins each value that can decide a result, with where it is from."""
    lines = [line for line in Path("recipes/sources.tsv").read_text().splitlines() if not line.startswith("#")]
    rows, found = [line.split("\t") for line in lines[1:]], {}
    assert lines[0].split("\t") == ["key", "value", "recipes", "source"] and all(row[3] for row in rows)
    for key, value, names, _ in rows:
        for name in names.split():
            assert (name, key) not in found, f"{key} of {name} is there twice"
            found[name, key] = json.loads(value)
    expected = {}
    for path in READY:
        for section, values in yaml.safe_load(path.read_text()).items():
            for key, value in values.items():
                sourced = section in ("model", "augment", "train", "validation", "evaluate") or key == "batch_size"
                if sourced and section != "onnx" and not key.startswith(("save_", "keep_")):
                    expected[path.stem, f"{section}.{key}"] = value
    assert found == expected


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
        (r"openvino: \[\]", "openvino: [bf16]", ["onnx.openvino.0", "'bfloat16'", "'bf16'"]),
        (
            r"(?s)quantize: [^\n]*(.*)openvino: \[\]",
            r"quantize: []\1openvino: [int8]",
            ["onnx.openvino: int8 asked for, of which export.quantize writes no file"],
        ),
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
        ("model:", "model: [", ["not valid YAML: while parsing", "in line"]),
        (
            "batch_size: 64",
            "batch_size: 64\n  batch_size: 32",
            ["'data.batch_size' is there already, in line", "keep one"],
        ),
        ("epoch_size: 2", "epoch_size: true", ["train.epoch_size: true and false are no value here"]),
        ("freeze_epochs: 0", "freeze_epochs: 3", ["train.freeze_epochs: 3 is more than train.epoch_size = 2"]),
        ("mixup: 0.0", "mixup: .inf", ["augment.mixup: input should be a finite number, found inf"]),
        ("lr_max: [0-9.e-]+", "lr_max: .nan", ["train.lr_max: input should be", "found nan"]),
        (r"color_jitter: \[0.0", "color_jitter: [-0.1", ["augment.color_jitter.0", "greater than or equal to 0"]),
        (r"color_jitter: \[0.0, 0.0", "color_jitter: [0.0, .nan", ["augment.color_jitter.1", "found nan"]),
        (r"std: \[[0-9.]+", "std: [0", ["augment.std.0", "greater than 0, found 0"]),
        (r"mean: \[[0-9.]+", "mean: [.nan", ["augment.mean.0", "found nan"]),
        (r"crop_ratio: \[1.0", "crop_ratio: [1.0e-300", ["augment.crop_ratio.0", "greater than or equal to 0.01"]),
        (r"crop_scale: \[1.0, 1.0", "crop_scale: [1.0, 1.5", ["augment.crop_scale.1", "less than or equal to 1"]),
        *(
            (
                'auto_augment: ""',
                f"auto_augment: {name}",
                [f"augment.auto_augment: '{name}' is not ''", "'rand-mM' with any"],
            )
            for name in "ImageNet rand rand-n2 rand-m11-n2 rand-m-1-n2 rand-m9-n99999999 rand-m9-p1.5 rand-m9-m8 "
            "rand-m9-p1-p0 rand-m9-x3 rand-m9-".split()
        ),
        ("  seed: [0-9]+", f"  seed: {2**64}", ["train.seed", "less than"]),
        ("batch_size: 64", "batch_size: 1000000000", ["data.batch_size", "less than or equal to 1000000"]),
        ("image_size: 32", "image_size: 1000000000", ["model.image_size", "less than or equal to 2048"]),
        ("height: 0", "height: 48", ["export.height: 48 is not evaluate.crop = 32", "write 0"]),
        ("width: 0", "width: 16", ["export.width: 16 is not evaluate.crop = 32"]),
        ("model:", "other: &x [1]\nmore: *x\nmodel:", ["aliases (*name) are not read in a recipe"]),
        ("seed: [0-9]+", "seed: !!python/name:os.system", ["not valid YAML: could not determine a constructor"]),
        ("seed: [0-9]+", "seed: 2020-99-99", ["not valid YAML: month must be in 1..12"]),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, says):
    path = edited(tmp_path, old, new)
    with pytest.raises(InputError) as error:
        recipe.load(path)
    for words in says:
        assert words in str(error.value)


@pytest.mark.parametrize(
    "name", ["imagenet", "policy_v0", "original", "rand-m9-n2", "rand-m9-mstd0.5", "rand-inc1-n3-m10-mstd1.0-p0.25"]
)
def test_names_of_auto_augment(tmp_path, name):
    path = edited(tmp_path, 'auto_augment: ""', f"auto_augment: {name}")
    assert recipe.load(path).augment.auto_augment == name


@pytest.mark.parametrize(
    "data, says",
    [
        ("model: größer".encode("latin-1"), "not UTF-8 text (invalid start byte at byte 9)"),
        ("model: 1".encode("utf-16"), "not UTF-8 text"),
        (bytes(range(128, 256)), "not UTF-8 text"),
        (b"model: \x00", "not valid YAML: "),
        (b"model: " + b"[" * 100_000, "nested too deeply"),
        (b"", "expected the sections model, data"),
        (b"- model", "expected the sections"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_what_it_is(tmp_path, data, says):
    (tmp_path / "params.yaml").write_bytes(data)
    with pytest.raises(InputError) as error:
        recipe.load(tmp_path / "params.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'params.yaml'}: {says}")


def test_the_line_of_a_list_s_item_is_its_own(tmp_path):
    path = edited(tmp_path, r"std: \[([0-9.]+), [0-9.]+", r"std:\n  - \1\n  - 0\n  - 1 #[")
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text == "  - 0")
    with pytest.raises(InputError, match=f"params.yaml:{line}: augment.std.1: input should be greater than 0"):
        recipe.load(path)


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


def test_zeros_are_filled_in_from_the_data():
    found = [recipe.fitted(recipe.load("recipes/finetune.yaml"), 10, n) for n in (100, 500, 1000, 5_000, 50_000)]
    assert [r.model.class_num for r in found] == [10] * 5
    assert [r.train.epoch_size for r in found] == [13, 11, 8, 4, 4]  # one of them frozen
    assert [round(r.train.warmup_epochs, 1) for r in found] == [3.0, 3.0, 2.1, 0.9, 0.9]
    smoke = recipe.load("recipes/smoke.yaml")
    assert recipe.fitted(smoke, 7, 100) == smoke
