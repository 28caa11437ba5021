"""Name the remote that `make push` and `make pull` use: `python -m tools.remote URL`.

    ../effnet-remote               a folder (the default)
    s3://bucket/path               Amazon's, or with --endpoint any S3 server
    ssh://user@host[:port]/path    with --key FILE another key than the agent's or ~/.ssh's
    https://host/path              read-only: what `make publish` wrote, on any web server

The address goes to .dvc/config, which is committed, under the name of its kind: folder, s3, ssh or http. That it is the
default here goes to .dvc/config.local, which git ignores, with the address again, so that it holds on every branch,
and with secrets: a password in the address, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the environment holds
both. What is brought from it is checked against its checksum.
"""

import argparse
import os

from effnet import errors
from effnet.errors import InputError
from tools import address
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
    name, public, secret = options(args.url, args.endpoint, args.key, os.environ)
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
    sends = "it is read-only" if name == "http" else "`make push` sends"
    print(f"`git commit .dvc/config` tells other clones; {sends}, `make pull` brings")
    return 0


def options(url, endpoint, key, environ):
    """`(kind, public options, secret options)` of the remote at `url`, in DVC's words."""
    found = address.parse(url)
    kind, public, secret = found.kind, {"url": found.url, "verify": True}, {}
    if (endpoint and kind != "s3") or (key and kind != "ssh"):
        raise InputError(f"URL={found.url}: ENDPOINT goes with s3://, KEY with ssh://")
    if kind == "folder":
        path = os.path.expanduser(url)
        return kind, {"url": path if os.path.isabs(path) else _relative(path), "verify": True}, {}
    if found.password:
        secret["password"] = found.password
    if kind == "http" and found.user:
        public |= {"auth": "basic", "user": found.user}
    if endpoint:
        public["endpointurl"] = address.endpoint(endpoint)
    if key:
        path = os.path.abspath(os.path.expanduser(key))
        if not os.path.isfile(path):
            raise InputError(f"KEY={key}: no such file")
        secret["keyfile"] = path  # no secret, but true on this machine only
    if kind == "s3" and environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        secret |= {option: environ[name] for name, option in KEYS.items() if environ.get(name)}
    return kind, public, secret


def _relative(path):
    from dvc.config_schema import RelPath  # written relative to .dvc/, so that it holds in every clone

    return RelPath(path)


if __name__ == "__main__":
    errors.run(main)
