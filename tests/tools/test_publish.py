"""What `make publish` writes, served by a real web server to a clone that has nothing else."""

import base64
import contextlib
import http.server
import threading

import pytest

from tests.tools import servers
from tests.tools.test_remotes import RESULTS, local, own_home, pull, push, refused, remote  # noqa: F401 - a fixture


def publish(project, *args, check=True):
    return project.run("python", "-m", "tools.publish", *args, check=check)


def cached(project, path):
    digest = project.run("md5sum", path).stdout.split()[0]
    return project.folder / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"


def without_shipped(project):
    project.run("dvc", "remote", "remove", "shipped")  # and with it the default
    return project.commit("nothing shipped")


def test_a_clone_with_only_a_web_server_pulls_and_verifies(committed, tmp_path):
    without_shipped(committed)
    said = publish(committed, tmp_path / "www").stdout
    lines = [line.strip() for line in said.splitlines()]
    by_make, by_dvc = (next(line for line in lines if line.startswith(start)) for start in ("make ", "dvc "))
    with servers.http(tmp_path / "www", tmp_path / "log") as url:
        first = committed.clone(tmp_path / "first")
        assert by_make == "make remote URL=http://HOST:8000 && make pull"
        remote(first, url)
        assert "in place: " in (said := pull(first).stdout) and "the rest" not in said
        assert f"{url}: read-only" in refused(push(first, check=False))
        first.commit("remote")
        done = first.run("python", "-m", "tools.verify")
        assert "evaluate.json: equal" in done.stdout and "float32.json: equal" in done.stdout
        assert first.ran(first.run("dvc", "repro").stdout) == []

        second = committed.clone(tmp_path / "second")
        second.run("bash", "-c", by_dvc.replace("http://HOST:8000", url))
        for name in RESULTS:
            for clone in (first, second):
                assert (clone.folder / name).read_bytes() == (committed.folder / name).read_bytes(), name


def test_it_holds_this_commits_objects_and_keeps_those_of_others(committed, tmp_path):
    publish(committed)
    folder = committed.folder / "build/publish"
    committed.run("dvc", "remote", "add", "other", tmp_path / "other")
    committed.run("dvc", "push", "-r", "other")  # the reference: what DVC itself writes
    names = {path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("*") if path.is_file()}
    assert names == {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert committed.run("git", "status", "--porcelain", "build").stdout == ""
    (folder / "files/md5/00").mkdir(exist_ok=True)
    (folder / "files/md5/00/earlier").write_text("an earlier commit's")
    publish(committed)
    assert (folder / "files/md5/00/earlier").is_file()


@pytest.mark.parametrize("path, stage", [(RESULTS[0], "train"), (RESULTS[3], "evaluate")])
def test_a_lost_object_is_named_and_nothing_is_written(committed, tmp_path, path, stage):
    cached(committed, path).unlink()
    said = refused(publish(committed, tmp_path / "www", check=False))
    assert f"{path} (stage {stage})" in said and not (tmp_path / "www").exists()


def test_damaged_changed_and_misplaced(committed, tmp_path):
    thing, model = cached(committed, RESULTS[0]), committed.folder / RESULTS[0]
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file: is a file" in refused(publish(committed, tmp_path / "file", check=False))
    model.unlink()
    model.write_bytes(b"mine")
    assert f"{RESULTS[0]} is not what dvc.lock records" in refused(publish(committed, tmp_path / "www", check=False))
    thing.chmod(0o644)
    thing.write_bytes(b"damaged")
    thing.chmod(0o444)  # DVC takes it for unharmed
    assert f"{thing.name}: damaged" in refused(publish(committed, tmp_path / "www", "--force", check=False))
    assert not (tmp_path / "www").exists()


def test_what_a_server_hands_out_damaged_is_not_taken(committed, tmp_path):
    without_shipped(committed)
    publish(committed, tmp_path / "www")
    name = "/".join(cached(committed, RESULTS[0]).parts[-4:])
    (tmp_path / "www" / name).write_bytes(b"damaged")
    clone = committed.clone(tmp_path / "b")
    with servers.http(tmp_path / "www", tmp_path / "log") as url:
        remote(clone, url)
        assert "damaged there: models/effnet.ckpt (stage train)" in refused(pull(clone, check=False))
    assert not (clone.folder / RESULTS[0]).exists()
    assert f"{url}: the remote cannot be reached" in pull(clone, check=False).stdout


@contextlib.contextmanager
def guarded(folder, account):
    """A web server that asks for `account`, "user:password": yields its URL."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def send_head(self):
            if self.headers["Authorization"] == "Basic " + base64.b64encode(account.encode()).decode():
                return super().send_head()
            self.send_error(401)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_password_of_a_web_server_is_neither_printed_nor_committed(committed, tmp_path):
    without_shipped(committed)
    publish(committed, tmp_path / "www")
    clone = committed.clone(tmp_path / "b")
    with guarded(tmp_path / "www", "me:s3cr:t") as url:
        remote(clone, url)
        assert "access denied" in pull(clone, "models/effnet.ckpt", check=False).stdout
        said = remote(clone, url.replace("//", "//me:s3cr%3At@"))
        said = said.stdout + said.stderr + pull(clone, "models/effnet.ckpt").stdout
    assert local(clone)["'remote \"http\"'"]["password"] == "s3cr:t"
    assert "s3cr" not in said + (clone.folder / ".dvc/config").read_text()
