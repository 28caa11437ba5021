"""README and docs: links lead somewhere, commands exist with the options shown, generated pages are up to date."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
ELSEWHERE = "needs "  # "(needs hardware)", "needs a server": what no test can run here
# programs of the system, not of this project
SYSTEM = {"mkdir", "cp", "mv", "cd", "ls", "for", "git", "source", "$EDITOR", "npu-smi", "hccn_tool", "export", "sudo", "cmake", "unzip", "tar", "ctest"}


def commands(page):
    """Command lines of the page's ```sh blocks, comments taken off, joined where they go on; without those that need what is not here."""
    for block in re.findall(r"```(?:sh|bash|shell)\n(.*?)```", page.read_text(), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and ELSEWHERE not in line and not re.match(r"\s*(\./|\$\w+/|[a-z]+=)", line):
                yield from re.split(r"\s+&&\s+", re.sub(r"\s+#.*", "", line).strip())


ALL = sorted({(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands(page) if command})


@pytest.mark.parametrize("page, command", ALL, ids=[f"{page}: {command}"[:90] for page, command in ALL])
def test_commands_exist(page, command):
    words = shlex.split(command)
    while re.match(r"[A-Z_]+=", words[0]):  # an environment variable
        words.pop(0)
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    options = {word.split("=")[0] for word in rest if word.startswith("--")}
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for word in rest:
            if "=" in word:
                assert f"$({word.split('=')[0]})" in makefile or f"ifdef {word.split('=')[0]}" in makefile, f"no variable {word}"
            else:
                assert re.search(rf"^([\w-]+ )*{word}( [\w-]+)*:", makefile, re.M), f"no target {word}"
    elif program in ("python", "python3") and rest[0] != "-m":
        text = (ROOT / rest[0]).read_text()
        assert all(f'"{option}"' in text or option in text for option in options), f"{rest[0]} has no {options}"
    elif program in ("python", "python3"):
        assert rest[1] in ("pytest", "pip") or (ROOT / (rest[1].replace(".", "/") + ".py")).exists() or (ROOT / rest[1].replace(".", "/")).is_dir()
    elif program == "effnet":
        text = subprocess.run([sys.executable, "-m", "effnet", rest[0], "--help"], cwd=ROOT, capture_output=True, text=True).stdout
        assert "usage" in text and all(option in text for option in options)
    elif program == "dvc":
        text = subprocess.run([sys.executable, "-m", "dvc", *rest[: 2 if rest[0] in ("metrics", "params", "plots", "exp", "queue") else 1], "--help"],
                              capture_output=True, text=True).stdout  # fmt: skip
        assert "usage" in text and all(option in text for option in options)
    elif "/" in program:
        assert (ROOT / program).exists() or program.startswith(("build", "models/")), f"no file {program}"
    else:
        assert program in SYSTEM | {"pip"}, f"what is {program}?"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: no {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_are_named_exist(page):
    for name in re.findall(r"`((?:effnet|stages|tests|bench|workflow|docs|recipes)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_page_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    missing = [page.name for page in PAGES if page.name != "README.md" and f"docs/{page.name}" not in readme]
    assert not missing


def test_the_page_of_parameters_is_the_schema():
    sys.path.insert(0, str(ROOT / "docs"))
    import recipe as generator

    assert generator.PAGE.read_text() == generator.page(), "run `python docs/recipe.py`"
