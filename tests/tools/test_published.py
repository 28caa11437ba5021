"""What was published beside what was measured: the table, the verdict, the revisions that DVC compares with."""

import json
import re
import shutil

import pytest
import yaml

from effnet import recipe
from effnet.errors import InputError
from tests.conftest import ROOT
from tools import published

RECIPES = {path.stem: path.read_text() for path in (ROOT / "recipes").glob("*.yaml")}
EVALUATE = ("--targets", "metrics/evaluate.json")


def heading(text):
    """A recipe's first comment, as one line."""
    return " ".join(line.lstrip("# ") for line in text.split("\nmodel:")[0].splitlines())


def test_a_recipe_says_what_the_table_says():
    rows = published.rows()
    assert rows.keys() <= RECIPES.keys()
    for name, text in RECIPES.items():
        for key, pattern, row in (("top1", r"top-1 (\d\d\.\d+)", 100), ("top5", r"top-5 (\d\d\.\d+)", 100)):
            for said in re.findall(pattern, heading(text)):
                assert float(said) == round(row * rows[name][key], 2), f"recipes/{name}.yaml says {said}"
        for said in re.findall(r"(\d+(?:\.\d+)?) h\b", heading(text)):
            assert float(said) == rows[name]["hours"], name
    of_original = rows["ascend8"]  # its log: 0.7979567307692308 and 0.9468549679487179 of 49,920 pictures
    assert (of_original["top1"], of_original["top5"]) == (round(39834 / 49920, 6), round(47267 / 49920, 6))


def changed(name, **values):
    """The recipe `name` with keys of its sections edited: train__lr_max=0.1."""
    params = recipe.load(ROOT / f"recipes/{name}.yaml")
    for key, value in values.items():
        section, key = key.split("__")
        params = params.model_copy(update={section: getattr(params, section).model_copy(update={key: value})})
    return params


def metrics(top1, images=50_000):
    return {"top1": top1, "top5": 0.947, "loss": 1.02, "smoothed_loss": 1.7301, "images": images}


@pytest.mark.parametrize(("top1", "place"), [(0.7990, "within"), (0.7930, "above"), (0.8030, "below")])
def test_measured_published_difference_verdict(top1, place):
    """Wilson's interval of 79.9% of 50,000 pictures is 79.55 - 80.25."""
    sentence, rows = published.beside(changed("ascend8"), metrics(top1), hours=60.0)
    words = f"published top-1 79.80% on 49,920 pictures, {place} the 95% interval of the measured."
    assert sentence == f"Recipe ascend8, the original, 8 Ascend 910: {words}"
    if place == "within":
        assert rows == [
            ["top-1", "79.90", "79.80", "+0.10", "-0.25 - +0.45"],
            ["top-5", "94.70", "94.69", "+0.01", "-0.19 - +0.21"],
            ["label-smoothed loss", "1.73", "1.75", "-0.0194", ""],
            ["images", "50,000", "49,920", "", ""],
            ["hours", "60", "64.87", "", ""],
        ]


def test_a_changed_recipe_is_another_experiment():
    other = changed("gpu8", train__lr_max=0.1, evaluate__resize=300, data__workers=3, export__opset=20)
    sentence, rows = published.beside(other, metrics(0.8030))
    said = "this recipe is not gpu8 any more: train.lr_max 0.1 (0.092 there); evaluate.resize 300 (280 there)."
    assert sentence.endswith(f"of another experiment: {said}") and "95%" not in sentence
    assert rows[0][:4] == ["top-1", "80.30", "79.57", "+0.73"] and rows[-1] == ["hours", "-", "105", "", ""]
    assert published.experiment(changed("gpu8", data__workers=3, train__keep_checkpoint_max=9)) == ("gpu8", [])
    assert published.beside(changed("ascend8"), metrics(0.9, 100))[0].endswith("these 100 are only indicative.")
    assert published.beside(changed("digits"), metrics(0.9)) is None


def test_report_card_and_readme_show_it(committed):
    shutil.copy(committed.folder / "recipes/ascend8.yaml", committed.folder / "params.yaml")
    for name in ("report", "results_table"):
        committed.run("python", "-m", f"tools.{name}")
    sentence = "Recipe ascend8, the original, 8 Ascend 910: published top-1 79.80% on 49,920 pictures, these 359 are"
    for name in ("reports/report.html", "reports/model-card.md", "README.md"):
        text = (committed.folder / name).read_text()
        assert text.count(sentence) == 1 and re.search(r"label-smoothed loss(</td><td>| \| )[\d.]+\1?", text), name
    shown = (committed.folder / "README.md").read_text().split("<!-- published -->")[1].split("<!-- end -->")[0]
    assert "| 79.80 | 94.69 | 1.75, label-smoothed | 49,920 | 64.87 | `ascend8` |" in shown


def test_revisions_that_dvc_compares_with(committed, tmp_path):
    """The same commits in every clone; nothing else of the repository changes."""
    clone, said = committed.clone(tmp_path / "clone"), []
    for project in (committed, clone):
        said.append(project.run("python", "-m", "tools.published").stdout)
        said.append(project.run("git", "rev-parse", *(f"published/{name}" for name in published.rows())).stdout)
        assert project.run("git", "status", "--porcelain").stdout == ""
    assert said[:2] == said[2:] and "published/ascend8" in said[0]
    found = json.loads(committed.run("dvc", "metrics", "diff", "published/ascend8", "--json", *EVALUATE).stdout)
    here = json.loads((committed.folder / "metrics/evaluate.json").read_text())
    assert found["metrics/evaluate.json"]["top1"]["old"] == 0.797957
    assert found["metrics/evaluate.json"]["top1"]["diff"] == pytest.approx(here["top1"] - 0.797957)
    assert found["metrics/evaluate.json"]["smoothed_loss"]["old"] == 1.74951
    changed = committed.run("dvc", "params", "diff", "published/ascend8", "HEAD", "--targets", "params.yaml").stdout
    assert "train.lr_max" in changed and "efficientnet_toy" in changed
    for a, b in (("published/ascend8", ""), ("main", "published/ascend8")):
        lines = committed.run("python", "-m", "tools.compare", a, b).stdout.splitlines()
        assert lines[0].endswith("79.80% on 49,920 pictures, these 359 are only indicative")
        assert lines[0].startswith(f"{'main' if b else 'the working tree'} {here['top1']:.2%}: ")
        assert lines[2].split()[:3] == ["top-1", f"{100 * here['top1']:.2f}", "79.80"]
    done = committed.run("python", "-m", "tools.compare", "published/ascend9", check=False)
    assert done.returncode == 2 and "'published/ascend9'" not in done.stderr and "ascend8, gpu8" in done.stderr


def test_metrics_stay_readable(committed):
    """120 columns; and no more than 20 rows where a change of the rate has changed every figure."""
    assert max(map(len, committed.run("dvc", "metrics", "show").stdout.splitlines())) <= 120
    folder = committed.folder / "metrics"
    for path in [*folder.glob("*.json"), *folder.glob("onnx/*.json")]:
        found = json.loads(path.read_text())
        path.write_text(json.dumps({k: v if k in ("images", "epoch") else v / 2 + 0.0123456 for k, v in found.items()}))
    assert len(committed.run("dvc", "metrics", "diff").stdout.splitlines()) <= 20


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="git hash-object: fatal: not a git repository"):
        published.tag("ascend8")


def test_the_table_is_complete():
    for name, row in yaml.safe_load(published.TABLE.read_text()).items():
        assert {"what", "images", "source"} <= row.keys() and ("weights" in row) != ("top1" in row), name
