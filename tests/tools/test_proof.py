"""make verify and make models: what they say of a run that holds, of one that does not, and what they refuse; what
make reproduce refuses (what it does is in tests/pipeline/test_bytes.py).
"""

import json
import shutil


def edit_metrics(project):
    path = project.folder / "metrics/evaluate.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"top1": found["top1"] + 0.01}))


def verify(project):
    return project.run("python", "-m", "tools.verify", check=False)


def test_a_run_that_holds_is_equal_and_nothing_changes(committed):
    done = verify(committed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "metrics/evaluate.json: equal" in done.stdout and "metrics/onnx/float32.json: equal" in done.stdout
    assert committed.run("git", "status", "--porcelain").stdout == ""


def test_numbers_that_do_not_hold_are_listed_with_reasons(committed):
    edit_metrics(committed)
    provenance = committed.folder / "metrics/provenance/evaluate.json"
    found = json.loads(provenance.read_text())
    found["device"]["target"], found["versions"]["mindspore"] = "GPU", "2.6.0"
    provenance.write_text(json.dumps(found))
    committed.commit("better than it is")
    shutil.rmtree(committed.folder / "models/quantized")
    done = verify(committed)
    assert done.returncode == 1
    assert "metrics/evaluate.json: DIFFERENT" in done.stdout and "top1: committed" in done.stdout
    assert "target was GPU, is CPU" in done.stdout and "mindspore was 2.6.0" in done.stdout
    assert "metrics/onnx/float32.json: not verified, models/quantized is not here; `make repro`" in done.stdout


def test_what_cannot_be_verified_is_refused(committed):
    (committed.folder / "README.md").write_text("edited")
    assert "uncommitted edits: README.md" in verify(committed).stderr
    committed.run("git", "checkout", "-q", "README.md")
    model = committed.folder / "models/effnet.ckpt"
    data = model.read_bytes()
    model.unlink()
    model.write_bytes(data[:-1] + b"x")
    assert "not the model that the committed metrics are of" in verify(committed).stderr
    model.unlink()
    assert "`make pull` brings them" in verify(committed).stderr
    committed.run("dvc", "checkout", "--allow-missing")
    onnx = committed.folder / "models/effnet.onnx"
    onnx.unlink()
    onnx.write_bytes(b"x")
    assert "models/effnet.onnx is not what dvc.lock records" in verify(committed).stderr


def test_without_committed_numbers_nothing_is_begun(committed):
    committed.run("git", "rm", "-q", "--cached", "metrics/evaluate.json")
    committed.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "forgotten")
    for script in ("verify", "reproduce"):
        done = committed.run("python", "-m", f"tools.{script}", check=False)
        assert done.returncode == 2 and not done.stdout
        assert "metrics/evaluate.json was never committed here" in done.stderr


def models(project):
    return project.run("python", "-m", "tools.models").stdout


def test_models_are_listed_with_what_was_measured(committed):
    metrics = json.loads((committed.folder / "metrics/evaluate.json").read_text())
    origin = json.loads((committed.folder / "metrics/provenance/evaluate.json").read_text())
    out = models(committed)
    for words in (
        "checkpoint: models/effnet.ckpt",
        "onnx: models/effnet.onnx",
        f"top-1 {metrics['top1']:.2%}",
        "trained here from random weights",
        f"recipe {origin['recipe'][:12]} (params.yaml's), data {origin['data'][:12]}",
        "in the workspace, in the cache, in no remote",
    ):
        assert words in out
    committed.set(model__pretrained="lite0")
    out = models(committed)
    assert "Apache-2.0, fine-tuned here from lite0" in out and "not that of params.yaml now" in out
    lock = committed.folder / "dvc.lock"
    digest = committed.run("md5sum", "models/effnet.ckpt").stdout.split()[0]
    lock.write_text(lock.read_text().replace(digest, "f" * 32, 1))  # as if trained anew; evaluate's own record stays
    out = models(committed)
    assert out.count("of an earlier model") == 1 and "not as dvc.lock records it" in out


def test_models_are_found_wherever_they_are(committed, tmp_path):
    committed.run("python", "-m", "tools.remote", tmp_path / "store")
    committed.commit("remote").run("dvc", "push", "models/effnet.ckpt")
    committed.run("git", "checkout", "-q", "--detach")
    assert models(committed).count("in the cache, in remote folder") == 1
    other = committed.clone(tmp_path / "b", "--depth", "1")
    lines = [line for line in models(other).splitlines() if "workspace" in line]
    found = [("in no remote" in line, "`make pull` brings it" in line) for line in lines]
    assert found == [(False, True)] + [(True, False)] * 5  # ours, and the three rows of other people's weights
    other.run("python", "-m", "tools.remote", "ssh://me@127.0.0.1:1/path")
    out = models(other)
    assert out.count("the remote cannot be reached") == 1 and out.count("in remote folder") == 1


def test_a_folder_without_a_commit_works_or_says_why(committed):
    shutil.rmtree(committed.folder / ".git")
    committed.run("git", "init", "-q")
    done = {
        name: committed.run("python", "-m", f"tools.{name}", *args, check=False)
        for name, *args in (["verify"], ["reproduce"], ["compare", "HEAD"], ["models"], ["report"])
    }
    for name, why in (("verify", "never committed"), ("reproduce", "never committed"), ("compare", "no commit")):
        assert done[name].returncode == 2 and done[name].stderr.count("\n") == 1 and why in done[name].stderr
    assert done["models"].returncode == 0 and done["report"].returncode == 0
