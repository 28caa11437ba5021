"""Run a stage and write down what it reads: `python -m tests.recording STAGE OUT.json`.

OUT gets {"files": paths below the working folder that were opened, "keys": of the recipe whose value was asked for}. A
compiled module counts as its source.
"""

import json
import os
import runpy
import sys

FILES, KEYS = set(), set()


def on_event(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.relpath(os.path.realpath(arguments[0]), HERE)
        folder, name = os.path.split(path)
        if os.path.basename(folder) == "__pycache__":
            path = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
        if not path.startswith(".."):
            FILES.add(path)


def watch_recipe():
    from effnet import recipe

    sections = {field.annotation: name for name, field in recipe.Recipe.model_fields.items()}
    plain = recipe.Section.__getattribute__

    def watched(self, name):
        if type(self) in sections and name in type(self).model_fields:
            KEYS.add(f"{sections[type(self)]}.{name}")
        return plain(self, name)

    load = recipe.load

    def loaded(*arguments):  # the checks that belong to loading ask for much that the stage does not
        found = load(*arguments)
        recipe.Section.__getattribute__ = watched
        return found

    recipe.load = loaded


if __name__ == "__main__":
    HERE = os.path.realpath(os.getcwd())
    stage, out = sys.argv[1:]
    watch_recipe()
    sys.addaudithook(on_event)
    sys.argv = [f"stages/{stage}.py"]
    try:
        runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
    finally:
        with open(out, "w") as file:
            json.dump({"files": sorted(FILES), "keys": sorted(KEYS)}, file)
