"""Rewrite docs/recipe.md, every recipe parameter with its type and bounds, from the schema in effnet/recipe.py:
`python -m tools.recipe_page`.
"""

from pathlib import Path

from effnet import errors, recipe
from effnet.files import whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/recipe.md"
HEAD = """# Every recipe parameter

A recipe is one complete YAML file; `params.yaml` is the one in force, `recipes/` holds ready ones. A missing key is an
error as much as an unknown one, and every value is checked against the types and bounds below before anything runs.
Keys marked * decide no byte of any output: changing them runs no stage again. This page is written by
`python -m tools.recipe_page` from `effnet/recipe.py`; the values are those of `recipes/digits.yaml` and
`recipes/ascend8.yaml`.
"""
TABLE = "| key | type | meaning | digits | ascend8 |\n|---|---|---|---|---|\n"
BOUNDS = {"minimum": ">= {}", "exclusiveMinimum": "> {}", "maximum": "<= {}", "exclusiveMaximum": "< {}"}


def page():
    schema, parts = recipe.Recipe.model_json_schema(), [HEAD]
    examples = [recipe.load(ROOT / f"recipes/{name}.yaml") for name in ("digits", "ascend8")]
    for section, reference in schema["properties"].items():
        definition = schema["$defs"][reference["$ref"].split("/")[-1]]
        parts.append(f"\n## {section}\n{definition['description']}\n\n{TABLE}")
        for key, field in definition["properties"].items():
            name = f"`{key}`" if field.get("decides", True) else f"`{key}` *"
            values = [shown(getattr(getattr(example, section), key)) for example in examples]
            parts.append(f"| {' | '.join((name, kind(field), field['description'], *values))} |\n")
    return "".join(parts)


def kind(field):
    """Type and bounds in words, from a JSON schema."""
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        items = field.get("prefixItems", [field.get("items")])
        return f"list of {kind(items[0])}" if "items" in field else f"{len(items)} x {kind(items[0])}"
    name = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}[field["type"]]
    return ", ".join([name] + [text.format(field[bound]) for bound, text in BOUNDS.items() if bound in field])


def shown(value):
    """A value as YAML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (value or '""') if isinstance(value, str) else f"{value:g}"


def main():
    with whole(PAGE, "w") as file:
        file.write(page())
    return 0


if __name__ == "__main__":
    errors.run(main)
