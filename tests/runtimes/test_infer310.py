"""effnet310, the C++ application: bytes as Pillow's, logits as MindSpore's, damage survived, refusals of one
sentence.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from effnet.arch.initial import initial_weights
from effnet.errors import InputError
from effnet.files import write_json
from effnet.mindir.version_1 import to_version_1
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.results.metrics import results
from effnet.runtimes import infer310
from tests import pictures
from tests.conftest import ROOT, SHARED

ms.set_context(mode=ms.GRAPH_MODE)
META = {
    "classes": list("abcdefghij"),
    "mean": [123.7, 116.3, 103.5],
    "std": [58.4, 57.1, 57.4],
    "interpolation": "bilinear",
}
SIZES = [(64, 64), (97, 61), (61, 97), (33, 40), (40, 203), (500, 375), (32, 32)]


def varied():
    """JPEGs as cameras, scanners and printers make them: {name: bytes}."""
    files = {"exif": pictures.jpeg(1, exif=pictures.odd()["exif"][6:40]), "trailing": pictures.odd()["trailing"]}
    for seed, size in enumerate(SIZES):
        for progressive in (False, True):
            kind = f"{size[0]}x{size[1]}{'-progressive' * progressive}"
            files[f"{kind}-grey"] = pictures.jpeg(seed, size, "L", progressive=progressive)
            for subsampling in (0, 1, 2):  # 4:4:4, 4:2:2, 4:2:0
                for mode in ("RGB", "CMYK"):
                    options = {"progressive": progressive, "subsampling": subsampling}
                    files[f"{kind}-{mode}-{subsampling}"] = pictures.jpeg(seed, size, mode, **options)
    return files


def with_pillow(data, meta):
    """Pre-processing by Pillow and NumPy alone: float32 (3, height, width)."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    (w, h), side = image.size, meta["resize"]
    w, h = (side, side * h // w) if w <= h else (side * w // h, side)
    image = image.resize(
        (w, h), {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[meta["interpolation"]]
    )
    left, top = round((w - meta["width"]) / 2), round((h - meta["height"]) / 2)
    pixels = np.asarray(image.crop((left, top, left + meta["width"], top + meta["height"])), np.float32)
    return ((pixels - np.float32(meta["mean"])) / np.float32(meta["std"])).transpose(2, 0, 1)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize, height, width", [(32, 32, 32), (40, 32, 32), (47, 31, 40), (120, 96, 96)])
def test_model_input_is_pillows_byte_for_byte(resize, height, width, interpolation, effnet310, tmp_path):
    meta = META | {"resize": resize, "height": height, "width": width, "interpolation": interpolation}
    write_json(tmp_path / "meta.json", meta)
    files = varied()
    if SHARED.is_dir():
        files |= {path.name: path.read_bytes() for path in sorted((SHARED / "imagenet100").glob("*.JPEG"))[:10]}
    for name, data in files.items():
        (tmp_path / "a.jpg").write_bytes(data)
        out = subprocess.run(
            [effnet310 / "prepare", tmp_path / "meta.json", tmp_path / "a.jpg"], capture_output=True, check=True
        ).stdout
        np.testing.assert_array_equal(
            np.frombuffer(out, np.float32).reshape(3, height, width), with_pillow(data, meta), err_msg=name
        )


def test_unit_tests(effnet310_sanitized):
    done = subprocess.run(["ctest", "--output-on-failure"], cwd=effnet310_sanitized, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "100% tests passed" in done.stdout


def test_ten_thousand_damaged_jpegs(effnet310_sanitized, tmp_path):
    files = [
        pictures.jpeg(0, mode=mode, progressive=progressive)
        for mode in ("L", "RGB", "CMYK")
        for progressive in (False, True)
    ]
    for i, data in enumerate(files):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    command = [effnet310_sanitized / "damage", "10000", *sorted(tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr[-3000:]
    read, refused = (int(word) for word in done.stdout.split() if word.isdigit())
    assert read + refused == 10000 and min(read, refused) > 1000  # the damage is neither harmless nor all fatal


class Model:
    """A toy network on disk as effnet310 takes it, and the same in MindSpore."""

    def __init__(self, folder, program, height=32, width=32, batch=None):
        self.program, self.mindir, self.json = program, folder / "effnet.mindir", folder / "effnet.json"
        self.net = EfficientNet("efficientnet_toy", 10)
        self.net.update_parameters_name()
        load_weights(self.net, initial_weights({p.name: p.shape for p in self.net.get_parameters()}, seed=1))
        self.net.set_train(False)
        shape = ms.Tensor(shape=[batch, 3, height, width], dtype=ms.float32)
        ms.export(self.net, shape, file_name=str(folder / "version3"), file_format="MINDIR")
        to_version_1(folder / "version3.mindir", self.mindir)
        self.meta = META | {"resize": 40, "height": height, "width": width}
        write_json(self.json, self.meta)

    def logits(self, files):
        return self.net(ms.Tensor(np.stack([with_pillow(data, self.meta) for data in files]))).asnumpy()

    def run(self, *options, model=None, meta=None):
        command = [self.program, "--model", model or self.mindir, "--meta", meta or self.json, *options]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def model(effnet310, tmp_path_factory):
    return Model(tmp_path_factory.mktemp("model"), effnet310 / "effnet310")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine good pictures, one of them in a sub-folder, and a file of another kind."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "sub").mkdir()
    for i, mode in enumerate(["RGB", "L", "CMYK"] * 3):
        (folder / ("sub" if i == 8 else "") / f"{i}.jpg").write_bytes(pictures.jpeg(i, (50 + i, 60), mode))
    (folder / "list.txt").write_text("0.jpg\n")
    return folder


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_answers_are_mindspores(batch, model, folder, tmp_path):
    done = model.run(
        "--input", folder, "--batch", batch, "--top", 3, "--json", tmp_path / "a.json", "--logits", tmp_path / "a.npy"
    )
    assert done.returncode == 0 and done.stdout == "", done.stderr
    files = sorted(folder.rglob("*.jpg"), key=lambda path: bytes(path))
    expected = model.logits([path.read_bytes() for path in files])
    logits = np.load(tmp_path / "a.npy")
    assert logits.shape == (9, 10) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())

    report = json.loads((tmp_path / "a.json").read_text())
    best = results(logits, np.zeros(9, int))
    assert [picture["file"] for picture in report["pictures"]] == [str(path) for path in files]
    for picture, top, confidence in zip(report["pictures"], best.top, best.confidence, strict=True):
        assert [answer["class"] for answer in picture["top"]] == top[:3].tolist()
        assert [answer["name"] for answer in picture["top"]] == ["abcdefghij"[i] for i in top[:3]]
        assert picture["top"][0]["probability"] == pytest.approx(confidence, abs=1e-12)
    assert (report["images"], report["bad_images"], report["device"], report["batch"]) == (9, 0, "cpu", min(batch, 9))
    assert report["images_per_second"] > 0
    for times in report["latency_ms"].values():
        assert 0 < times["median"] <= times["p90"] and times["mean"] > 0


def test_the_whole_program_under_sanitizers(effnet310_sanitized, model, folder, tmp_path):
    """Leaks are not looked for here, as MindSpore Lite leaves some behind; the unit tests and the damaged files look
    for ours.
    """
    (tmp_path / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    command = [effnet310_sanitized / "effnet310", "--model", model.mindir, "--meta", model.json, "--input", tmp_path]
    command += ["--batch", "2", "--threads", "3", "--json", tmp_path / "a.json", "--logits", tmp_path / "a.npy"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 4 and "runtime error" not in done.stderr, done.stderr[-3000:]


def test_height_and_width_may_differ(effnet310, folder, tmp_path):
    model = Model(tmp_path, effnet310 / "effnet310", height=24, width=40)
    done = model.run("--input", folder / "0.jpg", "--logits", tmp_path / "a.npy")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == str(folder / "0.jpg")
    expected = model.logits([(folder / "0.jpg").read_bytes()])
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_fixed_batch_is_kept_to(effnet310, folder, tmp_path):
    model = Model(tmp_path, effnet310 / "effnet310", batch=4)
    done = model.run("--input", folder, "--logits", tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    expected = np.concatenate([model.logits([path.read_bytes()] * 4)[:1] for path in sorted(folder.rglob("*.jpg"))])
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    done = model.run("--input", folder, "--batch", 8)
    assert done.returncode == 2 and "has a fixed batch of 4" in done.stderr


def test_bad_pictures_are_named_and_the_rest_answered(model, folder, tmp_path):
    whole = (folder / "0.jpg").read_bytes()
    files = {"a": whole, "cut": whole[: len(whole) // 2], "empty": b"", "png": pictures.png(1), "z": whole}
    for name, data in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    done = model.run("--input", tmp_path, "--batch", 2, "--json", tmp_path / "a.json", "--logits", tmp_path / "a.npy")
    assert done.returncode == 4
    report = json.loads((tmp_path / "a.json").read_text())
    problems = {"cut": "the file ends before the picture does", "empty": "the file is empty", "png": "not a JPEG file"}
    assert report["bad"] == [
        {"file": str(tmp_path / f"{name}.jpg"), "problem": problem} for name, problem in problems.items()
    ]
    assert (report["bad_images"], report["images"]) == (3, 2)
    assert all(f"{name}.jpg: {problem}" in done.stderr for name, problem in problems.items())
    logits = np.load(tmp_path / "a.npy")
    assert np.isnan(logits).any(axis=1).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(logits[0], logits[4])


class Pictures(list):
    """As much of a Dataset as the evaluation asks for."""

    read = list.__getitem__

    @property
    def names(self):
        return [f"ant/{i}.JPEG" for i in range(len(self))]


def test_evaluation_keeps_the_order_and_refuses_to_leave_out(model):
    dataset = Pictures(pictures.jpeg(i) for i in range(12))
    logits, report = infer310.logits_of(model.program, model.mindir, model.json, dataset, batch=5)
    expected = model.logits(dataset)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert report["images"] == 12
    dataset[7] = dataset[7][:500]
    with pytest.raises(InputError, match=r"cannot read 1 of the pictures, the first being ant/7\.JPEG: the file ends"):
        infer310.logits_of(model.program, model.mindir, model.json, dataset)
    with pytest.raises(InputError, match="--device=tpu: not one of"):
        infer310.logits_of(model.program, model.mindir, model.json, dataset, device="tpu")


@pytest.mark.parametrize("name, software", [("ascend310", "CANN"), ("ascend310p", "CANN"), ("gpu", "TensorRT")])
def test_an_absent_device_ends_in_one_sentence_and_its_own_exit_code(name, software, model, folder):
    done = model.run("--input", folder, f"--device={name}")
    if done.returncode == 0:
        pytest.skip(f"{name} is there")
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: --device={name}: ") and done.stderr.count("\n") == 1
    assert software in done.stderr or "no such device" in done.stderr


def test_bad_input_ends_in_one_sentence(model, folder, tmp_path):
    def changed(**values):
        path = tmp_path / "changed.json"
        write_json(path, model.meta | values)
        return path

    (tmp_path / "none").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "not.mindir").write_text("hello")
    version3 = model.mindir.with_name("version3.mindir")
    cases = [
        (model.run("--input", tmp_path / "none"), "none: no .jpg, .jpeg or .ppm file in this folder"),
        (model.run("--input", tmp_path / "gone"), "gone: no such file or folder"),
        (
            model.run("--input", folder, model=version3),
            "version3.mindir: not a model MindSpore Lite can load on cpu; give it",
        ),
        (model.run("--input", folder, model=tmp_path / "not.mindir"), "not.mindir: not a model"),
        (model.run("--input", folder, model=tmp_path / "gone"), "gone: no such model file"),
        (model.run("--input", folder, meta=tmp_path / "gone"), "gone: cannot be read"),
        (model.run("--input", folder, meta=model.mindir), "effnet.mindir: parse error"),
        (model.run("--input", folder, meta=changed(classes=[])), "changed.json: classes: the list is empty"),
        (model.run("--input", folder, meta=changed(classes=["a"])), "number of classes is not the 1 of"),
        (model.run("--input", folder, meta=changed(height=24)), "takes pictures of 32x32 pixels"),
        (model.run("--input", folder, meta=changed(resize=1e9)), "resize: expected a whole number from 1 to 2048"),
        (model.run("--input", folder, meta=changed(std=[1e-37] * 3)), "0.jpg: the answer is not finite: "),
        (model.run("--input", folder, meta=tmp_path / "pipe"), "pipe: cannot be read"),
        (model.run("--input", folder, "--threads", "99999999"), "expected a whole number from 1 to 1024"),
        (model.run("--input", tmp_path / "two\nlines"), "two?lines: no such file or folder"),
        (model.run("--input", folder, "--json", tmp_path / "gone" / "a.json"), "a.json: cannot be written"),
        (model.run("--input", folder, "--device=tpu"), "--device=tpu: not one of cpu, gpu, ascend310, ascend310p"),
        (model.run("--input", folder, "--batch", "x"), "--batch x: expected a whole number from 1 to 65536"),
        (model.run(), "--input: missing"),
    ]
    for done, sentence in cases:
        assert done.returncode == 2 and sentence in done.stderr, (sentence, done.stderr)
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_missing_or_wrong_mindspore_lite_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_LITE_HOME", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="MS_LITE_HOME=.*gone: no such folder"):
        infer310.mindspore_lite(tmp_path)
    monkeypatch.setenv("MS_LITE_HOME", str(tmp_path))
    with pytest.raises(InputError, match="cmake cannot configure"):
        infer310.build(tmp_path / "build", infer310.mindspore_lite())
    monkeypatch.delenv("MS_LITE_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="cmake is not installed; run: apt install cmake"):
        infer310.build(tmp_path / "build")


def test_a_download_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch):
    """A real download by pip, from a folder in the place of PyPI."""
    for name in ("MS_LITE_HOME", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    with pytest.raises(InputError, match="pip could not download mindspore-lite==2.0.0 .*by hand and set MS_LITE_HOME"):
        infer310.mindspore_lite(tmp_path / "cache")
    with zipfile.ZipFile(tmp_path / "links" / infer310.WHEEL, "w") as wheel:
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp37-cp37m-manylinux1_x86_64\n"
        wheel.writestr(
            "mindspore_lite-2.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mindspore-lite\nVersion: 2.0.0\n"
        )
        wheel.writestr("mindspore_lite-2.0.0.dist-info/WHEEL", tags)
    with pytest.raises(InputError, match="SHA-256 .*, expected .*damaged or not the published file"):
        infer310.mindspore_lite(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_help(model):
    done = subprocess.run([model.program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Exit codes: 0 done; 1 unexpected; 2 bad input; 3 the device" in done.stdout


@pytest.mark.skipif(not shutil.which("setarch"), reason="no setarch here")
def test_a_processor_without_a_wheel_is_told_what_to_install(tmp_path):
    code = (
        "from effnet import errors; from effnet.runtimes import infer310; "
        f"errors.run(lambda: infer310.mindspore_lite({str(tmp_path)!r}))"
    )
    env = {name: value for name, value in os.environ.items() if name != "MS_LITE_HOME"}
    command = ["setarch", "i686", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no wheel for i686" in done.stderr and "MS_LITE_HOME" in done.stderr and "dvc repro" in done.stderr
