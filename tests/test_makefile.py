"""What is given to `make` is text: neither make nor the shell runs any of it."""

import pytest

from tests.test_docs import furnished

# each would leave a file "ran" somewhere on the way from make's command line through make to the shell
GIVEN = [
    "x;touch ran",
    "$(touch ran)",
    "$(shell touch ran)",
    "`touch ran`",
    "$$(touch ran)",
    '";touch ran;"',
    "';touch ran;'",
]
REFUSALS = {
    "use RECIPE": "error: no recipe '",
    "pretrained MODEL": "is not in effnet/weights/table.yaml",
    "remote URL": "",
    "remote URL=s3://bucket/path ENDPOINT": "error: ENDPOINT",
    "compare A": "error: no commit, branch or tag",
    "pull FILES": "does not exist as an output",
    "eval MODEL": "error: ",
    "publish DIR": "",
}


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    from tests.conftest import copy_project

    return furnished(copy_project(tmp_path_factory.mktemp("make") / "project"))


@pytest.mark.parametrize("target", REFUSALS)
def test_nothing_given_is_run(there, target):
    words = target.split()
    for text in GIVEN:
        done = there.run("make", "-s", *words[:-1], f"{words[-1]}={text}", check=False)
        assert not list(there.folder.parent.rglob("ran")), text
        assert REFUSALS[target] in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_what_is_given_arrives_as_it_is(there):
    done = there.run("make", "-s", "pretrained", "MODEL=$(x) `y` \"z\" 'w'", check=False)
    assert done.stderr.startswith("error: '$(x) `y` \"z\" 'w'' is not in effnet/weights/table.yaml")
