"""effnet/results/classes.py: a model's classes and the pictures', mapped or refused by name."""

from collections import namedtuple

import pytest

from effnet.errors import InputError
from effnet.results.classes import find, require_same
from effnet.weights.pretrained import imagenet_classes

WNIDS, NAMES = imagenet_classes()
IMAGENET = {"classes": NAMES, "class_ids": WNIDS}
Pictures = namedtuple("Pictures", "class_ids classes")
OWN = {"classes": ["cat", "great dane", "3"], "class_ids": ["c1", "c2", "3"]}


@pytest.mark.parametrize(
    "meta, names, outputs, words",
    [
        (IMAGENET, ["n01440764", "n15075141"], [0, 999], "wnids of ImageNet"),
        (IMAGENET, ["Tiger-Cat", "great_white shark"], [282, 2], "names of classes"),
        (IMAGENET, ["0", "10", "2", "999"], [0, 10, 2, 999], "numbers of the model's outputs, 0 to 999"),
        (IMAGENET, ["007"], [7], "numbers of the model's outputs, 0 to 999"),
        (OWN, ["3", "c1"], [2, 0], "the model's class ids"),  # its own ids before numbers
        (OWN, ["Great Dane", "3"], [1, 2], "names of classes"),
    ],
)
def test_classes_are_found_by_id_name_or_number(meta, names, outputs, words):
    assert find("here", names, meta) == (outputs, words)


def test_a_thousand_numbered_folders_sorted_as_text():
    names = sorted(map(str, range(1000)))
    outputs, _ = find("here", names, IMAGENET, partial=False)
    assert outputs == [int(name) for name in names]


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["roses", "daisy"],
            r"here: 1 of the 2 classes are none .* 1000, read as names of classes: 'roses' \(nearest: ",
        ),
        (["n01440764", "n01440765"], r"1 of the 2 .* wnids of ImageNet: 'n01440765' \(nearest: n0144076\d\)"),
        (["1", "1000"], "1 of the 2 classes are none of the model's 1000, read as numbers .* 0 to 999: '1000'"),
        (["5", "05"], "more than one folder for the same class, .*: 5, 05"),
        ([f"x{i}" for i in range(9)], "9 of the 9 classes .* and 4 more"),
    ],
)
def test_what_is_not_found_is_named_with_the_nearest(names, message):
    with pytest.raises(InputError, match=message):
        find("here", names, IMAGENET)


def test_ten_numbers_are_not_ten_of_a_thousand_unless_the_user_says_so():
    with pytest.raises(InputError, match="10 of the 10 classes are none of the model's 1000"):
        find("data/prepared", [str(i) for i in range(10)], IMAGENET, partial=False)


def test_other_classes_are_refused_by_name():
    require_same(OWN, Pictures(["c1", "c2", "3"], ["c1", "c2", "3"]), "m", "d")
    with pytest.raises(InputError, match=r"m has 3 classes, d has 2, .* not the same: 'c4' \(nearest: c\d\)"):
        require_same(OWN, Pictures(["c1", "c4"], ["c1", "c4"]), "m", "d")
    with pytest.raises(InputError, match="m has 3 classes, d has 2, .* of the model's, 1 are missing: 3"):
        require_same(OWN, Pictures(["c1", "c2"], ["c1", "c2"]), "m", "d")
    with pytest.raises(InputError, match="m and d number the same classes differently: 1 is c2 of the one and 3 of"):
        require_same(OWN, Pictures(["c1", "3", "c2"], ["c1", "3", "c2"]), "m", "d")
    require_same({"classes": ["a", "b"]}, Pictures(["a", "b"], ["a", "b"]), "m", "d")  # of the time before ids
