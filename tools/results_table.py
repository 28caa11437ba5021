"""Rewrite README.md's table of results from metrics/*.json: `make results`. No number in it is typed by hand."""

import json
import re
from pathlib import Path

from effnet import errors, recipe
from effnet.files import whole

ROOT = Path(__file__).parents[1]
RUNTIMES = {
    "evaluate": "MindSpore",
    "onnx_eval": "ONNX Runtime",
    "onnx_int8": "ONNX Runtime, int8",
    "infer310": "C++, MindSpore Lite",
}


def table():
    params = recipe.load(ROOT / "params.yaml")
    what = f"{params.model.variant} at {params.evaluate.crop} px on `{params.data.source}`"
    lines = [f"| {what} | top-1 | 95% interval | top-5 | loss | images |", "|---|---|---|---|---|---|"]
    for name, runtime in RUNTIMES.items():
        path = ROOT / "metrics" / f"{name}.json"
        m = json.loads(path.read_text()) if path.exists() else {}
        if m:  # a kind that the recipe does not ask for leaves an empty file
            top1, low, high, top5 = (f"{100 * m[key]:.2f}" for key in ("top1", "top1_low", "top1_high", "top5"))
            lines.append(f"| {runtime} | {top1} | {low} - {high} | {top5} | {m['loss']:.4f} | {m['images']:,} |")
    return "\n".join(lines)


def main():
    readme = ROOT / "README.md"
    place = re.compile(r"(<!-- results -->\n).*?(<!-- end -->)", re.S)
    text = place.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", readme.read_text())
    with whole(readme, "w") as file:
        file.write(text)
    print(table())


if __name__ == "__main__":
    errors.run(main)
