"""What a training does with its launcher, without training: `python -m tests.devices.light_worker`.

Alone it is the launcher of two of itself. Under msrun it steps along until SIGTERM comes and then ends as a stopped
training does; LIGHT_ENDS=RANK,CODE ends a rank by itself after a second.
"""

import os
import signal
import time

from effnet import errors
from effnet.devices import launch


def main():
    if not launch.inside():
        return launch.run(launch.command("tests.devices.light_worker", 2))
    launch.follow_launcher()
    told, rank = [], os.environ["RANK_ID"]
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    if os.environ["MS_ROLE"] == "MS_SCHED":
        time.sleep(1)
        return 0
    ends, _, code = os.environ.get("LIGHT_ENDS", "").partition(",")
    for steps in range(600):
        launch.sign_of_life(int(rank), steps)
        time.sleep(0.1)
        if ends == rank and steps == 10:
            raise errors.InputError("the disk is full") if code == "2" else RuntimeError("something broke")
        if told:
            print(f"rank {rank}, device {launch.device_id()}")
            print(launch.STOPPED, flush=True)
            return 0
    return 3


if __name__ == "__main__":
    errors.run(main)
