"""effnet/network/optimizers.c against the rules written in MindSpore's operators: the same bytes."""

import mindspore as ms
import numpy as np
import pytest

from effnet.network import device, operators
from effnet.recipe import load
from effnet.training import optimizers
from tests.training.test_step import changed

device.start("CPU")
pytestmark = pytest.mark.skipif(not operators.usable(), reason="the operators are for x86-64")
RULES = {"rmsprop": optimizers.RMSProp, "adamw": optimizers.AdamW}
NAMES = {
    "stem.conv.weight": (30, 7, 5, 50),
    "stem.bn.gamma": (3,),
    "classifier.weight": (10, 6),
    "classifier.bias": (10,),
}


def states(kind, settings, steps=3):
    """Bytes of the parameters and their states after some steps."""
    random = np.random.default_rng(0)
    start = {name: random.normal(size=shape).astype(np.float32) for name, shape in NAMES.items()}
    parameters = [ms.Parameter(ms.Tensor(value), name=name) for name, value in start.items()]
    optimizer = kind(parameters, settings)
    for _ in range(steps):
        grads = tuple(ms.Tensor(random.normal(size=shape).astype(np.float32)) for shape in NAMES.values())
        optimizer(grads, ms.Tensor(0.37, ms.float32), ms.Tensor(3e-3, ms.float32))
    assert all((p.asnumpy() != start[p.name]).any() for p in parameters)
    return {p.name: p.asnumpy().tobytes() for p in (*parameters, *optimizer.get_parameters())}


@pytest.mark.parametrize("opt", RULES)
@pytest.mark.parametrize("values", [{"weight_decay": 0.0}, {"lr_trunk": 0.3, "weight_decay": 0.013}])
def test_the_rule_in_c_is_the_one_by_hand(opt, values):
    settings = changed(load("recipes/smoke.yaml"), "train", opt=opt, rms_decay=0.93, momentum=0.9, **values).train
    in_c = type(optimizers.create([], settings))
    assert issubclass(in_c, RULES[opt]) and in_c is not RULES[opt]
    assert states(in_c, settings) == states(RULES[opt], settings)
