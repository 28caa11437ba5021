"""Rewrite README.md's table of results from metrics/*.json: `make results`. No number in it is typed by hand."""

import re
from pathlib import Path

from effnet import errors, recipe
from effnet.files import whole
from tools import facts

ROOT = Path(__file__).parents[1]


def table():
    params = recipe.load(ROOT / "params.yaml")
    what = f"{params.model.variant} at {params.evaluate.crop} px on `{params.data.source}`"
    rows = [[what, *facts.HEADER[1:]], ["---"] * len(facts.HEADER), *facts.results(facts.read_metrics(ROOT))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def main():
    readme = ROOT / "README.md"
    place = re.compile(r"(<!-- results -->\n).*?(<!-- end -->)", re.S)
    text = place.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", readme.read_text())
    with whole(readme, "w") as file:
        file.write(text)
    print(table())


if __name__ == "__main__":
    errors.run(main)
