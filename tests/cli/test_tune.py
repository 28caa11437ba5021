"""`effnet tune` and `effnet predict --fast`: what is measured, kept, chosen, and refused."""

import json
import shutil

import numpy as np
import pytest

from effnet.cli import predict, tune
from effnet.cli.main import main
from effnet.errors import InputError
from effnet.runtimes import by_name, tuned
from effnet.runtimes.int8 import to_int8
from tests.pictures import jpeg

ONE = {"runtime": "onnx", "threads": 1, "batch": 1, "images_per_second": 10.0, "equal_top1": None}


@pytest.fixture
def here(models, photos, tmp_path, monkeypatch):
    """A folder with effnet.onnx, its int8 file, pictures in album/ and an empty cache, which is the working folder."""
    look = predict.preset({"resize": 40, "crop": 32, "interpolation": "bicubic"}, 32)
    shutil.copy(models / "effnet.onnx", tmp_path)
    to_int8(tmp_path / "effnet.int8.onnx", tmp_path / "effnet.onnx", np.stack([look(jpeg(i)) for i in range(8)]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuned, "CACHE", tmp_path / "cache")
    return tmp_path


def kept(here):
    (path,) = (here / "cache/tuned").glob("*.json")
    return path, json.loads(path.read_text())


def test_each_way_is_measured_and_the_fastest_that_answers_alike_is_used(here, capsys):
    assert main(["tune", "effnet.onnx", "--data", "album", "--seconds", "0.1", "--least", "0.6"]) == 0
    out, err = capsys.readouterr()
    path, found = kept(here)
    head, *lines = out.splitlines()
    rows = [row for row in found["rows"] if row["runtime"] == "onnx"]
    assert head.split()[:4] == ["runtime", "threads", "batch", "images/s"]
    assert {row["batch"] for row in rows} == {1, 8} and min(row["threads"] for row in rows) == 1
    assert lines[len(found["rows"])] == "answers: 3 of 3 pictures of album"
    assert str(path) in lines[-3 if lines[-3].startswith("kept") else -4]
    # the share is that of the models themselves, and the choice is the best that has it
    look = predict.preset({"resize": 40, "crop": 32, "interpolation": "bicubic"}, 32)
    images = np.stack([look(jpeg(seed)) for seed in range(3)])
    exact = by_name.load("effnet.onnx")(images).argmax(1)
    for row in found["rows"]:
        model = by_name.load(by_name.file_of("effnet.onnx", row["runtime"]), row["runtime"])
        assert row["equal_top1"] == pytest.approx((model(images).argmax(1) == exact).mean())
    fit = [row for row in found["rows"] if row["equal_top1"] >= 0.6 or "-" not in row["runtime"]]
    best = max(fit, key=lambda row: row["images_per_second"])
    assert lines[-1].startswith(f"fastest: {tuned.told(best)}: {best['images_per_second']:.1f} images/s")
    single = max((row for row in fit if row["batch"] == 1), key=lambda row: row["images_per_second"])
    assert main(["predict", "--model", "effnet.onnx", "--fast", "album"]) == 0  # three pictures: no batch of eight
    out, err = capsys.readouterr()
    assert err == f"{tuned.told(single)}, as tuned\n" and len(out.splitlines()) == 3


def test_what_is_not_here_is_said_and_the_rest_measured(here, capsys):
    (here / "effnet.int8.onnx").unlink()
    assert main(["tune", "effnet.onnx", "--seconds", "0.1"]) == 0
    out, err = capsys.readouterr()
    assert "onnx-int8: not measured (quantized/effnet.int8.onnx: no such file" in err
    assert "answers: not measured, for want of pictures (--data FOLDER)" in out
    assert all(row["equal_top1"] is None for row in kept(here)[1]["rows"])
    assert tuned.find("effnet.onnx", 8)["runtime"] in ("onnx", "openvino")  # nobody knows what the others answer


def test_an_int8_file_itself_is_run_as_it_is(here, capsys):
    assert main(["tune", "effnet.int8.onnx", "--data", "album", "--seconds", "0.1"]) == 0
    assert {row["runtime"] for row in kept(here)[1]["rows"]} <= {"onnx", "openvino"}


def test_the_int8_file_of_another_model_is_not_measured(here, models, capsys):
    shutil.copy(models / "inside.onnx", here / "effnet.int8.onnx")
    assert main(["tune", "effnet.onnx", "--seconds", "0.1"]) == 0
    assert "onnx-int8: not measured (effnet.int8.onnx: not of the same model" in capsys.readouterr().err


def test_without_tuning_it_says_so_and_another_file_is_not_tuned(here, capsys):
    tuned.keep("effnet.onnx", [ONE], 0.99, "")
    assert tuned.find("effnet.onnx", 1) == ONE
    with open("effnet.onnx", "ab") as file:
        file.write(b"\x08\x0a")  # ir_version, once more: the same model, other bytes
    assert tuned.find("effnet.onnx", 1) is None
    assert main(["predict", "--model", "effnet.onnx", "--fast", "album/0/0.jpg"]) == 0
    assert "effnet.onnx: not tuned on this machine, so onnx it is; `effnet tune" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: text.replace('"onnx"', '"tpu"'),
        lambda text: text.replace("10.0", "-1"),
        lambda text: text.replace('"threads": 1', '"threads": 100000'),
        lambda text: text.replace('"batch": 1', '"batch": 8'),
        lambda text: json.dumps({"rows": [], "least": 0.9, "pictures": ""}),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(here, damage):
    path = tuned.keep("effnet.onnx", [ONE], 0.99, "")
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=r"cache/tuned/\w+.json: damaged.*`effnet tune effnet.onnx` makes it anew"):
        main(["predict", "--model", "effnet.onnx", "--fast", "album"])


