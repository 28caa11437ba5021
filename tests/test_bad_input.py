"""What is not as it should be: one row a case, one sentence each. A new case is a line in one of the tables."""

import csv
import os
import re
import shutil

import numpy as np
import onnx
import pytest

from effnet import recipe, trained
from effnet.errors import InputError
from effnet.files import write_csv
from effnet.network import checkpoint
from effnet.runtimes.onnx_runtime import Model
from effnet.sources.build import build_shards
from tests import pictures
from tools import card, charts, facts

SOUND = "classifier.bias"


def _without(weights, meta):
    del weights[SOUND]


def _misshapen(weights, meta):
    weights[SOUND] = np.zeros(3, np.float32)


def _nan(weights, meta):
    weights[SOUND] = np.full_like(weights[SOUND], np.nan)


def _says(**values):
    return lambda weights, meta: meta.update(values)


CHECKPOINTS = [
    (_without, f"not a whole efficientnet_toy: {SOUND} is missing"),
    (_misshapen, rf"{SOUND} is of shape \(3,\), not \(10,\)"),
    (_nan, f"{SOUND} holds NaN or infinities, so it answers nothing"),
    (_says(variant="b99"), "damaged or missing .*variant 'b99' is none of"),
    (_says(class_num=9), "class_num 9, and another number of names or ids"),
    (_says(std=[0, 1, 1]), r"std.0: Input should be greater than 0"),
    (_says(mean=["a", 1, 1]), r"mean.0: Input should be a valid number"),
    (_says(crop=64, resize=32), "crop 64 is larger than resize 32"),
    (_says(interpolation="nearest"), "interpolation: Input should be 'linear', 'bilinear' or 'bicubic'"),
    (lambda weights, meta: meta.clear(), "variant: Field required"),
]


@pytest.mark.parametrize("damage, says", CHECKPOINTS, ids=[says[:30] for _, says in CHECKPOINTS])
def test_checkpoints(damage, says, finished, tmp_path):
    weights, meta = checkpoint.load(finished.folder / "models/effnet.ckpt")
    damage(weights, meta)
    checkpoint.save(tmp_path / "m.ckpt", weights, meta)
    with pytest.raises(InputError, match=says):
        trained.load(tmp_path / "m.ckpt")


ONNX = [
    ("std", "[0, 1, 1]", "std.0: Input should be greater than 0"),
    ("std", "", "std: Input should be a valid"),
    ("mean", "[1, 2]", "mean"),
    ("classes", '["one"]', "another number of names or ids"),
    ("normalize", "somewhere", "normalize: Input should be 'outside' or 'inside'"),
    ("resize", "1000000000", "resize: Input should be less than or equal to 2048"),
    ("resize", "1e9", "resize: Input should be a valid integer"),
    ("crop", "[]", "crop: Input should be a valid integer"),
    ("crop", '"32"', "crop: Input should be a valid integer"),
]


@pytest.mark.parametrize("key, value, says", ONNX)
def test_onnx_metadata(key, value, says, finished, tmp_path):
    model = onnx.load(finished.folder / "models/effnet.onnx")
    next(item for item in model.metadata_props if item.key == key).value = value
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=f"m.onnx: what this model says of itself is damaged or missing .*{says}"):
        Model(tmp_path / "m.onnx")


