"""effnet/data/loader.py: the same bytes for any number of threads and devices and from any step; nothing lost,
nothing twice.
"""

import gc
import hashlib
import threading
import time

import numpy as np
import pytest

from effnet.data.loader import eval_batches, train_batches
from effnet.data.presets import eval_preset, train_preset
from effnet.data.streams import epoch_order
from effnet.errors import InputError
from tests.data.test_presets import EVERYTHING, evaluation, settings
from tests.pictures import jpeg, odd

SIZE, COUNT, BATCH = 32, 61, 8


class Pictures:
    """A data set in memory that counts what is read."""

    def __init__(self, pictures):
        self.pictures, self.read_count = pictures, 0
        self.labels = np.arange(len(pictures), dtype=np.int32) % 10
        self.names = [f"class{i % 10}/{i}.JPEG" for i in range(len(pictures))]

    def __len__(self):
        return len(self.pictures)

    def read(self, i):
        self.read_count += 1
        return self.pictures[i]


@pytest.fixture(scope="module")
def pictures():
    plain = [jpeg(i, (40 + i % 30, 70 - i % 23)) for i in range(COUNT - len(odd()))]
    return Pictures(plain + list(odd().values()))


def train(pictures, epoch=0, mixup=0.2, cutmix=1.0, batch_size=BATCH, **options):
    preset = train_preset(SIZE, settings(**EVERYTHING), seed=3)
    return list(train_batches(pictures, preset, batch_size, epoch, seed=3, mixup=mixup, cutmix=cutmix, **options))


def digest(batches):
    return [hashlib.sha256(b"".join(part.tobytes() for part in batch)).hexdigest() for batch in batches]


