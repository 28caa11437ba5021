"""`make air`: what it needs, in one sentence."""

import pytest

from effnet.devices import machine


def air(project):
    done = project.run("python", "-m", "tools.air", check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_without_a_checkpoint(project):
    assert "models/effnet.ckpt: no such checkpoint" in air(project)


@pytest.mark.skipif(not machine.missing("Ascend"), reason="an Ascend device is here")
def test_without_an_ascend(finished):
    assert "AIR needs an Ascend backend: no Ascend device" in air(finished)
    assert not (finished.folder / "models/effnet.air").exists()
