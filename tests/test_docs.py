"""README and docs: links lead somewhere, commands exist with the options shown, generated pages are up to date."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
ELSEWHERE = "needs "  # "(needs hardware)", "needs a server": what no test can run here
# programs of the system, not of this project
SYSTEM = {
    "mkdir",
    "cp",
    "mv",
    "cd",
    "ls",
    "for",
    "git",
    "source",
    "$EDITOR",
    "npu-smi",
    "hccn_tool",
    "export",
    "sudo",
    "cmake",
    "unzip",
    "tar",
    "ctest",
    "find",
    "rm",
}


def commands(page):
    """Command lines of the page's ```sh blocks, comments taken off, joined where they go on; without those that need
    what is not here.
    """
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
                assert f"$({word.split('=')[0]})" in makefile or f"ifdef {word.split('=')[0]}" in makefile, (
                    f"no variable {word}"
                )
            else:
                assert re.search(rf"^([\w-]+ )*{word}( [\w-]+)*:", makefile, re.M), f"no target {word}"
    elif program in ("python", "python3") and rest[0] != "-m":
        text = (ROOT / rest[0]).read_text()
        assert all(f'"{option}"' in text or option in text for option in options), f"{rest[0]} has no {options}"
    elif program in ("python", "python3"):
        assert (
            rest[1] in ("pytest", "pip")
            or (ROOT / (rest[1].replace(".", "/") + ".py")).exists()
            or (ROOT / rest[1].replace(".", "/")).is_dir()
        )
    elif program == "effnet":
        text = subprocess.run(
            [sys.executable, "-m", "effnet", rest[0], "--help"], cwd=ROOT, capture_output=True, text=True
        ).stdout
        assert "usage" in text and all(option in text for option in options)
    elif program == "dvc":
        text = subprocess.run([sys.executable, "-m", "dvc", *rest[: 2 if rest[0] in ("metrics", "params", "plots", "exp", "queue") else 1], "--help"],
                              capture_output=True, text=True).stdout  # fmt: skip
        assert "usage" in text and all(option in text for option in options)
    elif "/" in program:
        assert (ROOT / program).exists() or program.startswith(("build", "models/")), f"no file {program}"
    else:
        assert program in SYSTEM | {"pip"}, f"what is {program}?"


@pytest.fixture
def reader(committed):
    """A project whose pipeline has run, at a reader's fingertips: `make` finds this Python's environment in .venv."""
    committed.run("git", "config", "user.name", "reader")
    committed.run("git", "config", "user.email", "reader@example.org")
    return furnished(committed)


def furnished(project):
    folder = project.folder / ".venv/bin"
    folder.mkdir(parents=True)
    for name, module in (("python", ""), ("dvc", "-m dvc"), ("effnet", "-m effnet")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (folder / name).chmod(0o755)
    (folder.parent / "installed").touch()
    return project


def follow(project, command, **options):
    return project.run("bash", "-c", f"PATH=$PWD/.venv/bin:$PATH; {command}", **options).stdout


def test_the_page_of_remotes_does_what_it_says(reader, tmp_path):
    reader.run("git", "branch", "other")
    said, here = {}, reader
    for command in commands(ROOT / "docs/remotes.md"):
        if "/mnt/nas" in command:  # tests/test_remotes.py has folders and servers
            continue
        if command == "make pull":  # "In another clone"
            here = furnished(reader.clone(tmp_path / "b"))
        if command == "dvc metrics diff main":  # "Comparing branches"
            here = reader
        said[command] = follow(here, command)
    assert (
        "files sent to" in said["make push"] and "in place: " in said["make pull"] and "up to date" in said["dvc repro"]
    )
    assert "metrics/evaluate.json: equal" in said["make verify"] and said["make models"].count("in the remote") == 3
    assert "within noise" in said["make compare A=main B=other"]


# of the other pages, what takes seconds where the pipeline has run
SECONDS = [
    "make repro", "make export", "make onnx-eval infer310", "make train-ascend8 DRY_RUN=1", "effnet info efficientnet_b2", "make use RECIPE=smoke",
    "dvc metrics diff", ".venv/bin/effnet predict new.jpg --model models/effnet.onnx",
]  # fmt: skip


def test_quick_commands_run(reader):
    assert set(SECONDS) <= {command for _, command in ALL}
    follow(reader, 'python -c \'from PIL import Image; Image.new("RGB", (60, 40)).save("new.jpg")\'')
    said = {command: follow(reader, command) for command in SECONDS}
    assert "--worker_num=8" in said["make train-ascend8 DRY_RUN=1"] and said[SECONDS[-1]].startswith("new.jpg: ")
    assert not [command for command in SECONDS if reader.ran(said[command])]  # nothing was out of date


def test_every_fifth_picture_is_set_aside(tmp_path):
    names = [f"{kind}/{i} of nine.jpg" for kind in ("a cat", "dog") for i in range(1, 10)]
    for name in names:
        path = tmp_path / "data/pictures/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    block = next(b for b in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/own-data.md").read_text(), re.S) if "awk" in b)
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, check=True)
    found = {split: {str(p.relative_to(tmp_path / "data/pictures" / split)) for p in (tmp_path / "data/pictures" / split).rglob("*.jpg")}
             for split in ("train", "val")}  # fmt: skip
    assert (
        found["val"] == {"a cat/5 of nine.jpg", "dog/1 of nine.jpg", "dog/6 of nine.jpg"}
        and found["train"] == set(names) - found["val"]
    )


def test_workflows_do_what_ci_run_does():
    pages = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
    assert set(pages) == {"ci", "metrics"} and all(
        page[True] and page["jobs"] for page in pages.values()
    )  # YAML 1.1 reads `on` as true
    assert ".ci/run" in [step.get("run") for step in pages["ci"]["jobs"]["tests"]["steps"]]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


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
