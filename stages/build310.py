"""models/effnet.mindir -> models/infer310/effnet.mindir, the same model in the version that MindSpore Lite reads."""

from effnet import errors
from effnet.mindir.version_1 import to_version_1


def main():
    to_version_1("models/effnet.mindir", "models/infer310/effnet.mindir")


if __name__ == "__main__":
    errors.run(main)
