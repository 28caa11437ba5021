"""Files and addresses that were damaged by chance: each ends in an answer or in one sentence, and stays as it was.

FUZZ says how many damages of each kind are tried: 50 here, thousands in `make soak`. The seed is fixed.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effnet import errors, parsed, recipe, trained
from effnet.cli import predict
from effnet.data.presets import decode, eval_preset
from effnet.errors import InputError
from effnet.files import sha256, write_json
from effnet.mindir.version_1 import to_version_1
from effnet.network import checkpoint
from effnet.results import classes
from effnet.runs.run import Run
from effnet.runtimes import NAMES, tuned
from effnet.shards.dataset import Dataset
from effnet.sources import picture
from tests import pictures
from tests.conftest import ROOT
from tools import address, facts, report, summary

ENDS = {0, 2, 75, 130}  # exit codes, see README.md
# what a hand, a half-finished program or an attacker puts into text
HOSTILE = (
    "null true -1 0 1e999 .nan .inf NaN Infinity 1e-300 99999999999999999999 [] {} '' \"\" [[]] ../../etc/passwd "
    "$HOME =cmd() $\\frac$ <script> \x00 \u2028 \ud7ff 16777217 0x10 2020-13-45 !!python/object:os.system &a *a % @ :"
).split(" ")

META = {"classes": [str(digit) for digit in range(10)]}

damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "insert", "drop", "double", "token"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=6),
        st.sampled_from(HOSTILE),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data, todo):
    """`data` after each of the damages in turn."""
    for kind, place, some, token in todo:
        at = int(place * len(data))
        if kind == "cut":
            data = data[:at]
        elif kind == "flip":
            data = data[:at] + bytes(a ^ b for a, b in zip(data[at:], some, strict=False)) + data[at + len(some) :]
        elif kind == "insert":
            data = data[:at] + some + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + 16 :]
        elif kind == "double":
            data = data[:at] + data[at : at + 64] + data[at:]
        else:  # a whole word gives way
            start = max(data.rfind(sign, 0, at) for sign in (b" ", b":", b",", b"\n", b'"')) + 1
            end = min((e for sign in (b",", b"\n", b'"', b"}", b"]") if (e := data.find(sign, at)) >= 0), default=at)
            data = data[:start] + token.encode("utf-8", "surrogatepass") + data[max(start, end) :]
    return data


def fuzzed(test):
    """Run `test(..., todo=damages)` so often, always with the same damages."""
    often = settings(
        max_examples=int(os.environ.get("FUZZ", 50)),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return often(given(todo=damages)(test))


def ends_well(work, *files):
    """Run `work` as programs are run; its answer, or None where it ended in one sentence."""
    before, said, found = [sha256(file) for file in files], io.StringIO(), []
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
        errors.run(lambda: found.append(work()))
    assert ended.value.code in ENDS | {None} and "Traceback" not in said.getvalue()
    if ended.value.code == 2:
        assert said.getvalue().startswith("error: ") and said.getvalue().count("\n") == 1, said.getvalue()
    assert [sha256(file) for file in files] == before
    return found[0] if found else None


@fuzzed
def test_recipes(todo, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    path.write_bytes(damaged((ROOT / "recipes/digits.yaml").read_bytes(), todo))
    if found := ends_well(lambda: recipe.load(path), path):
        json.dumps(recipe.training_values(found), allow_nan=False)


@pytest.fixture(scope="module")
def prepared(finished, tmp_path_factory):
    return Path(shutil.copytree(finished.folder / "data/prepared", tmp_path_factory.mktemp("fuzz") / "prepared"))


@pytest.mark.parametrize("name", ["index.json", "val.npy", "val.txt", "val-00000.tar"])
@fuzzed
def test_prepared_pictures(todo, name, prepared):
    path = prepared / name
    sound = path.read_bytes()
    path.unlink()  # a link into DVC's cache, perhaps
    path.write_bytes(damaged(sound, todo))
    try:

        def work():
            dataset = Dataset(prepared, "val")
            classes.require_same(META, dataset, "the model", "the pictures")
            return [(dataset.read(i), dataset.names[i], dataset.classes[dataset.labels[i]]) for i in range(5)]

        ends_well(work, path)
    finally:
        path.write_bytes(sound)


@fuzzed
def test_checkpoints(todo, finished, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged.ckpt"
    path.write_bytes(damaged((finished.folder / "models/effnet.ckpt").read_bytes(), todo))
    ends_well(lambda: trained.load(path), path)


@fuzzed
def test_what_a_checkpoint_says_of_itself(todo, finished, tmp_path_factory):
    weights, meta = checkpoint.load(finished.folder / "models/effnet.ckpt")
    text = damaged(json.dumps(meta).encode(), todo)
    try:
        meta = json.loads(text)
    except ValueError:  # the checksum of the file would have told
        return
    path = tmp_path_factory.getbasetemp() / "meta.ckpt"
    checkpoint.save(path, weights, meta)
    ends_well(lambda: trained.load(path), path)


@fuzzed
def test_the_record_of_a_run(todo, finished, tmp_path_factory):
    """It is believed of the same recipe and data only; else what is there is trained anew."""
    path, said = tmp_path_factory.getbasetemp() / "run.json", []
    sound = (finished.folder / "metrics/provenance/run.json").read_bytes()
    path.write_bytes(damaged(sound, todo))
    identity, model = json.loads(sound)["identity"], finished.folder / "models/effnet.ckpt"
    run = Run(path.with_name("none"), identity, say=said.append, model=model, record=path)
    place = ends_well(lambda: run.take_up([]), path)
    assert place is None or (place.history and place.epoch >= 1)


@pytest.fixture(scope="module")
def exported(finished):
    return onnx.load(finished.folder / "models/effnet.onnx")


@fuzzed
def test_what_an_onnx_file_says_of_itself(todo, exported, tmp_path_factory):
    path, changed = tmp_path_factory.getbasetemp() / "damaged.onnx", onnx.ModelProto()
    changed.CopyFrom(exported)
    property = changed.metadata_props[len(str(todo)) % len(changed.metadata_props)]
    property.value = damaged(property.value.encode(), todo).decode("utf-8", "replace")
    onnx.save(changed, path)

    def work():
        return list(predict.predict(predict.load(str(path)), [str(ROOT / "docs")]))

    ends_well(work, path)


@fuzzed
def test_mindir(todo, finished, tmp_path_factory):
    """Damages fall where the graph is, and its weights make up most of the file."""
    path = tmp_path_factory.getbasetemp() / "damaged.mindir"
    sound = (finished.folder / "models/effnet.mindir").read_bytes()
    path.write_bytes(damaged(sound, [(kind, place**8, *rest) for kind, place, *rest in todo]))
    ends_well(lambda: to_version_1(path, path.with_suffix(".1")), path)


@fuzzed
def test_what_was_tuned(todo, finished, tmp_path_factory):
    model, rows = finished.folder / "models/effnet.onnx", []
    for name, batch in (("onnx", 1), ("openvino-bfloat16", 8)):
        row = {"runtime": name, "threads": 2, "batch": batch, "images_per_second": 99.5, "equal_top1": 1.0}
        rows.append(row)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tuned, "CACHE", tmp_path_factory.getbasetemp())
        path = tuned.keep(model, rows, 0.99, "3 of 3 pictures of album")
        path.write_bytes(damaged(path.read_bytes(), todo))
        if row := ends_well(lambda: tuned.find(model, 8), path):
            assert row["runtime"] in NAMES and row["batch"] <= 8 and 1 <= row["threads"] <= 1024


@pytest.fixture(scope="module")
def measured(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "measured"
    for name in ("metrics", "params.yaml", "models/effnet.json"):
        source, target = finished.folder / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return folder


FIGURES = ["evaluate.json", "train.json", "provenance/evaluate.json", "clock/evaluate.json", "onnx/int8.json"]
FIGURES += ["evaluate/per_image.csv", "evaluate/per_class.csv", "evaluate/calibration.csv", "parity/pairs.csv"]
FIGURES += ["train/plots/metrics/loss.tsv"]


@pytest.mark.parametrize("name", FIGURES)
@fuzzed
def test_figures(todo, name, measured):
    path = measured / "metrics" / name
    sound = path.read_bytes()
    path.unlink()
    path.write_bytes(damaged(sound, todo))

    def work():
        found = facts.read(measured)
        told = [facts.title(found), *facts.origin(found), facts.versions(found), *report.parity(found)]
        return (
            summary.aligned([facts.HEADER, *facts.results(found["metrics"])]),
            told,
            str(facts.calibration_error(found["calibration"])),
        )

    try:
        if found := ends_well(work, path):
            json.dumps(found, allow_nan=False)
            assert "nan" not in found[0] and "nan" not in found[2]
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("kind", ["jpeg", *pictures.odd()])
@fuzzed
def test_pictures(todo, kind):
    data = damaged((pictures.odd() | {"jpeg": pictures.jpeg(0)})[kind], todo)
    picture.problem(data)
    look = eval_preset(recipe.Evaluate(resize=40, crop=32, interpolation="bicubic", batch_size=1, amp_level="O0"))
    with contextlib.suppress(InputError):
        assert decode(data).dtype == look(data).dtype == np.uint8


ADDRESSES = ["s3://bucket/path", "ssh://user:pass%40word@host:22/path", "https://user:secret@host:8443/path", "folder"]


@pytest.mark.parametrize("text", ADDRESSES)
@fuzzed
def test_addresses(todo, text):
    found = damaged(text.encode(), todo).decode("utf-8", "replace")
    if parsed_ := ends_well(lambda: address.parse(found)):
        assert not parsed_.password or parsed_.password not in parsed_.url


OPTIONS = ["--threads", "--help"]


@pytest.mark.parametrize("what", ["options", "meta", "picture"])
@fuzzed
def test_the_cpp_program(todo, what, effnet310_sanitized, tmp_path_factory):
    """All of it but MindSpore Lite, under sanitizers: what a damage breaks ends in an exit code and one line."""
    folder = tmp_path_factory.getbasetemp() / "cpp"
    folder.mkdir(exist_ok=True)
    meta = META | {"mean": [120] * 3, "std": [60] * 3, "resize": 40, "height": 32, "width": 32}
    files = {
        "meta": json.dumps(meta | {"interpolation": "bicubic"}).encode(),
        "picture": pictures.jpeg(0) if len(str(todo)) % 2 else b"P6 48 40 255 " + bytes(5760),
    }
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(damaged(data, todo) if name == what else data)
    arguments = [
        "--model",
        "m",
        "--meta",
        "meta.jpg",
        "--input",
        "picture.jpg",
        "--json",
        "a.json",
        "--logits",
        "a.npy",
    ]
    if what == "options":
        text = damaged("\n".join([*arguments, "--top=3"]).encode(), todo).replace(b"\0", b"")
        more = OPTIONS[: len(str(todo)) % 3][-1:]
        arguments = [*text.split(b"\n"), *more]
    done = subprocess.run([effnet310_sanitized / "inputs", *arguments], cwd=folder, capture_output=True, timeout=60)
    assert done.returncode in (0, 2, 4), done.stderr
    if done.returncode == 2:
        assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1, done.stderr


def test_a_figure_that_is_no_number_is_not_written(tmp_path):
    with pytest.raises(InputError, match="NaN or infinite, so it is not written"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_the_metrics_schema_takes_what_the_pipeline_writes(finished):
    for name in ("evaluate", "infer310", "onnx/float32"):
        assert parsed.json_file(finished.folder / f"metrics/{name}.json", parsed.Metrics)["images"] == 359
