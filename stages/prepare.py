"""The data source of params.yaml -> shards in data/prepared."""

from effnet import errors, recipe
from effnet.sources.build import build_shards


def main():
    params = recipe.load()
    build_shards(params.data, "data/prepared", params.model.class_num)


if __name__ == "__main__":
    errors.run(main)
