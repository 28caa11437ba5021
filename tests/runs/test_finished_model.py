"""A finished model that is there already, without checkpoints: when it is taken up, and when it is not."""

import json

import mindspore as ms
import numpy as np
import pytest

from effnet.arch.layers import totals
from effnet.errors import InputError
from effnet.network import checkpoint
from effnet.runs import run as runs
from effnet.runs.run import Run
from effnet.training.place import Place

RECIPE = {
    "model.variant": "efficientnet_toy",
    "model.image_size": 32,
    "model.class_num": 10,
    "data.batch_size": 64,
    "train.lr_max": 0.003,
    "train.epoch_size": 2,
}
ANYTHING = {
    "recipe": RECIPE,
    "data": "d" * 64,
    "start": "",
    "code": {"training/loop.py": {"train": "1"}},
    "versions": {"mindspore": "2.10.0"},
}
OTHER_CODE = ANYTHING | {"code": {"training/loop.py": {"train": "2"}}}
OTHER_INPUTS = [
    ANYTHING | {"recipe": RECIPE | {"train.lr_max": 0.1}},
    ANYTHING | {"data": "e" * 64},
    ANYTHING | {"start": "f" * 64},
]
CHANGED = ["train in effnet/training/loop.py"]
META = {"variant": "efficientnet_toy", "class_num": 10}
WEIGHTS = {"stem.conv.weight": np.full(3, 7, np.float32), "classifier.bias": np.full(2, 8, np.float32)}


def state(*prefixes):
    """A training's: the weights, what the optimizer keeps of them, and their average where `prefixes` asks for it."""
    return [
        ms.Parameter(ms.Tensor(np.zeros_like(value)), name=f"{prefix}{name}")
        for prefix in ("", "moment.", *prefixes)
        for name, value in WEIGHTS.items()
    ]


def place(seconds=10.0, updates=44):
    record = {"loss": 1.0, "val_loss": 0.9, "top1": 0.5, "top5": 0.9, "learning_rate": 0.1}
    clock = {"images_per_second": 140.8 / seconds, "seconds": seconds}
    return Place(epoch=2, updates=updates, best_top1=0.5, history=[{"epoch": n} | record | clock for n in (1, 2)])


@pytest.fixture
def here(tmp_path):
    """f(identity, wish) -> a Run whose model is tmp_path/effnet.ckpt and that appends what it says to f.said."""

    def run(identity=ANYTHING, wish=""):
        model, record = tmp_path / "effnet.ckpt", tmp_path / "run.json"
        return Run(tmp_path / "checkpoints", identity, wish=wish, say=run.said.append, model=model, record=record)

    run.said = []
    return run


def finish(run, at=None):
    """What training ends with: the bytes of both files."""
    run.finish(WEIGHTS, META, at or place())
    return run.model.read_bytes(), run.record.read_bytes()


def values(parameters):
    return {p.name: set(p.asnumpy().ravel().tolist()) for p in parameters}


def test_it_is_taken_up_and_ends_in_the_same_bytes(here):
    before = finish(here())
    run, mine = here(), state()
    found = run.take_up(mine)
    assert (found.epoch, found.updates, found.best_top1) == (2, 44, 0.5) and run.continued == []
    assert values(mine) == {
        "stem.conv.weight": {7}, "classifier.bias": {8}, "moment.stem.conv.weight": {0}, "moment.classifier.bias": {0},
    }  # fmt: skip
    assert len(here.said) == 1 and "effnet.ckpt is the finished model" in here.said[0]
    assert "taken up, nothing is trained (ANEW=1 trains)" in here.said[0]
    assert finish(run, found) == before


def test_where_an_average_is_kept_the_model_is_the_average(here):
    before = finish(here())
    run, mine = here(), state("ema.")
    found = run.take_up(mine)
    assert values(mine)["ema.stem.conv.weight"] == {7} and values(mine)["ema.classifier.bias"] == {8}
    assert finish(run, found) == before


def test_its_bytes_do_not_tell_how_long_it_took(here):
    assert finish(here(), place(seconds=10)) == finish(here(), place(seconds=1e5))
    kept = json.loads(here().record.read_text())
    assert all({"seconds", "images_per_second"}.isdisjoint(record) for record in kept["place"]["history"])
    assert [record["top1"] for record in kept["place"]["history"]] == [0.5, 0.5]


def test_other_code_that_makes_the_same_weights_makes_the_same_model(here):
    (model, record), (same, other) = finish(here()), finish(here(OTHER_CODE))
    assert model == same and record != other


@pytest.mark.parametrize("identity", OTHER_INPUTS)
@pytest.mark.parametrize("wish", ["", "continue"])
def test_another_run_s_is_passed_over(here, identity, wish):
    finish(here())
    run, mine = here(identity, wish), state()
    assert run.take_up(mine) is None and run.continued == [] and values(mine)["stem.conv.weight"] == {0}
    assert here.said == []


def test_one_without_a_record_is_passed_over(here):
    """As what `make pretrained` writes."""
    checkpoint.save(here().model, WEIGHTS, META)
    assert here().take_up(state()) is None and here.said == []


