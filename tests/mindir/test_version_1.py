"""Version 1 of a MINDIR: every operator let through is answered by MindSpore Lite as by MindSpore, every other is
refused by name.
"""

import mindspore as ms
import numpy as np
import pytest
from mindspore import mint, nn, ops
from mindspore.train.mind_ir_pb2 import ModelProto
from PIL import Image

from effnet.arch.initial import initial_weights
from effnet.errors import InputError
from effnet.files import write_json
from effnet.mindir.version_1 import NOTHING, OPERATORS, ORDERING, to_version_1
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.runtimes import infer310

SIDE, PICTURES = 8, 3
ms.set_context(mode=ms.GRAPH_MODE)


class Add(nn.Cell):
    def construct(self, x):
        return x + ops.sigmoid(x)


class Sub(nn.Cell):
    def construct(self, x):
        return x - ops.sigmoid(x)


class Mul(nn.Cell):
    def construct(self, x):
        return x * ops.sigmoid(x)


class Muls(nn.Cell):
    def construct(self, x):
        return x * 0.3


class ReduceSum(nn.Cell):
    def construct(self, x):
        return ops.ReduceSum(keep_dims=True)(x, (2, 3)) + x


class SumExt(nn.Cell):
    """The network's own pooling: one long row per channel."""

    def construct(self, x):
        return (ops.reshape(x, (-1, SIDE * SIDE)).sum(axis=1) * (1 / 64)).reshape((-1, 3))


class ReduceMean(nn.Cell):
    def construct(self, x):
        return ops.ReduceMean(keep_dims=True)(x, (2, 3)) * x


class Reshape(nn.Cell):
    def construct(self, x):
        return ops.reshape(ops.reshape(x, (-1, SIDE * SIDE)) * 0.5, (-1, 3, SIDE, SIDE))


class Softmax(nn.Cell):
    def construct(self, x):
        return ops.softmax(ops.reshape(x, (-1, 3 * SIDE * SIDE)), axis=-1)


class AdaptiveAvgPool(nn.Cell):
    def construct(self, x):
        return ops.adaptive_avg_pool2d(x, (1, 1))


class MeanExt(nn.Cell):
    def construct(self, x):
        return mint.mean(x, (2, 3))


class Divs(nn.Cell):
    def construct(self, x):
        return x / 3.0


class Two(nn.Cell):
    def construct(self, x):
        y = ops.reshape(x, (-1, 3 * SIDE * SIDE))
        return y, y * 0.5


class Choose(nn.Cell):
    """Control flow that stays in the graph."""

    def construct(self, x):
        return x if x.sum() > 0 else -x


def convolutions():
    """Those of EfficientNet:

    TensorFlow's and PyTorch's padding of a strided input, depthwise, pointwise, with a bias.
    """
    return nn.SequentialCell(
        nn.Conv2d(3, 6, 3, 2, pad_mode="same", weight_init="normal"),
        nn.Conv2d(6, 6, 5, 2, pad_mode="pad", padding=2, group=6, weight_init="normal"),
        nn.Conv2d(6, 4, 1, has_bias=True, weight_init="normal", bias_init="normal"),
    )


def batch_norm():
    cell = nn.BatchNorm2d(3, gamma_init="normal", beta_init="normal", moving_mean_init="normal")
    cell.moving_variance.set_data(ms.Tensor([0.5, 1.5, 2.5], ms.float32))
    return cell


def dense():
    return nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIDE * SIDE, 5, weight_init="normal", bias_init="normal"))


ANSWERED = {
    "Add": Add, "BatchNorm": batch_norm, "BiasAdd": convolutions, "Conv2D": convolutions, "Flatten": ops.Flatten,
    "MatMul": dense, "Mul": Mul, "Muls": Muls, "ReLU": nn.ReLU, "ReLU6": nn.ReLU6, "ReduceMean": ReduceMean,
    "ReduceSum": ReduceSum, "Reshape": Reshape, "Sigmoid": nn.Sigmoid, "Softmax": Softmax, "Sub": Sub, "SumExt": SumExt,
}  # fmt: skip
REFUSED = {
    "SiLU": nn.SiLU, "GeLU": nn.GELU, "AvgPool": lambda: nn.AvgPool2d(2), "MaxPool": lambda: nn.MaxPool2d(2),
    "AdaptiveAvgPool2D": AdaptiveAvgPool, "MeanExt": MeanExt, "Divs": Divs,
}  # fmt: skip


class Rows(nn.Cell):
    """`cell` behind a convolution, as in all our networks, with its answer as (N, everything), the shape of logits.

    Without the convolution Lite 2.0 dies of a fault in its own ReshapeReduceFusion, where the batch is dynamic.
    """

    def __init__(self, cell):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, weight_init="normal")
        self.conv.weight.set_data(
            ms.Tensor(np.array([[1, 0.1, 0.2], [0.3, -1.2, 0.4], [0.5, 0.6, 0.9]], np.float32).reshape(3, 3, 1, 1))
        )
        self.cell = cell

    def construct(self, x):
        y = self.cell(self.conv(x))
        columns = 1
        for size in y.shape[1:]:
            columns *= size
        return ops.reshape(y, (-1, columns))


