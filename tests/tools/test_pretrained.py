"""Other people's weights under DVC: a row that is asked for becomes a stage, its checksum a record, and it travels."""

import hashlib

import yaml

from tests.conftest import ROOT
from tests.weights.test_pretrained import stored

ROW, MODEL = "pretrained/dvc.yaml:weights@mine", "models/pretrained/mine.ckpt"


def with_row(project):
    """The project with a row more in the table, `mine`, whose file lies where a download would have put it."""
    raw = project.folder / "data/raw/weights"
    raw.mkdir(parents=True)
    _, digest = stored(raw / "mine.npz")
    table = project.folder / "effnet/weights/table.yaml"
    row = "\nmine:\n  <<: *timm_tf\n  variant: efficientnet_b0\n  url: http://127.0.0.1:1/mine.npz\n"
    table.write_text(
        f"{table.read_text()}{row}  digest: {digest['digest']}\n  resize: 256\n  crop: 224\n  top1: 76.5\n"
    )
    return raw / "mine.npz"


def make(project, *args):
    return project.run("python", "-m", "tools.pretrained", *args, check=False)


def recorded(project):
    stages = yaml.safe_load((project.folder / "pretrained/dvc.lock").read_text())["stages"]
    return stages["weights@mine"]["outs"][0]["md5"]


def transfer(project, direction, *files, check=True):
    return project.run("python", "-m", "tools.transfer", direction, *files, check=check)


def test_a_row_is_made_recorded_pushed_and_pulled(project, tmp_path):
    with_row(project)
    assert "mine             efficientnet_b0" in make(project).stdout
    assert "mine" not in project.run("dvc", "status").stdout  # never made: nothing of it is missing
    done = make(project, "mine")
    assert done.returncode == 0 and "pretrained/dvc.lock holds its checksum" in done.stdout, done.stderr
    model = project.folder / MODEL
    kept = model.read_bytes()
    assert recorded(project) == hashlib.md5(kept).hexdigest()
    said = project.run("python", "-m", "tools.models").stdout
    assert f"md5 {recorded(project)}" in said and "top-1 published 76.50%; not measured here" in said

    project.run("python", "-m", "tools.remote", tmp_path / "store")
    project.commit("row")
    transfer(project, "push", MODEL)
    clone = project.clone(tmp_path / "b")
    assert transfer(clone, "pull").returncode == 0  # the rows that nobody made are only named
    assert (clone.folder / MODEL).read_bytes() == kept
    (clone.folder / MODEL).unlink()
    clone.run("dvc", "pull", ROW)
    assert (clone.folder / MODEL).read_bytes() == kept
    assert clone.run("git", "status", "--porcelain").stdout == ""

    (clone.folder / MODEL).unlink()
    (clone.folder / MODEL).write_bytes(b"another file under the same name")
    assert f"modified:           {MODEL}" in clone.run("dvc", "status", ROW).stdout
    said = transfer(clone, "pull", check=False)
    assert said.returncode == 2 and f"{MODEL} was changed here and is saved nowhere" in said.stderr


def test_rows_that_are_refused(project):
    weights = with_row(project)
    rows = (project.folder / "pretrained/rows.yaml").read_bytes()
    done = make(project, "b9")
    assert done.returncode == 2 and "'b9' is not in effnet/weights/table.yaml; it has lite0" in done.stderr
    assert (project.folder / "pretrained/rows.yaml").read_bytes() == rows
    done = make(project, "--file", "x.pth")
    assert done.returncode == 2 and "FILE=x.pth needs MODEL=..." in done.stderr
    weights.write_bytes(b"another file upstream")
    done = make(project, "mine")
    assert done.returncode == 2 and "mine.npz: its sha256 is" in done.stderr and "expected" in done.stderr
    assert not (project.folder / MODEL).exists()


def test_rows_are_of_the_table_and_depend_on_what_the_stage_does():
    from effnet.weights.pretrained import sources
    from tests.test_graph import NO_BYTE, closure, covers

    assert set(yaml.safe_load((ROOT / "pretrained/rows.yaml").read_text())["rows"]) <= sources().keys()
    stage = yaml.safe_load((ROOT / "pretrained/dvc.yaml").read_text())["stages"]["weights"]["do"]
    read = closure("pretrained")[0] - NO_BYTE.keys() - {"effnet/weights/__init__.py"}  # an empty one
    read.add("effnet/weights/imagenet_classes.txt")
    assert not [path for path in read if not any(covers(d, path) for d in stage["deps"])]
    assert not [d for d in stage["deps"] if not any(covers(d, path) for path in read)]
    versions = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["pretrained"]["params"][-1]
    assert stage["params"] == [{"effnet/weights/table.yaml": ["${item}"]}, versions]
