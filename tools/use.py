"""Put a recipe in force: `python -m tools.use NAME [--force]` copies recipes/NAME.yaml over params.yaml.

Edits of params.yaml that are neither committed nor equal to some recipe are not overwritten without --force.
"""

import argparse
from pathlib import Path

from effnet import errors, recipe
from effnet.errors import InputError
from effnet.files import whole
from effnet.results.clock import git

ROOT = Path(__file__).parents[1]
RECIPES, PARAMS = ROOT / "recipes", ROOT / "params.yaml"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--force", action="store_true")
    args = parser.parse_args()
    recipes = {path.stem: path.read_bytes() for path in sorted(RECIPES.glob("*.yaml"))}
    if args.name not in recipes:
        raise InputError(f"no recipe '{args.name}'; there are {', '.join(recipes)}")
    recipe.load(RECIPES / f"{args.name}.yaml")
    now = PARAMS.read_bytes() if PARAMS.exists() else None
    if now == recipes[args.name]:
        return 0
    if not args.force and now is not None and now not in recipes.values() and now != _committed():
        raise InputError(
            "params.yaml has edits that are neither committed nor one of recipes/; "
            "commit them, or lose them with FORCE=1"
        )
    with whole(PARAMS) as file:
        file.write(recipes[args.name])
    print(f"recipe in force: {args.name}")
    return 0


def _committed():
    text = git("-C", str(ROOT), "show", "HEAD:params.yaml")
    return None if text is None else text.encode() + b"\n"


if __name__ == "__main__":
    errors.run(main)
