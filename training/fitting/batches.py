"""Shuffled, augmented batches with a target for every output that a network has."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import keras
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler

from smile_recognition import CROP_SIZE
from training.data.dense import MIRRORED_POINTS, MIRRORED_SHAPES, POINTS, SHAPES, Dense
from training.data.faces import Faces
from training.data.reading import five_points
from training.fitting.augmentation import (
    MIRRORED_68,
    MIRRORED_LANDMARKS,
    View,
    look,
    missing_view,
    move_points,
    random_view,
    spoil,
)
from training.fitting.plan import Taught
from training.networks.network import EXPRESSIONS
from training.networks.recipes import Recipe

# How often a set's label is taken to be wrong, so that the network is not forced to learn it. Search terms and crowd-sourced
# tags are wrong more often than labels that experts agreed on.
LABEL_NOISE = {
    "getty_faces": 0.08,
    "fer": 0.05,
    "smiles": 0.03,
    "genki": 0.02,
    "celeba64": 0.03,
    "rafdb": 0.02,
    "affect": 0.05,
}
_USUAL_NOISE = 0.03
_CHECKED = ("affect",)
_SURELY_NONE, _SURELY_SMILES = 0.1, 0.6  # of the mouth's corners, 0 to 1
_FEWEST_IN_COMMON = 500  # with fewer faces, hundreds of numbers for each coordinate can't be fitted
_MEASURED_WEIGHT = 3.0  # of landmarks
_MISSING_SHARE = 0.07  # share of the faces, shown so that they count as missing
_BACKGROUND_SHARE = 0.12  # of an epoch
# The last epochs show faces more as they are, because most come that way later (compare Touvron et al. 2019).
_GENTLE_SHARE = 0.17
_GENTLE_STRENGTH = 0.5
_MIRRORED = {"landmarks": MIRRORED_LANDMARKS, "shape68": MIRRORED_68, "mesh": MIRRORED_POINTS}
_FOLDER_OF_EXPRESSION = {"angry": "anger"}


def fit_scaler(gray: np.ndarray) -> MinMaxScaler:
    """A MinMaxScaler over pixels, fitted on training crops `(n, h, w)`; `transform` takes `(n, h * w)` grey levels."""
    flat = gray.reshape(len(gray), -1)
    # Its minimum and maximum need every picture, but not all at once as float64.
    return MinMaxScaler().fit(np.stack([flat.min(axis=0), flat.max(axis=0)]).astype(np.float64))


def scale(scaler: MinMaxScaler, gray: np.ndarray) -> np.ndarray:
    """uint8 `(n, h, w)` -> float32 `(n, h, w, 1)`, as a network reads it."""
    flat = gray.reshape(len(gray), -1).astype(np.float32)
    scaled = flat * scaler.scale_.astype(np.float32) + scaler.min_.astype(np.float32)
    return scaled.reshape(*gray.shape, 1)


def resized(faces: Faces, size: int, view_scale: float = 1.0) -> np.ndarray:
    """The plain crops at another size, uint8 `(n, size, size)`. A `view_scale` below 1 also shows what is round the box."""
    if size == CROP_SIZE and view_scale == 1:
        return faces.gray
    view = View(scale=view_scale)
    return np.stack([look(wide, view, size) for wide in faces.wide]) if len(faces) else np.empty((0, size, size), np.uint8)


@dataclass(frozen=True)
class Targets:
    """What each output should say for n faces, and how much that counts: arrays `(n, width)` and weights `(n,)` by
    output.
    """

    value: dict[str, np.ndarray]
    weight: dict[str, np.ndarray]


def sample_weights(faces: Faces) -> np.ndarray:
    """Weights float32 `(n,)` with mean 1 over the labelled faces. A set counts by the root of its size, each of its faces
    alike.

    Otherwise a small set that is close to the use (webcam-like photos) would drown in a large one. Labels are not balanced
    within a set: that would shift the probability for every set with uneven labels, and with it the accuracy at one half.
    """
    weights = np.zeros(len(faces), np.float32)
    labelled = faces.smile >= 0
    for source in np.unique(faces.source[labelled]):
        chosen = labelled & (faces.source == source)
        weights[chosen] = 1 / np.sqrt(chosen.sum())
    return weights / max(weights[labelled].mean(), 1e-9) if labelled.any() else weights


def make_targets(
    faces: Faces,
    *,
    soften: bool = True,
    guessed_weight: float = 0.4,
    taught: Taught | None = None,
) -> Targets:
    """Targets for every output. `soften` moves smile labels towards one half by what is known about a set's label noise.

    `guessed_weight`: how much landmarks count that dlib guessed, where measured ones count 3; those that a
    teacher's dense points tell count 1. `taught`: what teachers say of the same faces.
    """
    n = len(faces)
    dense = taught.dense if taught else None
    smile = np.clip(faces.smile, 0, 1).astype(np.float32)
    if taught is not None:
        known = ~np.isnan(taught.smile)
        smile[known] = (1 - taught.share) * smile[known] + taught.share * taught.smile[known]
    if soften:
        noise = np.array([LABEL_NOISE.get(str(source), _USUAL_NOISE) for source in faces.source], np.float32)
        if taught is not None:
            noise[known] *= 1 - taught.share  # the teacher's part says for itself how sure it is
        smile = smile * (1 - 2 * noise) + noise
    measured = ~np.isnan(faces.landmarks).any(axis=(1, 2))
    shaped = ~np.isnan(faces.shape68).any(axis=(1, 2))
    landmarks = guessed_landmarks(faces)
    meshed = placed = np.zeros(n, bool)  # placed: whose landmarks come from the teacher's points
    mesh, shapes = np.zeros((n, 2 * len(POINTS)), np.float32), np.zeros((n, len(SHAPES)), np.float32)
    if dense is not None:
        meshed = ~np.isnan(dense.shapes[:, 0])
        mesh, shapes = np.nan_to_num(dense.points.reshape(n, -1)).astype(np.float32), np.nan_to_num(dense.shapes)
        both = np.concatenate([mesh, faces.shape68.reshape(n, -1)], axis=1)
        if (found := translated(both, faces.landmarks, meshed & shaped)) is not None:
            placed = meshed & shaped
            landmarks[placed] = found
    landmarks = np.where(measured[:, None, None], faces.landmarks, landmarks)
    folders = [_FOLDER_OF_EXPRESSION.get(name.partition("/")[0], name.partition("/")[0]) for name in faces.name]
    expression = np.array([EXPRESSIONS.index(folder) if folder in EXPRESSIONS else -1 for folder in folders])
    return Targets(
        {
            "smile": smile[:, None],
            "presence": faces.face[:, None].astype(np.float32),
            "landmarks": np.nan_to_num(landmarks).reshape(n, -1).astype(np.float32),
            "expression": np.eye(len(EXPRESSIONS), dtype=np.float32)[np.maximum(expression, 0)],
            "shape68": np.nan_to_num(faces.shape68).reshape(n, -1),
            "mesh": mesh,
            "shapes": shapes.astype(np.float32),
        },
        {
            "smile": sample_weights(faces) * ~_contradicted(faces, dense),
            "presence": np.ones(n, np.float32),
            "landmarks": np.select([measured, placed, shaped], [_MEASURED_WEIGHT, 1.0, guessed_weight]).astype(np.float32),
            "expression": ((expression >= 0) & (faces.face == 1)).astype(np.float32),
            "shape68": shaped.astype(np.float32),
            "mesh": meshed.astype(np.float32),
            "shapes": meshed.astype(np.float32),
        },
    )


def _contradicted(faces: Faces, dense: Dense | None) -> np.ndarray:
    """Which labels, bool `(n,)`, of sets that name expressions instead of smiles the teacher's blendshapes deny."""
    if dense is None:
        return np.zeros(len(faces), bool)
    smiles = dense.smiles
    denied = ((faces.smile == 1) & (smiles < _SURELY_NONE)) | ((faces.smile == 0) & (smiles > _SURELY_SMILES))
    return denied & np.isin(faces.source, _CHECKED)


