"""effnet/download.py against a real HTTP server on loopback that breaks off, lies, or knows nothing of ranges."""

import contextlib
import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from effnet import download
from effnet.errors import InputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@contextlib.contextmanager
def server(content, breaks=(), ranges=True, status=None):
    """Serve `content` at /data.tgz; the first requests break off after `breaks` bytes each.

    Yields the URL and the list of the Range headers that came.
    """
    breaks, seen = list(breaks), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers["Range"]
            seen.append(wanted)
            if status:
                return self.send_error(status)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and ranges else 0
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : start + breaks.pop(0)] if breaks else content[start:])

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{web.server_port}/data.tgz", seen
    finally:
        web.shutdown()
        web.server_close()


def archive(url, content=CONTENT, images=0):
    return download.Archive(url, len(content), hashlib.sha256(content).hexdigest(), images)


def test_a_whole_file_arrives(tmp_path):
    with server(CONTENT) as (url, seen):
        download.fetch(archive(url), tmp_path / "deep" / "data.tgz")
        download.fetch(archive(url), tmp_path / "deep" / "data.tgz")
    assert (tmp_path / "deep" / "data.tgz").read_bytes() == CONTENT
    assert seen == [None], "a file that is there is not fetched again"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["data.tgz"]


def test_broken_connections_are_resumed(tmp_path):
    with server(CONTENT, breaks=[1_000_000, 500_000]) as (url, seen):
        download.fetch(archive(url), tmp_path / "data.tgz")
    assert seen == [None, "bytes=1000000-", "bytes=1500000-"]
    assert (tmp_path / "data.tgz").read_bytes() == CONTENT


def test_a_download_that_gave_up_is_resumed_by_the_next_call(tmp_path):
    with server(CONTENT, breaks=[1_000_000] + [0] * download.ATTEMPTS) as (url, _):
        with pytest.raises(
            InputError,
            match=rf"ended after 1,000,000 of 3,000,000 bytes; run again to continue, or put the file at {tmp_path}",
        ):
            download.fetch(archive(url), tmp_path / "data.tgz")
    assert not (tmp_path / "data.tgz").exists()
    with server(CONTENT) as (url, seen):
        download.fetch(archive(url), tmp_path / "data.tgz")
    assert seen == ["bytes=1000000-"]
    assert (tmp_path / "data.tgz").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(tmp_path):
    with server(CONTENT, breaks=[1_000_000], ranges=False) as (url, seen):
        download.fetch(archive(url), tmp_path / "data.tgz")
    assert len(seen) == 2
    assert (tmp_path / "data.tgz").read_bytes() == CONTENT


def test_a_wrong_checksum_is_named_and_nothing_of_it_kept(tmp_path):
    other = CONTENT[:-1] + b"x"
    with server(other) as (url, _):
        expected = archive(url)
        with pytest.raises(
            InputError,
            match=f"SHA-256 {hashlib.sha256(other).hexdigest()}, expected 3,000,000 bytes with {expected.sha256}",
        ):
            download.fetch(expected, tmp_path / "data.tgz")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_of_the_user_is_named_and_kept(tmp_path):
    (tmp_path / "data.tgz").write_bytes(b"something else")
    with pytest.raises(InputError, match="data.tgz: 14 bytes with SHA-256"):
        download.fetch(archive("http://127.0.0.1:9/data.tgz"), tmp_path / "data.tgz")
    assert (tmp_path / "data.tgz").read_bytes() == b"something else"


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, download.ATTEMPTS)])
def test_an_http_error_is_named_with_what_to_do(tmp_path, status, requests):
    with server(CONTENT, status=status) as (url, seen):
        with pytest.raises(InputError, match=rf"{url}: HTTP {status} .*put the file at {tmp_path}/data.tgz yourself"):
            download.fetch(archive(url), tmp_path / "data.tgz")
    assert len(seen) == requests


def test_a_longer_part_than_the_server_has_is_dropped(tmp_path):
    (tmp_path / "data.tgz.part").write_bytes(CONTENT[:2_000_000])
    with server(CONTENT[:1_000_000]) as (url, _):
        with pytest.raises(InputError, match="HTTP 416"):
            download.fetch(archive(url), tmp_path / "data.tgz")
    assert not (tmp_path / "data.tgz.part").exists()


def test_no_network_is_one_sentence_with_the_file_to_put(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.tgz"  # bound but not listening: refused
        with pytest.raises(InputError, match=rf"{url}: .*refused.*put the file at {tmp_path}/data.tgz yourself"):
            download.fetch(archive(url), tmp_path / "data.tgz")


def test_a_server_that_falls_silent_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(InputError, match="timed out"):
            download.fetch(archive(f"http://127.0.0.1:{silent.getsockname()[1]}/data.tgz"), tmp_path / "data.tgz")
