"""MINDIR and AIR files: what they hold, and what they need."""

import pytest

from effnet.devices import machine
from effnet.errors import InputError
from effnet.mindir.write import write
from effnet.network import device
from tests.export.test_onnx_graph import meta, random_weights

device.start("CPU")


def test_exported_files_do_without_the_operators_in_c(tmp_path):
    """A MINDIR file holds MindSpore's own operators, for it must run where this library is not."""
    write(tmp_path / "net.mindir", random_weights("efficientnet_b0"), meta("efficientnet_b0"), 32, 32)
    assert b"Custom" not in (tmp_path / "net.mindir").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["net.mindir"]


@pytest.mark.skipif(not machine.missing("Ascend"), reason="an Ascend device is here")
def test_air_without_ascend_is_refused(tmp_path):
    with pytest.raises(InputError, match="AIR needs an Ascend backend: .*; take the MINDIR file and convert it there"):
        write(tmp_path / "m.air", random_weights(), meta(), 48, 48, "AIR")
    assert list(tmp_path.iterdir()) == []