def guessed_landmarks(faces: Faces) -> np.ndarray:
    """Five landmarks `(n, 5, 2)` from dlib's 68 points, placed like the measured ones of the same data.

    Two makers of points always differ by a few hundredths of a face, for example about the tip of a nose. A linear map,
    fitted where both have points, translates.
    """
    guess = five_points(faces.shape68)
    shaped = ~np.isnan(faces.shape68).any(axis=(1, 2))
    if (found := translated(faces.shape68.reshape(len(faces), -1), faces.landmarks, shaped)) is not None:
        guess[shaped] = found
    return guess


def translated(points: np.ndarray, measured: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    """Five landmarks `(m, 5, 2)` for the m rows `known`, bool `(n,)`, from other points `(n, k)`, by a map fitted where
    `measured` `(n, 5, 2)` is not NaN; None if too few faces have both.
    """
    both = known & ~np.isnan(measured).any(axis=(1, 2))
    if both.sum() < _FEWEST_IN_COMMON:
        return None
    translate = Ridge(alpha=0.05).fit(points[both], measured[both].reshape(both.sum(), -1))
    return translate.predict(points[known]).reshape(-1, 5, 2)


class Batches(keras.utils.PyDataset):
    """Only epoch and seed decide what is in a batch, so a resumed run equals an uninterrupted one."""

    def __init__(
        self,
        faces: Faces,
        scaler: MinMaxScaler,
        outputs: tuple[str, ...],
        recipe: Recipe,
        *,
        seed: int,
        taught: Taught | None = None,
        epochs: int = 0,
        share: slice = slice(None),
    ) -> None:
        """`recipe`: how faces are drawn. `epochs`: how many are planned, so that the last of them can be gentler; 0 if that
        is not known.

        `share`: the rows of every batch to draw. Several processes, each with its own rows, draw the whole batch.
        """
        # Two threads, because Keras lets a single one wait for the network and not work beside it.
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=16)
        self._faces, self._scaler, self._outputs, self._recipe, self._seed = faces, scaler, outputs, recipe, seed
        self._gentle_from = round((1 - _GENTLE_SHARE) * epochs) if epochs else math.inf
        self._targets = make_targets(faces, soften=recipe.augmented, guessed_weight=recipe.guessed_weight, taught=taught)
        self._share = share
        self._real = np.flatnonzero(faces.face == 1)
        self._backgrounds = np.flatnonzero(faces.face == 0) if "presence" in outputs else np.empty(0, int)
        # A set of a few hundred pictures needs many steps more than steady ones.
        self.batch = min(recipe.batch, max(16, len(self._real) // 20))
        self.epoch = 0
        self._order = self._deal()

    def start(self, epoch: int) -> None:
        """Deals the pictures of `epoch`, from 0."""
        self.epoch = epoch
        self._order = self._deal()

    def on_epoch_end(self) -> None:
        self.start(self.epoch + 1)

    def _deal(self) -> np.ndarray:
        rng = np.random.default_rng([self._seed, self.epoch])
        few = min(len(self._backgrounds), round(_BACKGROUND_SHARE * len(self._real)))
        return rng.permutation(np.concatenate([self._real, rng.choice(self._backgrounds, few, replace=False)]))

    def __len__(self) -> int:
        return len(self._order) // self.batch or 1

    @property
    def whole(self) -> int:
        """Faces in every batch, all shares together."""
        return min(self.batch, len(self._order))

    @property
    def part(self) -> float:
        """Which part of every batch this share is."""
        return len(range(self.whole)[self._share]) / self.whole

    def __getitem__(self, index: int):
        rows = self._order[index * self.batch : (index + 1) * self.batch]
        # Each row has dice of its own, so it looks the same whichever process draws it.
        dice = [np.random.default_rng([self._seed, self.epoch, index, i]) for i in range(len(rows))[self._share]]
        rows = rows[self._share]
        value = {name: self._targets.value[name][rows].copy() for name in self._outputs}
        weight = {name: self._targets.weight[name][rows].copy() for name in self._outputs}
        gray = np.stack([self._picture(row, i, dice[i], value, weight) for i, row in enumerate(rows)])
        x = scale(self._scaler, gray)
        return np.repeat(x, 3, axis=3) if self._recipe.color else x, value, weight

    def _picture(self, row: int, i: int, rng: np.random.Generator, value: dict, weight: dict) -> np.ndarray:
        if self._recipe.plain_share and rng.random() < self._recipe.plain_share:
            return self._look(View(mirrored=bool(rng.random() < 0.5)), row, i, value)
        strength = _GENTLE_STRENGTH if self.epoch >= self._gentle_from else 1.0
        view = random_view(rng, strength) if self._recipe.augmented else View(mirrored=bool(rng.random() < 0.5))
        if "presence" in value and self._recipe.augmented and self._faces.face[row] and rng.random() < _MISSING_SHARE:
            view = missing_view(rng)
            value["presence"][i] = 0
            for name in weight:
                weight[name][i] *= name == "presence"
        gray = self._look(view, row, i, value)
        return spoil(gray, rng) if self._recipe.augmented and rng.random() < strength else gray

    def _look(self, view: View, row: int, i: int, value: dict) -> np.ndarray:
        view = replace(view, scale=view.scale * self._recipe.view_scale)
        self._move(view, i, value)
        if self._recipe.size == CROP_SIZE and view == View(mirrored=view.mirrored):  # just as the app would cut it out
            return self._faces.gray[row][:, :: -1 if view.mirrored else 1]
        return look(self._faces.wide[row], view, self._recipe.size)

    def _move(self, view: View, i: int, value: dict) -> None:
        for name, order in _MIRRORED.items():
            if name in value:
                value[name][i] = move_points(value[name][i].reshape(-1, 2), view, order).ravel()
        if view.mirrored and "shapes" in value:
            value["shapes"][i] = value["shapes"][i][MIRRORED_SHAPES]


def use_one_opencv_thread() -> None:
    """Turns OpenCV's threads off: pictures this small are not worth them, and the network needs the cores."""
    cv2.setNumThreads(1)
