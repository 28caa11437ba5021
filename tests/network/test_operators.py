"""effnet/network/operators: values and gradients against PyTorch in float64; the same bytes on any processor and number
of threads.
"""

import ctypes
import hashlib
import itertools
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest

from effnet.devices.machine import mindspore_folder, vectors
from effnet.native.build import FLAGS
from effnet.network import device, operators
from effnet.network.efficientnet import ConvBN
from effnet.network.layers import Layers
from tests.conftest import ROOT

device.start("CPU")
pytestmark = pytest.mark.skipif(not operators.usable(), reason="the operators are for x86-64")
# (kernel, stride, height, padding): odd and even sizes, kernels larger than the picture, several vectors to a row
SIZES = [
    (3, 1, 8, "same"), (5, 1, 33, "same"), (5, 1, 1, "same"), (3, 2, 9, "same"), (5, 2, 8, "same"), (5, 2, 2, "same"),
    (3, 2, 1, "same"), (3, 2, 130, "same"), (3, 1, 9, "symmetric"), (3, 2, 16, "symmetric"), (5, 2, 9, "symmetric"),
    (5, 1, 3, "same"), (5, 2, 3, "symmetric"), (3, 1, 2, "same"),
]  # fmt: skip


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def gradients(function, *arrays):
    """Value, and the gradients of (value * fixed numbers).sum() with respect to each array."""
    inputs = [ms.Tensor(array) for array in arrays]
    value = function(*inputs)
    weight = ms.Tensor(numbers(9, *value.shape))

    def weighted(*x):
        return (function(*x) * weight).sum()

    found = ms.grad(weighted, tuple(range(len(inputs))))(*inputs)
    return [value.asnumpy(), *(x.asnumpy() for x in (found if isinstance(found, tuple) else (found,)))]


def batch_norm(act):
    operator, eps = operators.batch_norm(act), ms.Tensor([1e-3], ms.float32)

    def values(x, gamma, beta):
        return operator(x, gamma, beta, eps)[0]

    return values


def frozen_norm(act, mean, variance):
    operator, eps = operators.frozen_norm(act), ms.Tensor([1e-3], ms.float32)
    mean, variance = (ms.Tensor(np.asarray(values), ms.float32) for values in (mean, variance))

    def values(x, gamma, beta):
        return operator(x, gamma, beta, eps, mean, variance)

    return values


def torch_gradients(function, *arrays):
    import torch

    inputs = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]
    value = function(*inputs)
    value.backward(torch.tensor(numbers(9, *value.shape), dtype=torch.float64))
    return [value.detach().numpy(), *(x.grad.numpy() for x in inputs)]


def assert_close(found, expected):
    """To float32's precision, relative to the largest number there is."""
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape and np.abs(mine - theirs).max() <= 2e-6 * max(1, np.abs(theirs).max())


@pytest.mark.peers
@pytest.mark.parametrize("kernel, stride, height, padding", SIZES)
def test_depthwise_is_torchs(kernel, stride, height, padding):
    from torch.nn import functional as F

    def pads(size):
        if padding == "symmetric":
            return kernel // 2, kernel // 2
        needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return needed // 2, needed - needed // 2

    x, weight = numbers(0, 9, 6, height, height + 1), numbers(1, 6, 1, kernel, kernel)
    expected = torch_gradients(
        lambda x, w: F.conv2d(F.pad(x, (*pads(height + 1), *pads(height))), w, stride=stride, groups=6), x, weight
    )
    assert_close(gradients(operators.depthwise(stride, padding), x, weight), expected)


@pytest.mark.parametrize("kernel, stride, height, padding", SIZES)
def test_depthwise_is_mindspores(kernel, stride, height, padding):
    conv = ConvBN(Layers(padding), 6, 6, kernel, stride, group=6).conv
    x, weight = numbers(0, 9, 6, height, height + 1), numbers(1, 6, 1, kernel, kernel)
    conv.weight.set_data(ms.Tensor(weight))
    inputs = ms.Tensor(x)
    value = conv(inputs)
    g = ms.Tensor(numbers(9, *value.shape))

    def weighted(x):
        return (conv(x) * g).sum()

    dx, (dweight,) = ms.grad(weighted, 0, ms.ParameterTuple([conv.weight]))(inputs)
    assert_close(
        gradients(operators.depthwise(stride, padding), x, weight), [value.asnumpy(), dx.asnumpy(), dweight.asnumpy()]
    )


