"""Sending and bringing data and models: a folder, a real S3 server and a real sshd; and what each mistake is
answered with.
"""

import configparser
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.tools import servers
from tools.address import has_secret

S3, SSH, FOLDER = (f"'remote \"{kind}\"'" for kind in ("s3", "ssh", "folder"))  # as DVC heads its sections
RESULTS = ["models/effnet.ckpt", "models/effnet.onnx", "data/prepared/index.json", "metrics/evaluate/per_image.csv"]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """No keys, profiles or known hosts but the test's own."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("AWS_", "SSH_"))]:
        monkeypatch.delenv(name)


@contextlib.contextmanager
def a_remote(kind, folder):
    """Arguments of tools.remote, its environment, and the folder where the remote's objects lie."""
    folder.mkdir()
    if kind == "folder":
        yield [folder / "store"], {}, folder / "store"
    elif kind == "s3":
        with servers.s3(folder) as server:
            yield [server["url"], "--endpoint", server["endpoint"]], server["keys"], server["store"]
    else:
        with servers.ssh(folder) as server:
            yield [server["url"], "--key", server["key"]], {}, server["store"]


def remote(project, *args, **env):
    return project.run("python", "-m", "tools.remote", *args, env=env)


def pull(project, *args, check=True):
    return project.run("python", "-m", "tools.transfer", "pull", *args, check=check)


def push(project, *args, check=True):
    return project.run("python", "-m", "tools.transfer", "push", *args, check=check)


def local(project):
    """The options of .dvc/config.local by section."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(project.folder / ".dvc/config.local")
    return {section: dict(parser[section]) for section in parser.sections()}


def refused(done):
    """The one sentence of a script that refused."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_what_one_clone_pushes_another_has(committed, tmp_path, kind):
    with a_remote(kind, tmp_path / "server") as (args, env, store):
        remote(committed, *args, **env)
        committed.commit("remote")
        assert "files sent to" in push(committed).stdout
        assert [path for path in store.rglob("*") if path.is_file()]

        other = committed.clone(tmp_path / "b")
        remote(other, *args, **env)
        other.run("dvc", "pull", "models/effnet.ckpt")  # alone, in a clone without data
        assert (other.folder / RESULTS[0]).read_bytes() == (committed.folder / RESULTS[0]).read_bytes()
        assert not (other.folder / "data/prepared").exists() and not (other.folder / "models/effnet.onnx").exists()
        pull(other)
    for name in RESULTS:
        assert (other.folder / name).read_bytes() == (committed.folder / name).read_bytes(), name
    if kind == "folder":  # the rest does not depend on the kind of remote
        assert other.ran(other.run("dvc", "repro").stdout) == []
        assert other.ran(other.run("dvc", "repro", "--force", "--single-item", "evaluate").stdout) == ["evaluate"]
        for name in ("metrics/evaluate.json", "metrics/evaluate/per_image.csv"):
            assert (other.folder / name).read_bytes() == (committed.folder / name).read_bytes(), name


def test_a_folder_beside_the_clone_is_the_default(committed, tmp_path):
    remote(committed)
    committed.commit("remote")
    push(committed)
    sibling = committed.clone(tmp_path / "b")  # finds the remote through .dvc/config alone
    assert "in place: " in pull(sibling).stdout and (tmp_path / "effnet-remote/files").is_dir()


def test_a_remote_has_the_name_of_its_kind_and_is_the_default_here_only(project, tmp_path):
    urls = {"folder": tmp_path, "s3": "s3://bucket/path", "ssh": "ssh://me@host/path", "http": "https://host/path"}
    for name, url in urls.items():
        assert f"remote {name}: " in remote(project, url).stdout
        assert f"remote = {name}\n" in (project.folder / ".dvc/config.local").read_text()
    committed = (project.folder / ".dvc/config").read_text()
    assert "remote = shipped\n" in committed
    assert re.findall('remote "(.*)"', committed) == ["shipped", *urls]
    assert committed.lower().count("verify = true\n") == 1 + len(urls)


