"""Write this commit's data and models as a remote that any web server can serve: `python -m tools.publish [FOLDER]`,
default build/publish.

The folder is in DVC's layout, files/md5/XX/YYY, and holds what dvc.lock records. What an earlier commit left in it
stays, so that a clone of that commit can pull, too. Every object is checked before the first is written.
"""

import argparse
import shutil
from pathlib import Path

from dvc_data.hashfile.hash import file_md5

from effnet import errors
from effnet.errors import InputError
from effnet.files import aside
from tools.repo import opened
from tools.transfer import note_uncommitted, others, require_recorded

URL = "http://HOST:8000"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/publish"))
    parser.add_argument("--force", action="store_true", help="publish what is recorded in spite of changed outputs")
    args = parser.parse_args()
    if args.folder.exists() and not args.folder.is_dir():
        raise InputError(f"DIR={args.folder}: is a file; name a folder")
    with opened() as repo:
        ours = (out for out in repo.index.outs if out.use_cache and out.hash_info and not others(out))
        outputs = sorted(ours, key=str)
        if not outputs:
            raise InputError("dvc.lock records nothing to publish; `make repro` makes it")
        require_recorded(outputs, "publishes", args.force)
        files = _objects(outputs)
        for source in files.values():
            _require_whole(source)
        for name, source in files.items():
            with aside(args.folder / "files/md5" / name[:2] / name[2:]) as made:
                shutil.copyfile(source, made)
    size = sum(source.stat().st_size for source in files.values()) / 1e6
    print(f"{len(files)} files, {size:.0f} MB, in {args.folder}; put it on a web server, for example")
    print(f"  python -m http.server --directory {args.folder} 8000")
    print("and in a clone of this repository say")
    print(f"  make remote URL={URL} && make pull")
    print("or, with DVC alone,")
    print(f"  dvc remote add --local --default http {URL} && dvc pull --allow-missing")
    note_uncommitted()
    return 0


def _objects(outputs):
    """`{md5: path in the cache}` of files and of folders' lists of files; the lists last, as they promise the files."""
    files, lists = {}, {}
    for out in outputs:
        wanted = [out.hash_info.value]
        if out.hash_info.isdir:
            wanted = [found.value for _, _, found in out.get_obj()]
            lists[out.hash_info.value] = Path(out.cache.oid_to_path(out.hash_info.value))
        files |= {name: Path(out.cache.oid_to_path(name)) for name in wanted}
    return files | lists


def _require_whole(path):
    """Refuse an object of the cache whose bytes are not those of its name."""
    name = path.parent.name + path.name
    if file_md5(str(path)) != name.removesuffix(".dir"):
        raise InputError(f"{path}: damaged, nothing was published; delete it, then `make pull` or `dvc repro`")


if __name__ == "__main__":
    errors.run(main)
