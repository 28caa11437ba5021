"""What a run keeps, and when it is taken up, given way, set aside or refused."""

import multiprocessing
import re
import subprocess
from pathlib import Path

import mindspore as ms  # noqa: E402, I001  effnet.network sets what it reads
import numpy as np
import pytest

from effnet.errors import InputError
from effnet.network import checkpoint
from effnet.runs.run import Run, alone, checkpoints, newest
from effnet.training.place import Place

ANYTHING = {
    "recipe": {"train.lr_max": 0.003, "train.epoch_size": 4},
    "data": "d" * 64,
    "start": "",
    "code": {"training/loop.py": {"train": "1"}},
    "versions": {"mindspore": "2.10.0"},
}
OTHER_CODE = ANYTHING | {"code": {"training/loop.py": {"train": "2"}}}
OTHER_RECIPE = ANYTHING | {"recipe": ANYTHING["recipe"] | {"train.lr_max": 0.1}}


def state(value):
    return [ms.Parameter(ms.Tensor(np.full(3, value, np.float32)), name="stem.conv.weight")]


def place(epoch, seconds=10.0):
    record = {"epoch": epoch, "loss": 1.0, "top1": 0.5, "seconds": seconds}
    return Place(epoch=epoch, updates=10 * epoch, history=[record | {"epoch": n + 1} for n in range(epoch)])


@pytest.fixture
def kept(tmp_path):
    """f(identity, wish) -> a Run over tmp_path/checkpoints that appends what it says to f.said."""

    def run(identity=ANYTHING, wish="", keep=2):
        return Run(tmp_path / "checkpoints", identity, keep, wish=wish, say=run.said.append)

    run.said = []
    return run


def aside(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "checkpoints"]


def test_an_unfinished_run_goes_on(kept):
    kept().save(state(7), place(2))
    mine = state(0)
    assert kept().take_up(mine).epoch == 2 and (mine[0].asnumpy() == 7).all()
    assert kept.said == ["resumed at epoch 3, step 1 (20 updates done)"]


def test_a_finished_run_is_taken_up_and_not_trained_again(kept):
    kept().save(state(7), place(4))
    assert kept().take_up(state(0)).epoch == 4
    assert (
        "holds a finished run of this recipe, data and code: taken up, nothing is trained (ANEW=1 trains)"
        in kept.said[0]
    )


def test_a_finished_run_of_another_recipe_gives_way(kept, tmp_path):
    kept().save(state(7), place(4, seconds=1e6))
    assert kept(OTHER_RECIPE).take_up(state(0)) is None
    assert "another recipe or other data (train.lr_max 0.003); it gives way" in kept.said[0]
    assert not checkpoints(tmp_path / "checkpoints") and not aside(tmp_path)


def test_an_unfinished_run_of_another_recipe_is_set_aside_and_can_be_brought_back(kept, tmp_path):
    kept().save(state(7), place(2))
    assert kept(OTHER_RECIPE).take_up(state(0)) is None
    assert aside(tmp_path) == ["checkpoints.epoch_3.train.lr_max_0.003"]
    assert "come to epoch 3, step 1" in kept.said[0] and "with train.lr_max 0.003 in the recipe again" in kept.said[0]
    kept(OTHER_RECIPE).save(state(1), place(1))
    subprocess.run(re.search("`(.*)`", kept.said[0])[1], shell=True, check=True)
    mine = state(0)
    assert kept().take_up(mine).epoch == 2 and (mine[0].asnumpy() == 7).all()


def test_a_second_one_set_aside_does_not_overwrite_the_first(kept, tmp_path):
    for value in (1, 2):
        kept().save(state(value), place(2))
        assert kept(OTHER_RECIPE).take_up(state(0)) is None
    assert len(aside(tmp_path)) == 2


@pytest.mark.parametrize("epoch, seconds", [(2, 1), (4, 1000)])  # unfinished; finished, of more than an hour in all
def test_under_other_code_nothing_is_lost_unasked(kept, tmp_path, epoch, seconds):
    kept().save(state(7), place(epoch, seconds))
    with pytest.raises(
        InputError, match="since then the code changed: train in effnet/training/loop.py. CONTINUE=1 .* ANEW=1"
    ):
        kept(OTHER_CODE).take_up(state(0))
    assert newest(tmp_path / "checkpoints")[1]["place"]["epoch"] == epoch

    run = kept(OTHER_CODE, "continue")
    assert run.take_up(state(0)).epoch == epoch
    assert run.continued == [{"epoch": epoch, "step": 0, "changed": ["train in effnet/training/loop.py"]}]
    run.save(state(8), place(epoch + 1))
    later = kept(OTHER_CODE)
    assert later.take_up(state(0)).epoch == epoch + 1 and later.continued == run.continued  # and it stays on record