def test_one_that_the_record_does_not_tell_of_is_said_and_passed_over(here):
    finish(here())
    checkpoint.save(here().model, {name: value + 1 for name, value in WEIGHTS.items()}, META)
    mine = state()
    assert here().take_up(mine) is None and values(mine)["stem.conv.weight"] == {0}
    assert len(here.said) == 1 and "effnet.ckpt: not the model that" in here.said[0]


@pytest.mark.parametrize(
    ("old", "new"), [('"epoch": 2', '"epoch": "two"'), ('"history"', '"histories"'), ("{", "<<<<<<< HEAD\n{")]
)
def test_a_damaged_record_trains_nothing_over_the_model(here, old, new):
    finish(here())
    text = here().record.read_text()
    assert old in text
    here().record.write_text(text.replace(old, new))
    with pytest.raises(InputError, match="run.json: damaged, .* `git checkout` brings back .*, ANEW=1 trains"):
        here().take_up(state())
    assert here(wish="anew").take_up(state()) is None


def test_a_checkpoint_of_this_run_is_taken_up_where_the_model_is_another_s(here):
    finish(here())
    run = here(OTHER_INPUTS[0])
    run.save(state(), place())
    assert run.take_up(state()).epoch == 2
    assert "checkpoints holds a finished run" in here.said[0]


def test_anew_does_not_look_at_it(here):
    finish(here())
    assert here(wish="anew").take_up(state()) is None and here.said == []


def test_a_damaged_one_is_said_and_passed_over(here):
    finish(here())
    here().model.write_bytes(here().model.read_bytes()[:-50])
    assert here().take_up(state()) is None
    assert len(here.said) == 1 and "effnet.ckpt: not the model that" in here.said[0]


def updates_of(macs):
    """Updates of which a training under RECIPE is so much work."""
    return macs / (3 * totals("efficientnet_toy", 32, 10)[1] * RECIPE["data.batch_size"])


def test_under_other_code_a_little_work_is_done_again(here):
    finish(here(), place(updates=int(updates_of(runs.HOURS_WORK))))
    mine = state()
    assert here(OTHER_CODE).take_up(mine) is None and values(mine)["stem.conv.weight"] == {0}


def test_under_other_code_much_work_is_not_lost_unasked(here):
    finish(here(), place(updates=int(updates_of(runs.HOURS_WORK)) + 1))
    before = here().model.read_bytes(), here().record.read_bytes()
    with pytest.raises(InputError, match="effnet.ckpt is the finished model .* the code changed: train in effnet/"):
        here(OTHER_CODE).take_up(state())
    with pytest.raises(InputError, match=r"CONTINUE=1 .*, ANEW=1 trains from the beginning$"):
        here(ANYTHING | {"versions": {"mindspore": "3.0"}}).take_up(state())
    assert (here().model.read_bytes(), here().record.read_bytes()) == before


@pytest.mark.parametrize("updates", [44, int(1e9)])
def test_continue_takes_it_up_under_other_code_and_records_it(here, updates):
    finish(here(), place(updates=updates))
    run, mine = here(OTHER_CODE, "continue"), state()
    found = run.take_up(mine)
    assert run.continued == [{"epoch": 2, "step": 0, "changed": CHANGED}] and values(mine)["stem.conv.weight"] == {7}
    assert "if not of this code" in here.said[-1] and CHANGED[0] in here.said[-1]
    after = finish(run, found)
    later = here(OTHER_CODE)  # unasked: it is this code's by now, and what was continued stays on record
    again = later.take_up(state())
    assert later.continued == run.continued and finish(later, again) == after


def test_under_other_code_checkpoints_come_first(here):
    """What is asked about them is answered about them."""
    finish(here(), place(updates=int(1e9)))
    unfinished = place()
    unfinished.epoch = 1
    here().save(state(), unfinished)
    with pytest.raises(InputError, match="checkpoints holds a run that had come to epoch 2, step 1, and since then"):
        here(OTHER_CODE).take_up(state())
    run = here(OTHER_CODE, "continue")
    assert run.take_up(state()).epoch == 1
    assert run.continued == [{"epoch": 1, "step": 0, "changed": CHANGED}]


def test_a_training_from_the_beginning_was_never_continued(here):
    run = here(OTHER_CODE, "continue")
    finish(here())
    finish(run, run.take_up(state()))
    assert json.loads(run.record.read_text())["continued"]
    again = here(ANYTHING)  # back to the first code: little work, done again
    assert again.take_up(state()) is None and again.continued == []


def test_an_hour_s_work_is_about_an_hour_of_two_cores():
    """README's demo, B2 at 48 px on the digits, is minutes; the paper's B0 on ImageNet is weeks."""

    def hours(variant, size, classes, batch, updates):
        names = ("model.variant", "model.image_size", "model.class_num", "data.batch_size")
        recipe = dict(zip(names, (variant, size, classes, batch), strict=True))
        return runs.work({"recipe": recipe}, Place(updates=updates)) / runs.HOURS_WORK

    assert 0.05 < hours("efficientnet_b2", 48, 10, 32, 440) < 1
    assert hours("efficientnet_b0", 224, 1000, 256, 350 * 5004) > 1000
