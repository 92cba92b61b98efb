"""The measures of `training.evaluate`: figures, their intervals, and ways to make faces harder.

    >>> wilson_interval(90, 100)
    (0.8256..., 0.9447...)

An undefined figure (the ROC AUC of one class, the mean of nothing) is NaN, which becomes null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from common.face import Face
from smile_recognition import CROP_SIZE, LANDMARKS, PRESENCE_THRESHOLD, SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.fitting.augmentation import View, look
from training.fitting.progress import point_error
from training.fitting.standing import wilson_interval as wilson_interval

CALIBRATION_BINS = 15
DRAWS = 1000  # of the bootstrap
LARGE_POINT_ERROR = 0.10  # of the distance between the eyes
CURVE_FACES = 400  # faces of each set, at most: a curve needs 37 readings of each
ANGLES = (-45, -30, -15, 0, 15, 30, 45)  # degrees clockwise

# --- measures ---


def grouped_interval(values: np.ndarray, group: np.ndarray, *, seed: int = 0, draws: int = DRAWS) -> tuple[float, float]:
    """95 % interval of the mean of `values` `(n,)`, if only whole groups `(n,)` are independent of each other.

    The percentile bootstrap over clusters (Field & Welsh 2007): groups are drawn with replacement. NaN for a single group,
    which says nothing about others.
    """
    _, index = np.unique(group, return_inverse=True)
    count = np.bincount(index)
    if len(count) < 2:
        return math.nan, math.nan
    total = np.bincount(index, weights=values.astype(float))
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for i in range(draws):
        drawn = rng.integers(0, len(count), len(count))
        means[i] = total[drawn].sum() / count[drawn].sum()
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def reliability(smile: np.ndarray, probability: np.ndarray, bins: int = CALIBRATION_BINS) -> dict[str, list]:
    """Mean P(smile), share that smiles and count in each of `bins` equal-width bins of P(smile); NaN for an empty bin."""
    which = np.minimum((probability.astype(float) * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    divisor = np.where(count, count, np.nan)
    return {
        "predicted": (np.bincount(which, weights=probability, minlength=bins) / divisor).tolist(),
        "observed": (np.bincount(which, weights=smile, minlength=bins) / divisor).tolist(),
        "count": count.tolist(),
    }


def calibration_error(smile: np.ndarray, probability: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error (Guo et al. 2017) of P(smile) `(n,)` against labels 0/1 `(n,)`, in equal-width bins."""
    table = reliability(smile, probability, bins)
    gaps = np.abs(np.subtract(table["predicted"], table["observed"]))
    return float(np.nansum(gaps * np.array(table["count"])) / len(smile))


def calibration_error_by_chance(probability: np.ndarray, *, seed: int = 0, draws: int = 200) -> float:
    """The mean calibration error of so many faces if every P(smile) `(n,)` were exactly right; few faces have some."""
    rng = np.random.default_rng(seed)
    return float(np.mean([calibration_error(rng.random(len(probability)) < probability, probability) for _ in range(draws)]))