FIGURES = [
    ("evaluate.json", lambda text: "", "metrics/evaluate.json: damaged"),
    ("evaluate.json", lambda text: "[]", "metrics/evaluate.json: damaged"),
    ("evaluate.json", lambda text: text.replace('"loss": ', '"loss": NaN, "x": '), "loss: Input should be a finite"),
    ("evaluate.json", lambda text: re.sub(r'"top1": [0-9.]+', '"top1": 1.5', text), "top1: .*less than or equal to 1"),
    ("train.json", lambda text: text[:20], "metrics/train.json: damaged"),
    ("provenance/evaluate.json", lambda text: text.replace('"device"', '"devise"'), "device: Field required"),
    ("clock/evaluate.json", lambda text: "null", "clock/evaluate.json: damaged"),
    ("evaluate/per_image.csv", lambda text: text[: len(text) // 2].rpartition("\n")[0], "pictures, .* is of 359"),
    ("evaluate/per_image.csv", lambda text: text.rpartition(",")[0], "damaged in row 359 of the table"),
    ("evaluate/per_class.csv", lambda text: text.replace("top1", "top", 1), "column 'top1' is missing"),
    ("evaluate/calibration.csv", lambda text: text.replace("0.", "O.", 1), "damaged in row 1 of the table"),
    ("parity/pairs.csv", lambda text: text.replace(",", ";"), "column 'pair' is missing"),
    ("evaluate/calibration.csv", lambda text: f"{text}1,NaN,0.5\n", "damaged in row .*'NaN'"),
    ("evaluate/calibration.csv", lambda text: f"{text}0,0.5,0.5\n", "damaged in row .*'0', '0.5'"),
    ("train/plots/metrics/loss.tsv", lambda text: f"{text}99\tinf\n", "damaged in row .*'inf'"),
    ("train/plots/metrics/loss.tsv", lambda text: text + "x", "damaged in row"),
]


@pytest.mark.parametrize("name, damage, says", FIGURES)
def test_figures(name, damage, says, finished, tmp_path):
    for part in ("metrics", "params.yaml"):
        source = finished.folder / part
        shutil.copytree(source, tmp_path / part) if source.is_dir() else shutil.copy(source, tmp_path / part)
    path = tmp_path / "metrics" / name
    text = path.read_text()
    path.unlink()
    path.write_text(damage(text))
    with pytest.raises(InputError, match=says):
        facts.read(tmp_path)


@pytest.mark.parametrize("name", ["new\nline", "para\u2029graph", "\x1b[31mred", "bell\x07", b"\xff\xfe"])
def test_class_folders_that_cannot_be_printed(name, tmp_path):
    pictures.tree(tmp_path / "set")
    os.rename(os.fsencode(tmp_path / "set/train/bee"), os.fsencode(tmp_path / "set/train") + b"/" + os.fsencode(name))
    with pytest.raises(InputError, match="a name with characters that cannot be printed; rename it"):
        build_shards(pictures.settings(tmp_path / "set"), tmp_path / "out", 0)


@pytest.mark.parametrize("split, classes", [("train", ["bee"]), ("val", ["bee"]), ("val", ["ant", "bee", "cat"])])
def test_what_is_skipped_leaves_something_of_each_class(split, classes, tmp_path):
    pictures.tree(tmp_path / "set")
    for path in (path for name in classes for path in (tmp_path / "set" / split / name).iterdir()):
        path.write_bytes(b"no picture")
    with pytest.raises(
        InputError, match=rf"{split}: none of the pictures of {len(classes)} of the 3 classes .*{classes[0]}"
    ):
        build_shards(pictures.settings(tmp_path / "set", bad_images="skip"), tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()


COMMANDS = [
    (["info", "b2", "--image-size", "-5"], "error: --image-size: -5 is not from 1 to 8,192"),
    (["info", "b2", "--image-size", "100000000000"], "error: --image-size: 100000000000 is not from"),
    (["info", "b2", "--class-num", "0"], "error: --class-num: 0 is not from 1 to 100,000"),
    (["predict", "--model", "", "a.jpg"], "error: --model: empty; name an ONNX file or a checkpoint"),
    (["predict", "--model", "nothing.onnx", "a.jpg"], "error: nothing.onnx: no such file; `dvc repro export`"),
    (["predict", "--model", "models/quantized/effnet.x.onnx", "a"], "no such file; `dvc repro quantize` writes it"),
    (["predict", "--model", "params.yaml", "a.jpg"], "error: params.yaml: ONNX Runtime cannot load it"),
    (["predict", "--top", "0", "a.jpg"], "error: --top: 0 is not a number of classes"),
    (["predict", "--runtime", "tpu", "a.jpg"], "error: --runtime: no 'tpu'; there are onnx, onnx-int8, openvino, "),
    (["predict", "--runtime", "openvino", "--model", "params.yaml", "a"], "params.yaml: OpenVINO cannot load it"),
    (["predict", "--runtime", "openvino-int8", "--model", "models/quantized/effnet.float16.onnx", "a"], "no such file"),
    (["predict", "--runtime", "openvino", "--model", "models/effnet.ckpt", "a"], "a checkpoint, which openvino does"),
    (["predict", "--fast", "--model", "models/effnet.ckpt", "a"], "a checkpoint, which is not tuned"),
    (["predict", "--fast", "--model", "nothing.onnx", "a"], "error: nothing.onnx: no such file"),
    (["tune", "nothing.onnx"], "error: nothing.onnx: no such file; `dvc repro export`"),
    (["tune", "models/effnet.ckpt"], "error: models/effnet.ckpt: a checkpoint, which is not tuned; name an ONNX file"),
    (["tune", "params.yaml"], "error: params.yaml: ONNX Runtime cannot load it"),
    (["tune", "models/effnet.onnx", "--data", "nowhere"], "error: --data: nowhere: no pictures there"),
    (["tune", "models/effnet.onnx", "--data", "dvc.yaml"], "error: --data: dvc.yaml: not a readable picture"),
    (["tune", "models/effnet.onnx", "--least", "2"], "error: --least: 2.0 is no share"),
    (["tune", "models/effnet.onnx", "--seconds", "nan"], "error: --seconds: nan is not from above 0"),
]


@pytest.mark.parametrize("arguments, says", COMMANDS, ids=[" ".join(arguments) for arguments, _ in COMMANDS])
def test_commands(arguments, says, finished):
    done = finished.run("effnet", *arguments, check=False)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1


BROKEN = [
    ("dvc.yaml", "stages: [", "tools.models", "unable to read: 'dvc.yaml', YAML file structure is corrupted"),
    ("dvc.yaml", "stages: 1", "tools.transfer pull", "dvc.yaml' validation failed"),
    ("dvc.yaml", "stages: [", "tools.evaluate --runtimes onnx", None),  # it can do without
    ("pretrained/rows.yaml", "rows: {", "tools.pretrained lite0", 'in "pretrained/rows.yaml", line 2, column 1'),
    ("pretrained/rows.yaml", "- 1", "tools.pretrained lite0", "rows.yaml: damaged .*; `git checkout pretrained/rows"),
    ("params.yaml", "train: {", "stages.source", r"params.yaml: not valid YAML: (?!.*unicode).* line 2, column 1"),
]


@pytest.mark.parametrize("name, text, command, says", BROKEN)
def test_files_of_the_pipeline(name, text, command, says, finished):
    path = finished.folder / name
    sound = path.read_text()
    path.write_text(f"{text}\n")
    try:
        done = finished.run("python", "-m", *command.split(), check=False)
    finally:
        path.write_text(sound)
    if not says:
        assert done.returncode == 0 and "YAML file structure is corrupted" in done.stdout
    else:
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and re.search(says, done.stderr), done.stderr


PICTURES = [("", "no such file or directory"), ("/dev/zero", "not a file"), ("pipe", "not a file")]


@pytest.mark.parametrize("name, says", PICTURES)
def test_pictures_that_would_be_waited_for(name, says, finished, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name if name == "pipe" else name
    done = finished.run("effnet", "predict", path, check=False, timeout=60)
    assert done.returncode == 1 and f"{path}: {says}" in done.stderr


def test_an_answer_goes_into_head_and_onto_an_ascii_terminal(finished, tmp_path):
    (tmp_path / "größer.jpg").write_bytes(pictures.jpeg(1))
    many = " ".join(["größer.jpg"] * 400)
    model = finished.folder / "models/effnet.onnx"
    env = {"PYTHONIOENCODING": "ascii", "MODEL": str(model), "AT": str(tmp_path)}
    command = f'cd "$AT" && effnet predict --model "$MODEL" {many} | head -1; echo ${{PIPESTATUS[0]}}'
    done = finished.run("bash", "-c", command, env=env)
    assert done.stdout.splitlines()[1] == "0" and "gr\\xf6\\xdfer.jpg" in done.stdout and not done.stderr


def test_names_are_neither_formulas_nor_mathematics_nor_html(finished, tmp_path):
    rows = [{"class": "=cmd|'/C calc'!A0", "top1": -0.5, "text": "-6.5"}, {"class": "+1 day", "top1": 1, "text": "a"}]
    write_csv(tmp_path / "a.csv", rows)
    with open(tmp_path / "a.csv") as file:
        assert [list(row.values()) for row in csv.DictReader(file)] == [
            ["'=cmd|'/C calc'!A0", "-0.5", "-6.5"],
            ["'+1 day", "1", "a"],
        ]
    found = facts.read(finished.folder)
    named = dict(
        zip(
            sorted({row["class"] for row in found["per_class"]}),
            ["$\\frac$", "<script>alert(1)</script>"],
            strict=False,
        )
    )
    for row in found["per_class"]:
        row["class"] = named.get(row["class"], row["class"])
    assert "$\\frac$" in charts.per_class(found)
    assert "<script>" not in card.card(found) and "&lt;script&gt;" in card.card(found)


def test_pngs_are_evaluated_by_the_c_program_too(project):
    """`prepare` takes what Pillow reads: the pipeline has to end with it."""
    pictures.tree(project.folder / "data/pictures", train=24, val=4, size=(48, 40))
    for path in (project.folder / "data/pictures/val").rglob("*.JPEG"):
        path.write_bytes(pictures.png(len(path.parent.name) + int(path.stem)))
    project.set(data__source="folder", data__root="data/pictures", model__class_num=0, data__batch_size=16)
    project.set(train__epoch_size=1, train__warmup_epochs=0.0, export__quantize=[], data__shards=1)
    done = project.run("dvc", "repro", "infer310", "onnx_eval", check=False)
    if "cmake" in done.stderr or "MindSpore Lite" in done.stderr:
        pytest.skip("no toolchain or no MindSpore Lite here")
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [(project.folder / f"metrics/{name}.json").read_text() for name in ("infer310", "onnx/float32")]
    assert [re.search(r'"top1": ([0-9.]+)', text)[1] for text in answers] == [
        re.search(r'"top1": ([0-9.]+)', answers[0])[1]
    ] * 2


def test_a_batch_of_one_trains_where_a_channel_has_two_values(project):
    project.set(
        data__batch_size=1, train__epoch_size=1, train__warmup_epochs=0.0, data__source="folder", data__shards=1
    )
    pictures.tree(project.folder / "data/pictures", train=4, val=2)
    project.set(data__root="data/pictures", model__class_num=0, train__holdout=0.0)
    with pytest.raises(
        InputError, match="data.batch_size: a device's share, 1 pictures of 32 pixels, leaves batch norm"
    ):
        recipe.load(project.folder / "params.yaml")
    project.set(model__image_size=48)
    done = project.run("dvc", "repro", "evaluate", check=False)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