@pytest.mark.parametrize("identity, wish", [(OTHER_CODE, "anew"), (OTHER_RECIPE, ""), (ANYTHING, "")])
def test_what_starts_anew_was_never_continued(kept, identity, wish):
    kept().save(state(7), place(2))
    run = kept(OTHER_CODE, "continue")
    run.take_up(state(0))
    run.save(state(8), place(4))
    later = kept(identity, wish)
    assert run.continued and later.take_up(state(0)) is None and later.continued == []


def test_a_short_finished_run_of_other_code_gives_way(kept, tmp_path):
    kept().save(state(7), place(4))
    assert kept(OTHER_CODE).take_up(state(0)) is None
    assert "of other code (train in effnet/training/loop.py); it gives way" in kept.said[0] and not aside(tmp_path)


def test_other_versions_count_as_other_code(kept):
    kept().save(state(7), place(2))
    with pytest.raises(InputError, match=r"the code changed: mindspore 2\.10\.0, now 3\."):
        kept(ANYTHING | {"versions": {"mindspore": "3."}}).take_up(state(0))


@pytest.mark.parametrize("epoch", [2, 4])
def test_anew_trains_from_the_beginning(kept, tmp_path, epoch):
    kept().save(state(7), place(epoch))
    assert kept(wish="anew").take_up(state(0)) is None
    assert "ANEW=1: it" in kept.said[0] and len(aside(tmp_path)) == (epoch == 2)


def test_the_newest_are_kept_and_a_damaged_newest_falls_back(kept, tmp_path):
    for epoch in (1, 2, 3):
        kept().save(state(epoch), place(epoch))
    last, before = checkpoints(tmp_path / "checkpoints")
    assert (last.name, before.name) == ("step-00000030.ckpt", "step-00000020.ckpt")
    last.write_bytes(last.read_bytes()[:500])
    assert kept().take_up(state(0)).epoch == 2
    assert "step-00000030.ckpt: damaged" in kept.said[0] and "trying the one before" in kept.said[0]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_checkpoint_of_a_later_step_deletes_no_good_one(kept, tmp_path, keep):
    folder = tmp_path / "checkpoints"
    kept().save(state(1), place(1))
    checkpoint.save(folder / "step-00000050.ckpt", {"w": np.ones(1, np.float32)}, {"top1": 0.5})  # best.ckpt, renamed
    (folder / "step-00000090.ckpt").write_bytes(b"damaged")
    run = kept(keep=keep)
    assert run.take_up(state(0)).epoch == 1
    assert "step-00000050.ckpt: a model, not a checkpoint to go on from; trying" in kept.said[1]
    run.save(state(2), place(2))
    assert [path.name for path in checkpoints(folder)] == ["step-00000020.ckpt", "step-00000010.ckpt"][:keep]
    assert sorted(path.name for path in folder.glob("unusable-*")) == [
        "unusable-step-00000050.ckpt",
        "unusable-step-00000090.ckpt",
    ]
    assert kept(keep=keep).take_up(state(0)).epoch == 2


def test_the_best_is_kept_by_validation(kept, tmp_path):
    run, now = kept(), place(2)
    run.keep_best({"w": np.ones(2, np.float32)}, now)
    now.history[-1]["top1"] = 0.4
    run.keep_best({"w": np.zeros(2, np.float32)}, now)
    assert now.best_top1 == 0.5 and (checkpoint.load(tmp_path / "checkpoints/best.ckpt")[0]["w"] == 1).all()


def hold(folder, held, end):
    with alone(folder):
        held.set()
        end.wait(60)


def test_a_second_training_in_the_folder_is_refused_by_name_of_the_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    first = context.Process(target=hold, args=(tmp_path / "checkpoints", held, end))
    first.start()
    assert held.wait(60)
    with (
        pytest.raises(InputError, match=f"another training is at work here: process {first.pid} on "),
        alone(tmp_path / "checkpoints"),
    ):
        pass
    first.kill()  # and a dead one holds nothing
    first.join()
    with alone(tmp_path / "checkpoints"):
        pass


def test_where_no_checkpoint_can_be_written_nothing_is_begun(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a/disk/that/is/not/there")
    for folder in (tmp_path / "file", tmp_path / "link", Path("/proc/checkpoints")):  # /proc: not even for root
        with (
            pytest.raises(InputError, match="no checkpoint could be written there .*; nothing is trained"),
            alone(folder),
        ):
            pass
