"""The command line: `effnet predict PICTURE...` and `effnet info VARIANT` (also `python -m effnet`).

Exit codes: 0 done, 1 some pictures could not be read (the others were predicted), 2 bad input, 130 interrupted.
"""

import argparse
import json
import sys

from effnet import errors
from effnet.arch import layers


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="effnet", description="EfficientNet: what is on a picture, what is in a network."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "predict", help="classify pictures", epilog="exit code: 1 if some pictures could not be read"
    )
    command.add_argument("pictures", nargs="+", metavar="PICTURE", help="file, folder or glob")
    command.add_argument("--model", default="models/effnet.onnx", help="ONNX file or checkpoint (default: %(default)s)")
    command.add_argument("--top", type=int, default=5, help="classes per picture (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="one JSON object per picture and line")
    command.set_defaults(run=run_predict)

    command = commands.add_parser("info", help="layers, parameters and multiply-accumulates of a variant")
    command.add_argument("variant", help="e.g. b2, lite0 or efficientnet_b2")
    command.add_argument("--image-size", type=int, help="side of the picture, pixels (default: the variant's own)")
    command.add_argument("--class-num", type=int, default=1000, help="number of classes (default: %(default)s)")
    command.set_defaults(run=run_info)

    args = parser.parse_args(arguments)
    return args.run(args)


def run_info(args):
    print(layers.table(layers.full_name(args.variant), args.image_size, args.class_num))
    return 0


def run_predict(args):
    from effnet.cli import predict

    if args.top < 1:
        raise errors.InputError(f"--top: {args.top} is not a number of classes; use 1 or more")
    paths, bad = predict.pictures(args.pictures), 0
    for path, guesses, problem in predict.predict(predict.load(args.model), paths, args.top):
        bad += bool(problem)
        if args.json:
            found = {"error": problem} if problem else {"predictions": [guess._asdict() for guess in guesses]}
            print(json.dumps({"picture": path} | found, ensure_ascii=False), flush=True)
        elif problem:
            print(f"{path}: {problem}", file=sys.stderr)
        else:
            print(f"{path}: " + ", ".join(f"{guess.name} {guess.probability:.1%}" for guess in guesses), flush=True)
    if bad:
        print(f"{bad} of {len(paths)} pictures could not be read", file=sys.stderr)
    return 1 if bad else 0


def program():
    """Entry point of the installed `effnet`."""
    errors.run(main)
