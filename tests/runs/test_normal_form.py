"""Source code told apart by what can change a result, and by nothing else."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from effnet.runs import normal_form
from effnet.runs.normal_form import of_source
from tests.conftest import ROOT

PYTHON = '''"""Says something."""
import os
from a import b as c, d

LIMIT = 3


def f(x, *, y=1.5):
    """Doc."""
    # comment
    if x > LIMIT:
        raise ValueError(f"too large: {x!r:>{y}}")
    return [c(i) for i in range(x)], f"{x:.2f} of {y}"


class A(B):
    """Doc."""

    size: int = 4

    def g(self):
        return self.size
'''
C = """/* what it is */
#include <math.h>
#define TWICE(x) (2 * (x))
static int table[] = {1, 2};

static int add(int a, int b)
{
    // a comment with "quotes" and { braces
    const char *s = "/* no comment */ }";
    return a + b;
}
int twice(int a) { return TWICE(a); }
"""


@pytest.mark.parametrize("old, new", [
    ('"""Says something."""', '"""Says something else."""'),
    ("    # comment\n", ""),
    ('    """Doc."""\n    # comment', "    # comment"),
    ("too large: {x!r:>{y}}", "{x} is too large"),
    ("import os\nfrom a import b as c, d", "from a import d\nfrom a import b as c\nimport os"),
    ("f(x, *, y=1.5)", "f(\n    x,\n    *,\n    y=1.5,\n)"),
])  # fmt: skip
def test_what_changes_no_result_changes_no_digest(old, new):
    assert old in PYTHON and of_source(PYTHON.replace(old, new)) == of_source(PYTHON)


@pytest.mark.parametrize("old, new, where", [
    ("y=1.5", "y=1.6", "f"),
    ("x > LIMIT", "x >= LIMIT", "f"),
    ("{x:.2f}", "{x:.3f}", "f"),
    ("LIMIT = 3", "LIMIT = 4", "(module)"),
    ("from a import b as c, d", "from e import b as c, d", "(module)"),
    ("size: int = 4", "size: int = 5", "A"),
    ("return self.size", "return -self.size", "A.g"),
])  # fmt: skip
def test_what_may_change_one_is_named(old, new, where):
    before, after = of_source(PYTHON), of_source(PYTHON.replace(old, new))
    assert [name for name in before if before[name] != after[name]] == [where]


@pytest.mark.parametrize("old, new, where", [
    ("/* what it is */", "// something else", None),
    ('// a comment with "quotes" and { braces', "", None),
    ("    return a + b;\n", "\treturn a +\n b;\n", None),
    ("add(int a, int b)\n{", "add( int a,int b ) {", None),
    ("a + b", "a - b", "add"),
    ("/* no comment */ }", "", "add"),
    ("TWICE(a)", "TWICE(1)", "twice"),
    ("(2 * (x))", "(3 * (x))", "(module)"),
    ("{1, 2}", "{1, 3}", "(module)"),
])  # fmt: skip
def test_c_likewise(old, new, where):
    assert C.count(old) == 1
    before, after = of_source(C, ".c"), of_source(C.replace(old, new), ".c")
    assert before.keys() == {"(module)", "add", "twice"}
    assert [name for name in before if before[name] != after[name]] == ([where] if where else [])


def test_a_function_that_comes_or_goes_is_seen():
    assert "h" in of_source(PYTHON + "\ndef h():\n    pass\n").keys() - of_source(PYTHON).keys()


PYTHONS = [name for name in ("python3.10", "python3.11", "python3.12") if shutil.which(name)]
CODE = "import sys, json, normal_form; print(json.dumps(normal_form.of_folders(sys.argv[1], sys.argv[2:])))"
FOLDERS = ("arch", "native", "data", "network", "training", "sources", "runtimes", "weights")


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_gives_the_same(python):
    folder = Path(normal_form.__file__).parent
    done = subprocess.run([python, "-c", CODE, ROOT / "effnet", *FOLDERS], cwd=folder, capture_output=True, text=True)
    if "pyenv" in done.stderr:
        pytest.skip(f"{python} is a shim for nothing")
    assert json.loads(done.stdout) == normal_form.of_folders(ROOT / "effnet", FOLDERS)


def test_the_digest_of_a_known_text_is_the_same_everywhere():
    """Where no other Python is at hand, this one stands for what the others gave."""
    assert of_source(PYTHON)["f"] == "da5272632c89"
