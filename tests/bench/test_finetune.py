"""bench/finetune.py: what its table says of made-up runs; bench/pictures.py: the folders it writes."""

import pytest
from PIL import Image

from bench import finetune, pictures


def run(theirs, mine):
    torch = {"top1": theirs, "frozen_top1": 0.7, "classes": 5, "train": 250, "val": 200, "seconds": 30.0}
    return {"torch": torch, "effnet": {"top1": mine, "seconds": 20.0, "peak_gib": 2.5}}


def test_the_table_is_of_the_runs_that_both_sides_finished():
    kept = {
        "flowers": {"1": run(0.80, 0.81), "2": run(0.82, 0.83), "3": {"torch": run(0, 0)["torch"]}},
        "none": {"1": {}},
        "lost": {"1": run(0.80, 0.75)},
    }
    del kept["lost"]["1"]["torch"]["seconds"]  # was not alone
    found = finetune.summary(finetune.measured(kept)["flowers"])
    assert found["seeds"] == 2 and found["torch"] == pytest.approx(0.81) and found["effnet"] == pytest.approx(0.82)
    low, high = found["interval"]  # Wilson's of 162 of 200, by hand: (p + z^2 / 2n +- z sqrt(...)) / (1 + z^2 / n)
    assert (low, high) == pytest.approx((0.74997, 0.85831), abs=5e-5)
    rows = finetune.table(kept).splitlines()
    assert len(rows) == 4 and rows[2].startswith("| lost |") and rows[2].endswith("| 75.0% | - | - | 2.50 |")
    assert rows[3].startswith("| flowers | 5 | 250 | 200 | 70.0% | 81.0% (75.0% - 85.8%) | 82.0% |")
    assert rows[3].endswith("| 81.0%, 83.0% | 20 | 1.50 | 2.50 |")


def test_pictures_are_shrunk_and_some_of_them_taken(tmp_path):
    for split in ("train", "val"):
        for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
            pictures.save(Image.new("L", (60, 40)), tmp_path / "large" / split / name)
    pictures.shrink(tmp_path / "large", tmp_path / "small")
    with Image.open(tmp_path / "small/train/a/1.png") as picture:
        assert picture.size == (32, 32) and picture.mode == "RGB"
    taken = finetune.fewer(tmp_path / "small", 2, tmp_path / "work")
    found = sorted(str(path.relative_to(taken)) for path in taken.rglob("*.png"))
    assert found == ["train/a/1.png", "train/b/1.png"] + [f"val/{kind}/{n}.png" for kind in "ab" for n in (1, 2)]
