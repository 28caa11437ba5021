"""Bring the data and models of this commit from the remotes, or send them to the default one:
`python -m tools.transfer pull|push [FILE ...]`.

What `dvc pull` and `dvc push` do, with their checks first and their errors in one sentence. `pull` asks each remote of
the configuration, the default one first: a team's, and `shipped`, which comes with the repository and holds what
`dvc repro` cannot make without training.
"""

import argparse

from dvc_data.hashfile.db import get_index
from dvc_data.hashfile.tree import Tree

from effnet import errors
from effnet.errors import InputError
from tools.address import has_secret
from tools.pretrained import PIPELINE
from tools.repo import NO_REMOTE, SECRETS, SHIPPED, git, opened, require_answer, sentence

MADE_BY_HAND = ("train", "prepare")  # stages that take long, or data that is not at hand


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=["pull", "push"])
    parser.add_argument("files", nargs="*", help="outputs to transfer; all if none is named")
    parser.add_argument(
        "--force", action="store_true", help="pull: overwrite outputs changed here; push: send in spite of changed ones"
    )
    args = parser.parse_args()
    with opened() as repo:
        outputs = sorted((out for out in repo.index.targets_view(args.files or None).outs if out.use_cache), key=str)
        (pull if args.direction == "pull" else push)(repo, outputs, args.files, args.force)
    return 0


def pull(repo, outputs, files, force):
    outputs = [out for out in outputs if out.hash_info]
    notes = _fetch(repo, outputs)
    absent = [out for out in outputs if _missing(out)]
    for note in notes if absent else ():
        print(f"note: {note}")
    rows = [out for out in absent if others(out) and not files]
    absent = [out for out in absent if out not in rows]
    needed = [out for out in absent if files or out.stage.addressing in MADE_BY_HAND]
    if needed:
        raise InputError(
            f"in no remote, or damaged there: {_named(needed)}; "
            "run `make push` where they were made, or `dvc repro` makes them anew"
        )
    here = [out for out in outputs if out not in absent + rows]
    changed = _changed(here)
    lost = [str(out) for out in changed if not force and not out.cache.exists(out.get_hash().value)]
    if lost:
        raise InputError(
            f"{', '.join(lost)} was changed here and is saved nowhere; `dvc commit` keeps it, FORCE=1 overwrites it"
        )
    if here:
        repo.checkout([str(out) for out in here], force=True)  # what it overwrites is in the cache
    print(f"in place: {', '.join(map(str, here)) or 'nothing'}")
    if absent:
        print(f"`make repro` makes the rest, without training: {', '.join(map(str, absent))}")
    if rows:
        print(f"in no remote, `make pretrained MODEL=...` fetches them: {', '.join(map(str, rows))}")


def others(out):
    """Whether an output is other people's weights, which nothing of ours needs."""
    return out.stage.addressing.startswith(PIPELINE)


def _fetch(repo, outputs):
    """Bring what the cache lacks from whichever remote has it; what is to be said of those that do not answer."""
    notes, default = [], repo.config["core"].get("remote")
    for name in sorted(repo.config["remote"], key=lambda name: (name != default, name)):
        lacking = [out for out in outputs if _missing(out)]
        if not lacking:
            break
        url = repo.config["remote"][name]["url"]
        try:
            store = repo.cloud.get_remote_odb(name)
            get_index(store).clear()  # DVC's memory of what the remote has: a loss there would never be noticed
            there = [str(out) for out in lacking if _any_in(store, out)]
            if not there:
                require_answer(store, lacking[0].hash_info.value)
            else:
                print(f"{repo.fetch(there, remote=name)} files from {url}")
        except Exception as error:
            if type(error).__name__ == "DownloadError":  # names no file: what is missing is looked for afterwards
                continue
            said = sentence(error, url)
            if said is None:
                raise
            notes.append(said)
    return notes


