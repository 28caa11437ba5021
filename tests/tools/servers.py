"""Real servers on the loopback interface for tests of remotes: each on a free port, with keys of its own, gone when
the block ends.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, port, log, **options):
    """`command` while the block runs, once it accepts connections on `port`."""
    with open(log, "w") as file:
        process = subprocess.Popen(
            [str(c) for c in command], stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options
        )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, f"{command[0]} ended at once:\n{Path(log).read_text()}"
            time.sleep(0.1)
        else:
            raise AssertionError(f"{command[0]} does not listen on {port}:\n{Path(log).read_text()}")
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def http(folder, log):
    """Python's web server on a folder: yields its URL."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, port]
    with running(command, port, log):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def s3(folder):
    """A nanio (an S3 server that keeps objects as files and checks signatures) with one bucket: yields its URL,
    endpoint and keys.
    """
    pytest.importorskip("nanio", reason="nanio, the S3 server of these tests, needs Python 3.11")
    port, folder = free_port(), Path(folder)
    (folder / "data/bucket").mkdir(parents=True)
    keys = {"AWS_ACCESS_KEY_ID": "AKIA" + secrets.token_hex(8).upper(), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
    env = os.environ | {
        "NANIO_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"],
    }
    command = [
        Path(sys.executable).parent / "nanio",
        "serve",
        "--data-dir",
        folder / "data",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    with running(command, port, folder / "log", env=env):
        yield {
            "url": "s3://bucket/effnet",
            "endpoint": f"http://127.0.0.1:{port}",
            "keys": keys,
            "store": folder / "data/bucket/effnet",
        }


@contextlib.contextmanager
def ssh(folder):
    """OpenSSH's server for the present user, who may log in with one key: yields URL and key file."""
    daemon = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not daemon:
        pytest.skip("no sshd on this machine (Debian package openssh-server)")
    port, folder = free_port(), Path(folder)
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its service makes that; we start it without
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    with running([daemon, "-D", "-e", "-f", folder / "config"], port, folder / "log"):
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}/store"
        yield {"url": url, "key": folder / "user", "stranger": folder / "stranger", "store": folder / "store"}
