"""Bring the data and models of this commit from the remote, or send them there:
`python -m tools.transfer pull|push [FILE ...]`.

What `dvc pull` and `dvc push` do, with their checks first and their errors in one sentence.
"""

import argparse
from urllib.parse import urlsplit

from effnet import errors
from effnet.errors import InputError
from tools.repo import NO_REMOTE, SECRETS, git, opened


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=["pull", "push"])
    parser.add_argument("files", nargs="*", help="outputs to transfer; all if none is named")
    parser.add_argument(
        "--force", action="store_true", help="pull: overwrite outputs changed here; push: send in spite of changed ones"
    )
    args = parser.parse_args()
    with opened() as repo:
        outputs = [out for out in repo.index.targets_view(args.files or None).outs if out.use_cache]
        (pull if args.direction == "pull" else push)(repo, outputs, args.files, args.force)
    return 0


def pull(repo, outputs, files, force):
    if not any(_missing(out) for out in outputs):
        print("nothing to fetch: the cache has it all")
    else:
        url = _reach(repo)
        try:
            count = repo.fetch(files or None)
            print(f"{count} files fetched from {url}")
        except Exception as error:
            if type(error).__name__ != "DownloadError":
                raise  # a DownloadError names no file: the check below does
    absent = _named(outputs, repo.cloud.get_remote_odb)
    if absent:
        advice = "run `make push` where they were made, or `dvc repro` to make them anew"
        raise InputError(f"missing in the remote: {absent}; {advice}")
    changed = _changed(outputs)
    lost = [str(out) for out in changed if not force and not out.cache.exists(out.get_hash().value)]
    if lost:
        raise InputError(
            f"{', '.join(lost)} was changed here and is saved nowhere; `dvc commit` keeps it, FORCE=1 overwrites it"
        )
    repo.checkout(files or None, force=True)  # what it overwrites is in the cache
    print(f"in place: {', '.join(str(out) for out in outputs if out.hash_info)}")


def push(repo, outputs, files, force):
    _refuse_secrets(repo)
    changed = [str(out) for out in _changed(outputs)]
    if changed and not force:
        raise InputError(
            f"{', '.join(changed)} is not what dvc.lock records; `dvc repro` or `dvc commit` records it, "
            "`dvc checkout` restores it (FORCE=1 sends what is recorded)"
        )
    absent = _named(outputs)
    if absent:
        raise InputError(
            f"not here to be sent: {absent}; `dvc repro` makes them, `make pull` brings what the remote has"
        )
    url = _reach(repo, pulling=False)
    print(f"{repo.push(files or None)} files sent to {url}")
    if git("status", "--porcelain", "--", "dvc.lock", "dvc.yaml", "params.yaml", "metrics", ".dvc/config"):
        print(
            "note: dvc.lock, metrics or recipe are not committed yet: "
            "other clones find the files only through `git commit` and `git push`"
        )
    elif git("symbolic-ref", "--quiet", "HEAD") is None:
        print("note: HEAD is detached, commits made here are on no branch; `git switch -c NAME` makes one")


def _reach(repo, pulling=True):
    """The remote's address, after one request that fails clearly where the transfer's own many would not."""
    name = repo.config["core"].get("remote")
    if not name:
        raise InputError(NO_REMOTE)
    remote, url = repo.cloud.get_remote(name), repo.config["remote"][name]["url"]
    if not remote.fs.exists(remote.path) and pulling:
        raise InputError(
            f"{url}: the remote is empty or not there; check the address, or run `make push` where the models are"
        )
    return url


def _named(outputs, store=None):
    """In words, which files the cache lacks, and of which stages; empty if none."""
    found = [f"{path} (stage {out.stage.addressing})" for out in outputs for path in _missing(out, store)]
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _missing(out, store=None):
    """Paths of `out` that the cache lacks; empty for an output that was never made.

    store: function that gives the remote's object store, to look a folder's list of files up in where the cache has
    none.
    """
    if not out.hash_info:
        return []
    obj = out.get_obj() or (store and out.hash_info.isdir and _tree(store(), out))
    if not obj:
        return [str(out)]
    if not out.hash_info.isdir:
        return [] if out.cache.exists(out.hash_info.value) else [str(out)]
    return ["/".join((str(out), *key)) for key, _, found in obj if not out.cache.exists(found.value)]


def _tree(store, out):
    from dvc_data.hashfile.tree import Tree

    try:
        return Tree.load(store, out.hash_info)
    except FileNotFoundError:
        return None


def _changed(outputs):
    return [out for out in outputs if out.hash_info and out.exists and out.changed_checksum()]


def _refuse_secrets(repo):
    for name, options in repo.config.load_one("repo").get("remote", {}).items():
        found = sorted(SECRETS & options.keys())
        found += ["password in url"] if urlsplit(options.get("url", "")).password else []
        if found:
            raise InputError(
                f".dvc/config: remote '{name}' holds {', '.join(found)}, and git would publish it; "
                "set the remote again with `make remote` and renew that secret if it was ever pushed"
            )


if __name__ == "__main__":
    errors.run(main)