def test_branches_with_remotes_of_different_kinds(committed, tmp_path):
    with servers.s3(tmp_path / "server") as server:
        committed.run("git", "switch", "-qc", "cloud")
        remote(committed, server["url"], "--endpoint", server["endpoint"], **server["keys"])
        committed.commit("s3")
        push(committed)
        committed.run("git", "switch", "-qc", "office", "main")
        assert "no remote" not in committed.run("dvc", "status").stderr  # it opens, though this branch names no s3
        remote(committed, tmp_path / "store")
        committed.commit("folder")
        push(committed)
        for branch, names in (("cloud", ["shipped", "s3"]), ("office", ["shipped", "folder"]), ("main", ["shipped"])):
            committed.run("git", "switch", "-q", branch)
            assert re.findall('remote "(.*)"', (committed.folder / ".dvc/config").read_text()) == names
            shutil.rmtree(committed.folder / ".dvc/cache")
            (committed.folder / RESULTS[0]).unlink()
            assert "in place: " in pull(committed).stdout
        assert f"files sent to {tmp_path}/store" in push(committed).stdout  # this clone's, on every branch
        committed.run("dvc", "status", "--cloud")
    found = {section: set(options) for section, options in local(committed).items()}
    keys = {"access_key_id", "secret_access_key"}
    assert found == {"core": {"remote"}, S3: {"url", "verify", "endpointurl", *keys}, FOLDER: {"url", "verify"}}


