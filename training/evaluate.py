"""Judge a trained network on faces that it has never seen, and write down the figures.

    python -m training.evaluate                       # judges models/: metrics.json, unseen.csv, MODEL_CARD.md, plots
    python -m training.evaluate --model runs/mine --data datasets/mine.npz
    python -m training.evaluate --part val            # for choosing: only prints, and changes nothing in the card
    python -m training.evaluate --left-out fer --model runs/without_fer      # adds to models/left_out.json
    python -m training.evaluate --baselines runs/lenet runs/seed             # adds to models/baselines.json

It looks only at the dataset's test part: whole groups of near-copies and persons that training and choosing never touched.
It reads the exported LiteRT file through the app's own `SmileRecognizer`, so it judges exactly what runs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

from common.commands import said_plainly
from common.errors import DatasetError
from common.judged import Judged
from common.places import MODELS
from smile_recognition import PRESENCE_THRESHOLD, SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.fitting.standing import judged_by
from training.judging.judge import faces_digests, judge, judge_baseline, judge_left_out, judge_photos
from training.judging.model_card import write_card
from training.judging.plots import landmark_table, mistakes_sheets, plot_reliability, plot_robustness, sets_table
from training.judging.records import BASELINES, LEFT_OUT, read_json, read_training, record, write_json, write_unseen
from training.judging.scores import plain
from training.quiet import tensorflow_quiet

_USUAL_PHOTOS = Path("../shared/data/genki.zip")
_SHIPPED = Path("models")
_SHIPPED_MISTAKES = Path("runs/mistakes")  # they show people, and models/ is published


def _part_of(faces: Faces, split: str) -> Faces:
    part = faces.part(split)
    if not (part.smile >= 0).any():
        raise DatasetError(
            f"The dataset has no labelled face in its {split} part; add photos, of other people too, and build it again. "
            "What training.json beside the network says was found by cross-validation."
        )
    return part


def _judge_part(options: argparse.Namespace) -> Judged:
    sheets = options.mistakes or (_SHIPPED_MISTAKES if options.model.resolve() == MODELS else options.model / "mistakes")
    if Path(os.path.relpath(sheets)).parts[:1] in (("docs",), ("models",), ()):
        raise DatasetError(f"{sheets} is no place for pictures of people; choose another one with --mistakes.")
    recognizer = SmileRecognizer(options.model / "smile.tflite")
    training = read_training(options.model)
    faces = Faces.load(options.data)
    part = _part_of(faces, options.part)
    photos = options.photos
    if photos is None and _USUAL_PHOTOS.exists() and _USUAL_PHOTOS.stem in part.source:
        photos = _USUAL_PHOTOS
    figures, read = judge(recognizer, part, seed=options.seed)
    figures["photos"] = judge_photos(photos, faces, options.part, recognizer) if photos else None
    mistakes = mistakes_sheets(part, read.smile, sheets, options.part)
    # The documents show plots of the shipped network only.
    plots = options.plots or (Path("docs/evaluation") if options.model == _SHIPPED else options.model / "plots")
    files = {name: plots / f"{name}.png" for name in ("reliability", "robustness")}
    print(sets_table(plain(figures["sets"])))
    real = part.face == 1
    judged = judged_by(
        options.part, part.where(real), read.smile[real] - SMILE_THRESHOLD, read.presence[real] - PRESENCE_THRESHOLD
    )
    print(f"{mistakes} of the worst mistakes are in {sheets}; they show people: don't publish them.")
    if options.part != "test":
        return judged
    plot_reliability(plain(figures["sets"]), files["reliability"])
    plot_robustness(figures["robustness"], files["robustness"])
    report = options.data.with_suffix(".json")
    write_json(
        options.model / "metrics.json",
        {
            "part": options.part,
            "command": _command(options),
            "seed": options.seed,
            "sha256": hashlib.sha256((options.model / "smile.tflite").read_bytes()).hexdigest(),
            "weights": training["weights"],
            "trained_on": training["trained_on"],
            "faces_digests": faces_digests(part),
            **figures,
            "plots": {name: Path(os.path.relpath(path, options.model)).as_posix() for name, path in files.items()},
            "dataset": read_json(report) if report.is_file() else {},
        },
    )
    write_unseen(part, options.model / "unseen.csv")
    write_card(options.model)
    return judged


def _command(options: argparse.Namespace) -> str:
    given = {"model": options.model, "data": options.data, "photos": options.photos, "seed": options.seed or None}
    return " ".join(["python -m training.evaluate", *(f"--{key} {value}" for key, value in given.items() if value)])


def _record(options: argparse.Namespace) -> None:
    """Judges other networks than the one in the record's folder, and makes that folder's card again if it has one."""
    target = options.record or _SHIPPED / (LEFT_OUT if options.left_out else BASELINES)
    faces = Faces.load(options.data)
    if options.left_out:
        entries = [(options.left_out, judge_left_out(options.left_out, options.model, faces, seed=options.seed))]
    else:
        part = _part_of(faces, "test")
        entries = [judge_baseline(folder, part, seed=options.seed) for folder in options.baselines]
    for name, entry in entries:
        record(target, name, entry)
        sets = plain(entry["sets"] if "sets" in entry else {name: entry["figures"]})
        print(name, sets_table(sets) if sets else landmark_table(plain(entry["landmarks"])), sep="\n\n")
    if (target.parent / "metrics.json").is_file():
        write_card(target.parent)


@tensorflow_quiet()
@said_plainly("The network could not be judged")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Judge a trained smile network.")
    parser.add_argument("--model", type=Path, default=_SHIPPED, help="folder with smile.tflite and training.json")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--part", choices=("test", "val"), default="test", help="val: for choosing; writes no card")
    parser.add_argument(
        "--photos", type=Path, help=f"whole photos of a set in the dataset (default {_USUAL_PHOTOS}, if there)"
    )
    parser.add_argument("--plots", type=Path, help="folder for plots (default docs/evaluation for models, else MODEL/plots)")
    parser.add_argument(
        "--mistakes",
        type=Path,
        help=f"folder for pictures of the worst errors (default MODEL/mistakes; for models {_SHIPPED_MISTAKES})",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of intervals and of the faces that are made harder")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--left-out", metavar="SET", help="judge a network that was trained --without SET on all faces of SET")
    mode.add_argument("--baselines", type=Path, nargs="+", metavar="DIR", help="judge networks of --network NAME")
    parser.add_argument("--record", type=Path, help="file that --left-out or --baselines adds to (default in models/)")
    options = parser.parse_args(argv)
    try:
        if options.left_out or options.baselines:
            _record(options)
        else:
            judged = _judge_part(options)
            if said := judged.problem() or judged.caution():
                print(said, file=sys.stderr)
            return 1 if judged.hopeless else 0
    except FileNotFoundError as error:
        print(f"There is no {error.filename}; name a folder that `training.train` has written.", file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError) as error:
        print(f"Something is missing, damaged or in the way: {type(error).__name__}: {error}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
