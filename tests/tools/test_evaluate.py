"""`make eval`: any model on any pictures; nothing is trained, and nothing of the pipeline changes."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

from effnet.shards.dataset import Dataset
from tests.conftest import Project, copied
from tools.evaluation import published

FLOAT32 = ("mindspore", "onnx", "infer310")


@pytest.fixture(scope="module")
def ran(finished, tmp_path_factory):
    """A finished project, its results committed: what is edited in it is put back by git."""
    return copied(finished, tmp_path_factory.mktemp("eval") / "project").commit("run")


@pytest.fixture
def here(ran):
    yield ran
    ran.run("git", "checkout", "-q", ".")
    assert ran.run("git", "status", "--porcelain").stdout == ""


def evaluate(project, *options, check=True):
    done = project.run("python", "-m", "tools.evaluate", *options, check=check)
    if not check:
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done


def result(project, name):
    return json.loads((project.folder / f"reports/eval/{name}.json").read_text())


def folders(project, names, wanted):
    """The validation pictures of the digits `wanted`, in class folders named by names(digit)."""
    dataset, root = Dataset(project.folder / "data/prepared", "val"), project.folder / "data/raw/own"
    shutil.rmtree(root, ignore_errors=True)
    for i, label in enumerate(dataset.labels.tolist()):
        if label in wanted:
            path = root / names(label) / f"{i}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dataset.read(i))
    return root


def test_every_runtime_reaches_what_the_pipeline_reached(here):
    model = here.folder / "models/effnet.ckpt"
    before = model.stat().st_mtime_ns
    out = evaluate(here, "--runtimes", "mindspore onnx onnx-float16 onnx-int8 infer310").stdout
    assert max(map(len, out.splitlines())) <= 100 and "out of date" not in out
    found = result(here, "effnet-prepared")["runtimes"]
    files = ("evaluate", "onnx/float32", "onnx/float16", "onnx/int8", "infer310")
    for runtime, file in zip(found, files, strict=True):
        metrics = json.loads((here.folder / f"metrics/{file}.json").read_text())
        assert {key: found[runtime][key] for key in ("top1", "top5", "images")} == {
            key: metrics[key] for key in ("top1", "top5", "images")
        }
        assert found[runtime]["loss"] == pytest.approx(metrics["loss"], abs=1e-5)
        assert f"  {100 * metrics['top1']:.2f}  " in out
    assert model.stat().st_mtime_ns == before


def test_an_edit_that_would_train_is_said_and_does_not_train(here):
    model = (here.folder / "models/effnet.ckpt").read_bytes()
    here.set(train__lr_max=0.5)
    out = evaluate(here, "--runtimes", "onnx").stdout
    assert "models/effnet.ckpt is out of date (stage train;" in out and "ONNX Runtime" in out
    assert (here.folder / "models/effnet.ckpt").read_bytes() == model


@pytest.mark.parametrize("names", [str, lambda digit: f"000{digit}"], ids=["ids", "numbers"])
def test_some_classes_over_all_outputs_and_over_those_present(here, names):
    """Against `effnet predict`, asked for all ten probabilities of each picture."""
    root, wanted = folders(here, names, (3, 8, 9)), ["3", "8", "9"]
    evaluate(here, "--model", "models/effnet.onnx", "--data", root)
    found = result(here, "effnet-onnx-own")
    command = ["python", "-m", "effnet", "predict", root, "--json", "--top", 10, "--model", "models/effnet.onnx"]
    lines = [json.loads(line) for line in here.run(*command).stdout.splitlines()]
    truth = [str(int(line["picture"].split("/")[-2])) for line in lines]
    order = [[guess["class_id"] for guess in line["predictions"]] for line in lines]
    among = [[name for name in best if name in wanted] for best in order]
    entry = found["runtimes"]["onnx"]
    for share, best in ((entry, order), (entry["classes_present"], among)):
        right = [names[0] == true for names, true in zip(best, truth, strict=True)]
        assert share["top1"] == pytest.approx(np.mean(right), abs=1e-6) and share["images"] == len(lines)
    assert entry["top5"] == pytest.approx(
        np.mean([t in best[:5] for t, best in zip(truth, order, strict=True)]), abs=1e-6
    )
    assert entry["classes_present"]["top1"] > entry["top1"] and found["data"]["classes"] == 3
    assert [row["id"] for row in entry["per_class"]] == wanted
    with open(here.folder / "reports/eval/effnet-onnx-own/onnx/per_image.csv", newline="") as file:
        predicted = {row["name"]: row["predicted"] for row in csv.DictReader(file)}
    assert predicted == {
        "/".join(line["picture"].split("/")[-2:]): best[0] for line, best in zip(lines, order, strict=True)
    }


@pytest.mark.parametrize("file, precision", [("effnet.int8", "int8"), ("effnet.float16", "float16")])
def test_an_onnx_file_needs_no_mindspore(here, file, precision):
    (here.folder / "data/raw").mkdir(exist_ok=True)
    (here.folder / "data/raw/mindspore.py").write_text("raise ImportError('asked for')")
    command = ["python", "-m", "tools.evaluate", "--model", f"models/quantized/{file}.onnx"]
    here.run(*command, env={"PYTHONPATH": f"{here.folder}/data/raw:{here.folder}"})
    found, metrics = result(here, f"{file}-onnx-prepared"), here.folder / f"metrics/onnx/{precision}.json"
    assert found["runtimes"]["onnx"]["top1"] == json.loads(metrics.read_text())["top1"]
    assert found["runtimes"]["onnx"]["precision"] == precision


@pytest.mark.parametrize(
    "options, message",
    [
        (["--model", "lite9"], "MODEL=lite9: no file .* there are lite0, lite1"),
        (["--model", "dvc.yaml"], "dvc.yaml: neither a checkpoint of ours"),
        (["--model", "x.onnx"], "x.onnx: no such file"),
        (["--data", "nowhere"], "nowhere: no such file or folder"),
        (["--runtimes", "onnx tpu"], "RUNTIMES: unknown tpu; there are mindspore, onnx, .*openvino-bfloat16"),
        (["--model", "models/effnet.onnx", "--runtimes", "infer310"], "an ONNX file, which infer310 are not for"),
        (["--model", "models/quantized/effnet.int8.onnx", "--runtimes", "onnx-int8"], "which onnx-int8 are not for"),
        (["--model", "models/quantized/effnet.int8.onnx", "--runtimes", "openvino-bfloat16"], "bfloat16 are not for"),
    ],
)
def test_bad_input_is_one_sentence(here, options, message):
    assert re.search(message, evaluate(here, *options, check=False).stderr)


def test_classes_that_do_not_fit_are_named(here):
    root = folders(here, lambda digit: {1: "1", 2: "two", 3: "x"}[digit], (1, 2, 3))
    error = evaluate(here, "--data", root, check=False).stderr
    assert "2 of the 3 classes are none of the model's 10, read as the model's class ids: 'two', 'x'" in error


def test_pictures_of_another_recipe_are_refused(here):
    here.set(data__shards=5)
    assert "pictures of another recipe than params.yaml (data.shards 2, not 5)" in evaluate(here, check=False).stderr


@pytest.mark.parametrize("stage", ["evaluate", "onnx_eval", "infer310"])
def test_stages_refuse_pictures_of_other_classes(here, stage, tmp_path):
    index = here.folder / "data/prepared/index.json"
    kept = index.read_text()
    tree = json.loads(kept)
    tree["class_ids"] = [f"n{name}" for name in tree["class_ids"]]
    index.unlink()  # it may be a link into DVC's cache
    index.write_text(json.dumps(tree))
    try:
        done = here.run("python", "-m", f"stages.{stage}", check=False)
    finally:
        index.write_text(kept)
    assert (
        done.returncode == 2 and "has 10 classes, data/prepared has 10, and they are not the same: 'n0' " in done.stderr
    )


class Whole:
    """ImageNet's validation set, as far as a verdict asks."""

    classes = [str(i) for i in range(1000)]
    class_ids = [f"n{i:08d}" for i in range(1000)]
    labels = np.repeat(np.arange(1000), 50)


