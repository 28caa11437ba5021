"""The network in MindSpore: its cells and C operators, its checkpoints, the device it runs on.

MindSpore reads its environment when it is imported, so whatever imports it imports this package first: the one place
that sets it.
"""

import os
import sys

from effnet.devices import cuda, machine


def _set_environment():
    # On AVX-512 hosts MindSpore's oneDNN falls back to reference convolutions; held to AVX2 it uses its fast ones, five
    # times faster.
    if machine.vectors() == "avx512f":
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")  # a value that the user set is left alone, here and below
    # Waiting threads of operators.c would spin in MindSpore's way, a third slower; one that sleeps at once is late for
    # the next operator.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("GLOG_v", "4")  # failures reach us as exceptions; MindSpore's own log lines would bury ours
    # It looks for devices before a recipe can say which one it wants.
    cuda.prepare_mindspore(machine.mindspore_folder() / "lib/plugin")


if "mindspore" not in sys.modules:
    _set_environment()
