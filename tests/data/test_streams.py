"""effnet/data/streams.py: the first numbers of each stream, written down: another NumPy, processor or year must not
change what a seed means.
"""

import hashlib

import numpy as np

from effnet.data import streams


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def test_streams_are_known_numbers():
    purposes = (streams.ORDER, streams.SAMPLE, streams.PAIR)
    raw = b"".join(streams.philox(7, purpose, 3, 5).random_raw(4).tobytes() for purpose in purposes)
    assert digest(raw) == "53d1dce630441c45"


def test_masks_are_known_numbers():
    assert digest(streams.mask_generator(7, 3, 5).random(4, np.float32).tobytes()) == "8f24b3870d061398"


def test_an_epochs_order_is_known_numbers():
    assert streams.epoch_order(10, 7, 3).tolist() == [2, 8, 9, 4, 0, 6, 7, 5, 1, 3]


def test_masks_can_be_drawn_from_any_number_on():
    whole = streams.mask_generator(7, 3, 5).random(300, np.float32)
    for skip in (0, 1, 7, 8, 9, 100, 293):
        rest = streams.mask_generator(7, 3, 5, skip).random(300 - skip, np.float32)
        assert np.array_equal(rest, whole[skip:]), skip
