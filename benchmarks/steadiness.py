"""How steadily a followed face is labelled: sequences made of stills, which sway, turn, blur and flicker as webcams do.

    python -m benchmarks.steadiness                       # held-back faces; about a minute on one core
    python -m benchmarks.steadiness --part val            # those by which the filter's numbers were chosen
    python -m benchmarks.steadiness --held 6              # the second face stays for nine seconds

A sequence is one face for a second and a half, another of the same set that smiles where the first does not, and the first
again, at 30 frames a second: half begin with the neutral face, half with the smile. Frames nearer than 0.3 s to a change are
not judged. Printed are the frames labelled right, the changes of the label that nobody made, how long after a change the
label follows on average, and how many changes it never follows: by each frame alone, by a mean of a tenth of a second with a
band of 0.07 about one half, and by the app.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reporting.command import said_plainly
from common.errors import DatasetError
from faces.smoothing import SmoothedSmile
from smile_recognition import CROP_SIZE, SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.fitting.augmentation import View, look

FRAME_S = 1 / 30
STILL = 45  # frames of one face
_UNJUDGED = 9  # frames on each side of a change
_PAIRS = 50  # of each set
_WHOLE = (0, CROP_SIZE, CROP_SIZE, 0)

Filter = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Steadiness:
    """`right`: share of the judged frames; `flips`: changes of the label among these, in a sequence.

    `late_s`: mean seconds until it follows, NaN if it never does; `missed`: share of the changes that it does not follow
    before the next one.
    """

    right: float
    flips: float
    late_s: float
    missed: float


def read_pairs(recognizer: SmileRecognizer, faces: Faces, *, most: int = _PAIRS, seed: int = 0) -> np.ndarray:
    """P(smile) float `(pairs, 2, STILL)` of frames of a neutral and of a smiling face, `most` pairs of each set."""
    rng = np.random.default_rng(seed)
    pairs = []
    for source in np.unique(faces.source):
        dealt = [
            rng.permutation(np.flatnonzero((faces.source == source) & (faces.smile == smile)))[:most] for smile in (0, 1)
        ]
        for rows in zip(*dealt, strict=False):
            pairs.append([_read(recognizer, faces.wide[row], rng) for row in rows])
    return np.array(pairs).reshape(-1, 2, STILL)


def _read(recognizer: SmileRecognizer, wide: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sway = [_walk(rng, spread, frames) for spread, frames in ((5, 20), (0.03, 8), (0.03, 8), (0.04, 8), (0.12, 30))]
    gain, noise = rng.uniform(0.3, 1.1), np.exp(rng.uniform(0, np.log(14)))
    blur = rng.uniform(0.3, 1.5) if rng.random() < 0.4 else 0
    read = np.zeros(STILL)
    for i, (angle, x, y, size, light) in enumerate(np.transpose(sway)):
        gray = look(wide, View(angle=angle, scale=math.exp(size), shift=(x, y)))
        if blur:
            gray = cv2.GaussianBlur(gray, (0, 0), blur)
        seen = gray * gain * math.exp(light) + rng.normal(0, noise, gray.shape)
        read[i] = recognizer.predict_smile(np.clip(seen, 0, 255).astype(np.uint8), [_WHOLE])[0]
    return read


def _walk(rng: np.random.Generator, spread: float, frames: float) -> np.ndarray:
    """A random walk that is drawn back: standard deviation `spread`, forgotten within `frames`; float `(STILL,)`."""
    kept = math.exp(-1 / frames)
    steps = rng.normal(0, spread, STILL)
    for i in range(1, STILL):
        steps[i] = kept * steps[i - 1] + math.sqrt(1 - kept**2) * steps[i]
    return steps


def each_alone(raw: np.ndarray) -> np.ndarray:
    return raw >= SMILE_THRESHOLD


def mean_with_band(raw: np.ndarray, time_constant: float = 0.08, band: float = 0.07) -> np.ndarray:
    """What came before `SmoothedSmile`: an exponential mean, and hysteresis about one half."""
    mean, smiling = raw[0], raw[0] >= SMILE_THRESHOLD
    labels = [smiling]
    for value in raw[1:]:
        mean += (1 - math.exp(-FRAME_S / time_constant)) * (value - mean)
        smiling = mean >= SMILE_THRESHOLD + (-band if smiling else band)
        labels.append(smiling)
    return np.array(labels)


def by_evidence(raw: np.ndarray) -> np.ndarray:
    smile = SmoothedSmile()
    return np.array([smile(float(value), FRAME_S) >= SMILE_THRESHOLD for value in raw])


def judge(pairs: np.ndarray, label: Filter, held: int = 1) -> Steadiness:
    """`pairs` as from `read_pairs`; `label`: from P(smile) `(frames,)` to bool `(frames,)`. The second face stays `held`
    times as long as the others, its frames to and fro.
    """
    right, flips, late = [], 0, []
    order = np.repeat([0, 1, 0], [STILL, held * STILL, STILL])
    changes = (STILL, (1 + held) * STILL)
    far = np.all([np.abs(np.arange(len(order)) - at) > _UNJUDGED for at in changes], axis=0)
    for pair in pairs:
        for first in (0, 1):  # which of the two comes first
            truth = (order == 1) != (first == 1)
            second = [pair[1 - first][:: 1 - 2 * (i % 2)] for i in range(held)]
            said = label(np.concatenate([pair[first], *second, pair[first][::-1]]))
            right.append((said == truth)[far].mean())
            flips += int(far[1:][said[1:] != said[:-1]].sum())
            for at in changes:
                followed = np.flatnonzero(said[at : at + STILL] == truth[at])
                if said[at - 1] != truth[at]:  # else there is nothing to follow
                    late.append(followed[0] * FRAME_S if len(followed) else math.nan)
    missed = np.isnan(late)
    late_s = math.nan if missed.all() else float(np.nanmean(late))
    return Steadiness(float(np.mean(right)), flips / (2 * len(pairs)), late_s, float(missed.mean()) if late else math.nan)


FILTERS: dict[str, Filter] = {
    "each frame alone": each_alone,
    "mean with a band": mean_with_band,
    "the app: evidence": by_evidence,
}


@said_plainly
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steadiness", description="How steady labels are.")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--model", type=Path, default=Path("models"), help="folder with smile.tflite")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--most", type=int, default=_PAIRS, help="pairs of faces of each set (default: %(default)s)")
    parser.add_argument("--held", type=int, default=1, help="how long the second face stays, in 1.5 s (default: 1)")
    options = parser.parse_args(argv)
    if options.most < 1 or options.held < 1:
        raise DatasetError("--most and --held must be 1 or more.")
    faces = Faces.load(options.data).part(options.part).labelled()
    pairs = read_pairs(SmileRecognizer(options.model / "smile.tflite"), faces, most=options.most)
    if not len(pairs):
        raise DatasetError(f"No set of {options.data} has both smiling and other faces in the part {options.part}.")
    seconds = (2 + options.held) * STILL * FRAME_S
    print(f"{2 * len(pairs)} sequences of {seconds:.1f} s, part {options.part}\n")
    print("| label | frames right | flips in a sequence | follows a change after | never follows |\n" + "| --- " * 5 + "|")
    for name, label in FILTERS.items():
        found = judge(pairs, label, options.held)
        print(f"| {name} | {found.right:.1%} | {found.flips:.2f} | {1000 * found.late_s:.0f} ms | {found.missed:.1%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
