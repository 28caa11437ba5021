"""What it costs that ranks agree: two processes on this machine, a network of B2's size.

    python -m bench.ranks [--rounds 200]

The question whether to stop is asked after each step on a CPU and every tenth on accelerators; what decides the run is
compared once, the weights' digest each epoch. Medians in milliseconds; the last line is JSON.
"""

import argparse
import json
import statistics
import time

from effnet import errors
from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.devices import launch, machine
from effnet.network import device
from effnet.network.ranks import any_of, gather, join
from effnet.runs import agreement


def milliseconds(work, rounds):
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return round(1000 * statistics.median(found), 3)


def measure(rounds):
    launch.follow_launcher()
    device.start("CPU")
    ranks = join(2)
    weights = initial_weights(shapes("efficientnet_b2", 1000), seed=1)
    found = {
        "stop?": milliseconds(lambda: any_of(False, ranks), rounds),
        "identities of 64 kB": milliseconds(lambda: gather("x" * 65536, ranks), max(3, rounds // 10)),
        "digest of B2's weights": milliseconds(lambda: agreement.check_weights(weights, ranks), max(3, rounds // 40)),
    }
    if ranks.rank == 0:
        print(json.dumps({"bench": "ranks", "milliseconds": found, **machine.describe()}), flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    if launch.inside():
        return measure(rounds)
    return launch.run([*launch.command("bench.ranks", 2), f"--rounds={rounds}"])


if __name__ == "__main__":
    errors.run(main)
