"""Find pictures that belong together: near-copies and pictures of one person must never be on both sides of a split.

Near-duplicates: the correlation of 16x16 thumbnails, brightness and contrast removed, is over `DUPLICATE_CORRELATION`.
Persons: face_recognition's 128-number descriptors are closer than `PERSON_DISTANCE`. That is stricter than the 0.6 that its
documentation uses for "the same person", because links are chained into groups and one wrong link would join two crowds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data.faces import NO_LABEL, Faces
from training.data.sources import Source

DUPLICATE_CORRELATION = 0.97
PERSON_DISTANCE = 0.40
_BLOCK = 2048


def thumbnails(crops: np.ndarray) -> np.ndarray:
    """`crops` uint8 `(n, h, w)` -> unit-length float32 `(n, 256)`, whose dot products are correlations."""
    small = [cv2.resize(crop, (16, 16), interpolation=cv2.INTER_AREA) for crop in crops]
    flat = np.array(small, np.float32).reshape(len(crops), 256)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


class Copies(NamedTuple):
    """Index pairs `(m, 2)`, i < j, and how much their thumbnails correlate `(m,)`."""

    pairs: np.ndarray
    correlation: np.ndarray


def duplicate_pairs(crops: np.ndarray, threshold: float = DUPLICATE_CORRELATION) -> Copies:
    """Pictures `(n, h, w)` that are near-copies, also mirrored ones."""
    direct, mirrored = thumbnails(crops), thumbnails(crops[:, :, ::-1])
    pairs, values = [np.empty((0, 2), int)], [np.empty(0, np.float32)]
    for i in range(0, len(crops), _BLOCK):
        alike = np.maximum(direct[i : i + _BLOCK] @ direct[i:].T, direct[i : i + _BLOCK] @ mirrored[i:].T)
        found = _above(alike, threshold, 0)
        values.append(alike[found[:, 0], found[:, 1]])
        pairs.append(found + i)
    return Copies(np.concatenate(pairs), np.concatenate(values))


def person_pairs(descriptors: np.ndarray, threshold: float = PERSON_DISTANCE) -> np.ndarray:
    """Index pairs `(m, 2)`, i < j, of descriptors `(n, 128)` nearer than `threshold`."""
    squares = (descriptors**2).sum(axis=1)
    pairs = []
    for i in range(0, len(descriptors), _BLOCK):
        block = descriptors[i : i + _BLOCK]
        distance2 = squares[i : i + _BLOCK, None] + squares[None] - 2 * block @ descriptors.T
        pairs.append(_above(-distance2, -(threshold**2), i))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), int)


def describe_person(crop: np.ndarray) -> np.ndarray:
    """face_recognition's descriptor, float64 `(128,)`, of one tight grey face crop `(h, w)`."""
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    import face_recognition

    size = 150  # what the descriptor network reads
    rgb = cv2.cvtColor(cv2.resize(crop, (size, size), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    return face_recognition.face_encodings(rgb, known_face_locations=[(0, size, size, 0)], model="small")[0]


def connected_groups(n: int, pairs: np.ndarray) -> np.ndarray:
    """The group number, int `(n,)`, of each of n pictures, if each pair `(m, 2)` joins its two groups."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(links, directed=False)[1]


def _above(values: np.ndarray, threshold: float, first_row: int) -> np.ndarray:
    rows, columns = np.nonzero(values > threshold)
    rows = rows + first_row
    return np.stack([rows, columns], axis=1)[rows < columns]


def near_copies(faces: Faces, sources: Mapping[str, Source]) -> np.ndarray:
    """Index pairs `(m, 2)` of faces that are near-copies by their sets' rules."""
    copies = duplicate_pairs(faces.gray, min(source.copy_correlation for source in sources.values()))
    limits = np.array([sources[name].copy_correlation for name in faces.source], float)
    # Across sets the stricter of the two limits holds. Backgrounds are often flat and look alike without being copies.
    real = (faces.face[copies.pairs] == 1).all(axis=1)
    return copies.pairs[real & (copies.correlation > limits[copies.pairs].max(axis=1))]


def opposite(pairs: np.ndarray, smile: np.ndarray) -> np.ndarray:
    """Indices, ascending, of faces that a pair `(m, 2)` joins to one with the opposite label."""
    labels = smile[pairs]
    return np.unique(pairs[(labels[:, 0] != labels[:, 1]) & (labels != NO_LABEL).all(axis=1)])