# (batch, in, out, height, width): fewer channels than a part has rows, and more; one product, and several
@pytest.mark.parametrize("sizes", [(32, 130, 70, 2, 2), (7, 5, 200, 3, 4), (80, 24, 65, 4, 4), (1, 8, 3, 1, 1)])
def test_pointwise_by_hand(sizes):
    batch, channels_in, channels_out, *plane = sizes
    x, weight = numbers(0, batch, channels_in, *plane), numbers(1, channels_out, channels_in, 1, 1)
    exact, w, dy = np.float64(x), np.float64(weight[:, :, 0, 0]), np.float64(numbers(9, batch, channels_out, *plane))
    y, dx = np.einsum("nihw,oi->nohw", exact, w), np.einsum("nohw,oi->nihw", dy, w)
    dweight = np.einsum("nohw,nihw->oi", dy, exact)[:, :, None, None]
    assert_close(gradients(operators.pointwise(), x, weight), [y, dx, dweight])


@pytest.mark.parametrize("size", [4, 5])
def test_small_planes_are_pointwises_and_the_others_are_mindspores(size):
    x, weight = ms.Tensor(numbers(0, 8, 300, size, size)), ms.Tensor(numbers(1, 9, 300, 1, 1))
    conv, theirs = (kind().convolution(300, 9, 1) for kind in (operators.LayersInC, Layers))
    for each in (conv, theirs):
        each.weight.set_data(weight)
    expected = operators.pointwise()(x, weight) if size == 4 else theirs(x)
    assert np.array_equal(conv(x).asnumpy(), expected.asnumpy())


@pytest.mark.peers
@pytest.mark.parametrize("act", ["", "_swish", "_relu6"])
@pytest.mark.parametrize("shape", [(3, 6, 5, 7), (2, 3, 16, 16), (4, 1, 1, 1), (20, 6, 3, 3)])
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norm_is_torchs(act, shape, frozen):
    import torch
    from torch.nn import functional as F

    x, gamma, beta = numbers(0, *shape) * 2 + 5, numbers(1, shape[1]) * 4, numbers(2, shape[1])
    mean, variance = torch.tensor(numbers(3, shape[1])).double(), torch.tensor(numbers(4, shape[1])).double() ** 2
    activation = {"": lambda y: y, "_swish": F.silu, "_relu6": F.relu6}[act]

    def theirs(x, gamma, beta):
        return activation(F.batch_norm(x, mean, variance, gamma, beta, not frozen, 0.1, 1e-3))

    layer = operators.BatchNorm2d(shape[1], 1e-3, 0.9, act).set_train(not frozen)
    for parameter, value in zip(layer.get_parameters(), (mean, variance, gamma, beta), strict=True):
        parameter.set_data(ms.Tensor(np.asarray(value), ms.float32))
    expected = torch_gradients(theirs, x, gamma, beta)
    layer(ms.Tensor(x))
    assert_close([layer.moving_mean.asnumpy(), layer.moving_variance.asnumpy()], [mean.numpy(), variance.numpy()])
    assert_close(gradients(frozen_norm(act, mean, variance) if frozen else batch_norm(act), x, gamma, beta), expected)


@pytest.mark.parametrize("shape", [(3, 6, 5, 7), (2, 3, 16, 16), (4, 1, 1, 1)])
def test_scale_by_hand(shape):
    x, gate = numbers(0, *shape), numbers(1, *shape[:2])
    value, dx, dgate = gradients(operators.scale(), x, gate)
    assert np.array_equal(value, x * gate[:, :, None, None])
    assert np.array_equal(dx, numbers(9, *shape) * gate[:, :, None, None])
    assert_close([dgate], [(numbers(9, *shape).astype(np.float64) * x).sum((2, 3))])


def test_sigmoid_and_swish_to_the_last_places():
    x = np.linspace(-90, 90, 20001, dtype=np.float32)
    exact, weight = 1 / (1 + np.exp(-x.astype(np.float64))), numbers(9, len(x))
    value, slope = gradients(operators.elementwise("sigmoid"), x)
    assert (np.abs(value - exact) <= 3e-7 * exact + 1e-37).all()
    assert_close([slope], [weight * exact * (1 - exact)])
    value, slope = gradients(operators.SwishInC(), x)
    assert (np.abs(value - x * exact) <= 4e-7 * np.abs(x * exact) + 1e-35).all()
    assert_close([slope], [weight * (exact + x * exact * (1 - exact))])


@pytest.mark.parametrize("shape", [(3, 6, 5, 7), (2, 3, 16, 16), (4, 1, 1, 1)])
def test_a_global_averages_gradient_is_the_same_all_over_a_plane(shape):
    x = numbers(0, *shape)
    value, dx = gradients(operators.Average(), x)
    assert_close([value], [x.astype(np.float64).mean((2, 3))])
    share = numbers(9, *shape[:2]) * np.float32(1 / (shape[2] * shape[3]))
    assert np.array_equal(dx, np.broadcast_to(share[:, :, None, None], shape))


