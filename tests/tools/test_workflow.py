"""What reviewers and teams do: two branches compared, experiments run, queued and turned into branches."""

import json
import re
import subprocess
import sys
import sysconfig

import pytest
import yaml

from tests.conftest import ROOT, copied
from tests.test_docs import furnished
from tests.tools.test_remotes import SHIPPED

SHORT = ["-S", "train.epoch_size=1", "-S", "train.warmup_epochs=0"]


@pytest.fixture(scope="module")
def branches(finished, tmp_path_factory):
    """A project with the branches `main` and `slower`, both run and committed; `slower` learns so little that it
    must be worse, and ships its results.
    """
    project = copied(finished, tmp_path_factory.mktemp("branches") / "project").commit("run")
    project.run("git", "switch", "-qc", "slower")
    project.set(train__lr_max=1.0e-5, train__epoch_size=1, train__warmup_epochs=0.0)
    project.run("dvc", "repro")
    project.run("dvc", "push", "-r", "shipped", *SHIPPED)
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
    branches.run("dvc", "checkout", "--allow-missing")
    branches.run("dvc", "exp", "run", "-n", "short", *SHORT, "evaluate")
    shown = json.loads(branches.run("dvc", "exp", "show", "--json").stdout)
    found = {e["name"]: e["revs"][0]["data"] for base in shown for e in base.get("experiments") or []}
    assert found["short"]["params"]["params.yaml"]["data"]["train"]["epoch_size"] == 1
    assert 0 < found["short"]["metrics"]["metrics/evaluate.json"]["data"]["top1"] <= 1
    branches.run("dvc", "exp", "branch", "short", "shorter")
    assert branches.run("git", "show", "shorter:params.yaml").stdout.count("epoch_size: 1\n") == 1
    assert "short" in branches.run("python", "-m", "tools.compare", "main", "short").stdout


def test_experiments_beside_the_workspace_run_the_code_they_were_given(branches, tmp_path):
    """One from the queue and a temporary one, in a clean clone, which they leave as it is."""
    clone = branches.clone(tmp_path / "clone", "-b", "main")
    loop = clone.folder / "effnet/training/loop.py"
    code = loop.read_text()
    loop.write_text(f'print("code of queued")\n{code}')
    clone.run("dvc", "exp", "run", "--queue", "-n", "queued", "-S", "train.lr_max=0.001", *SHORT, "evaluate")
    loop.write_text(f'print("code of the workspace")\n{code}')
    clone.run("dvc", "queue", "start")
    done = clone.run("dvc", "exp", "run", "--temp", "-n", "now", *SHORT, "evaluate")
    assert re.findall("^code of .*", done.stdout, re.M) == ["code of the workspace"]
    said = clone.run("dvc", "queue", "logs", "-f", "queued").stdout
    assert re.findall("^code of .*", said, re.M) == ["code of queued"]
    assert "Success" in clone.run("dvc", "queue", "status").stdout
    assert clone.run("git", "status", "--porcelain").stdout == " M effnet/training/loop.py\n"
    assert not (clone.folder / "models").exists()
    for name, code in (("queued", "code of queued"), ("now", "code of the workspace")):
        clone.run("dvc", "exp", "branch", name, f"branch-{name}")
        assert code in clone.run("git", "show", f"branch-{name}:effnet/training/loop.py").stdout
    assert json.loads(clone.run("git", "show", "branch-now:metrics/train.json").stdout)["epoch"] == 1
    diff = json.loads(clone.run("dvc", "params", "diff", "now", "queued", "--json").stdout)["params.yaml"]
    assert diff == {"train.lr_max": {"old": 0.003, "new": 0.001, "diff": -0.002}}


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


@pytest.fixture(scope="module")
def pull_request(branches, tmp_path_factory):
    """A clone on the branch `slower`, and f(step) that runs the shell of the workflow's step in it as GitHub does."""
    folder = tmp_path_factory.mktemp("pull_request")
    clone = furnished(branches.clone(folder / "clone", "-b", "slower"))
    steps = yaml.safe_load((ROOT / ".github/workflows/metrics.yml").read_text())["jobs"]["results"]["steps"]
    scripts = {step["name"]: step["run"].replace("${{ github.base_ref }}", "main") for step in steps if "name" in step}
    env = {"GITHUB_STEP_SUMMARY": str(folder / "summary")}

    def step(name, check=True):
        return clone.run("bash", "-euo", "pipefail", "-c", scripts[name], env=env, check=check)

    assert "in place: " in step("the models can be pulled").stdout
    return clone, step


def test_what_a_pull_request_is_told(pull_request):
    clone, step = pull_request
    step("dvc.lock is what recipe, data and code give")
    assert "metrics/evaluate.json: equal" in step("and earn the committed numbers").stdout
    done = step("what changed, as a table")
    assert "left out" not in done.stdout  # of this branch; main's quantized metrics are in no remote here
    rows = [
        [cell.strip() for cell in line.split("|")] for line in (clone.folder / "comment.md").read_text().splitlines()
    ]
    changes = {(row[1], row[2]): row[-2] for row in rows if len(row) > 4}  # (file, name): what changed
    assert (
        changes["metrics/evaluate.json", "top1"].startswith("-") and float(changes["metrics/evaluate.json", "loss"]) > 0
    )
    assert ("params.yaml", "train.lr_max") in changes and (clone.folder.parent / "summary").stat().st_size > 100
    assert (clone.folder / "comment.md").read_text().startswith("### Metrics against")  # by which it is found again


def test_a_lock_that_does_not_fit_the_recipe_fails_a_pull_request(pull_request):
    clone, step = pull_request
    clone.set(evaluate__batch_size=7)
    done = step("dvc.lock is what recipe, data and code give", check=False)
    assert done.returncode == 1 and "dvc.lock is out of date" in done.stdout
    assert "evaluate" in clone.ran(done.stdout) and "train" not in clone.ran(done.stdout)
