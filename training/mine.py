"""Your photos in, a network of your own out: dataset, training and judgement in one command, in a minute or two.

    python -m training.mine my_photos              # my_photos/smile and my_photos/no_smile: whole photos
    python -m training.mine crops --cropped        # the same folders with tight face crops

It does what `training.dataset`, `training.train` and `training.evaluate` do one by one: it fits the smile output of the
network that came with the app to your photos. It writes datasets/NAME.npz and the folder runs/NAME, NAME being the photos'
folder, and says how to use what it made. Exit code 0; 1 if the network can't be expected to work; 2 with one sentence if
nothing was made; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.commands import command, said_plainly
from common.places import MODELS
from training import evaluate
from training.dataset import build_dataset
from training.fitting.tune import fine_tune
from training.quiet import tensorflow_quiet


@tensorflow_quiet()
@said_plainly("The network could not be made", "Stopped. The same command starts over.")
def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    name = options.name or options.photos.resolve().stem
    data, out = Path("datasets") / name, Path("runs") / name
    print("1 of 3: faces", flush=True)
    faces = build_dataset([options.photos], data, seed=options.seed, cropped=options.cropped)
    print("\n2 of 3: training", flush=True)
    tuned = fine_tune(faces, out, options.fine_tune, seed=options.seed)
    print(tuned, flush=True)
    code = 1 if tuned.judged.hopeless else 0
    print("\n3 of 3: judgement", flush=True)
    if (faces.part("test").smile >= 0).any():
        code = max(code, evaluate.main(["--data", f"{data}.npz", "--model", str(out), "--seed", str(options.seed)]))
    else:
        print("There is no test part, since there are few photos: the figure above has to do.")
        if said := tuned.judged.problem() or tuned.judged.caution():
            print(said, file=sys.stderr)
    network = out / "smile.tflite"
    print("\nUse it in the app, or on photos:")
    print(command("app.py", model=network))
    print(command("inference.py", options.photos, model=network, out=out / "faces.csv"))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.mine", description="Make a network from photos of your own.")
    parser.add_argument("photos", type=Path, help="folder or zip with folders smile and no_smile")
    parser.add_argument("--cropped", action="store_true", help="the pictures are tight face crops already")
    parser.add_argument("--name", help="of the dataset and the run (default: the folder's)")
    parser.add_argument("--fine-tune", type=Path, default=MODELS, metavar="DIR", help="begin with another network")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
