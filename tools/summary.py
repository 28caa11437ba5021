"""How a run ends: `python -m tools.summary` prints what each runtime reached, where the model is, and what now."""

from pathlib import Path

from effnet import errors, recipe
from tools import facts

NOW = (
    ("make report", "what the model gets wrong, as a page"),
    ("effnet predict PICTURE", "what it sees on a picture of yours"),
    ("dvc metrics diff", "against the last commit; `git commit` records this run"),
)


def main():
    params = recipe.load()
    found = facts.results(facts.read_metrics())
    if not found:
        raise errors.InputError("metrics: nothing was evaluated here yet; `make repro` does it, `make pull` brings it")
    print(f"\n{params.model.variant} at {params.evaluate.crop} px on {params.data.source}")
    print(aligned([facts.HEADER, *found]))
    here = [
        path for path in ("models/effnet.ckpt", "models/effnet.onnx", "models/effnet.mindir") if Path(path).exists()
    ]
    print(f"\nmodel: {', '.join(here) or 'not here; `make pull` brings it'}")
    for command, what in NOW:
        print(f"  {command:<24} {what}")


def aligned(rows):
    """Rows of text as columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *numbers]).rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    errors.run(main)
