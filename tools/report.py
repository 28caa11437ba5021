"""One page about the run in this folder, and its model card: `python -m tools.report [FOLDER]`, default reports/.

report.html needs no network and no other file; model-card.md is text. Both hold only what the stages wrote.
"""

import argparse
import base64
import html
from pathlib import Path

from effnet import errors
from effnet.files import whole
from tools import card, charts
from tools import facts as facts_of
from tools import published as beside

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem }
body { color: #1b1f24; background: #fff }
h1 { line-height: 1.2 } h2 { margin-top: 2.5rem }
.wide { overflow-x: auto } table { border-collapse: collapse }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #d8dee4; white-space: nowrap }
td { font-variant-numeric: tabular-nums }
.charts { display: grid; gap: 1.5rem; --share: calc((100% - (var(--columns) - 1) * 1.5rem) / var(--columns)) }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, max(18rem, var(--share))), 1fr)) }
figure { margin: 0 } figcaption { font-weight: 600 } svg, img { width: 100%; height: auto } img { max-width: 50rem }
pre { overflow-x: auto; background: #f6f8fa; padding: 1rem; font-size: .85rem } code { overflow-wrap: anywhere }
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reports"))
    folder = parser.parse_args().folder
    facts = facts_of.read()
    for name, text in (("report.html", page(facts)), ("model-card.md", card.card(facts))):
        with whole(folder / name, "w") as file:
            file.write(text)
        print(folder / name)
    return 0


def results(facts):
    """Header and rows of the table of results: one row a runtime, with the 95% interval of top-1."""
    return facts_of.HEADER, facts_of.results(facts["metrics"])


def parity(facts):
    """Header and rows of how far two runtimes are apart."""
    columns = "largest_difference", "equal_top1"
    rows = [[row["pair"], *(f"{float(row[name]):.2%}" for name in columns)] for row in facts["parity"]]
    return ["pair", "a logit differs by at most, of the largest", "equal top-1"], rows


def published(facts):
    """What was published for the recipe, beside what was measured: nothing where nothing was."""
    if not facts["published"]:
        return ""
    sentence, rows = facts["published"]
    return f"<h2>Beside what was published</h2><p>{html.escape(sentence)}</p>{table(beside.HEADER, rows)}"


def page(facts):
    """The HTML page. All text from the run is escaped."""
    mistakes = ""
    if facts["mistakes"]:
        source = base64.b64encode(facts["mistakes"]).decode()
        mistakes = (
            f'<h2>Worst mistakes</h2><img alt="the most surely wrong answers" src="data:image/png;base64,{source}">'
        )
    error = facts_of.calibration_error(facts["calibration"])
    answers = {
        "Confusion": charts.confusion(facts),
        "Top-1 of each class, worst first": charts.per_class(facts),
        f"Reliability (expected calibration error {error:.3f})": charts.reliability(facts),
    }
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(facts_of.title(facts))}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>
<h1>{html.escape(facts_of.title(facts))}</h1>
{table(*results(facts))}
{published(facts)}
<h2>Answers</h2>{grid(answers)}
{mistakes}
<h2>Do the runtimes answer alike?</h2>
{table(*parity(facts))}
<h2>Training</h2>{grid(charts.curves(facts))}
<h2>Where these numbers come from</h2>
{table(*facts_of.origin(facts))}
<p>{html.escape(facts_of.versions(facts))}</p>
<h2>Recipe</h2><pre>{html.escape(facts["params"])}</pre>
</body></html>
"""


def table(header, rows):
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def grid(drawn):
    figures = "".join(
        f"<figure><figcaption>{html.escape(name)}</figcaption>{svg}</figure>" for name, svg in drawn.items()
    )
    columns = 3 if len(drawn) % 3 == 0 else 2  # no chart alone in its row, where the page is wide
    return f'<div class="charts" style="--columns: {columns}">{figures}</div>'


if __name__ == "__main__":
    errors.run(main)
