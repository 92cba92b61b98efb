"""The figures behind the choices of how a face is read, on the validation part, for `docs/experiments.md`.

    python -m benchmarks.reading_choices [--data datasets/faces.npz] [--model models]
    python -m benchmarks.reading_choices --into docs/experiments.md      # a few minutes on one core

Once, in the mirror or upright; where to draw the line for presence and for a smile; from which lean on to read a face
upright; and how much better the faces are known that were trained on. The test part is for the model card alone: nothing
here looks at it. Whole photos have a command of their own, `benchmarks.photo_detection`.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting.choices_report import Figures, markdown
from common.errors import DatasetError, SmileError
from faces.alignment import align
from smile_recognition import CROP_SIZE, SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.data.sources import KNOWN
from training.fitting.lineage import check_start
from training.fitting.progress import point_error
from training.judging.judge import read_crops
from training.judging.metrics import turned
from training.judging.records import read_training, write_text

BEGIN, END = "<!-- begin benchmarks.reading_choices -->", "<!-- end benchmarks.reading_choices -->"
PRESENCE_THRESHOLDS = (0.5, 0.7, 0.9, 0.95)
SMILE_THRESHOLDS = np.arange(5, 96) / 100  # that a set may choose among
LEANS = (0, 10, 20, 30, 45)  # degrees
MOST_TRAINED = 2000  # training faces of each set
_WHOLE = (0, CROP_SIZE, CROP_SIZE, 0)
_MIDDLE = (16, 80, 80, 16)  # the face's box in what `turned` returns


# --- ways to read ---


def read_upright(recognizer: SmileRecognizer, gray: np.ndarray, box: tuple[int, int, int, int]) -> tuple[float, float]:
    """P(smile) of a box, `(top, right, bottom, left)` in `gray` uint8 `(h, w)`, as it is and upright by its own landmarks.

    Landmarks that would have the face half as large as its box, or twice, are not followed: then both are the same.
    """
    (first,) = recognizer.read(gray, [box])
    upright, angle = align(first.points)
    if not 0.5 < upright.height / (box[2] - box[0]) < 2:
        return first.smile, first.smile
    return first.smile, recognizer.read(gray, [upright], [angle])[0].smile


def accuracy(smile: np.ndarray, probability: np.ndarray, threshold: float = SMILE_THRESHOLD) -> float:
    """Share of labels 0/1 `(n,)` that P(smile) `(n,)` gets right; NaN for n = 0."""
    return float(((probability >= threshold) == (smile > 0)).mean()) if len(smile) else math.nan


def sets_of(faces: Faces) -> list[str]:
    """The sets that have smile labels, the known ones first and in their usual order."""
    names = {str(name) for name in faces.labelled().source}
    return [name for name in KNOWN if name in names] + sorted(names - set(KNOWN))


# --- figures ---


def ways_to_read(recognizer: SmileRecognizer, faces: Faces) -> Figures:
    """Accuracy on the crops as they are, as the mean with their mirror images, and upright by their own landmarks.

    `NAME_won` and `NAME_lost`: how many faces that way reads right and the plain one wrong, and the other way round.
    """
    figures: Figures = {}
    for name in sets_of(faces):
        some = faces.where((faces.source == name) & (faces.smile >= 0))
        plain, upright = np.array([read_upright(recognizer, gray, _WHOLE) for gray in some.gray]).T
        mirror = read_crops(recognizer, np.ascontiguousarray(some.gray[:, :, ::-1])).smile
        right = (plain >= SMILE_THRESHOLD) == (some.smile > 0)
        figures[name] = {"faces": len(some), "plain": accuracy(some.smile, plain)}
        for way, probability in {"mirror": (plain + mirror) / 2, "upright": upright}.items():
            now = (probability >= SMILE_THRESHOLD) == (some.smile > 0)
            figures[name] |= {way: float(now.mean()), f"{way}_won": int((now & ~right).sum())}
            figures[name][f"{way}_lost"] = int((right & ~now).sum())
    return figures


def presence_choices(face: np.ndarray, presence: np.ndarray) -> Figures:
    """By threshold: the share of faces (1 in `face` `(n,)`) that P(face) `(n,)` keeps, and of backgrounds (0) it refuses."""
    real = face > 0
    return {
        f"{threshold:g}": {"kept": _mean(presence[real] >= threshold), "refused": _mean(presence[~real] < threshold)}
        for threshold in PRESENCE_THRESHOLDS
    }


def trained_and_unseen(recognizer: SmileRecognizer, trained: Faces, unseen: Faces) -> Figures:
    """Accuracy on faces that were trained on, read as they come, and on faces that were not."""
    figures: Figures = {}
    for name in sets_of(unseen):
        parts = [part.where((part.source == name) & (part.smile >= 0)) for part in (trained, unseen)]
        shares = [accuracy(part.smile, read_crops(recognizer, part.gray).smile) for part in parts]
        figures[name] = {"trained_faces": len(parts[0]), "trained": shares[0], "unseen": shares[1]}
    return figures


def best_threshold(smile: np.ndarray, probability: np.ndarray) -> float:
    """The threshold that gets most labels 0/1 `(n,)` right; among equals the nearest to one half."""
    shares = np.array([accuracy(smile, probability, threshold) for threshold in SMILE_THRESHOLDS])
    equal = SMILE_THRESHOLDS[shares == shares.max()]
    return float(equal[np.argmin(np.abs(equal - SMILE_THRESHOLD))])


def first_half(group: np.ndarray, seed: int) -> np.ndarray:
    """A mask `(n,)` of half of the groups `(n,)`: what belongs together stays on one side."""
    names = np.random.default_rng(seed).permutation(np.unique(group))
    return np.isin(group, names[: len(names) // 2])


def own_thresholds(faces: Faces, probability: np.ndarray, *, seed: int = 0) -> Figures:
    """What a threshold of its own would bring a set: chosen on one half of its faces, judged on the other, and back.

    `faces` n labelled ones, `probability` `(n,)`. NaN for a set with a single group.
    """
    figures: Figures = {}
    for name in sets_of(faces):
        here = faces.source == name
        smile, read, first = faces.smile[here], probability[here], first_half(faces.group[here], seed)
        figures[name] = {"usual": accuracy(smile, read), "own": math.nan, "thresholds": []}
        if not first.any():
            continue
        thresholds = [best_threshold(smile[half], read[half]) for half in (first, ~first)]
        decided = read >= np.where(first, thresholds[1], thresholds[0])
        figures[name] |= {"own": float((decided == (smile > 0)).mean()), "thresholds": thresholds}
    return figures


def leaning(recognizer: SmileRecognizer, faces: Faces, *, seed: int = 0) -> dict[str, dict[int, tuple[float, float]]]:
    """Accuracy by set and degrees of lean, of the box as it is and upright by its own landmarks.

    Every face is turned to one side, drawn by `seed`, about the middle of its box, with what the wide crop has round it.
    """
    side = np.random.default_rng(seed).choice((-1, 1), len(faces))
    figures: dict[str, dict[int, tuple[float, float]]] = {}
    for name in sets_of(faces):
        rows = np.flatnonzero((faces.source == name) & (faces.smile >= 0))
        figures[name] = {}
        for lean in LEANS:
            looks = [read_upright(recognizer, turned(faces.wide[i], float(lean * side[i])), _MIDDLE) for i in rows]
            plain, upright = (accuracy(faces.smile[rows], read) for read in np.array(looks).T)
            figures[name][lean] = plain, upright
    return figures


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


# --- the command ---


def measure(model: Path, val: Faces, trained: Faces, *, seed: int = 0) -> dict[str, Any]:
    """All figures of the network in folder `model`. Raises DatasetError, ModelError."""
    network = model / "smile.tflite"
    recognizer = SmileRecognizer(network)
    training = read_training(model)
    known = val.labelled()
    if not len(known):
        raise DatasetError("The validation part has no face with a smile label; build the dataset from more pictures.")
    read = read_crops(recognizer, val.gray)
    measured = ~np.isnan(val.landmarks).any(axis=(1, 2))
    return {
        "network": f"{network.resolve().parent.name}/{network.name}",
        "sha256": hashlib.sha256(network.read_bytes()).hexdigest()[:16],
        "seed": seed,
        "faces": int((val.face > 0).sum()),
        "backgrounds": int((val.face == 0).sum()),
        "labelled": len(known),
        "training": training,
        "ways": ways_to_read(recognizer, known),
        "presence": presence_choices(val.face, read.presence),
        "trained": trained_and_unseen(recognizer, trained, known),
        "thresholds": own_thresholds(known, read.smile[val.smile >= 0], seed=seed),
        "leans": leaning(recognizer, known, seed=seed),
        "points": {
            "faces": int(measured.sum()),
            "error": _mean(point_error(read.landmarks[measured], val.landmarks[measured])),
        },
    }


def sample(faces: Faces, most: int, seed: int) -> Faces:
    """At most `most` labelled training faces of each set, drawn by `seed`."""
    rng = np.random.default_rng(seed)
    chosen = []
    for name in sets_of(faces):
        rows = np.flatnonzero((faces.split == "train") & (faces.source == name) & (faces.smile >= 0))
        chosen.append(np.sort(rng.choice(rows, min(most, len(rows)), replace=False)))
    return faces.where(np.concatenate(chosen)) if chosen else faces.where(np.zeros(len(faces), bool))


def around_marks(document: Path) -> tuple[str, str]:
    """What stands before and after the place for the figures in `document`. Raises DatasetError where it has none."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DatasetError(f"{document} has no place for the figures; put the lines {BEGIN} and {END} there.")
    return before + begin, end + after


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading_choices", description="Figures behind the choices of how a face is read."
    )
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--model", type=Path, default=Path("models"), help="folder with smile.tflite and training.json")
    parser.add_argument("--into", type=Path, metavar="FILE", help="also put the figures between the marks in this document")
    parser.add_argument("--seed", type=int, default=0, help="of samples, halves and sides")
    options = parser.parse_args(argv)
    try:
        around = around_marks(options.into) if options.into else None  # before the minutes that the figures take
        faces = Faces.load(options.data)
        faces = faces.where(faces.split != "test")  # nothing below can look at it
        val, trained = faces.part("val"), sample(faces, MOST_TRAINED, options.seed)
        del faces  # more than a gigabyte
        check_start(options.model, val)
        text = markdown(measure(options.model, val, trained, seed=options.seed))
        print(text, end="")
        if around:
            write_text(options.into, f"{around[0]}\n\n{text}\n{around[1]}")
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError, IndexError) as error:
        print(f"Something is missing, damaged or in the way: {type(error).__name__}: {error}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
