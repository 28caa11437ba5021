"""effnet/native: the bytes that Pillow gives, on every processor, and nothing worse than an InputError from whatever
bytes.
"""

import ctypes
import hashlib
import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from effnet import native
from effnet.errors import InputError
from effnet.native.build import FLAGS
from tests.conftest import ROOT, SHARED
from tests.pictures import jpeg, odd

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0", "4:1:1"]


def rgb(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def resize(image, size, interpolation, box=None):
    """Pillow 13's Image.resize by any Pillow: its rule for the order of the passes, each pass alone by the Pillow at
    hand.
    """
    (width, height), (w, h), kind = image.size, size, FILTERS[interpolation]
    left, top, right, bottom = box or (0, 0, width, height)
    if height > h and height - h > 2 * (width - w):
        return image.resize((width, h), kind, (0, top, width, bottom)).resize((w, h), kind, (left, 0, right, h))
    return image.resize((w, height), kind, (left, 0, right, height)).resize((w, h), kind, (0, top, w, bottom))


def train(data, box, size, interpolation, flip):
    out = np.empty((size, size, 3), np.uint8)
    native.crop(data, box, interpolation, flip, out)
    return out


def pictures():
    """(name, bytes): all chroma layouts, progressive or not, colour spaces and shapes down to one pixel; the real
    ones if there.
    """
    rng = random.Random(1)
    for subsampling in SUBSAMPLINGS:
        for progressive in (False, True):
            for mode in ("RGB", "RGB", "RGB", "L", "CMYK"):
                size = (rng.randint(1, 300), rng.randint(1, 400))
                options = {
                    "subsampling": subsampling,
                    "progressive": progressive,
                    "restart_marker_blocks": rng.choice([0, 5]),
                }
                yield f"{subsampling} {mode} {size} {progressive=}", jpeg(rng.randrange(10**6), size, mode, **options)
    for size in ((1, 1), (1, 300), (300, 1), (7, 8), (17, 33)):
        yield f"{size}", jpeg(size, size, subsampling="4:2:0")
    for path in sorted(SHARED.glob("imagenet100/*"))[::4]:
        yield path.name, path.read_bytes()


PICTURES = list(pictures())


def test_resize_reference_is_pillow_13():
    if int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow below 13 does not shrink tall pictures' height first")
    for i, (_, data) in enumerate(PICTURES):
        for size in ((64, 48), (20, 200)):
            interpolation = ("bilinear", "bicubic")[i % 2]
            assert resize(rgb(data), size, interpolation) == rgb(data).resize(size, FILTERS[interpolation])


def test_decode_is_pillows():
    for name, data in PICTURES + list(odd().items()):
        if native.is_jpeg(data):
            assert np.array_equal(native.decode(data), rgb(data)), name
            assert native.size(data) == rgb(data).size, name


@pytest.mark.parametrize("interpolation", FILTERS)
def test_resize_is_pillows(interpolation):
    rng = random.Random(2)
    for _ in range(150):
        image = Image.fromarray(
            np.random.default_rng(rng.randrange(1000)).integers(
                0, 256, (rng.randint(1, 200), rng.randint(1, 150), 3), np.uint8
            )
        )
        size = rng.randint(1, 150), rng.randint(1, 150)
        x, y = (
            sorted(rng.uniform(0, image.width) for _ in range(2)),
            sorted(rng.uniform(0, image.height) for _ in range(2)),
        )
        box = [float(np.float32(v)) for v in (x[0], y[0], x[1], y[1])] if rng.random() < 0.7 else None
        expected = resize(image, size, interpolation, box)
        assert np.array_equal(native.resize(np.asarray(image), *size, interpolation, box), expected), (
            image.size,
            size,
            box,
        )


def test_training_is_draft_and_resize():
    rng, scales = random.Random(3), set()
    for name, data in PICTURES * 2:
        width, height = native.size(data)
        w, h = rng.randint(1, width), rng.randint(1, height)
        x, y = rng.randint(0, width - w), rng.randint(0, height - h)
        size, interpolation, flip = rng.choice([8, 16, 33, 100, 224]), rng.choice(list(FILTERS)), rng.random() < 0.5
        d = max(d for d in (1, 2, 4, 8) if d == 1 or (w >= d * size and h >= d * size))
        scales.add(d)
        image = Image.open(io.BytesIO(data))
        if d > 1:
            image.draft(None, (width // d, height // d))
        expected = resize(image.convert("RGB"), (size, size), interpolation, (x / d, y / d, (x + w) / d, (y + h) / d))
        expected = np.asarray(expected)[:, :: -1 if flip else 1]
        box = (x, y, x + w, y + h)
        assert np.array_equal(train(data, box, size, interpolation, flip), expected), (
            name,
            box,
            size,
            interpolation,
            flip,
        )
    assert scales == {1, 2, 4, 8}


def test_same_bytes_without_avx2(tmp_path):
    plain = tmp_path / "plain.so"
    sources = [str(path) for path in native.FOLDER.glob("*.c")]
    subprocess.run(["cc", *FLAGS, "-DFOR_EACH_CPU=", "-O1", *sources, "-o", str(plain), "-ljpeg", "-lm"], check=True)
    library, error = ctypes.CDLL(str(plain)), ctypes.create_string_buffer(256)
    out = np.empty((100, 100, 3), np.uint8)
    for name, data in PICTURES[:30]:
        width, height = native.size(data)
        size = ctypes.c_size_t(len(data))
        code = library.image_train(
            data, size, (ctypes.c_int * 4)(0, 0, width, height), 3, 100, 0, ctypes.c_void_p(out.ctypes.data), error
        )
        assert code == 0 and np.array_equal(out, train(data, (0, 0, width, height), 100, "bicubic", False)), name


def test_damage_is_an_input_error():
    data = jpeg(1, (200, 150))
    for cut in range(0, len(data) - 2, 97):
        with pytest.raises(InputError, match=r"."):
            native.decode(data[:cut])
    with pytest.raises(InputError, match="ends before the picture does"):
        native.decode(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a JPEG"):
        native.size(odd()["png"])
    with pytest.raises(InputError, match="empty"):
        native.size(b"")
    huge = bytearray(data)
    at = data.index(b"\xff\xc0") + 5
    huge[at : at + 4] = b"\xff\xdc\xff\xdc"
    with pytest.raises(InputError, match="65500 x 65500 pixels are too many"):
        native.size(bytes(huge))
    with pytest.raises(InputError, match="cannot resize box 0 0 201 150 of 200 x 150"):
        train(data, (0, 0, 201, 150), 32, "bilinear", False)
    with pytest.raises(InputError, match="crop of 64 x 64 does not fit .* 42 x 32"):
        native.center(data, 32, "bilinear", np.empty((64, 64, 3), np.uint8))


def test_scan_bomb_is_refused():
    data = jpeg(1, (64, 64), progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(InputError, match="more than 500 progressive scans"):
        native.decode(data[:-2] + 600 * scan + b"\xff\xd9")


def test_fuzz_under_sanitizers(tmp_path):
    """Damaged copies of good pictures through every function, compiled with AddressSanitizer (leaks too) and
    UndefinedBehaviorSanitizer.
    """
    program = tmp_path / "fuzz"
    sources = [str(Path(__file__).with_name("fuzz.c")), *(str(path) for path in native.FOLDER.glob("*.c"))]
    flags = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{native.FOLDER}"]
    built = subprocess.run(
        ["cc", *flags, *sources, "-o", str(program), "-ljpeg", "-lm"], capture_output=True, text=True
    )
    if "cannot find -lasan" in built.stderr or "cannot find -lubsan" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    files = []
    for i, (mode, options) in enumerate(
        [("RGB", {"subsampling": "4:2:0"}), ("RGB", {"progressive": True}), ("L", {}), ("CMYK", {})]
    ):
        files.append(tmp_path / f"{i}.jpg")
        files[-1].write_bytes(jpeg(i, (60 + i, 90 - i), mode, **options))
    done = subprocess.run([program, "1500", *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    read, refused = map(int, done.stdout.split())
    assert read > 100 and refused > 100  # both ways out were taken


def test_beside_mindspores_own_libjpeg():
    """MindSpore brings its own libjpeg into the process; ours must go on giving the same bytes."""
    script = """
import hashlib, sys
import numpy as np
from mindspore.dataset import vision
from effnet import native
data = sys.stdin.buffer.read()
vision.Decode()(np.frombuffer(data, np.uint8))
print(hashlib.sha256(native.decode(data).tobytes()).hexdigest())
"""
    data = jpeg(7, (320, 200), subsampling="4:2:0")
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, cwd=ROOT)
    assert done.stdout.decode().split()[-1:] == [hashlib.sha256(rgb(data).tobytes()).hexdigest()], done.stderr.decode()[
        -2000:
    ]
