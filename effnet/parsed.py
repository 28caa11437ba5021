"""What comes back from files that others may have written, cut short or edited: one schema for each kind, one sentence
where a file does not fit it.

Recipes have their own in recipe.py, prepared pictures in shards/index.py.
"""

import csv
import json
import math
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from effnet.arch.family import BN_EPS, VARIANTS
from effnet.errors import InputError
from effnet.recipe import Deviation, Interpolation, Share

Count = Annotated[int, Field(ge=1)]
Pixels = Annotated[int, Field(ge=1, le=2048)]


class Parsed(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True)  # "32" is no number


class Meta(Parsed):
    """What a model says of itself (effnet/runs/identity.py:of_model); an ONNX file and a MINDIR's JSON say more."""

    variant: str
    padding: Literal["same", "symmetric"]
    bn_eps: Deviation = BN_EPS
    class_num: Count
    classes: list[str]
    class_ids: list[str] | None = None
    mean: tuple[float, float, float]
    std: tuple[Deviation, Deviation, Deviation]
    resize: Pixels
    crop: Pixels
    interpolation: Interpolation
    normalize: Literal["outside", "inside"] = "outside"

    @model_validator(mode="after")
    def fits_together(self):
        if self.variant not in VARIANTS:
            raise ValueError(f"variant '{self.variant}' is none of {', '.join(VARIANTS)}")
        if {self.class_num} != {len(self.classes), len(self.class_ids or self.classes)}:
            raise ValueError(f"class_num {self.class_num}, and another number of names or ids")
        if self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        return self


class Metrics(Parsed):
    """metrics/evaluate.json and its like: shares of 1, mean loss, pictures."""

    top1: Share
    top5: Share
    loss: float = Field(ge=0)
    images: Count


class Training(Parsed):
    """metrics/train.json."""

    epoch: Count
    loss: float
    best_top1: Share


class Device(Parsed):
    target: str
    number: Annotated[int, Field(ge=0)]
    precision: Literal["float32", "tf32", "float16"] = "float32"


class Provenance(Parsed):
    """metrics/provenance/*.json: digests, kind of device, versions."""

    recipe: str | None
    data: str
    model: str | None
    device: Device
    versions: dict[str, str]


class Clock(Parsed):
    """metrics/clock/*.json: seconds, images a second, where."""

    revision: str | None
    edited: list[str]
    cpu: str
    cores: Count
    seconds: float
    images_per_second: float


class Rows(Parsed):
    """pretrained/rows.yaml."""

    rows: list[str]


class Identity(Parsed):
    """What decided a training's weights (effnet/runs/identity.py:of_run)."""

    recipe: dict
    data: str
    start: str
    code: dict[str, dict[str, str]]
    versions: dict[str, str]


class Epoch(Parsed):
    epoch: Count
    loss: float


class End(Parsed):
    """Where a training ended: of effnet.training.place.Place what tells of whole epochs."""

    model_config = ConfigDict(extra="forbid")

    epoch: Count
    updates: Count
    best_top1: float
    chosen: dict
    history: list[Epoch] = Field(min_length=1)


class FinishedRun(Parsed):
    """metrics/provenance/run.json: the digest of a model, and the training that it is the end of."""

    model: str
    identity: Identity
    place: End
    continued: list[dict]


class Lock(Parsed):
    """dvc.lock, as far as more than DVC reads it."""

    stages: dict[str, dict]


def meta(path, found):
    """`found`, the meta of the model at `path`, as it is. Raises InputError unless it is a Meta."""
    try:
        Meta.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise InputError(
            f"{path}: what this model says of itself is damaged or missing ({_first(error)}); "
            "make it again with this project, or fetch it again"
        ) from None
    return found


COMMITTED = "`git checkout` brings back what was committed, `make repro` makes it"


def json_file(path, kind, advice=COMMITTED):
    """The dictionary in the JSON file at `path`, which is a `kind`; None where there is no file. Raises InputError."""
    try:
        return json_text(path.read_bytes(), path, kind, advice)
    except FileNotFoundError:
        return None


LEFT_OUT = {"images": 0}  # the metrics of a runtime that the recipe leaves out


def metrics_file(path):
    """The Metrics in the JSON file at `path`; None where there is no file, and where the runtime was left out."""
    return None if json_file(path, Parsed) == LEFT_OUT else json_file(path, Metrics)


def json_text(text, name, kind=Parsed, advice=COMMITTED):
    """The same of JSON text (str or bytes); `name` is what the InputError calls it."""
    try:
        return kind.model_validate_json(text).model_dump()
    except ValidationError as error:
        raise InputError(f"{name}: damaged, or not what this project writes ({_first(error)}); {advice}") from None


def yaml_file(path, kind=Parsed):
    """The same of a YAML file, which must be there."""
    try:
        with open(path, "rb") as file:
            return kind.model_validate(yaml.safe_load(file)).model_dump()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())
    except ValidationError as error:
        found = _first(error)
    raise InputError(f"{path}: damaged ({found}); `git checkout {path}` brings back what was committed")


def table(path, columns):
    """Rows of the CSV or TSV file at `path`, dictionaries of text; [] where there is no file.

    columns: `{name: what reads it}`, of those that must be there: str, int, number, maybe, some. Raises InputError,
    naming the row.
    """
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return rows(file, path, columns, "\t" if path.suffix == ".tsv" else ",")


def rows(lines, name, columns, delimiter=","):
    """The same of lines of text; `name` is what the InputError calls them."""
    advice = "`git checkout` or `dvc checkout` brings it back, `make repro` makes it"
    reader = csv.DictReader(lines, delimiter=delimiter)
    try:
        found = list(reader)
    except csv.Error as error:
        raise InputError(f"{name}: no table of text ({error}); {advice}") from None
    if missing := [column for column in columns if column not in (reader.fieldnames or [])]:
        raise InputError(f"{name}: damaged, column '{missing[0]}' is missing; {advice}")
    for n, row in enumerate(found, 1):
        try:
            if None in row or None in row.values():
                raise ValueError
            for column, read in columns.items():
                read(row[column])
        except ValueError:
            raise InputError(f"{name}: damaged in row {n} of the table, {list(row.values())}; {advice}") from None
    return found


def number(text):
    """A float that is one."""
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def maybe(text):
    """A number, or nothing."""
    return number(text) if text else None


def some(text):
    """A whole number of at least one."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def _first(error):
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
