"""effnet/network/optimizers.c against the rules written in MindSpore's operators: the same bytes."""

import mindspore as ms
import numpy as np
import pytest

from effnet.data.loader import Batch
from effnet.network import device, efficientnet, operators
from effnet.recipe import load
from effnet.training import optimizers, step
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
def test_in_a_network_nothing_reads_a_parameter_after_it_was_changed(opt, monkeypatch):
    """The rule in C changes parameters where they lie; the one by hand makes new ones and assigns them."""
    recipe = changed(load("recipes/smoke.yaml"), "train", opt=opt, rms_decay=0.93, momentum=0.9, lr_trunk=1.0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    labels = random.integers(0, 10, 8).astype(np.int32)
    batch, found = Batch(images, labels, labels, np.ones(8, np.float32), np.arange(8)), []
    for _ in range(2):
        net = efficientnet.create(recipe.model, seed=1)
        take, state = step.create(net, net.trainable_params(), recipe)
        for _ in range(4):
            take(batch, (None, None), 1.0, 3e-3, 0.0)
        found.append({p.name: p.asnumpy().tobytes() for p in state})
        monkeypatch.setattr(optimizers, "create", lambda parameters, train: RULES[opt](list(parameters), train))
    assert found[0] == found[1]


@pytest.mark.parametrize("opt", RULES)
@pytest.mark.parametrize("values", [{"weight_decay": 0.0}, {"lr_trunk": 0.3, "weight_decay": 0.013}])
def test_the_rule_in_c_is_the_one_by_hand(opt, values):
    settings = changed(load("recipes/smoke.yaml"), "train", opt=opt, rms_decay=0.93, momentum=0.9, **values).train
    in_c = type(optimizers.create([], settings))
    assert issubclass(in_c, RULES[opt]) and in_c is not RULES[opt]
    assert states(in_c, settings) == states(RULES[opt], settings)