def smile_figures(smile: np.ndarray, probability: np.ndarray, group: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """How well P(smile) `(n,)` tells labels 1 and 0 `(n,)` apart, n > 0; `group` `(n,)` as in `Faces`."""
    decided, truth = probability >= SMILE_THRESHOLD, smile > 0
    right = decided == truth
    low, high = wilson_interval(int(right.sum()), len(smile))
    grouped_low, grouped_high = grouped_interval(right, group, seed=seed)
    both = truth.any() and not truth.all()
    return {
        "faces": len(smile),
        "groups": len(np.unique(group)),
        "smiling": float(truth.mean()),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_grouped_low": grouped_low,
        "accuracy_grouped_high": grouped_high,
        "balanced_accuracy": float(balanced_accuracy_score(truth, decided)) if both else math.nan,
        "roc_auc": float(roc_auc_score(truth, probability)) if both else math.nan,
        "calibration_error": calibration_error(truth, probability),
        "calibration_error_by_chance": calibration_error_by_chance(probability, seed=seed),
        "confusion": {
            "smile_read_as_smile": int((truth & decided).sum()),
            "smile_read_as_no_smile": int((truth & ~decided).sum()),
            "no_smile_read_as_smile": int((~truth & decided).sum()),
            "no_smile_read_as_no_smile": int((~truth & ~decided).sum()),
        },
        "reliability": reliability(truth, probability),
    }


def landmark_figures(points: np.ndarray, truth: np.ndarray, group: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """How far five points `(n, 5, 2)` are from the true ones, both 0 to 1 across the crop, n > 0.

    Errors are in distances between the true eyes, the usual unit; `mse` is the mean square of a coordinate's error, in crop
    sides squared.
    """
    errors = point_error(points, truth)  # (n,)
    low, high = grouped_interval(errors, group, seed=seed)
    return {
        "faces": len(points),
        "groups": len(np.unique(group)),
        "mean": float(errors.mean()),
        "mean_low": low,
        "mean_high": high,
        "median": float(np.median(errors)),
        "share_over_10_percent": float((errors > LARGE_POINT_ERROR).mean()),
        "mse": float(((points - truth) ** 2).mean()),
        "points": {
            name: {
                "mean": float(np.mean(_distance(points[:, i], truth[:, i]) / _eye_distance(truth))),
                "mse": float(((points[:, i] - truth[:, i]) ** 2).mean()),
            }
            for i, name in enumerate(LANDMARKS)
        },
    }


def _distance(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - truth, axis=1)


def _eye_distance(truth: np.ndarray) -> np.ndarray:
    return np.maximum(_distance(truth[:, 0], truth[:, 1]), 1e-6)


def presence_figures(face: np.ndarray, presence: np.ndarray) -> dict[str, Any]:
    """How well P(face) `(n,)` tells faces, 1, from backgrounds, 0, `(n,)`."""
    real, decided = face > 0, presence >= PRESENCE_THRESHOLD
    both = real.any() and not real.all()
    return {
        "faces": int(real.sum()),
        "backgrounds": int((~real).sum()),
        "accuracy": float((decided == real).mean()) if len(face) else math.nan,
        "roc_auc": float(roc_auc_score(real, presence)) if both else math.nan,
        "false_positive_share": float(decided[~real].mean()) if (~real).any() else math.nan,
        "missed_share": float((~decided[real]).mean()) if real.any() else math.nan,
    }


def photo_figures(dealt: list[tuple[bool, int]], without: list[tuple[bool, int]], weight: float) -> dict[str, Any]:
    """Figures for whole photos. For each: whether it was read right, and how many faces were found in it.

    `dealt`, n > 0: photos of one part; `without`: photos that belong to no part, each of which counts `weight`.
    """
    (right, missed), (right_without, missed_without) = (
        (sum(right for right, _ in photos), sum(not count for _, count in photos)) for photos in (dealt, without)
    )
    n = len(dealt) + weight * len(without)
    low, high = wilson_interval(right + weight * right_without, n)
    return {
        "photos": len(dealt),
        "without_face": len(without),
        "without_face_found": len(without) - missed_without,
        "weight": weight,
        "accuracy": (right + weight * right_without) / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "missed_share": (missed + weight * missed_without) / n,
        "accuracy_where_found": right / (len(dealt) - missed) if missed < len(dealt) else math.nan,
        "several_faces": sum(count > 1 for _, count in dealt),
    }


def plain(value: Any) -> Any:
    """The value in a form that JSON can hold. NaN becomes None. Numbers keep six places, so the last bits of a sum don't
    matter.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 6) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


# --- faces made harder ---


def blurred(gray: np.ndarray, sigma: float, noise: np.ndarray) -> np.ndarray:
    """A crop uint8 `(64, 64)` through a Gaussian of `sigma` pixels."""
    return cv2.GaussianBlur(gray, (0, 0), sigma) if sigma > 0 else gray


def darkened(gray: np.ndarray, gain: float, noise: np.ndarray) -> np.ndarray:
    """Grey levels times `gain`, rounded to whole ones as a camera does."""
    return np.clip(np.round(gray * np.float32(gain)), 0, 255).astype(np.uint8)


def noisy(gray: np.ndarray, sigma: float, noise: np.ndarray) -> np.ndarray:
    """The crop plus `sigma` grey levels times `noise`, standard normal float32 `(64, 64)`."""
    return np.clip(np.round(gray + np.float32(sigma) * noise), 0, 255).astype(np.uint8)


def smaller(gray: np.ndarray, size: float, noise: np.ndarray) -> np.ndarray:
    """The crop as if the face had been `size` pixels wide in the picture."""
    if size >= gray.shape[0]:
        return gray
    small = cv2.resize(gray, (int(size), int(size)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, gray.shape[::-1], interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Hardship:
    """One way to make a face harder to read. The first strength changes nothing."""

    title: str
    strengths: tuple[float, ...]
    apply: Callable[[np.ndarray, float, np.ndarray], np.ndarray]


HARDSHIPS = {
    "blur": Hardship("Blur: sigma in pixels of the crop", (0, 0.5, 1, 1.5, 2, 3), blurred),
    "darkness": Hardship("Darkness: grey levels times", (1, 0.7, 0.5, 0.35, 0.2, 0.1), darkened),
    "noise": Hardship("Noise: sigma in grey levels", (0, 4, 8, 16, 24, 32), noisy),
    "size": Hardship("Small faces: pixels across", (64, 48, 32, 24, 16), smaller),
}

# A turned face is drawn with half a box more around it, so that a second, tilted look sees what is really there.
_TURNED_SIZE = 96
_MIDDLE = (16, 80, 80, 16)  # the face's box in it


def turned(wide: np.ndarray, angle: float) -> np.ndarray:
    """A wide crop uint8 `(128, 128)` turned clockwise: uint8 `(96, 96)`. Its middle `(64, 64)` is the face's box."""
    return look(wide, View(angle=angle, scale=CROP_SIZE / _TURNED_SIZE), _TURNED_SIZE)


def eye_tilt(landmarks: np.ndarray) -> np.ndarray:
    """The lean of the line from the left to the right eye, in degrees clockwise: `(n, 5, 2)` -> `(n,)`."""
    dx, dy = (landmarks[:, 1] - landmarks[:, 0]).T
    return np.degrees(np.arctan2(dy, dx))


def read_aligned(recognizer: SmileRecognizer, gray: np.ndarray, box: tuple[int, int, int, int]) -> tuple[Face, Face]:
    """Takes two looks at one face: the box as it is, then the box turned by the tilt of the first look's eyes."""
    (first,) = recognizer.read(gray, [box])
    (second,) = recognizer.read(gray, [box], angles=eye_tilt(first.points[None]).tolist())
    return first, second


def robustness(recognizer: SmileRecognizer, faces: Faces, *, most: int = CURVE_FACES, seed: int = 0) -> dict[str, Any]:
    """Accuracy on labelled faces that are made harder, at most `most` of each set, drawn by `seed`.

    `accuracy` by hardship and set is a list over `strengths`. A rotation has two lists over `ANGLES`: `accuracy` for the
    crop as it is, and `aligned` for the second look.
    """
    chosen = {str(name): _some_of(faces.where(faces.source == name), most, seed) for name in np.unique(faces.source)}
    noise = np.random.default_rng(seed).standard_normal((max(map(len, chosen.values()), default=0), CROP_SIZE, CROP_SIZE))
    curves: dict[str, Any] = {"faces": {name: len(some) for name, some in chosen.items()}, "seed": seed}
    whole = (0, CROP_SIZE, CROP_SIZE, 0)
    for kind, hardship in HARDSHIPS.items():
        curves[kind] = {"strengths": list(hardship.strengths), "accuracy": {}}
        for name, some in chosen.items():
            shares = []
            for strength in hardship.strengths:
                crops = [hardship.apply(gray, strength, noise[i]) for i, gray in enumerate(some.gray)]
                read = np.array([recognizer.predict_smile(crop, [whole])[0] for crop in crops])
                shares.append(float(((read >= SMILE_THRESHOLD) == (some.smile > 0)).mean()))
            curves[kind]["accuracy"][name] = shares
    curves["rotation"] = {"strengths": list(ANGLES), "accuracy": {}, "aligned": {}}
    for name, some in chosen.items():
        looks = np.array([[_both_looks(recognizer, wide, angle) for angle in ANGLES] for wide in some.wide])  # (n, 7, 2)
        right = (looks >= SMILE_THRESHOLD) == (some.smile > 0)[:, None, None]
        curves["rotation"]["accuracy"][name], curves["rotation"]["aligned"][name] = right.mean(axis=0).T.tolist()
    return curves


def _both_looks(recognizer: SmileRecognizer, wide: np.ndarray, angle: float) -> tuple[float, float]:
    first, second = read_aligned(recognizer, turned(wide, angle), _MIDDLE)
    return first.smile, second.smile


def _some_of(faces: Faces, most: int, seed: int) -> Faces:
    if len(faces) <= most:
        return faces
    return faces.where(np.sort(np.random.default_rng(seed).choice(len(faces), most, replace=False)))