def _any_in(store, out):
    """Whether the remote's `store` has something of an output that the cache lacks."""
    if not out.hash_info.isdir:
        return store.exists(out.hash_info.value)
    out.obj = out.get_obj() or _tree(store, out)  # kept, so that _missing can name its files
    return bool(out.obj) and any(store.exists(found.value) for _, _, found in out.obj)


def push(repo, outputs, files, force):
    _refuse_secrets(repo)
    outputs = [out for out in outputs if files or not others(out) or not _missing(out)]
    require_recorded(outputs, "sends", force)
    name = repo.config["core"].get("remote")
    if name in (None, SHIPPED):
        raise InputError(NO_REMOTE)
    url = repo.config["remote"][name]["url"]
    if url.startswith(("http://", "https://")):
        raise InputError(f"{url}: read-only; `make publish` writes what its web server then serves")
    store = repo.cloud.get_remote_odb(name)
    store.fs.exists(store.path)  # one request that fails clearly where the transfer's own many would not
    get_index(store).clear()
    # DVC takes a folder whose list of files is there for whole: its files are looked for one by one
    each = {found for out in outputs if out.hash_info.isdir for _, _, found in out.get_obj()}
    sent = len(repo.cloud.transfer(repo.cache.local, store, each).transferred) + repo.push(list(map(str, outputs)))
    print(f"{sent} files sent to {url}")
    note_uncommitted()


def require_recorded(outputs, does, force=False):
    """Refuse, by name, outputs that are not here, or not what dvc.lock records; FORCE=1 `does` it with those."""
    changed = [str(out) for out in _changed(outputs)]
    if changed and not force:
        raise InputError(
            f"{', '.join(changed)} is not what dvc.lock records; `dvc repro` or `dvc commit` records it, "
            f"`dvc checkout {changed[0]}` restores it (FORCE=1 {does} what is recorded)"
        )
    absent = [out for out in outputs if _missing(out)]
    if absent:
        raise InputError(
            f"not here: {_named(absent)}; `dvc repro` makes them, `make pull` brings what the remotes have"
        )


def note_uncommitted():
    if git("status", "--porcelain", "--", "dvc.lock", "dvc.yaml", "params.yaml", "metrics", ".dvc/config"):
        print(
            "note: dvc.lock, metrics or recipe are not committed yet: "
            "other clones find the files only through `git commit` and `git push`"
        )
    elif git("symbolic-ref", "--quiet", "HEAD") is None:
        print("note: HEAD is detached, commits made here are on no branch; `git switch -c NAME` makes one")


def _named(outputs):
    """In words, which files the cache lacks, and of which stages."""
    found = [f"{path} (stage {out.stage.addressing})" for out in outputs for path in _missing(out)]
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _missing(out):
    """Paths of `out` that the cache lacks; empty for an output that was never made."""
    if not out.hash_info:
        return []
    if not out.hash_info.isdir:
        return [] if out.cache.exists(out.hash_info.value) else [str(out)]
    obj = out.get_obj()
    if not obj:
        return [str(out)]
    return ["/".join((str(out), *key)) for key, _, found in obj if not out.cache.exists(found.value)]


def _tree(store, out):
    try:
        return Tree.load(store, out.hash_info)
    except FileNotFoundError:
        return None


def _changed(outputs):
    return [out for out in outputs if out.hash_info and out.exists and out.changed_checksum()]


def _refuse_secrets(repo):
    for name, options in repo.config.load_one("repo").get("remote", {}).items():
        found = sorted(SECRETS & options.keys())
        found += [f"a secret in {key}" for key in ("url", "endpointurl") if has_secret(options.get(key, "folder"))]
        if found:
            raise InputError(
                f".dvc/config: remote '{name}' holds {', '.join(found)}, and git would publish it; "
                "set the remote again with `make remote` and renew that secret if it was ever pushed"
            )


if __name__ == "__main__":
    errors.run(main)
