"""The DVC repository of this folder, with each of DVC's errors said in one sentence. Used by the other tools here."""

import contextlib
import logging
import os
import socket
from pathlib import Path

from effnet.errors import InputError
from effnet.results.clock import git

SHIPPED = "shipped"  # the remote that comes with the repository, .dvc/shipped
SECRETS = {"password", "passphrase", "access_key_id", "secret_access_key", "session_token", "sse_customer_key"}
NO_REMOTE = (
    "no remote of yours is set; `make remote URL=...` names a folder, s3://bucket/path or ssh://user@host/path, "
    "`make remote` alone takes the folder ../effnet-remote"
)
HINTS = {
    "credentials": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, your AWS profile, SSH user and key, "
    "or a web server's password (docs/remotes.md)",
    "unreachable": "check address and network; work on the pipeline goes on without it",
    "absent": "the bucket or folder does not exist; check the address, or make the bucket first",
}
# exceptions by their class, or a class above it: DVC's file systems bring their own, which need not be installed
DENIED = {"PermissionError", "PermissionDenied", "NoCredentialsError", "PartialCredentialsError", "KeyImportError"}
UNREACHABLE = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ConnectionError",
    "ConnectionLost",
    "ClientConnectorError",
    "TimeoutError",
}


@contextlib.contextmanager
def opened():
    """The open `dvc.repo.Repo` of the current folder. DVC's and its file systems' exceptions leave as InputError."""
    if not Path(".dvc").is_dir():
        raise InputError(f"{Path.cwd()}: not this project's folder (no .dvc in it); run this at its root")
    if git("rev-parse", "--git-dir") is None:
        raise InputError(
            "this folder is not a git repository (an unpacked archive?), and DVC keeps its records in git; "
            "clone the project, or run `git init && git add -A && git commit -m start`"
        )
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data", "dvc_objects", "asyncssh"):  # they log what we are about to say
        logging.getLogger(name).setLevel(logging.CRITICAL)
    remote = None
    try:
        with Repo() as repo:
            name = repo.config["core"].get("remote")
            remote = repo.config["remote"].get(name, {}).get("url")
            yield repo
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:
        text = sentence(error, remote)
        if text is None:
            raise
        raise InputError(text) from None


def require_revision(name):
    """Refuse, with what to do about it, a revision that git does not know."""
    if git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") is None:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        advice = (
            "this clone is shallow: `git fetch --unshallow` brings the rest"
            if shallow
            else "`git branch -a` and `dvc exp show` list what there is"
        )
        raise InputError(f"no commit, branch or tag '{name}' here; {advice}")


def require_answer(store, name):
    """Ask the remote's `store` for the object `name`; raises what its file system does where it gets no answer.

    That over HTTP keeps to itself why it finds nothing, and takes any answer but success for "not there".
    """
    cause = None
    try:
        store.fs.info(store.oid_to_path(name))
    except FileNotFoundError as error:
        cause = error.__cause__
    if "ClientError" in _classes([cause]) and getattr(cause, "status", None) != 404:
        raise cause  # out here, lest its context be the error that it caused


def _classes(errors):
    return {kind.__name__ for error in errors for kind in type(error).__mro__}


def sentence(error, url):
    """One sentence for an exception of DVC or of a file system under it, or None if it is none of theirs."""
    chain = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    names = _classes(chain)
    first = str(error).strip().split("\n")[0]
    if "NoRemoteError" in names:
        return NO_REMOTE
    if "LockError" in names:
        holder = next((f" {line.strip()}" for line in str(error).splitlines() if "PID" in line), "")
        return f"another DVC command is at work in this folder{holder}; wait for its end or stop it"
    if names & DENIED or {getattr(e, "status", None) for e in chain} & {401, 403}:
        file = error.filename if isinstance(error, PermissionError) else None
        local = file and os.path.exists(os.path.dirname(str(file)) or ".")
        return f"{url}: access denied ({first}); {'check who owns that folder' if local else HINTS['credentials']}"
    if names & UNREACHABLE or any(isinstance(e, socket.gaierror) for e in chain):
        return f"{url}: the remote cannot be reached ({first}); {HINTS['unreachable']}"
    if "NoSuchBucket" in str(error) or names & {"FileNotFoundError", "NotADirectoryError", "SFTPNoSuchFile"}:
        return f"{url}: {HINTS['absent']} ({first})"
    if names & {"DvcException", "DisconnectError", "ClientError", "OSError", "SCMError", "Error"}:
        return first
    return None
