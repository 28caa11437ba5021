"""What the raw data are -> data/source.json. Runs each time, and `prepare` only when the data are other ones.

Where they are not on this machine, what the file says of them stays: whoever has the prepared shards needs no more.
"""

from pathlib import Path

from effnet import errors, parsed, recipe
from effnet.errors import InputError
from effnet.files import write_json
from effnet.sources import raw

RECORD = Path("data/source.json")


def main():
    data = recipe.load().data
    found, record = raw.describe(data), read()
    if found is None:
        if (record.get("source"), record.get("root")) != (data.source, data.root):
            raise InputError(f"data.root: no {data.source} data in '{data.root}'; docs/data.md says what belongs there")
        print(f"'{data.root}' is not on this machine: {RECORD} stays as it is")
    elif found != record:
        write_json(RECORD, found)
        print(f"{data.source}: {found['files']:,} files, {found['bytes']:,} bytes")


def read():
    return parsed.json_file(RECORD, parsed.Parsed) or {}


if __name__ == "__main__":
    errors.run(main)