def joined(ranks):
    """The global batches out of every rank's slices."""
    return [
        type(parts[0])(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
        for parts in zip(*ranks, strict=True)
    ]


@pytest.fixture(scope="module")
def two_epochs(pictures):
    return [digest(train(pictures, epoch, workers=1)) for epoch in (0, 1)]


@pytest.mark.parametrize("workers", [2, 8])
def test_any_number_of_workers(pictures, two_epochs, workers):
    assert [digest(train(pictures, epoch, workers=workers)) for epoch in (0, 1)] == two_epochs
    assert len(set(two_epochs[0] + two_epochs[1])) == 2 * (COUNT // BATCH)


@pytest.mark.parametrize("ranks", [2, 4])
def test_any_number_of_devices(pictures, two_epochs, ranks):
    for epoch in (0, 1):
        slices = [train(pictures, epoch, rank=rank, ranks=ranks, workers=2) for rank in range(ranks)]
        assert digest(joined(slices)) == two_epochs[epoch]


def test_from_any_step(pictures, two_epochs):
    for start in (1, 5, COUNT // BATCH):
        assert digest(train(pictures, 1, start_step=start, workers=2)) == two_epochs[1][start:]
    slices = [train(pictures, 1, rank=rank, ranks=2, start_step=3, workers=1) for rank in range(2)]
    assert digest(joined(slices)) == two_epochs[1][3:]


def test_an_epoch_is_a_permutation(pictures):
    orders = [epoch_order(1000, 3, epoch) for epoch in (0, 1)] + [epoch_order(1000, 4, 0)]
    assert all(np.array_equal(np.sort(order), np.arange(1000)) for order in orders)
    assert all((a == b).mean() < 0.02 for i, a in enumerate(orders) for b in orders[:i])
    assert abs(np.corrcoef(orders[0], np.arange(1000))[0, 1]) < 0.1
    seen = np.concatenate([batch.indices for batch in train(pictures, mixup=0, cutmix=0)])
    assert np.array_equal(seen, epoch_order(COUNT, 3, 0)[: COUNT // BATCH * BATCH])


def test_what_a_batch_holds(pictures):
    preset = train_preset(SIZE, settings(**EVERYTHING), seed=3)
    for batch in train(pictures, 4, mixup=0, cutmix=0):
        assert batch.images.dtype == np.uint8 and batch.images.shape == (BATCH, SIZE, SIZE, 3)
        assert [field.dtype for field in batch[1:]] == [np.int32, np.int32, np.float32, np.int64]
        assert np.array_equal(batch.labels, pictures.labels[batch.indices]) and (batch.lam == 1).all()
        for image, index in zip(batch.images, batch.indices, strict=True):
            assert np.array_equal(image, preset(pictures.pictures[index], 4, int(index)))


def test_mixing_is_of_neighbours(pictures):
    plain, mixed = train(pictures, mixup=0, cutmix=0), train(pictures, mixup=0.8, cutmix=0)
    for a, b in zip(plain, mixed, strict=True):
        assert np.array_equal(a.labels, b.labels) and np.array_equal(a.indices, b.indices)
        assert np.array_equal(b.others, a.labels.reshape(-1, 2)[:, ::-1].ravel())
        lam = b.lam[:, None, None, None]
        assert np.array_equal(b.lam[::2], b.lam[1::2]) and len(set(b.lam)) == BATCH // 2
        other = a.images.reshape(-1, 2, SIZE, SIZE, 3)[:, ::-1].reshape(a.images.shape)
        assert np.abs(b.images - (lam * a.images + (1 - lam) * other)).max() < 0.51


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_evaluation_loses_and_repeats_nothing(pictures, ranks):
    preset = eval_preset(evaluation(36, SIZE))
    batches = [
        batch for rank in range(ranks) for batch in eval_batches(pictures, preset, BATCH, rank, ranks, workers=2)
    ]
    assert np.array_equal(np.concatenate([batch.indices for batch in batches]), np.arange(COUNT))
    assert np.array_equal(np.concatenate([batch.labels for batch in batches]), pictures.labels)
    assert sorted({len(batch.images) for batch in batches})[-1] == BATCH
    images = np.concatenate([batch.images for batch in batches])
    assert all(np.array_equal(image, preset(data)) for image, data in zip(images, pictures.pictures, strict=True))


def test_evaluation_of_fewer_pictures_than_devices():
    few = Pictures([jpeg(i) for i in range(2)])
    batches = [list(eval_batches(few, eval_preset(evaluation(32, 32)), 4, rank, 4)) for rank in range(4)]
    assert [sum(len(batch.images) for batch in found) for found in batches] == [0, 1, 0, 1]


def test_a_damaged_picture_is_named(pictures):
    broken = Pictures(list(pictures.pictures))
    broken.pictures[17] = broken.pictures[17][:400]
    for batches in (
        lambda: train(broken, workers=2),
        lambda: list(eval_batches(broken, eval_preset(evaluation(36, SIZE)), BATCH, workers=2)),
    ):
        with pytest.raises(
            InputError,
            match=r"^class7/17.JPEG: not a readable picture \(the file ends before the picture does\); take it out",
        ):
            batches()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ranks": 3}, "batch size 8 is not divisible by 3 devices"),
        ({"ranks": 8}, r"even number of pictures per device, not 1 \(8 over 8 devices\)"),
        ({"batch_size": 100}, "batch size 100 is more than the 61 training pictures"),
    ],
)
def test_batches_that_cannot_be_split(pictures, options, message):
    with pytest.raises(InputError, match=message):
        train(pictures, **options)


def test_stopping_early_leaves_no_thread_and_reads_little_ahead(pictures):
    preset = train_preset(SIZE, settings(), seed=3)
    many = Pictures(pictures.pictures * 20)
    for close in (lambda it: it.close(), lambda it: None):
        many.read_count = 0
        iterator = train_batches(many, preset, BATCH, 0, seed=3, workers=2)
        next(iterator)
        time.sleep(0.3)
        assert many.read_count <= 8 * BATCH  # bounded, however slow the consumer
        close(iterator)
        del iterator
        gc.collect()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]
        stopped = many.read_count
        time.sleep(0.1)
        assert many.read_count == stopped


def test_a_failing_disk_is_not_hidden(pictures):
    class Failing(Pictures):
        def read(self, i):
            raise OSError(5, "Input/output error", "train-00000.tar")

    with pytest.raises(OSError, match="train-00000.tar"):
        train(Failing(pictures.pictures))
