"""One page about the run in this folder, and its model card: `python -m tools.report [FOLDER]`, default reports/.

report.html needs no network and no other file; model-card.md is text. Both hold only what the stages wrote.
"""

import argparse
import base64
import html
from pathlib import Path

from effnet import errors
from effnet.files import whole
from tools import charts
from tools import facts as facts_of

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem }
body { color: #1b1f24; background: #fff }
h1 { line-height: 1.2 } h2 { margin-top: 2.5rem }
.wide { overflow-x: auto } table { border-collapse: collapse }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #d8dee4; white-space: nowrap }
td { font-variant-numeric: tabular-nums }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem }
figure { margin: 0 } figcaption { font-weight: 600 } svg, img { width: 100%; height: auto } img { max-width: 50rem }
pre { overflow-x: auto; background: #f6f8fa; padding: 1rem; font-size: .85rem } code { overflow-wrap: anywhere }
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reports"))
    folder = parser.parse_args().folder
    facts = facts_of.read()
    for name, text in (("report.html", page(facts)), ("model-card.md", card(facts))):
        with whole(folder / name, "w") as file:
            file.write(text)
        print(folder / name)
    return 0


def title(facts):
    params = facts["recipe"]
    return f"{params.model.variant} at {params.evaluate.crop} pixels on {params.data.source}"


def results(facts):
    """Header and rows of the table of results: one row a runtime, with the 95% interval of top-1."""
    return facts_of.HEADER, facts_of.results(facts["metrics"])


def parity(facts):
    """Header and rows of how far two runtimes are apart."""
    rows = [[row["pair"], row["largest_difference"], f"{float(row['equal_top1']):.2%}"] for row in facts["parity"]]
    return ["pair", "a logit differs by at most", "equal top-1"], rows


def origin(facts):
    """Header and rows of the provenance table: one row a stage. What a clock says is there where the run was made."""
    rows = []
    for name, (found, clock) in facts["provenance"].items():
        where = f"{found['device']['number']} x {found['device']['target']}"
        if not clock:
            rows.append([name, found["recipe"][:10], found["data"][:10], where, "elsewhere", "-", "-"])
            continue
        revision = (clock["revision"] or "no git")[:10] + (" with edits" if clock["edited"] else "")
        where += f" ({clock['cpu']}, {clock['cores']} cores)"
        speed = [f"{clock['seconds']:,}", f"{clock['images_per_second']:,}"]
        rows.append([name, found["recipe"][:10], found["data"][:10], where, revision, *speed])
    return ["stage", "recipe", "data", "device", "code", "seconds", "images/s"], rows


def versions(facts):
    first, _ = next(iter(facts["provenance"].values()), ({"versions": {}}, {}))
    return ", ".join(f"{name} {version}" for name, version in first["versions"].items())


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
<title>{html.escape(title(facts))}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>
<h1>{html.escape(title(facts))}</h1>
{table(*results(facts))}
<h2>Answers</h2>{grid(answers)}
{mistakes}
<h2>Do the runtimes answer alike?</h2>
{table(*parity(facts))}
<h2>Training</h2>{grid(charts.curves(facts))}
<h2>Where these numbers come from</h2>
{table(*origin(facts))}
<p>{html.escape(versions(facts))}</p>
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
    return f'<div class="charts">{figures}</div>'


def card(facts):
    """The model card: Markdown with the sections of Mitchell et al. 2019, https://arxiv.org/abs/1810.03993."""
    params, model = facts["recipe"], facts["model"] or {}
    classes = [row["class"] for row in facts["per_class"]]
    ranked = sorted((row for row in facts["per_class"] if row["top1"]), key=lambda row: float(row["top1"]))
    worst = "; ".join(f"{row['class']} {float(row['top1']):.1%}" for row in ranked[:5])
    named = ", ".join(classes[:10]) + (f" and {len(classes) - 10} more" if len(classes) > 10 else "")
    evaluate, augment, train = params.evaluate, params.augment, params.train
    resized = f"resized to a shorter side of {evaluate.resize} ({evaluate.interpolation}), centre crop {evaluate.crop}"
    normalised = f"(x - {list(augment.mean)}) / {list(augment.std)}"
    return f"""# {title(facts)}

## Model
- Network: {params.model.variant}, {params.model.class_num} classes ({named})
- Weights: {model.get("source", "see `make models`")}
- Input: pictures {resized}, {normalised}
- Files: `models/effnet.ckpt`, `models/effnet.onnx` (input `image`, output `logits`), `models/effnet.mindir`

## Training
- Data: `{params.data.source}`, digest {facts["provenance"]["evaluate"][0]["data"][:16]}
- Recipe: {train.epoch_size} epochs, batch {params.data.batch_size}, {train.opt}, seed {train.seed}; all of it
  in `params.yaml`

## Evaluation
{markdown(*results(facts))}

Expected calibration error {facts_of.calibration_error(facts["calibration"]):.3f}. Weakest classes: {worst}.

## Where these numbers come from
{markdown(*origin(facts))}

{versions(facts)}

## Limits
Measured on the validation pictures of `{params.data.source}` alone. Pictures of other kinds get one of the
{len(classes)} classes all the same, and the confidence says nothing about them.
"""


def markdown(header, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))


if __name__ == "__main__":
    errors.run(main)
