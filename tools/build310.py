"""Build effnet310, or with a switch its tests alone:
`python -m tools.build310 FOLDER [--tests] [--sanitize] [--fuzz]`.
"""

import argparse

from effnet import errors
from effnet.runtimes.infer310 import build, mindspore_lite


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where to build")
    parser.add_argument("--tests", action="store_true", help="the test programs (run them with ctest)")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UndefinedBehaviorSanitizer")
    parser.add_argument("--fuzz", action="store_true", help="the libFuzzer harness; needs clang")
    args = parser.parse_args()
    switches = {"tests": args.tests, "sanitize": args.sanitize, "fuzz": args.fuzz}
    print(build(args.folder, None if any(switches.values()) else mindspore_lite(), **switches))


if __name__ == "__main__":
    errors.run(main)
