"""Runtimes of an ONNX file by their names (effnet.runtimes.NAMES). Each program is imported when it is asked for."""

from pathlib import Path

from effnet.errors import InputError
from effnet.runtimes.exported import require


def load(path, name="onnx", threads=0, provider="CPU", tf32=False):
    """The Model of the file at `path` in the runtime `name` of NAMES; for int8 an int8 file (see `file_of`).

    provider, tf32: ONNX Runtime's. threads: 0 for as many as cores. Raises InputError where the runtime is not here,
    for a file that is not a model of ours, and for a precision that this processor does not have.
    """
    program, _, precision = name.partition("-")
    if program == "openvino":
        from effnet.runtimes import openvino

        return openvino.Model(path, "bfloat16" if precision == "bfloat16" else "float32", threads)
    from effnet.runtimes import onnx_runtime

    return onnx_runtime.Model(path, provider, threads, tf32)


def file_of(path, name):
    """The file that runtime `name` takes of the model at `path`: itself, or of int8 quantized/NAME.int8.onnx beside it,
    as the pipeline writes it, or NAME.int8.onnx.

    Raises InputError where there is none.
    """
    path = Path(path)
    if not name.endswith("-int8"):
        return path
    require(path)
    places = [path.parent / "quantized" / f"{path.stem}.int8.onnx", path.with_suffix(".int8.onnx")]
    if found := next((place for place in places if place.is_file()), None):
        return found
    raise InputError(
        f"{places[0]}: no such file, nor {places[1]}; `dvc repro quantize` writes it where export.quantize holds int8"
    )
