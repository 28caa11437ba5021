"""How a run ends: what each runtime reached, in a window of usual width."""

import json


def test_a_run_ends_with_its_numbers_in_a_hundred_columns(finished):
    out = finished.run("python", "-m", "tools.summary").stdout
    assert max(map(len, out.splitlines())) <= 100
    for file in ("evaluate", "onnx/float32", "infer310", "onnx/float16", "onnx/int8"):
        metrics = json.loads((finished.folder / f"metrics/{file}.json").read_text())
        assert f"  {100 * metrics['top1']:.2f}  " in out and f"  {metrics['loss']:.4f}  " in out
    for words in (
        "efficientnet_toy at 32 px on digits",
        "models/effnet.ckpt, models/effnet.onnx, models/effnet.mindir",
    ):
        assert words in out
    for command in ("make report", "effnet predict PICTURE", "dvc metrics diff"):
        assert f"  {command} " in out


def test_in_a_clone_without_the_model(committed, tmp_path):
    clone = committed.clone(tmp_path / "b")
    out = clone.run("python", "-m", "tools.summary").stdout
    assert "model: not here; `make pull` brings it" in out and "MindSpore" in out


def test_where_nothing_was_evaluated_it_says_what_does(project):
    done = project.run("python", "-m", "tools.summary", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "`make repro` does it, `make pull` brings it" in done.stderr
