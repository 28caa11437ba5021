"""The model card: what the model is, what it is for, where its numbers come from; headed by Hugging Face's metadata."""

import html
import re

import yaml

from effnet.weights import pretrained
from tools import facts as facts_of
from tools import models
from tools import published as beside


def front_matter(facts):
    """YAML of https://huggingface.co/docs/hub/model-cards: licence, `model-index` with what each runtime reached."""
    params = facts["recipe"]
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": params.data.source, "type": params.data.source, "split": "validation"},
            "metrics": [
                {"type": "accuracy", "name": f"{key}, {facts_of.RUNTIMES[name].title}", "value": found[key]}
                for key in ("top1", "top5")
            ],
        }
        for name, found in facts["metrics"].items()
    ]
    row = pretrained.sources().get(params.model.pretrained, {})
    return yaml.safe_dump(
        {
            "license": row.get("licence", models.LICENCE).lower(),
            "library_name": "mindspore",
            "pipeline_tag": "image-classification",
            "tags": ["mindspore", "efficientnet", "onnx", "dvc"],
            "metrics": ["accuracy"],
            "model-index": [{"name": params.model.variant, "results": results}],
        },
        sort_keys=False,
    )


def card(facts):
    """The model card: Markdown with the sections of Mitchell et al. 2019, https://arxiv.org/abs/1810.03993."""
    params, model = facts["recipe"], facts["model"] or {}
    classes = [plain(row["class"]) for row in facts["per_class"]]
    ranked = sorted((row for row in facts["per_class"] if row["top1"]), key=lambda row: float(row["top1"]))
    worst = "; ".join(f"{plain(row['class'])} {float(row['top1']):.1%}" for row in ranked[:5])
    named = ", ".join(classes[:10]) + (f" and {len(classes) - 10} more" if len(classes) > 10 else "")
    evaluate, augment, train = params.evaluate, params.augment, params.train
    epochs = f"{train.epoch_size} epochs" if train.epoch_size else "epochs by the number of pictures"
    resized = f"resized to a shorter side of {evaluate.resize} ({evaluate.interpolation}), centre crop {evaluate.crop}"
    error = facts_of.calibration_error(facts["calibration"])
    normalised = f"(x - {list(augment.mean)}) / {list(augment.std)}"
    return f"""---
{front_matter(facts)}---

# {facts_of.title(facts)}

## Model
- Network: {params.model.variant}, {len(classes)} classes ({named})
- Weights: {model.get("source", "see `make models`")}; licence {models.licence(params.model.pretrained)}
- Input: pictures {resized}, {normalised}
- Files: `models/effnet.ckpt`, `models/effnet.onnx` (input `image`, output `logits`), `models/effnet.mindir`

## Intended use
To answer which of its {len(classes)} classes a picture shows, where pictures are like those of
`{params.data.source}`; as a measured example of a recipe, and as a start for others. Not where a wrong answer harms
somebody: nobody tested it for that.

## Training
- Data: `{params.data.source}`, digest {facts["provenance"]["evaluate"][0]["data"][:16]}
- Recipe: {epochs}, batch {params.data.batch_size}, {train.opt}, seed {train.seed}; all of it
  in `params.yaml`

## Evaluation
{markdown(facts_of.HEADER, facts_of.results(facts["metrics"]))}

{published(facts)}Expected calibration error {error:.3f}. Weakest classes: {worst}.

## Where these numbers come from
{markdown(*facts_of.origin(facts))}

{facts_of.versions(facts)}

## Limits
Measured on the validation pictures of `{params.data.source}` alone. Pictures of other kinds get one of the
{len(classes)} classes all the same, and the confidence says nothing about them.
"""


def published(facts):
    """What was published for the recipe, beside what was measured: nothing where nothing was."""
    if not facts["published"]:
        return ""
    sentence, rows = facts["published"]
    return f"{sentence}\n\n{markdown(beside.HEADER, rows)}\n\n"


def plain(name):
    """A class's name as text: neither HTML nor Markdown's signs."""
    return re.sub(r"([\\`*_\[\]|#$~])", r"\\\1", html.escape(name))


def markdown(header, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))
