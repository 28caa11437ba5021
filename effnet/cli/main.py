"""The command line: `effnet predict PICTURE...`, `effnet tune MODEL`, `effnet info VARIANT` (also `python -m effnet`).

What a command needs is imported when it runs.

Exit codes: 0 done, 1 some pictures could not be read (the others were predicted), 2 bad input, 130 interrupted.
"""

import argparse
import json
import sys

from effnet import errors
from effnet.runtimes import NAMES


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
    how = command.add_mutually_exclusive_group()
    how.add_argument("--runtime", default="onnx", help=f"of an ONNX file: {', '.join(NAMES)} (default: %(default)s)")
    how.add_argument("--fast", action="store_true", help="as `effnet tune` found fastest for this model, here")
    command.set_defaults(run=run_predict)

    command = commands.add_parser("tune", help="half a minute: how this machine runs an ONNX file fastest")
    command.add_argument("model", help="ONNX file")
    command.add_argument("--data", default="", help="folder of pictures to compare answers on (default: data/prepared)")
    command.add_argument(
        "--least", type=float, default=0.99, help="share of answers that must be float32's (default: %(default)s)"
    )
    command.add_argument("--seconds", type=float, default=30, help="for all measuring (default: %(default)s)")
    command.set_defaults(run=run_tune)

    command = commands.add_parser("info", help="layers, parameters and multiply-accumulates of a variant")
    command.add_argument("variant", help="e.g. b2, lite0 or efficientnet_b2")
    command.add_argument("--image-size", type=int, help="side of the picture, pixels (default: the variant's own)")
    command.add_argument("--class-num", type=int, default=1000, help="number of classes (default: %(default)s)")
    command.set_defaults(run=run_info)

    args = parser.parse_args(arguments)
    return args.run(args)


def run_info(args):
    from effnet.arch import layers

    for option, number, most in (("--image-size", args.image_size, 8192), ("--class-num", args.class_num, 100_000)):
        if number is not None and not 1 <= number <= most:
            raise errors.InputError(f"{option}: {number} is not from 1 to {most:,}")
    print(layers.table(layers.full_name(args.variant), args.image_size, args.class_num))
    return 0


def run_predict(args):
    from effnet.cli import predict

    if args.top < 1:
        raise errors.InputError(f"--top: {args.top} is not a number of classes; use 1 or more")
    if not args.model:
        raise errors.InputError("--model: empty; name an ONNX file or a checkpoint")
    if args.runtime not in NAMES:
        raise errors.InputError(f"--runtime: no '{args.runtime}'; there are {', '.join(NAMES)}")
    paths, bad, batch = predict.pictures(args.pictures), 0, 1
    if args.fast:
        model, batch, said = predict.load_fast(args.model, len(paths))
        print(said, file=sys.stderr)
    else:
        model = predict.load(args.model, args.runtime)
    for path, guesses, problem in predict.predict(model, paths, args.top, batch):
        bad += bool(problem)
        if args.json:
            found = {"error": problem} if problem else {"predictions": [guess._asdict() for guess in guesses]}
            print(json.dumps({"picture": path} | found, ensure_ascii=False), flush=True)
        elif problem:
            print(f"{shown(path)}: {problem}", file=sys.stderr)
        else:
            found = ", ".join(f"{shown(guess.name)} {guess.probability:.1%}" for guess in guesses)
            print(f"{shown(path)}: {found}", flush=True)
    if bad:
        print(f"{bad} of {len(paths)} pictures could not be read", file=sys.stderr)
    return 1 if bad else 0


def run_tune(args):
    from effnet.cli.tune import tune

    if not 0 <= args.least <= 1:
        raise errors.InputError(f"--least: {args.least} is no share; use 0 to 1, e.g. 0.99")
    if not 0 < args.seconds <= 3600:
        raise errors.InputError(f"--seconds: {args.seconds} is not from above 0 to 3,600")
    tune(args.model, args.data, args.least, args.seconds)
    return 0


def shown(text):
    """A name as a terminal may have it: what steers one, or cannot be written, is spelt out."""
    return text if text.isprintable() else ascii(text)


def program():
    """Entry point of the installed `effnet`."""
    errors.run(main)