def test_running_statistics_by_hand():
    x, old = numbers(0, 6, 3, 5, 4), (numbers(1, 3), np.abs(numbers(2, 3)))
    norm = operators.BatchNorm2d(3, 1e-3, 0.9).set_train()
    for parameter, value in zip((norm.moving_mean, norm.moving_variance), old, strict=True):
        parameter.set_data(ms.Tensor(value))
    norm(ms.Tensor(x))
    exact = x.astype(np.float64)
    new = exact.mean((0, 2, 3)), exact.var((0, 2, 3), ddof=1)
    found = [norm.moving_mean.asnumpy(), norm.moving_variance.asnumpy()]
    assert_close(found, [0.9 * a + 0.1 * b for a, b in zip(old, new, strict=True)])


def test_swish_far_from_zero():
    """No overflow where exp would: the value and the slope are x and 1 above, 0 and 0 below."""
    x = np.array([100.0, -100.0, 1e4, -1e4] * 2, np.float32).reshape(2, 1, 2, 2)
    value, *found = gradients(batch_norm("_swish"), x, np.array([x.std()]), np.zeros(1, np.float32))
    assert np.allclose(value, np.maximum(x, 0), rtol=1e-5, atol=1e-4) and all(np.isfinite(f).all() for f in found)


def test_the_same_bytes_on_any_processor_and_number_of_threads(tmp_path):
    """The library, one for each width of vectors that this processor has and one that takes small planes as large ones,
    each in a process of its own with 1 and 3 threads, give one digest.
    """
    sources = [*map(str, operators.FOLDER.glob("*.c")), str(mindspore_folder() / "lib/libdnnl.so.3")]
    others = []
    widths = [f"-m{name}" for name in ("avx2", "avx512f") if vectors() in (name, "avx512f")]
    for flag in ("-msse2", *widths, "-DSMALL=0"):
        others.append(str(tmp_path / f"{len(others)}.so"))
        subprocess.run(["cc", *FLAGS, flag, *sources, "-o", others[-1], "-lm"], check=True)
    program = "import sys; from tests.network.test_operators import digest; print(digest(sys.argv[1]))"
    found = set()
    for library in (operators._library(), *others):
        for threads in "13":
            env = {"OMP_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-c", program, library]
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
            found.add(done.stdout.splitlines()[-1])
    assert len(found) == 1


# (batch, height, width): large planes, and ones of fewer numbers than a vector, side by side in more than one of them
PLANES = [(3, 33, 34), (8, 2, 2), (19, 3, 3), (32, 4, 3), (17, 1, 5), (16, 4, 4)]


def digest(library):
    """Of all operators' results for some numbers, from the library called as MindSpore calls it."""
    library, total = ctypes.CDLL(library), hashlib.sha256()
    row, eps = numbers(4, 5), np.array([1e-3], np.float32)
    for batch, height, width in PLANES:
        x, gate = numbers(0, batch, 5, height, width), numbers(3, batch, 5)
        mean, variance = np.float32(x.mean((0, 2, 3))), np.float32(x.var((0, 2, 3)))
        given, calls = [x, row, row, eps, mean, variance], []
        for act in ("", "_swish", "_relu6"):
            calls += [(f"batch_norm{act}", given[:4], [x, row, row]), (f"frozen_norm{act}", given, [x])]
            for name in (f"batch_norm{act}_grad", f"frozen_norm{act}_grad"):
                calls.append((name, [*given, x[::-1].copy()], [x, row, row]))
        calls += [("scale", [x, gate], [x]), ("scale_grad", [x, gate, x], [x, gate]), ("spread", [x, gate], [x])]
        across = numbers(5, 70, 5, 1, 1), numbers(6, batch, 70, height, width)
        calls += [("pointwise", [x, across[0]], across[1:]), ("pointwise_grad", [x, *across], [x, across[0]])]
        for name in ("sigmoid", "swish"):
            calls += [(f"{name}_", [x], [x]), (f"{name}_grad", [x, x[::-1].copy()], [x])]
        for kernel, stride, padding in itertools.product((3, 5), (1, 2), ("same", "symmetric")):
            weight = numbers(1, 5, 1, kernel, kernel)
            out = numbers(2, batch, 5, -(-height // stride), -(-width // stride))
            calls += [(f"depthwise_{padding}", [x, weight], [out])]
            calls += [(f"depthwise_{padding}_grad", [x, weight, out], [x, weight])]
        for name, inputs, outputs in calls:
            for array in called(library, name, inputs, outputs):
                total.update(array.tobytes())
    return total.hexdigest()


def called(library, name, inputs, outputs):
    """What the operator answers, of the shapes of `outputs`."""
    outputs = [np.empty_like(array) for array in outputs]
    arrays = [*inputs, *outputs]
    shapes = [(ctypes.c_int64 * array.ndim)(*array.shape) for array in arrays]
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
    of_shapes = (ctypes.c_void_p * len(arrays))(*(ctypes.addressof(shape) for shape in shapes))
    ndims = (ctypes.c_int * len(arrays))(*(array.ndim for array in arrays))
    assert getattr(library, name)(len(arrays), pointers, ndims, of_shapes, None, None, None) == 0
    return outputs
