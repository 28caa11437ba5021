"""index.json of a prepared folder, parsed in one place."""

import hashlib
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError, model_validator

from effnet.errors import InputError

FORMAT = 2
Count = Annotated[int, Field(ge=0)]


class Shard(BaseModel):
    file: str = Field(pattern=r"^[\w-]+\.tar$")
    bytes: Count


class Split(BaseModel):
    images: Count
    sha256: dict[str, str]
    shards: list[Shard]


class Index(BaseModel):
    recipe: dict[str, str | int]  # the keys of section data that decided it
    class_ids: list[str]
    classes: list[str]
    splits: dict[str, Split]

    @model_validator(mode="after")
    def name_each_class_once(self):
        if len(self.class_ids) != len(self.classes):
            raise ValueError(f"{len(self.class_ids)} ids of classes and {len(self.classes)} names")
        if len(set(self.class_ids)) < len(self.class_ids):
            raise ValueError("an id of a class stands there twice")
        return self


class _Format(BaseModel):
    format: int


def read(path):
    """`(hex SHA-256, Index)` of the file at `path`. Raises InputError for what is none, or of another format."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no prepared pictures here; run `dvc repro prepare` first") from None
    try:
        if (found := _Format.model_validate_json(text).format) != FORMAT:
            raise InputError(f"{path}: format {found}, this version reads {FORMAT}; prepare the pictures again")
        return hashlib.sha256(text).hexdigest(), Index.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where, said = ".".join(map(str, first["loc"])) or "the file", first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: no index of prepared pictures ({where}: {said}); prepare them again") from None
