"""Sign what `make publish` wrote, or check such a signature: OpenSSF model signing, with a key of your own, offline.

    python -m tools.sign sign [FOLDER] --key private.pem      writes FOLDER/model.sig
    python -m tools.sign verify [FOLDER] --key public.pem     exit code 1 and the files' names where it does not hold

What a signature proves, and what it does not: docs/proof.md.
"""

import argparse
import contextlib
import json
import re
from pathlib import Path

from effnet import errors, parsed
from effnet.errors import InputError

SIGNATURE = "model.sig"
NEW_KEY = (
    "openssl ecparam -name prime256v1 -genkey -noout -out private.pem && "
    "openssl ec -in private.pem -pubout -out public.pem"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["sign", "verify"])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/publish"))
    parser.add_argument("--key", default="", help="PEM file: to sign the private key, to verify the public one")
    args = parser.parse_args()
    if not args.folder.is_dir():
        raise InputError(f"{args.folder}: no such folder; `make publish` writes it")
    if not args.key or not Path(args.key).is_file():
        raise InputError(f"KEY={args.key}: no such key file; a pair of keys is made by: {NEW_KEY}")
    return (sign if args.action == "sign" else verify)(args.folder.resolve(), args.key)


def sign(folder, key):
    """Write folder/model.sig. Raises InputError for a file that is no private key."""
    import model_signing  # which a clone without requirements-publish.txt has not

    signer = model_signing.signing.Config().set_hashing_config(_all_but_signature(folder))
    try:
        signer.use_elliptic_key_signer(private_key=key).sign(folder, folder / SIGNATURE)
    except (ValueError, TypeError) as error:
        raise InputError(f"KEY={key}: not a private key to sign with ({_first(error)}); make one: {NEW_KEY}") from None
    print(f"{folder / SIGNATURE}: signs {sum(1 for path in folder.rglob('*') if path.is_file()) - 1} files")
    return 0


def verify(folder, key):
    """Say whether folder/model.sig holds, and if not, of which files not; returns the exit code."""
    import model_signing

    if not (folder / SIGNATURE).is_file():
        raise InputError(f"{folder / SIGNATURE}: no such file; nobody signed this folder (`make sign`)")
    verifier = model_signing.verifying.Config().set_hashing_config(_all_but_signature(folder))
    try:
        verifier.use_elliptic_key_verifier(public_key=key).verify(folder, folder / SIGNATURE)
    except Exception as error:  # of many libraries: a damaged signature may fail anywhere
        names, found = _names(folder), re.findall(r"files/[\w./]+", str(error))
        wrong = [f"{path} ({names.get(path, 'not recorded here')})" for path in found]
        print(f"the signature does not hold: {', '.join(wrong) or _first(error)}")
        return 1
    print(f"{folder}: every file is as the holder of {key} signed it")
    return 0


def _all_but_signature(folder):
    import model_signing

    return model_signing.hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=True)


def _first(error):
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _names(folder):
    """`{object's path: the output that it is}` as dvc.lock has it, folders' files included."""
    names = {}
    for stage in parsed.yaml_file(Path("dvc.lock"), parsed.Lock)["stages"].values():
        for out in stage.get("outs", []):
            names[_path(out["md5"])] = out["path"]
            if out["md5"].endswith(".dir") and (folder / _path(out["md5"])).exists():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a tampered list names nothing
                    for entry in json.loads((folder / _path(out["md5"])).read_text()):
                        names[_path(entry["md5"])] = f"{out['path']}/{entry['relpath']}"
    return names


def _path(md5):
    return f"files/md5/{md5[:2]}/{md5[2:]}"


if __name__ == "__main__":
    errors.run(main)