def row(runtime, batch, rate, equal):
    return {"runtime": runtime, "threads": 2, "batch": batch, "images_per_second": rate, "equal_top1": equal}


def test_the_choice_by_hand():
    rows = [row("onnx", 1, 100.0, 1.0), row("onnx", 8, 90.0, 1.0), row("openvino", 8, 110.0, 1.0)]
    rows += [row("openvino-bfloat16", 1, 150.0, 0.98), row("onnx-int8", 8, 300.0, None)]
    assert tuned.best(rows, 0.99, 1) == rows[0] and tuned.best(rows, 0.99, 7) == rows[0]
    assert tuned.best(rows, 0.99, 8) == rows[2] and tuned.best(rows, 0.97, 8) == rows[3]
    assert tuned.best(rows[3:], 0.99, 8) is None
    not_chosen, one, fastest = tune.verdict(rows, 0.99).splitlines()
    assert not_chosen.endswith("its answers were not measured") and "onnx-int8, 2 threads, batch 8" in not_chosen
    assert one == "one at a time: onnx, 2 threads, batch 1: 100.0 images/s, 1.00 x onnx"
    assert fastest == "fastest: openvino, 2 threads, batch 8: 110.0 images/s, 1.22 x onnx"
    rows[4]["equal_top1"] = 0.5
    assert "50.0% of its answers are float32's, --least asks for 99.0%" in tune.verdict(rows, 0.99)


def test_batches_answer_as_single_pictures_do(here):
    (here / "album/1/1.jpg").write_bytes(b"no picture")
    paths = [*predict.pictures(["album"]), "none.jpg", *predict.pictures(["album"])]
    one, three = (list(predict.predict(predict.load("effnet.onnx"), paths, 3, batch)) for batch in (1, 3))
    assert [path for path, *_ in three] == paths
    for (_, expected, said), (_, found, problem) in zip(one, three, strict=True):
        assert said == problem
        assert [guess.name for guess in found or []] == [guess.name for guess in expected or []]
