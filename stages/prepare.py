"""Stage 1: the data source of params.yaml -> shards in data/prepared."""

from effnet import errors, recipe
from effnet.data.prepare import prepare


def main():
    params = recipe.load()
    prepare(params.data, "data/prepared", params.model.class_num)


if __name__ == "__main__":
    errors.run(main)
