"""effnet/sources/raw.py and stage `source`: raw data that changed are prepared again, those that did not or that are
elsewhere are not.
"""

import hashlib
import json
import os
import shutil

import pytest

from effnet.errors import InputError
from effnet.sources import imagenet, published, raw
from tests.pictures import jpeg, settings, tree


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No notes but the test's own."""
    monkeypatch.setattr(raw, "NOTES", tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_digest_is_of_names_and_bytes(tmp_path):
    files = {f"{split}/{name}": data for split, found in tree(tmp_path / "a").items() for name, data in found.items()}
    rows = [f"{name}\0{hashlib.sha256(data).hexdigest()}\n" for name, data in sorted(files.items())]
    found = raw.describe(settings(tmp_path / "a"))
    assert found["content"] == hashlib.sha256("".join(rows).encode()).hexdigest()
    assert (found["files"], found["bytes"]) == (24, sum(map(len, files.values())))
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere")
    assert raw.describe(settings(tmp_path / "elsewhere"))["content"] == found["content"]


def test_each_change_is_noticed_and_what_was_read_is_not_read_again(tmp_path, monkeypatch):
    root, seen = tmp_path / "a", []
    tree(root)
    read, sha256 = [], raw.sha256
    monkeypatch.setattr(raw, "sha256", lambda path: read.append(path.name) or sha256(path))

    def look():
        read.clear()
        seen.append(raw.describe(settings(root))["content"])
        return sorted(read)

    assert len(look()) == 24 and look() == []
    assert seen[0] == seen[1]
    picture = root / "train/ant/0.JPEG"
    data = bytearray(picture.read_bytes())
    data[-3] ^= 1
    picture.write_bytes(data)  # as many bytes as before
    assert look() == ["0.JPEG"] and seen[-1] not in seen[:-1]
    (root / "val/bee/new one.JPEG").write_bytes(jpeg(9))
    assert look() == ["new one.JPEG"] and seen[-1] not in seen[:-1]
    (root / "val/bee/new one.JPEG").rename(root / "val/cat/new one.JPEG")
    assert look() == ["new one.JPEG"] and seen[-1] not in seen[:-1]
    (root / "val/cat/new one.JPEG").unlink()
    assert look() == [] and seen[-1] == seen[2]
    (root / "train/.DS_Store").write_bytes(b"hidden")
    assert look() == [] and seen[-1] == seen[2]
    os.utime(picture)
    assert look() == ["0.JPEG"] and seen[-1] == seen[2]


@pytest.mark.parametrize("together", (1, 2, raw.TOGETHER))
def test_files_at_any_depth_are_counted_once_and_hidden_ones_never(tmp_path, monkeypatch, together):
    monkeypatch.setattr(raw, "TOGETHER", together)
    root = tmp_path / "a"
    tree(root)
    (tmp_path / "elsewhere").mkdir()
    (root / "train/dog").symlink_to(tmp_path / "elsewhere")
    wanted = {str(path.relative_to(root)) for path in root.rglob("*.JPEG")}
    for name in ("train/flat.JPEG", "train/ant/deep/er.JPEG", "train/dog/linked.JPEG", "val/a b\n.JPEG"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(name.encode())
        wanted.add(name)
    for name in ("train/.hidden/0.JPEG", "train/ant/.hidden/0.JPEG", "val/.hidden.JPEG"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    rows = [f"{name}\0{hashlib.sha256((root / name).read_bytes()).hexdigest()}\n" for name in sorted(wanted)]
    found = raw.describe(settings(root))
    assert found["content"] == hashlib.sha256("".join(rows).encode()).hexdigest() and found["files"] == 28


def test_archives_downloads_and_what_is_absent(tmp_path):
    for name in (imagenet.TRAIN_TAR, imagenet.VAL_TAR, imagenet.DEVKIT_TAR):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "train").mkdir()
    (tmp_path / "train/not looked at where there is an archive.JPEG").write_bytes(b"")
    found = raw.describe(settings(tmp_path, source="imagenet"))
    assert found["files"] == 3 and found["source"] == "imagenet"
    (tmp_path / imagenet.VAL_TAR).unlink()
    assert raw.describe(settings(tmp_path, source="imagenet"))["content"] == "incomplete"
    assert raw.describe(settings(tmp_path / "absent")) is None and raw.describe(settings("")) is None
    assert raw.describe(settings(tmp_path, source="flowers"))["content"] == published.FLOWERS.sha256
    assert raw.describe(settings("", source="digits"))["files"] == 1797


def test_what_find_cannot_read_is_said(tmp_path):
    tree(tmp_path / "a")
    (tmp_path / "a/train/loop").symlink_to(tmp_path / "a/train")
    with pytest.raises(InputError, match="a: find: .*loop"):
        raw.describe(settings(tmp_path / "a"))


@pytest.fixture
def photographs(project):
    """The project with a folder of pictures of its own, which git does not carry."""
    tree(project.folder / "data/pictures")
    project.set(data__source="folder", data__root="data/pictures", model__class_num=3)
    project.commit("pictures")
    return project


def prepare(project, check=True):
    done = project.run("dvc", "repro", "prepare", check=check)
    return project.ran(done.stdout) if check else done


def test_a_picture_more_is_prepared_and_an_absent_folder_is_not_missed(photographs, tmp_path):
    project, pictures = photographs, photographs.folder / "data/pictures"
    assert prepare(project) == ["prepare"] and prepare(project) == []
    (pictures / "train/ant/7.JPEG").write_bytes(jpeg(7))
    assert prepare(project) == ["prepare"] and prepare(project) == []
    record = json.loads((project.folder / "data/source.json").read_text())
    assert record["files"] == 25 and record["root"] == "data/pictures"

    pictures.rename(project.folder / "elsewhere")
    assert prepare(project) == []
    project.set(data__root=str(project.folder / "elsewhere"))
    assert prepare(project) == []  # the same pictures in another place
    project.set(data__root="data/pictures")
    (project.folder / "elsewhere").rename(pictures)
    assert prepare(project) == []

    project.run("python", "-m", "tools.remote", tmp_path / "store")
    project.commit("prepared")
    project.run("dvc", "push", "-q", "-r", "folder", "data/prepared")
    clone = project.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "-q", "-r", "folder", "data/prepared")
    assert prepare(clone) == [] and clone.run("git", "status", "--porcelain").stdout == ""
    clone.set(data__root="data/mistyped")
    done = prepare(clone, check=False)
    assert done.returncode and "error: data.root: no folder data in 'data/mistyped'" in done.stderr
    assert (clone.folder / "data/prepared/index.json").is_file()


def test_a_temporary_experiment_finds_the_pictures(photographs):
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        photographs.run("git", "config", key, value)
    said = photographs.run("dvc", "exp", "run", "--temp", "-S", "data.shards=1", "prepare").stdout
    assert "Running stage 'prepare'" in said
    assert "Ran experiment" in said
