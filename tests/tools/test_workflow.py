"""What reviewers and teams do: two branches compared, experiments run, queued and turned into branches."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
import yaml

from tests.conftest import ROOT, Project

SHORT = ["-S", "train.epoch_size=1", "-S", "train.warmup_epochs=0"]


@pytest.fixture(scope="module")
def branches(finished, tmp_path_factory):
    """A project with the branches `main` and `slower`, both run and committed; `slower` learns so little that it
    must be worse.
    """
    folder = tmp_path_factory.mktemp("branches") / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    project = Project(folder).commit("run")
    project.run("git", "switch", "-qc", "slower")
    project.set(train__lr_max=1.0e-5, train__epoch_size=1, train__warmup_epochs=0.0)
    project.run("dvc", "repro", "evaluate")
    return project.commit("a smaller rate")


def test_metrics_params_and_plots_of_two_branches_differ_as_expected(branches):
    metrics = json.loads(branches.run("dvc", "metrics", "diff", "main", "slower", "--json").stdout)[
        "metrics/evaluate.json"
    ]
    assert metrics["top1"]["diff"] < 0 and metrics["loss"]["diff"] > 0 and "images" not in metrics
    params = json.loads(branches.run("dvc", "params", "diff", "main", "slower", "--json").stdout)["params.yaml"]
    assert params["train.lr_max"]["new"] == 1.0e-5 and params["train.epoch_size"] == {"old": 2, "new": 1, "diff": -1}
    assert set(params) == {"train.lr_max", "train.epoch_size", "train.warmup_epochs"}
    branches.run("dvc", "plots", "diff", "main", "slower", "-o", "diff")
    page = (branches.folder / "diff/index.html").read_text()
    for words in ("Loss", "Validation accuracy", "main", "slower", "Confusion"):
        assert words in page


def test_compare_tells_a_difference_from_noise(branches):
    out = branches.run("python", "-m", "tools.compare", "main", "slower").stdout
    assert "main is better than slower by" in out and "McNemar" in out
    assert "within noise" in branches.run("python", "-m", "tools.compare", "main", "main").stdout


def test_an_experiment_is_run_shown_and_made_a_branch(branches):
    branches.run("git", "switch", "-q", "main")
    branches.run("dvc", "checkout")
    branches.run("dvc", "exp", "run", "-n", "short", *SHORT, "evaluate")
    shown = json.loads(branches.run("dvc", "exp", "show", "--json").stdout)
    found = {e["name"]: e["revs"][0]["data"] for base in shown for e in base.get("experiments") or []}
    assert found["short"]["params"]["params.yaml"]["data"]["train"]["epoch_size"] == 1
    assert 0 < found["short"]["metrics"]["metrics/evaluate.json"]["data"]["top1"] <= 1
    branches.run("dvc", "exp", "branch", "short", "shorter")
    assert branches.run("git", "show", "shorter:params.yaml").stdout.count("epoch_size: 1\n") == 1
    assert "short" in branches.run("python", "-m", "tools.compare", "main", "short").stdout


def test_a_queue_with_two_workers_in_a_clean_clone(branches, tmp_path):
    clone = branches.clone(tmp_path / "clone", "-b", "main")
    for rate in (0.001, 0.002):
        name = f"rate-{int(rate * 1000)}"
        clone.run("dvc", "exp", "run", "--queue", "-n", name, "-S", f"train.lr_max={rate}", *SHORT, "evaluate")
    clone.run("dvc", "queue", "start", "-j", "2")
    clone.run("dvc", "queue", "logs", "-f", "rate-1")
    clone.run("dvc", "queue", "logs", "-f", "rate-2")
    status = clone.run("dvc", "queue", "status").stdout
    assert status.count("Success") == 2, status
    diff = json.loads(clone.run("dvc", "params", "diff", "rate-1", "rate-2", "--json").stdout)["params.yaml"]
    assert diff == {"train.lr_max": {"old": 0.001, "new": 0.002, "diff": 0.001}}


def test_a_queued_experiment_runs_the_code_that_was_queued(branches, tmp_path):
    clone = branches.clone(tmp_path / "clone", "-b", "main")
    loop = clone.folder / "effnet/training/loop.py"
    code = loop.read_text()
    loop.write_text(f'print("code that was queued")\n{code}')
    clone.run("dvc", "exp", "run", "--queue", "-n", "then", *SHORT, "evaluate")
    loop.write_text(f'print("code of the workspace")\n{code}')
    clone.run("dvc", "queue", "start")
    said = clone.run("dvc", "queue", "logs", "-f", "then").stdout
    assert "code that was queued" in said and "code of the workspace" not in said
    done = clone.run("dvc", "exp", "run", "--temp", "-n", "now", *SHORT, "evaluate")
    assert "code of the workspace" in done.stdout and "code that was queued" not in done.stdout
    clone.run("dvc", "exp", "branch", "then", "queued")
    assert "code that was queued" in clone.run("git", "show", "queued:effnet/training/loop.py").stdout


def test_the_environments_own_dvc_runs_the_environments_python(tmp_path):
    """setup.sh sees to it, though nobody activated the environment: PATH here has another Python, or none."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    block = re.search(r"^\.venv/bin/python - <<'EOF'\n.*?^EOF$", (ROOT / "setup.sh").read_text(), re.S | re.M)[0]
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, check=True)
    packages = next((tmp_path / ".venv/lib").glob("python3*/site-packages"))
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    stage = {"cmd": "python -c 'import sys; print(sys.prefix)' > prefix", "outs": ["prefix"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"which": stage}}))
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for command in (["init", "-q", "--no-scm"], ["repro"]):
        subprocess.run([tmp_path / ".venv/bin/python", "-m", "dvc", *command], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "prefix").read_text().strip() == str(tmp_path / ".venv")


def test_an_experiment_from_a_clean_clone_leaves_the_clone_clean(branches, tmp_path):
    clone = branches.clone(tmp_path / "clone", "-b", "main")
    clone.run("dvc", "exp", "run", "--temp", "-n", "aside", *SHORT, "evaluate")
    assert clone.run("git", "status", "--porcelain").stdout == "" and not (clone.folder / "models").exists()
    clone.run("dvc", "exp", "branch", "aside", "short")
    assert json.loads(clone.run("git", "show", "short:metrics/train.json").stdout)["epoch"] == 1


def test_what_a_pull_request_is_told(branches, tmp_path):
    steps = yaml.safe_load((ROOT / ".github/workflows/metrics.yml").read_text())["jobs"]["diff"]["steps"]
    script = next(step["run"] for step in steps if "comment.md" in step.get("run", "")).replace(
        "${{ github.base_ref }}", "main"
    )
    branches.run("git", "switch", "-qf", "slower")  # an experiment's results lie in the workspace
    branches.run("dvc", "push", "-r", "shipped", "metrics/quantized")
    branches.commit("shipped")
    clone = branches.clone(tmp_path / "clone", "-b", "slower")
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    done = clone.run("bash", "-euo", "pipefail", "-c", script, env=env)
    assert "failed to load" not in done.stderr and "left out" not in done.stdout
    rows = [
        [cell.strip() for cell in line.split("|")] for line in (clone.folder / "comment.md").read_text().splitlines()
    ]
    changes = {(row[1], row[2]): row[-2] for row in rows if len(row) > 4}  # (file, name): what changed
    assert (
        changes["metrics/evaluate.json", "top1"].startswith("-") and float(changes["metrics/evaluate.json", "loss"]) > 0
    )
    assert ("params.yaml", "train.lr_max") in changes and (tmp_path / "summary").stat().st_size > 100
