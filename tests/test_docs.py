"""README and docs: links lead somewhere, commands exist with the options shown, generated pages are up to date."""

import re
import shlex
import subprocess
import sys
import time
from collections import defaultdict

import pytest
import yaml

from effnet.weights import pretrained
from tests.conftest import ROOT, Project
from tests.pictures import jpeg
from tests.tools import servers
from tools import recipe_page

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = "effnet|stages|tools|tests|bench|docs|recipes|infer310|metrics|models|.ci|.github"
ELSEWHERE = "needs "  # "(needs hardware)", "needs a server": what no test can run here
# programs of the system, not of this project
SYSTEM = set(
    "$EDITOR cd cmake cp ctest export find for git hccn_tool ls mkdir mv npu-smi rm source sudo tar unzip".split()
)
SPOKEN_IN_TWO = ("artifacts", "exp", "metrics", "params", "plots", "queue")  # `dvc exp run`
PROGRAMS = {"pip", "pytest"}  # of the environment, also as `python -m`


def commands(page):
    """Command lines of the page's ```sh blocks, comments taken off, joined where they go on; without those that need
    what is not here.
    """
    for block in re.findall(r"```(?:sh|bash|shell)\n(.*?)```", page.read_text(), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and ELSEWHERE not in line and not re.match(r"\s*(\./|\$\w+/|[a-z]+=)", line):
                yield from re.split(r"\s+&&\s+", re.sub(r"\s+#.*", "", line).strip())


def module(name):
    """The file that `python -m NAME` runs."""
    path = ROOT / name.replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


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
            name = word.split("=")[0]
            if "=" in word:  # read by the Makefile, or handed on to what it runs and named in `make help`
                used = re.search(rf"\$\$\{{?{name}\b|\$\({name}\)|ifdef {name}|##.*\b{name}=", makefile)
                assert used, f"no variable {name}"
            else:
                assert re.search(rf"^([\w-]+ )*{name}( [\w-]+)*:", makefile, re.M), f"no target {name}"
    elif program in ("python", "python3"):
        assert rest[0] == "-m", f"{command}: programs of this project are modules"
        if rest[1] in PROGRAMS:
            assert all((ROOT / word).exists() for word in rest[2:] if "/" in word), command
        else:
            text = module(rest[1]).read_text()
            assert all(f'"{option}"' in text for option in options), f"{rest[1]} has no {options}"
    elif program == "effnet":
        assert_options(options, "effnet", rest[0])
    elif program == "gto":
        assert_options(options, "gto.cli", rest[0])
    elif program == "dvc":
        assert_options(options, "dvc", *rest[: 2 if rest[0] in SPOKEN_IN_TWO else 1])
    elif "/" in program:
        assert (ROOT / program).exists() or program.startswith(("build", "models/")), f"no file {program}"
    else:
        assert program in SYSTEM | PROGRAMS, f"what is {program}?"


def assert_options(options, *command):
    command = [sys.executable, "-m", *command, "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert "usage" in text.lower() and all(option in text for option in options)


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


def test_the_pages_of_remotes_and_of_what_is_shipped_do_what_they_say(reader, tmp_path):
    shipping = [command for command in commands(ROOT / "CONTRIBUTING.md") if "shipped" in command]
    assert len(shipping) == 3
    for command in shipping:
        follow(reader, command)
    reader.commit("shipped").run("git", "branch", "other")
    said, here = defaultdict(list), furnished(reader.clone(tmp_path / "first"))
    for command in commands(ROOT / "docs/remotes.md"):
        if "/mnt/nas" in command:  # tests/tools/test_remotes.py has folders and servers
            continue
        if command in ("make remote", "dvc metrics diff main"):  # "Your team's", "Comparing branches"
            here = reader
        if command == "make pull" and "make push" in said:  # "In another clone"
            here = furnished(reader.clone(tmp_path / "b"))
        said[command].append(follow(here, command))
    first, second = said["make pull"]
    assert "makes the rest, without training: " in first and "in place: " in second and "the rest" not in second
    assert sorted(reader.ran(said["make repro"][0])) == ["build310", "export", "quantize"]
    assert "files sent to" in said["make push"][0] and reader.ran(said["dvc repro"][0]) == []
    assert "metrics/evaluate.json: equal" in said["make verify"][0]
    assert len(re.findall("in remote .*folder", said["make models"][0])) == 3
    assert "within noise" in said["make compare A=main B=other"][0]


def test_the_page_of_experiments_does_what_it_says(reader):
    said = {}
    for command in commands(ROOT / "docs/experiments.md"):
        if command == 'git commit -m "Smoke"':  # this project is there already
            continue
        if command.startswith("dvc queue logs"):
            wait_for_the_queue(reader)
        said[command] = follow(reader, command)
    table = next(text for command, text in said.items() if command.startswith("dvc exp show"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()]
    assert rows[0] == ["Experiment", "metrics/evaluate.json:top1", "metrics/evaluate.json:loss", "train.lr_max"]
    assert {row[-1] for row in rows[2:]} == {"0.001", "0.002", "0.003", "0.004"}
    assert max(map(len, table.splitlines())) <= 120
    shown = re.findall(r"^\|.*", (ROOT / "docs/experiments.md").read_text(), re.M)  # the page's own: made the same way
    measured = {row[-1]: row[1:3] for row in rows[2:]}
    assert {cells[-1]: cells[1:3] for cells in ([c.strip() for c in r.split("|")[1:-1]] for r in shown[2:])} == measured
    assert reader.ran(said["make repro"])
    assert "lr_max: 0.002" in reader.run("git", "show", "lower-rate:params.yaml").stdout
    assert "main" in said["make compare A=main B=lower-rate"]
    assert reader.run("git", "status", "--porcelain").stdout == ""
    assert "rate-1" not in reader.run("dvc", "exp", "ls").stdout


def wait_for_the_queue(project, seconds=900):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = project.run("dvc", "queue", "status").stdout
        if "Queued" not in status and "Running" not in status:
            break
        time.sleep(1)
    assert status.count("Success") == 3, status


def test_the_page_of_the_registry_does_what_it_says(reader, tmp_path):
    (tmp_path / "effnet").symlink_to(reader.folder)
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    said = {}
    for command in commands(ROOT / "docs/registry.md"):
        said[command] = follow(elsewhere if "artifacts" in command else reader, command)
    assert said["gto show"].strip() in (ROOT / "docs/registry.md").read_text()
    for name, model in (("effnet.ckpt", "models/effnet.ckpt"), ("v1.onnx", "models/effnet.onnx")):
        assert (elsewhere.folder / name).read_bytes() == (reader.folder / model).read_bytes()
    tags = reader.run("git", "for-each-ref", "--format=%(refname:short) %(objecttype)", "refs/tags").stdout.split("\n")
    assert set(tags) == {"checkpoint@v1.0.0 tag", "checkpoint#production#1 tag", "onnx@v1.0.0 tag", ""}


def test_a_model_is_had_by_address_from_what_is_published(reader, tmp_path):
    follow(reader, "make publish")
    with servers.http(reader.folder / "build/publish", tmp_path / "log") as url:
        follow(reader, f"make remote URL={url}")
        reader.commit("remote").run("gto", "register", "onnx", "--version", "v2.0.1")
        elsewhere = Project(tmp_path / "elsewhere")
        elsewhere.folder.mkdir()
        elsewhere.run("dvc", "artifacts", "get", f"file://{reader.folder}", "onnx", "--remote", "http")
    assert (elsewhere.folder / "effnet.onnx").read_bytes() == (reader.folder / "models/effnet.onnx").read_bytes()


# of the other pages, what takes seconds where the pipeline has run
PREDICT = ".venv/bin/effnet predict new.jpg --model models/effnet.onnx"
DRY_RUN = "make train-ascend8 DRY_RUN=1"
SECONDS = ["make repro", "make export", "make onnx-eval infer310", "dvc metrics diff", "make use RECIPE=smoke"]
SECONDS += ["effnet info efficientnet_b2", DRY_RUN, PREDICT]


def test_quick_commands_run(reader):
    assert set(SECONDS) <= {command for _, command in ALL}
    follow(reader, 'python -c \'from PIL import Image; Image.new("RGB", (60, 40)).save("new.jpg")\'')
    said = {command: follow(reader, command) for command in SECONDS}
    assert "--worker_num=8" in said[DRY_RUN] and said[PREDICT].startswith("new.jpg: ")
    assert not [command for command in SECONDS if reader.ran(said[command])]  # nothing was out of date


@pytest.mark.soak  # tests/pipeline/test_identity.py has it without make
def test_a_training_from_the_beginning(reader):
    model = reader.folder / "models/effnet.ckpt"
    before = model.read_bytes()
    said = follow(reader, "make repro ANEW=1")
    assert "make repro ANEW=1" in {command for _, command in ALL}
    assert reader.ran(said) == ["train"] and "ANEW=1: it gives way" in said  # what comes after finds the same bytes
    assert model.read_bytes() == before


def test_the_page_of_evaluation_does_what_it_says(reader):
    page, own, flat = list(commands(ROOT / "docs/evaluate.md")), "data/pictures/val", "data/raw/imagenet-100"
    wnids = pretrained.imagenet_classes()[0][::10]
    for name in [*(f"{own}/{digit}/1.JPEG" for digit in (7, 3)), *(f"{flat}/{wnid}_1.JPEG" for wnid in wnids)]:
        (reader.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (reader.folder / name).write_bytes(jpeg(len(name)))
    if (ROOT / "data/raw/weights").is_dir():
        (reader.folder / "data/raw/weights").symlink_to(ROOT / "data/raw/weights")
    model, said = (reader.folder / "models/effnet.ckpt").read_bytes(), {}
    for command in page:
        done = reader.run("bash", "-c", f"PATH=$PWD/.venv/bin:$PATH; {command}", check=False)
        if "could not download" not in done.stderr:  # other people's weights come over the network
            assert done.returncode == 0, done.stderr
            said[command] = done.stdout
    assert len(page) == 4 and "MindSpore  " in said[page[0]] and "ONNX Runtime  " in said[page[0]]
    assert all(words in said[page[1]] for words in ("float16", "int8", "C++, MindSpore Lite"))
    assert (
        "2 pictures, 2 classes read as the model's class ids" in said[page[2]] and "of the 2 present" in said[page[2]]
    )
    if page[3] in said:
        assert "100 pictures, 100 classes read as wnids of ImageNet" in said[page[3]]
        assert "published top-1 75.10% on 50,000 pictures, these 100 are only indicative" in said[page[3]]
    assert (reader.folder / "models/effnet.ckpt").read_bytes() == model
    assert not [line for line in reader.run("git", "status", "--porcelain").stdout.splitlines() if ".venv" not in line]


def test_every_fifth_picture_is_set_aside(tmp_path):
    names = [f"{kind}/{i} of nine.jpg" for kind in ("a cat", "dog") for i in range(1, 10)]
    for name in names:
        path = tmp_path / "data/pictures/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    block = next(b for b in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/own-data.md").read_text(), re.S) if "awk" in b)
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, check=True)
    folders = {split: tmp_path / "data/pictures" / split for split in ("train", "val")}
    found = {split: {str(p.relative_to(f)) for p in f.rglob("*.jpg")} for split, f in folders.items()}
    assert found["val"] == {"a cat/5 of nine.jpg", "dog/1 of nine.jpg", "dog/6 of nine.jpg"}
    assert found["train"] == set(names) - found["val"]


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


MADE = re.compile(r"(models|metrics)/")  # what the pipeline makes is not here in a fresh clone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_modules_that_are_named_exist(page):
    text = page.read_text()
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", text):
        assert (ROOT / name).exists() or MADE.match(name), f"{page.name} names {name}"
    for name in re.findall(r"python -m ((?:effnet|stages|tools|tests|bench)[\w.]*)", text):
        assert module(name).exists() or name.endswith(".NAME"), f"{page.name} names {name}"


@pytest.mark.parametrize("path", ["Makefile", "setup.sh", "dvc.yaml", ".ci/run", "bench/gpu.sh"])
def test_modules_that_are_run_exist(path):
    for name in re.findall(r"-m ((?:effnet|stages|tools|tests|bench)[\w.]*)", (ROOT / path).read_text()):
        assert module(name).exists(), f"{path} runs {name}"


def test_every_page_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert not [page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme]


def test_docs_hold_pages_only():
    assert {path.suffix for path in (ROOT / "docs").iterdir()} == {".md"}


def test_the_page_of_parameters_is_the_schema():
    assert recipe_page.PAGE.read_text() == recipe_page.page(), "run `python -m tools.recipe_page`"