class Pictures:
    """As much of a Dataset as effnet310's evaluation asks for."""

    def __init__(self, folder):
        self.names = [f"{i}.jpg" for i in range(PICTURES)]
        noise = np.random.default_rng(0).integers(0, 256, (PICTURES, SIDE, SIDE, 3)).astype(np.uint8)
        for name, pixels in zip(self.names, noise, strict=True):
            Image.fromarray(pixels).save(folder / name, quality=95)
        self.files = [folder / name for name in self.names]
        self.pixels = np.stack([np.asarray(Image.open(file)) for file in self.files])

    def __len__(self):
        return PICTURES

    def read(self, i):
        return self.files[i].read_bytes()


def export(cell, path, rows=True):
    ms.set_seed(1)
    net = Rows(cell()) if rows else cell()
    net.set_train(False)
    path.unlink(missing_ok=True)  # MindSpore leaves it read-only
    ms.export(
        net,
        ms.Tensor(shape=[None, 3, SIDE, SIDE], dtype=ms.float32),
        file_name=str(path.with_suffix("")),
        file_format="MINDIR",
    )
    return net


def operators(path):
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    return {primitive.op_type for primitive in model.primitives}


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"TupleGetItem"}))
def test_operator_is_answered_as_in_mindspore(operator, effnet310, tmp_path):
    source, target, meta = tmp_path / "net.mindir", tmp_path / "v1.mindir", tmp_path / "net.json"
    net = export(ANSWERED[operator], source)
    assert operator in operators(source)
    to_version_1(source, target)

    pictures = Pictures(tmp_path)
    expected = net(ms.Tensor((pictures.pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 40)).asnumpy()
    names = [str(i) for i in range(expected.shape[1])]
    size = {"resize": SIDE, "height": SIDE, "width": SIDE}
    write_json(meta, {"classes": names, "mean": [127.5] * 3, "std": [40] * 3, "interpolation": "bilinear"} | size)
    program = effnet310 / "effnet310"
    answers, _ = infer310.logits_of(program, target, meta, pictures, batch=2)  # the last batch is not full
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(answers, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("operator", REFUSED)
def test_other_operators_are_refused_by_name(operator, tmp_path):
    source, target = tmp_path / "net.mindir", tmp_path / "v1.mindir"
    export(REFUSED[operator], source)
    assert operator in operators(source)
    target.write_text("was here")
    with pytest.raises(InputError, match=rf"net\.mindir: holds {operator}, which MindSpore Lite 2\.0"):
        to_version_1(source, target)
    assert target.read_text() == "was here"


@pytest.mark.parametrize("batch", [None, 2])
def test_mindspore_reads_version_1_with_no_difference(batch, tmp_path):
    net = EfficientNet("efficientnet_toy", 10)
    net.update_parameters_name()
    load_weights(net, initial_weights({p.name: p.shape for p in net.get_parameters()}, seed=1))
    net.set_train(False)
    source, target = tmp_path / "net.mindir", tmp_path / "v1.mindir"
    ms.export(
        net,
        ms.Tensor(shape=[batch, 3, 32, 32], dtype=ms.float32),
        file_name=str(source.with_suffix("")),
        file_format="MINDIR",
    )
    to_version_1(source, target)

    images = ms.Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    before, after = (nn.GraphCell(ms.load(str(path)))(images).asnumpy() for path in (source, target))
    np.testing.assert_array_equal(after, before)
    assert not operators(target) & {"Muls", "SumExt", *ORDERING, *NOTHING}


def test_files_that_are_no_version_3_are_refused(tmp_path):
    source, target = tmp_path / "net.mindir", tmp_path / "v1.mindir"
    export(Mul, source)
    whole = source.read_bytes()
    model = ModelProto()
    model.ParseFromString(whole)
    model.mind_ir_version = 2
    branching = ModelProto()
    branching.ParseFromString(whole)
    branching.functions.add()
    greedy = ModelProto()
    greedy.ParseFromString(whole)
    greedy.graph.input.add()
    cases = {
        "not a MINDIR": [b"", b"hello", b"\xff" * 100, whole[: len(whole) // 3]],
        "MINDIR version 2, expected 3": [model.SerializeToString()],
        "1 sub-graphs": [branching.SerializeToString()],
        "takes 2 inputs": [greedy.SerializeToString()],
    }
    for sentence, contents in cases.items():
        for content in contents:
            (tmp_path / "case.mindir").write_bytes(content)
            with pytest.raises(InputError, match=f"case.mindir: .*{sentence}"):
                to_version_1(tmp_path / "case.mindir", target)
    with pytest.raises(InputError, match="gone.mindir: No such file"):
        to_version_1(tmp_path / "gone.mindir", target)
    to_version_1(source, target)
    with pytest.raises(InputError, match="MINDIR version 1, expected 3"):
        to_version_1(target, tmp_path / "again.mindir")


def test_graphs_of_another_form_are_refused(tmp_path):
    source = tmp_path / "net.mindir"
    export(Choose, source)
    with pytest.raises(InputError, match=r"net\.mindir: (has \d+ sub-graphs|holds )"):
        to_version_1(source, tmp_path / "v1.mindir")
    export(Two, source, rows=False)
    with pytest.raises(InputError, match=r"net\.mindir: answers with a tuple"):
        to_version_1(source, tmp_path / "v1.mindir")