@pytest.mark.parametrize(
    "interval, place", [([0.75, 0.76], "within"), ([0.70, 0.74], "above"), ([0.76, 0.77], "below")]
)
def test_the_verdict_on_the_published_accuracy(interval, place):
    summary = {"interval": interval, "images": 50_000}
    assert (
        f"75.10% on 50,000 pictures, {place} the 95% interval"
        in published({"expected_top1": 0.751}, Whole, summary)["verdict"]
    )
    assert published({}, Whole, summary) == {"top1": None, "verdict": ""}


def test_no_verdict_on_other_pictures():
    class Fewer(Whole):
        labels = Whole.labels[1:]

    found = published({"expected_top1": 0.751}, Fewer, {"interval": [0.75, 0.76], "images": 49_999})
    assert found["verdict"].endswith("these 49,999 are only indicative")


def test_a_git_repository_without_a_commit(ran, tmp_path):
    """Evaluates, and refuses to train before the first epoch rather than after it."""
    shutil.copytree(ran.folder, tmp_path / "new", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    new = Project(tmp_path / "new")
    new.run("git", "init", "-q")
    assert "ONNX Runtime" in evaluate(new, "--runtimes", "onnx").stdout
    assert result(new, "effnet-prepared")["revision"] is None
    done = new.run("python", "-m", "stages.train", check=False, env={"ANEW": "1"})
    assert done.returncode == 2 and "error: this git repository has no commit yet; run `git add" in done.stderr
