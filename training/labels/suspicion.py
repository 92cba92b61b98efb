"""Find labels that are probably wrong: near-copies with opposite labels, and labels that are contradicted by networks which
never saw the face.

Confident learning (Northcutt, Jiang & Chuang 2021, https://arxiv.org/abs/1911.00068), by cleanlab, within one set at a time.
Sets differ in what they call a smile, so the limit for "sure" is the mean P of the faces with that label in the set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from training.data.grouping import connected_groups, thumbnails

LOOK_ALIKE = 0.90  # correlation of thumbnails in one group; over about 0.97 the dataset takes them for copies itself

FEWEST = 10  # with fewer faces of a class in a set, nothing can be said about the class


class Suspicion(NamedTuple):
    """`score` float `(n,)`, 0 to 1: how good a label is. `wrong` bool `(n,)`: confident learning calls it an error."""

    score: np.ndarray
    wrong: np.ndarray


def judge_labels(smile: np.ndarray, probability: np.ndarray, source: np.ndarray) -> Suspicion:
    """How far labels can be trusted, for each set by itself.

    `smile` int `(n,)`: the labels, 0 or 1. `probability` float `(n,)`, 0 to 1: P(smile) by networks that were not trained on
    that face. `source` str `(n,)`. `score` is P(label), adjusted for how sure the networks are of each class of that set.
    `wrong` is the smaller set that both of cleanlab's prunings agree on: the least sure of each class, and of each pair
    of classes, as many as the estimated joint distribution of given and true labels says. A set with fewer than `FEWEST`
    faces of a class says too little about it: it gets the plain P(label), and no label is called wrong.
    """
    from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]
    from cleanlab.rank import get_label_quality_scores  # type: ignore[import-untyped]

    opinions = np.stack([1 - probability, probability], axis=1).astype(float)  # (n, 2)
    score = opinions[np.arange(len(smile)), smile.astype(int)]
    wrong = np.zeros(len(smile), bool)
    for name in np.unique(source):
        rows = np.flatnonzero(source == name)
        labels = smile[rows].astype(int)
        if np.bincount(labels, minlength=2).min() < FEWEST:
            continue
        score[rows] = get_label_quality_scores(labels, opinions[rows], method="self_confidence", adjust_pred_probs=True)
        wrong[rows] = find_label_issues(labels, opinions[rows], filter_by="both", n_jobs=1)
    return Suspicion(score, wrong)


class LookAlikes(NamedTuple):
    """Index pairs `(m, 2)` with opposite labels, the most alike first, and their correlation `(m,)`."""

    pairs: np.ndarray
    correlation: np.ndarray


def look_alikes(crops: np.ndarray, smile: np.ndarray, group: np.ndarray, threshold: float = LOOK_ALIKE) -> LookAlikes:
    """They are crops uint8 `(n, h, w)` of one group `(n,)` that look the same, also mirrored, and only one of them is
    labelled a smile.

    A group may hold many pictures of one person, who smiles in some, so thumbnails are compared and not persons.
    """
    pairs, values = [np.empty((0, 2), int)], [np.empty(0)]
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        smiling, others = rows[smile[rows] == 1], rows[smile[rows] == 0]
        if not (len(smiling) and len(others)):
            continue
        direct, mirrored, other = (
            thumbnails(crops[smiling]),
            thumbnails(crops[smiling][:, :, ::-1]),
            thumbnails(crops[others]),
        )
        alike = np.maximum(direct @ other.T, mirrored @ other.T)
        i, j = np.nonzero(alike > threshold)
        pairs.append(np.stack([smiling[i], others[j]], axis=1))
        values.append(alike[i, j])
    found, correlation = np.concatenate(pairs), np.concatenate(values)
    best = np.argsort(-correlation, kind="stable")
    return LookAlikes(found[best], correlation[best])


def clusters(pairs: np.ndarray) -> list[list[int]]:
    """Indices that index pairs `(m, 2)` join, in the order in which their pairs come."""
    if not len(pairs):
        return []
    rows, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    member = connected_groups(len(rows), place)
    found: dict[int, list[int]] = {}
    for row, at in zip(pairs.ravel().tolist(), place.ravel().tolist(), strict=True):
        cluster = found.setdefault(int(member[at]), [])
        if row not in cluster:
            cluster.append(row)
    return list(found.values())
