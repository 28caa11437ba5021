"""Train on several machines, or see how a training would be started: `python -m tools.launch` on each of them.

    python -m tools.launch --nodes 2 --node-rank 0 --master 10.0.0.1     on machine 0 of two
    python -m tools.launch --dry-run recipes/ascend8.yaml                only print what would be run for that recipe

One machine alone needs none of it: stage `train` starts a process for each device by itself.
"""

import argparse
import os
import shlex
import sys

from effnet import errors, recipe
from effnet.devices import launch, machine

STAGE = "stages.train"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1, help="machines that train together")
    parser.add_argument("--node-rank", type=int, default=0, help="which of them this one is, from 0")
    parser.add_argument("--master", default="127.0.0.1", help="address of machine 0")
    parser.add_argument("--port", type=int, default=0, help="of machine 0; default: 8118, on one machine any free one")
    parser.add_argument("--dry-run", nargs="?", const="params.yaml", metavar="RECIPE", help="only print the command")
    args = parser.parse_args()
    train = recipe.load(args.dry_run or "params.yaml").train
    where = args.nodes, args.node_rank, args.master, args.port
    command = launch.command(STAGE, train.device_num, train.device_target, *where)
    alone = train.device_num == 1
    if args.dry_run:
        print(shlex.join(["python", "-m", STAGE] if alone else command))
        return 0
    machine.check(train.device_target, train.device_num // args.nodes)
    if alone:
        os.execv(sys.executable, [sys.executable, "-m", STAGE])  # signals then reach the training itself
    return launch.run(command)


if __name__ == "__main__":
    errors.run(main)
