"""Rewrite README.md's tables and picture of results from metrics/ and tools/published.yaml: `make results`. No number
is typed by hand.
"""

import re
from pathlib import Path

from effnet import errors, recipe
from effnet.files import whole
from tools import card, charts, facts, published

ROOT = Path(__file__).parents[1]


def table():
    """The results here, and what was published for their recipe where something was."""
    params, metrics = recipe.load(ROOT / "params.yaml"), facts.read_metrics(ROOT)
    what = f"{params.model.variant} at {params.evaluate.crop} px on `{params.data.source}`"
    text = card.markdown([what, *facts.HEADER[1:]], facts.results(metrics))
    if found := published.beside(params, metrics["evaluate"]):
        sentence, rows = found
        text += f"\n\n{sentence}\n\n{card.markdown(published.HEADER, rows)}"
    return text


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, part in (("results", table()), ("published", card.markdown(*published.table()))):
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text = place.sub(lambda found, part=part: f"{found[1]}{part}\n{found[2]}", text)
    with whole(readme, "w") as file:
        file.write(text)
    picture = charts.overview({"curves": facts.read_curves(ROOT), "metrics": facts.read_metrics(ROOT)})
    with whole(ROOT / "metrics/results.svg", "w") as file:
        file.write(picture)
    print(table())


if __name__ == "__main__":
    errors.run(main)