def test_keys_never_reach_git(committed, tmp_path):
    keys = {name: secrets.token_hex(12) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    remote(committed, "s3://bucket/path", **keys)
    assert (committed.folder / ".dvc/config.local").stat().st_mode & 0o077 == 0
    committed.commit("s3")
    password = secrets.token_hex(12)
    remote(committed, f"ssh://me:%3A{password}@host:2222/path")
    kept = local(committed)
    assert kept[SSH]["password"] == f":{password}" and set(kept[SSH]) == {"url", "verify", "password"}
    assert set(keys.values()) < set(kept[S3].values()) and kept[S3]["url"] == "s3://bucket/path"
    committed.commit("ssh")
    assert "url = ssh://me@host:2222/path" in (committed.folder / ".dvc/config").read_text()
    remote(committed, "s3://other/path")  # keys are for the address that they were given with
    assert set(local(committed)[S3]) == {"url", "verify"}
    remote(committed, f"ssh://me:%3A{password}@host:2222/path")
    committed.commit("another bucket")
    history = committed.run("git", "log", "-p", "--all").stdout
    assert "s3://bucket/path" in history and not [s for s in (*keys.values(), password) if s in history]

    committed.run("dvc", "remote", "modify", "ssh", "password", "oops")  # without --local: the classical mistake
    assert "holds password" in refused(push(committed, check=False))


def test_no_secret_is_in_this_repository():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert ".dvc/config.local" not in tracked
    assert not [option for option in ("secret_access_key", "password") if option in (ROOT / ".dvc/config").read_text()]


@pytest.mark.parametrize("url, args, expected", [
    ("ftp://me:abc123@host/path", [], "URL=ftp://...: expected a folder, s3://bucket/path"),
    ("https://me@host/path", [], "not of the form https://user:password@host:port/path"),
    ("https://host/path?signature=abc123", [], "not of the form https://"),
    ("https://me:abc123@host", ["--key", "id"], "URL=https://host: ENDPOINT goes with s3://, KEY with ssh://"),
    ("s3://", [], "not of the form s3://bucket/path; keys come from the environment"),
    ("s3://KEY:abc123@bucket", [], "not of the form s3://bucket/path"),
    ("s3://bucket/path", ["--endpoint", "http://KEY:abc123@host"], "ENDPOINT: expected http://host:port"),
    ("s3://bucket/path", ["--endpoint", "host?abc123"], "ENDPOINT: expected http://host:port"),
    ("ssh:///path", [], "not of the form ssh://user:password@host:port/path"),
    ("ssh://me:abc123@x@host/path", [], "in a password write @ : / # ? % as %40"),
    ("ssh://me:abc123/x@host/path", [], "in a password write"),
    ("ssh://me:abc123#x@host/path", [], "in a password write"),
    ("ssh://me:abc123?x@host/path", [], "in a password write"),
    ("ssh://me:abc123%@host/path", [], "in a password write"),
    ("ssh://[::1/path", [], "not of the form ssh://"),
    ("ssh://host:0/path", [], "not of the form ssh://"),
    ("ssh://host:99999/path", [], "not of the form ssh://"),
    ("ssh://host/path", ["--key", "absent"], "KEY=absent: no such file"),
    ("me@host:path", [], "another machine is written ssh://user@host/path"),
    ("", [], "not the path of a folder"),
    ("folder", ["--endpoint", "http://127.0.0.1"], "ENDPOINT goes with s3://"),
])  # fmt: skip
def test_an_address_that_cannot_be(project, url, args, expected):
    said = refused(project.run("python", "-m", "tools.remote", url, *args, check=False))
    assert expected in said and "abc123" not in said
    assert project.run("git", "status", "--porcelain").stdout == "" and not local(project)


@pytest.mark.parametrize("url", ["ssh://me:a%40b@host/p", "ssh://me:a@b@host/p", "https://u:p@h/x", "s3://K:S@bucket"])
def test_an_address_with_a_password_in_the_committed_file_is_not_pushed(committed, url):
    remote(committed, "s3://bucket/path")
    config = committed.folder / ".dvc/config"
    config.write_text(config.read_text().replace("s3://bucket/path", url))
    assert "remote 's3' holds a secret in url, and git would publish it" in refused(push(committed, check=False))


@pytest.mark.parametrize("url, expected", [
    ("gs://bucket/path", False), ("azure://container/path", False), ("folder/at@home", False),
    ("webdavs://me:abc123@host/path", True), ("azure://container/path?sig=abc123", True), ("s3://K:S@bucket", True),
])  # fmt: skip
def test_addresses_of_kinds_that_only_dvc_knows_may_stand_in_the_committed_file(url, expected):
    assert has_secret(url) == expected


def test_no_remote_empty_remote_unreachable_remote(committed, tmp_path):
    assert "no remote of yours is set; `make remote URL=...`" in refused(push(committed, check=False))
    shutil.rmtree(committed.folder / ".dvc/cache")
    absent = "in no remote, or damaged there: "
    assert absent in refused(pull(committed, check=False))
    remote(committed, tmp_path / "nothing")
    assert absent in refused(pull(committed, check=False))
    remote(committed, f"ssh://me@127.0.0.1:{servers.free_port()}/path")
    done = pull(committed, check=False)
    assert absent in refused(done) and "note: ssh://me@127.0.0.1:" in done.stdout
    assert done.stdout.count("the remote cannot be reached") == 1


def test_s3_wrong_keys_no_keys_no_bucket_no_server(committed, tmp_path):
    with servers.s3(tmp_path / "server") as server:
        args = [server["url"], "--endpoint", server["endpoint"]]
        remote(committed, *args, **server["keys"] | {"AWS_SECRET_ACCESS_KEY": "wrong"})
        assert "access denied" in (said := refused(push(committed, check=False))) and "check AWS_ACCESS_KEY_ID" in said
        remote(committed, *args)
        assert "access denied" in refused(push(committed, check=False))
        remote(committed, "s3://elsewhere/path", *args[1:], **server["keys"])
        assert "does not exist" in refused(push(committed, check=False))
        remote(committed, *args, **server["keys"])
    assert "the remote cannot be reached" in refused(push(committed, check=False))


def test_ssh_wrong_key(committed, tmp_path):
    (tmp_path / "server").mkdir()
    with servers.ssh(tmp_path / "server") as server:
        remote(committed, server["url"], "--key", server["stranger"])
        assert "access denied" in (said := refused(push(committed, check=False))) and "SSH user and key" in said


def test_missing_object_is_named_with_its_stage(committed, tmp_path):
    remote(committed, tmp_path / "store")
    committed.commit("remote")
    push(committed)
    lock = (committed.folder / "dvc.lock").read_text()
    digest = lock.split("path: models/effnet.ckpt\n")[1].split("md5: ")[1].split()[0]
    (tmp_path / f"store/files/md5/{digest[:2]}/{digest[2:]}").unlink()
    csv = committed.run("md5sum", "metrics/evaluate/per_image.csv").stdout.split()[0]
    (tmp_path / f"store/files/md5/{csv[:2]}/{csv[2:]}").unlink()
    other = committed.clone(tmp_path / "b")
    assert "models/effnet.ckpt (stage train)" in refused(pull(other, check=False))
    said = refused(pull(other, "metrics/evaluate", check=False))
    assert "metrics/evaluate/per_image.csv (stage evaluate)" in said
    assert "2 files sent" in push(committed).stdout  # as DVC's memory of the remote is not believed
    assert "in place: " in pull(other).stdout and (other.folder / RESULTS[0]).is_file()


SHIPPED = ["models/effnet.ckpt", "data/prepared", "metrics/evaluate"]  # CONTRIBUTING.md


@pytest.fixture
def shipped(committed):
    committed.run("dvc", "push", "-r", "shipped", *SHIPPED)
    return committed.commit("shipped")


def test_what_comes_with_the_repository_is_enough_not_to_train(shipped, tmp_path):
    clone = shipped.clone(tmp_path / "b")
    env = {name: "http://127.0.0.1:1" for name in ("http_proxy", "https_proxy", "all_proxy")}  # offline
    said = clone.run("python", "-m", "tools.transfer", "pull", env=env).stdout
    place = said.split("in place: ")[1].splitlines()[0].split(", ")
    rest = said.split("`make repro` makes the rest, without training: ")[1].splitlines()[0].split(", ")
    assert sorted(place) == sorted(SHIPPED) and "models/effnet.onnx" in rest and not set(place) & set(rest)
    ran = clone.ran(clone.run("dvc", "repro").stdout)
    assert sorted(ran) == ["build310", "export", "pretrained", "quantize"]
    assert clone.run("git", "status", "--porcelain").stdout == ""
    for name in RESULTS:
        assert (clone.folder / name).read_bytes() == (shipped.folder / name).read_bytes(), name


@pytest.mark.parametrize("mode", [0o644, 0o444])  # as git and as DVC write objects; DVC takes 0444 for unharmed
def test_a_damaged_model_is_not_handed_out(shipped, tmp_path, mode):
    clone = shipped.clone(tmp_path / "b")
    digest = shipped.run("md5sum", "models/effnet.ckpt").stdout.split()[0]
    thing = clone.folder / f".dvc/shipped/files/md5/{digest[:2]}/{digest[2:]}"
    data = bytearray(thing.read_bytes())
    data[1000] ^= 1
    thing.write_bytes(data)
    thing.chmod(mode)
    assert "damaged there: models/effnet.ckpt (stage train)" in refused(pull(clone, check=False))
    assert not (clone.folder / "models/effnet.ckpt").exists()
    clone.run("git", "checkout", "-q", ".dvc/shipped")
    pull(clone)
    assert (clone.folder / RESULTS[0]).read_bytes() == (shipped.folder / RESULTS[0]).read_bytes()


def test_changed_outputs_are_neither_sent_nor_overwritten(committed, tmp_path):
    remote(committed, tmp_path / "store")
    model = committed.folder / "models/effnet.ckpt"
    model.unlink()
    model.write_bytes(b"precious")
    assert "models/effnet.ckpt is not what dvc.lock records" in refused(push(committed, check=False))
    assert "saved nowhere" in refused(pull(committed, check=False)) and model.read_bytes() == b"precious"
    pull(committed, "--force")
    assert model.read_bytes() != b"precious"
    assert "not committed yet" in push(committed).stdout  # .dvc/config is new


def test_detached_head_and_shallow_clone_work(committed, tmp_path):
    remote(committed, tmp_path / "store")
    committed.commit("remote")
    committed.run("git", "checkout", "-q", "--detach")
    assert "HEAD is detached" in push(committed).stdout
    committed.run("git", "switch", "-q", "main")
    shallow = committed.clone(tmp_path / "b", "--depth", "1")
    pull(shallow)
    assert (shallow.folder / RESULTS[0]).is_file()
    said = refused(shallow.run("python", "-m", "tools.compare", "HEAD~1", check=False))
    assert "no commit, branch or tag 'HEAD~1'" in said and "git fetch --unshallow" in said


def test_not_a_repository(committed, tmp_path):
    shutil.rmtree(committed.folder / ".git")
    env = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    said = refused(committed.run("python", "-m", "tools.transfer", "push", env=env, check=False))
    assert "not a git repository" in said and "git init" in said
    shutil.rmtree(committed.folder / ".dvc")
    assert "not this project's folder" in refused(
        committed.run("python", "-m", "tools.transfer", "push", env=env, check=False)
    )


def test_locks_of_the_living_and_the_dead(committed, tmp_path):
    remote(committed, tmp_path / "store")
    rwlock = committed.folder / ".dvc/tmp/rwlock"
    rwlock.parent.mkdir(exist_ok=True)
    code = "from dvc.repo import Repo\nimport time\nwith Repo().lock: print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code]
    holder = subprocess.Popen(command, cwd=committed.folder, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdout.readline()
        assert "another DVC command is at work" in refused(push(committed, check=False))
    finally:
        holder.kill()  # the kill -9 of a run
        holder.wait()
    assert "files sent" in push(committed).stdout

    model = str(committed.folder / "models/effnet.ckpt")
    rwlock.write_text(json.dumps({"write": {model: {"pid": holder.pid, "cmd": "dvc repro"}}, "read": {}}))
    committed.run("dvc", "repro")  # a dead process's entry hinders nothing
    rwlock.write_text('{"write": {"')  # killed while it wrote
    said = committed.run("dvc", "repro", "--force", "prepare", check=False).stderr
    assert "Unable to read RWLock-file '.dvc/tmp/rwlock'" in said  # DVC's own words; docs/resume.md says what to do
    committed.run("bash", "-c", "rm -f .dvc/tmp/rwlock")  # that
    committed.run("dvc", "repro", "--force", "prepare")
