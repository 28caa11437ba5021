"""Name the remote that `make push` and `make pull` use: `python -m tools.remote URL`.

    ../effnet-remote               a folder (the default)
    s3://bucket/path               Amazon's, or with --endpoint any S3 server
    ssh://user@host[:port]/path    with --key FILE another key than the agent's or ~/.ssh's

The address goes to .dvc/config, which is committed, under the name of its kind: folder, s3 or ssh. That it is the
default here goes to .dvc/config.local, which git ignores, with the address again, so that it holds on every branch,
and with secrets: a password in the address, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the environment holds
both.
"""

import argparse
import os
from urllib.parse import unquote, urlsplit, urlunsplit

from effnet import errors
from effnet.errors import InputError
from tools.repo import opened

KEYS = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="../effnet-remote")
    parser.add_argument(
        "--endpoint", default="", help="address of an S3 server that is not Amazon's, e.g. http://127.0.0.1:9000"
    )
    parser.add_argument("--key", default="", help="SSH private key file")
    args = parser.parse_args()
    public, secret = options(args.url, args.endpoint, args.key, os.environ)
    scheme = urlsplit(args.url).scheme
    name = scheme if scheme in ("s3", "ssh") else "folder"  # one a kind, so that no kind is given another's keys
    with opened() as repo:
        with repo.config.edit("repo") as config:
            config["remote"][name] = public
        with repo.config.edit("local") as config:
            config["core"]["remote"] = name
            config["remote"][name] = public | secret  # all of it: a branch may not name it, and DVC would stop there
        os.chmod(repo.config.files["local"], 0o600)
    print(f"remote {name}: {public['url']}")
    if secret:
        print(f"kept in .dvc/config.local, which git ignores: {', '.join(secret)}")
    print("`git commit .dvc/config` tells other clones; `make push` sends, `make pull` brings")
    return 0


def options(url, endpoint, key, environ):
    """`(public, secret)` options of the remote at `url`, in DVC's words."""
    parts = urlsplit(os.path.expanduser(url))
    if parts.scheme not in ("", "file", "s3", "ssh"):
        raise InputError(f"URL={url}: expected a folder, s3://bucket/path or ssh://user@host/path")
    if parts.scheme in ("s3", "ssh") and not parts.hostname:
        raise InputError(
            f"URL={url}: the {'bucket' if parts.scheme == 's3' else 'host'} is missing after {parts.scheme}://"
        )
    if (endpoint and parts.scheme != "s3") or (key and parts.scheme != "ssh"):
        raise InputError(f"URL={url}: ENDPOINT goes with s3://, KEY with ssh://")
    if parts.scheme in ("", "file"):
        return {"url": os.path.abspath(parts.path) if os.path.isabs(parts.path) else _relative(parts.path)}, {}
    public, secret = {"url": url}, {}
    if parts.password is not None:
        account, _, place = parts.netloc.rpartition("@")
        public["url"] = urlunsplit(parts._replace(netloc=f"{account.split(':')[0]}@{place}"))
        secret["password"] = unquote(parts.password)
    if endpoint:
        public["endpointurl"] = endpoint
    if key:
        secret["keyfile"] = os.path.abspath(os.path.expanduser(key))  # no secret, but true on this machine only
    if parts.scheme == "s3" and environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        secret |= {option: environ[name] for name, option in KEYS.items() if environ.get(name)}
    return public, secret


def _relative(path):
    from dvc.config_schema import RelPath  # written relative to .dvc/, so that it holds in every clone

    return RelPath(path)


if __name__ == "__main__":
    errors.run(main)
