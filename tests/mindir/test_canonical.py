"""The canonical form of a MINDIR: the same bytes from any process, and the same network as before."""

import os
import re
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.train.mind_ir_pb2 import ModelProto

from effnet.mindir.canonical import canonical
from effnet.mindir.write import write
from effnet.network import device
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.network.layers import Layers
from tests.conftest import ROOT
from tests.export.test_onnx_graph import meta, random_weights

device.start("CPU")

SIDE = 64
WRITE = f"""
import sys

from effnet.mindir.write import write
from effnet.network import device
from tests.export.test_onnx_graph import meta, random_weights

device.start("CPU")
path, variant = sys.argv[1:]
write(path, random_weights(variant), meta(variant), {SIDE}, {SIDE})
"""


@pytest.fixture(scope="module", params=["efficientnet_toy", "efficientnet_b2"])
def written(request, tmp_path_factory):
    """(variant, path) of a network of random weights as a canonical MINDIR, written by this process."""
    path = tmp_path_factory.mktemp("here") / "net.mindir"
    write(path, random_weights(request.param), meta(request.param), SIDE, SIDE)
    return request.param, path


def plainly_exported(variant, folder):
    """(the network, ModelProto of MindSpore's own export of it)."""
    net = EfficientNet(variant, 10, Layers("same"))
    net.update_parameters_name()
    load_weights(net, random_weights(variant))
    net.set_train(False)
    image = ms.Tensor(shape=[None, 3, SIDE, SIDE], dtype=ms.float32)
    ms.export(net, image, file_name=str(folder / "plain"), file_format="MINDIR")
    return net, ModelProto.FromString((folder / "plain.mindir").read_bytes())


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_in_another_folder_writes_the_same_bytes(written, hash_seed, tmp_path):
    variant, path = written
    folder = tmp_path / f"a folder of another name {hash_seed}"
    folder.mkdir()
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", WRITE, "other.mindir", variant]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    assert (folder / "other.mindir").read_bytes() == path.read_bytes()


def test_it_computes_what_the_network_computes_bit_by_bit(written, tmp_path):
    variant, path = written
    net, _ = plainly_exported(variant, tmp_path)
    loaded = nn.GraphCell(ms.load(str(path)))
    for count in (1, 3):  # any batch
        pictures = ms.Tensor(np.random.default_rng(count).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32))
        expected = net(pictures).asnumpy()
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_array_equal(loaded(pictures).asnumpy(), expected)


def test_nothing_of_the_network_is_lost(written, tmp_path):
    """All that MindSpore's own export holds is there, under other names: weights by name, operators by kind."""
    variant, path = written
    _, plain = plainly_exported(variant, tmp_path)
    found = ModelProto.FromString(path.read_bytes())
    prefix = f"{plain.graph.name}:"

    def weights(model, prefix):
        return {p.name.removeprefix(prefix): (tuple(p.dims), p.raw_data) for p in model.graph.parameter}

    def operators(model):
        """Nodes as (kind, inputs, attributes of their operator), without names, in no order."""
        by_name = {p.name: p for p in model.primitives}
        nodes = []
        for node in model.graph.node:
            operator = by_name.get(node.op_type.removeprefix("REF::"))
            held = sorted(a.SerializeToString(deterministic=True) for a in operator.attribute) if operator else []
            mine = sorted(a.SerializeToString(deterministic=True) for a in node.attribute)
            nodes.append((node.op_type.split(":")[2 if operator else 0], len(node.input), held, mine))
        return sorted(nodes, key=repr)

    assert weights(found, "effnet:") == weights(plain, prefix)
    assert operators(found) == operators(plain)


def test_names_are_numbers_along_the_computation(written):
    model = ModelProto.FromString(written[1].read_bytes())
    known = {entry.name for entry in [*model.graph.input, *model.graph.parameter]}
    for number, node in enumerate(model.graph.node):
        assert list(node.output) == [node.name] == [f"effnet:{number}"]
        assert set(node.input) <= known, f"{node.name} reads what is computed later"
        known.add(node.name)
    assert model.graph.output[0].name == node.name
    names = [parameter.name for parameter in model.graph.parameter]
    assert names == sorted(names)
    used = [node.op_type.removeprefix("REF::") for node in model.graph.node if node.op_type.startswith("REF::")]
    assert list(dict.fromkeys(used)) == [primitive.name for primitive in model.primitives]


def test_what_varies_is_gone(written, tmp_path):
    _, plain = plainly_exported(written[0], tmp_path)
    model = ModelProto.FromString(written[1].read_bytes())
    varying = {"phase", "compile_phase"}
    assert varying & {attribute.name for attribute in plain.graph.attribute}  # MindSpore does write them
    assert not varying & {attribute.name for attribute in model.graph.attribute}
    assert not model.user_info and not re.search(rb"0x[0-9a-f]{6}|/tmp/", model.SerializeToString())


def test_canonical_is_canonical_already(written):
    model = ModelProto.FromString(written[1].read_bytes())
    canonical(model)
    assert model.SerializeToString(deterministic=True) == written[1].read_bytes()


def test_any_order_and_any_names_give_the_same_bytes(written):
    """As another hash table would have it: everything renamed and shuffled."""
    model = ModelProto.FromString(written[1].read_bytes())
    order = np.random.default_rng(0)
    numbers = order.permutation(len(model.graph.node))
    graph, old = model.graph, f"{model.graph.name}:"
    graph.name = "123_456_effnet"

    def other(name):
        name = name.removeprefix(old)
        return f"{graph.name}:{f'CNode_{numbers[int(name)]}' if name.isdigit() else name}"

    for entry in [*graph.input, *graph.parameter, *graph.output]:
        entry.name = other(entry.name)
    for node in graph.node:
        node.name = node.output[0] = other(node.output[0])
        inputs = [other(name) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
    for field in (graph.node, graph.parameter, model.primitives):
        shuffled = [type(field[i]).FromString(field[i].SerializeToString()) for i in order.permutation(len(field))]
        del field[:]
        field.extend(shuffled)
    canonical(model)
    assert model.SerializeToString(deterministic=True) == written[1].read_bytes()
