"""Stage 2: shards -> models/effnet.ckpt (the final weights), models/checkpoints (to resume from) and the training's curves."""

import argparse
import contextlib
import shlex
import signal

from effnet import checkpoint, device, errors, identity, launch, pretrained, provenance, recipe
from effnet.data.shards import Dataset
from effnet.device_errors import explained
from effnet.files import sha256, write_json
from effnet.train import train

START = "models/start/start.ckpt"  # stage `pretrained` puts it there
EXIT_STOPPED = 75  # SIGTERM: the state is saved, run again to go on (EX_TEMPFAIL of sysexits.h)


def main():
    from dvclive import Live

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1, help="machines that train together")
    parser.add_argument("--node-rank", type=int, default=0, help="which of them this one is, from 0")
    parser.add_argument("--master", default="127.0.0.1", help="address of machine 0")
    parser.add_argument("--port", type=int, default=0, help="port of machine 0; default: a free one, or 8118 with several machines")
    parser.add_argument("--dry-run", nargs="?", const="params.yaml", metavar="RECIPE", help="only print what would be run for this recipe")
    args = parser.parse_args()
    params = recipe.load(args.dry_run or "params.yaml")
    ranks = params.train.device_num
    if (ranks > 1 or args.dry_run) and not launch.inside():
        command = launch.command("stages/train.py", ranks, args.nodes, args.node_rank, args.master, args.port)
        if args.dry_run:
            print(shlex.join(command if ranks > 1 else ["python", "stages/train.py"]))
            return 0
        device.check(params.train.device_target, ranks // args.nodes)
        return launch.run(command)
    device.start(params.train.device_target)
    rank = launch.join(ranks) if ranks > 1 else 0
    train_set, val_set = Dataset("data/prepared", "train"), Dataset("data/prepared", "val")
    say = print if rank == 0 else lambda text: None
    initial, start, source = None, "", "trained here"
    if params.model.pretrained:
        initial, meta = pretrained.start(params, START, say)
        start, source = sha256(START), f"fine-tuned from {meta['source']} ({meta.get('licence', 'own weights')})"
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

    live_or_none = Live("metrics/train", report=None, save_dvc_exp=False, dvcyaml=None) if rank == 0 else contextlib.nullcontext()
    with explained(params, device.memory(params.train.device_target)), live_or_none as live:

        def on_epoch(record):
            if rank > 0:
                return
            live.step = record["epoch"]
            for name, value in record.items():
                if name not in ("epoch", "seconds"):
                    live.log_metric(name, value)
            live.make_summary()

        done = train(
            params, train_set, val_set, "models/checkpoints", identity.of_run(params, train_set, start), rank, ranks, initial,
            say, on_epoch=on_epoch, stop=lambda: bool(stopped),
        )  # fmt: skip
    if done is None:
        print("stopped by SIGTERM; the state is saved, run again to go on")
        return EXIT_STOPPED
    if rank > 0:
        return 0
    weights, place = done
    checkpoint.save_model("models/effnet.ckpt", weights, identity.of_model(params, train_set, source))
    last = place.history[-1]
    write_json(
        "metrics/train.json",
        {
            "epoch": last["epoch"],
            "loss": last["loss"],
            "images_per_second": sum(r["images_per_second"] for r in place.history) / len(place.history),
            "best_top1": place.best_top1,
        },
    )
    seconds = sum(r["seconds"] for r in place.history)
    images = sum(r["images_per_second"] * r["seconds"] for r in place.history)
    provenance.write("metrics/provenance/train.json", params, train_set, seconds, images)
    return 0


if __name__ == "__main__":
    errors.run(main)
