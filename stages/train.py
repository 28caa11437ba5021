"""Stage 2: shards -> models/effnet.ckpt (the final weights), models/checkpoints (to resume from) and the training's curves."""

import signal

from effnet import checkpoint, device, errors, identity, provenance, recipe
from effnet.data.shards import Dataset
from effnet.files import write_json
from effnet.train import train

EXIT_STOPPED = 75  # SIGTERM: the state is saved, run again to go on (EX_TEMPFAIL of sysexits.h)


def main():
    from dvclive import Live

    params = recipe.load()
    device.start(params.train.device_target)
    train_set, val_set = Dataset("data/prepared", "train"), Dataset("data/prepared", "val")
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

    with Live("metrics/train", report=None, save_dvc_exp=False, dvcyaml=None) as live:

        def on_epoch(record):
            live.step = record["epoch"]
            for name, value in record.items():
                if name not in ("epoch", "seconds"):
                    live.log_metric(name, value)
            live.make_summary()

        done = train(
            params, train_set, val_set, "models/checkpoints", identity.of_run(params, train_set), on_epoch=on_epoch, stop=lambda: bool(stopped)
        )
    if done is None:
        print("stopped by SIGTERM; the state is saved, run again to go on")
        return EXIT_STOPPED
    weights, place = done
    checkpoint.save_model("models/effnet.ckpt", weights, identity.of_model(params, train_set))
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
