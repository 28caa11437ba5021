"""Describe the prepared pictures in Croissant, the format in which data set search engines and loaders read a data set:
`python -m tools.croissant` writes reports/croissant/croissant.json and checks it with mlcroissant.

The shards stand beside the description, as links, so that a Croissant loader reads pictures and classes out of them.
"""

import json
from pathlib import Path

from effnet import errors
from effnet.errors import InputError
from effnet.files import write_json

PREPARED, FOLDER = Path("data/prepared"), Path("reports/croissant")
LICENCES = {  # of data sources that have one; of your own pictures you know it
    "digits": "https://creativecommons.org/licenses/by/4.0/",
    "flowers": "https://creativecommons.org/licenses/by/2.0/",
    "imagenet": "https://image-net.org/download.php",
}
ORIGINS = {
    "digits": ("https://archive.ics.uci.edu/dataset/80", "E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten "
               "Digits. UCI Machine Learning Repository, 1998."),
    "imagenet": ("https://image-net.org", "O. Russakovsky et al. ImageNet Large Scale Visual Recognition Challenge. "
                 "IJCV, 2015."),
}  # fmt: skip


def main():
    index = PREPARED / "index.json"
    if not index.exists():
        raise InputError(f"{index}: no such file; `make pull` brings the prepared pictures, `make repro` makes them")
    described = describe(json.loads(index.read_text()))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for shard in PREPARED.glob("*.tar"):
        link = FOLDER / shard.name
        link.unlink(missing_ok=True)
        link.symlink_to(shard.resolve())
    write_json(FOLDER / "croissant.json", described.to_json())
    print(f"{FOLDER}/croissant.json: {len(described.distribution)} resources, valid")
    return 0


def describe(index):
    """The mlcroissant.Metadata of a data set by its index.json. Raises InputError for what mlcroissant objects to."""
    import mlcroissant as mlc

    source, resources, records = index["recipe"]["source"], [], []
    for split, found in index["splits"].items():
        shards = [
            mlc.FileObject(
                id=shard["file"], name=shard["file"], content_url=shard["file"], content_size=f"{shard['bytes']} B",
                encoding_formats=["application/x-tar"], sha256=shard["sha256"],
            )
            for shard in found["shards"]
        ]  # fmt: skip
        pictures = mlc.FileSet(
            id=f"{split}-pictures", name=f"{split}-pictures", encoding_formats=["image/jpeg"], includes=["*/*"],
            contained_in=[shard.id for shard in shards], description=f"{found['images']} pictures, CLASS/NAME",
        )  # fmt: skip
        resources += [*shards, pictures]
        records.append(_records(mlc, split, pictures))
    url, cited = ORIGINS.get(source, (PREPARED.resolve().as_uri(), None))
    try:
        return mlc.Metadata(
            name=f"{source}-prepared", description=f"{source}, prepared for training: {len(index['classes'])} classes",
            version="1.0.0", license=[LICENCES[source]] if source in LICENCES else None, url=url, cite_as=cited,
            distribution=resources, record_sets=records,
        )  # fmt: skip
    except mlc.ValidationError as error:
        raise InputError(f"mlcroissant objects: {' '.join(str(error).split())}") from None


def _records(mlc, split, pictures):
    """One record a picture: the picture, its name and its class."""
    name = mlc.Extract(file_property=mlc.FileProperty.fullpath)
    fields = [
        ("picture", mlc.DataType.IMAGE_OBJECT, mlc.Extract(file_property=mlc.FileProperty.content), []),
        ("name", mlc.DataType.TEXT, name, []),
        ("class", mlc.DataType.TEXT, name, [mlc.Transform(regex=r"^(.+)/[^/]+$")]),
    ]
    return mlc.RecordSet(id=split, name=split, fields=[
        mlc.Field(
            id=f"{split}/{field}", name=field, data_types=[kind],
            source=mlc.Source(file_set=pictures.id, extract=extract, transforms=transforms),
        )
        for field, kind, extract, transforms in fields
    ])  # fmt: skip


if __name__ == "__main__":
    errors.run(main)
