"""bench/accuracy.py: its recipes, its pictures, and what its page says of made-up runs."""

import gzip
import json
import sys

import numpy as np
import pytest

from bench import accuracy, sides
from effnet import recipe
from effnet.sources import fashion


def run(theirs, mine):
    return {side: {"top1": top1, "epochs": [{"top1": top1 / 2, "loss": 2.0}, {"top1": top1, "loss": 1.0}], "seconds": 9}
            for side, top1 in (("torch", theirs), ("effnet", mine))}  # fmt: skip


KEPT = {
    "tensorflow": {"1": run(0.80, 0.81), "2": run(0.82, 0.80), "3": run(0.84, 0.85), "4": {"torch": {"top1": 0.1}}},
    "modern": {"1": run(0.9, 0.91)},
}


def test_means_spread_and_interval_by_hand():
    """Welch's interval of 0.82 +- 0.0264575 less 0.82 +- 0.02, three seeds each: both variances over 3 are
    0.00023333 + 0.00013333, so the error is 0.019149 with 3.72 degrees of freedom, of which t is 2.8590.
    """
    found = accuracy.summary(accuracy.paired(KEPT["tensorflow"]))
    assert found["seeds"] == 3 and found["effnet"] == pytest.approx({"mean": 0.82, "deviation": 0.0264575}, abs=1e-6)
    assert found["torch"] == pytest.approx({"mean": 0.82, "deviation": 0.02}) and abs(found["difference"]) < 1e-9
    assert found["interval"] == pytest.approx([-0.0548, 0.0548], abs=2e-4)
    rows = accuracy.report(KEPT).splitlines()
    assert (
        rows[2] == "| tensorflow | 3 | 82.00% +- 2.65 | 82.00% +- 2.00 | -0.00 (-5.48 - +5.48) |" or "+0.00" in rows[2]
    )
    assert rows[3] == "| modern | 1 | 91.00% | 90.00% | +1.00 (one seed: none) |"
    assert "| effnet | 41.0 | 82.0 |" in rows and "| torch | 45.0 | 90.0 |" in rows


def test_recipes_are_recipes_and_the_pictures_are_the_set_s(tmp_path, monkeypatch):
    for name in accuracy.RECIPES:
        params = recipe.Recipe.model_validate(accuracy.settings(name, tmp_path, 7))
        assert params.train.seed == 7 and params.augment.auto_augment in accuracy.TIMMS
    random = np.random.default_rng(0)
    source, out = tmp_path / "set", tmp_path / "some"
    source.mkdir(), out.mkdir()
    monkeypatch.setattr(accuracy, "PICTURES", 3)
    monkeypatch.setattr(accuracy, "CHECKED", 2)
    for prefix in fashion.FILES.values():
        labels = np.repeat(np.arange(10, dtype=np.uint8), 4)
        pixels = random.integers(0, 256, (40, 28, 28), np.uint8)
        pixels[:, 0, 0] = labels  # a picture tells its label
        for name, values in zip(
            (n for n in fashion.parts(source) if n.startswith(prefix)), (pixels, labels), strict=True
        ):
            head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
            (source / name).write_bytes(gzip.compress(head + values.tobytes()))
    accuracy.subset(source, out)
    for split, each in (("train", 3), ("val", 2)):
        pixels, labels = fashion.arrays(out, split)
        assert np.bincount(labels).tolist() == [each] * 10 and pixels[:, 0, 0].tolist() == labels.tolist()


@pytest.mark.peers
def test_what_is_kept_is_not_measured_again(tmp_path, monkeypatch, capsys):
    page, kept, measured = tmp_path / "page.md", tmp_path / "kept.json", []
    page.write_text("before\n<!-- accuracy -->\nnothing\n<!-- end -->\nafter\n<!-- end -->\n")
    kept.write_text(json.dumps({"modern": {"1": {"torch": run(0.5, 0)["torch"]}}}))

    def measure(module, *arguments):
        options = dict(zip(arguments[::2], arguments[1::2], strict=True))
        measured.append((options["--recipes"], options["--seeds"], options["--side"]))
        return run(0.7, 0.6 + options["--seeds"] / 100)[options["--side"]]

    monkeypatch.setattr(sides, "measure", measure)
    monkeypatch.setattr(accuracy, "subset", lambda source, work: work)
    for name, value in (("PAGE", page), ("KEPT", kept)):
        monkeypatch.setattr(accuracy, name, value)
    monkeypatch.setattr(sys, "argv", ["accuracy", "--recipes", "modern", "--seeds", "1", "2"])
    for _ in range(2):
        accuracy.main()
    assert sorted(measured) == [("modern", 1, "effnet"), ("modern", 2, "effnet"), ("modern", 2, "torch")]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["measured"]["modern"]["seeds"] == 2
    assert "| modern | 2 | 61.50% +- 0.71 | 60.00% +- 14.14 |" in page.read_text()
    assert page.read_text().startswith("before\n<!-- accuracy -->\n|") and page.read_text().endswith(
        "after\n<!-- end -->\n"
    )
