"""The faces whose labels a person should look at, the most doubtful first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import DatasetError
from training.data.faces import NO_LABEL, Faces
from training.labels.decisions import Key
from training.labels.suspicion import Suspicion, clusters, judge_labels, look_alikes

_CONTRADICTED = 0.5  # a label that networks which never saw the face give less than this is doubtful
_COPY = 0.95  # for contested pictures, which the dataset takes for copies from 0.955 or 0.97 on


@dataclass(frozen=True)
class Doubt:
    """A face to look at. `why`: `copies`, `wrong` (by confident learning), `contradicted` (by the networks) or `trusted`.

    `wide`: uint8 `(128, 128)`.
    """

    key: Key
    label: int
    probability: float | None
    why: str
    wide: np.ndarray


@dataclass(frozen=True)
class Opinions:
    """Training faces with predictions. `rows` int `(n,)` of the dataset, `probability` float `(n,)`."""

    rows: np.ndarray
    probability: np.ndarray
    suspicion: Suspicion


def judge_training_part(faces: Faces, predictions: Mapping[Key, float], sources: Collection[str] = ()) -> Opinions:
    """How suspicious the labels of the training part are, or only those of `sources` if given. Raises DatasetError.

    Labels of other parts are not looked at, even if the table names them.
    """
    unknown = sorted(set(sources) - set(faces.source.tolist()))
    if unknown:
        raise DatasetError(f"The dataset has no set called {', '.join(unknown)}; give others with --sources.")
    rows = _usable(faces, sources)
    keys = list(zip(faces.source[rows].tolist(), faces.name[rows].tolist(), strict=True))
    probability = np.array([predictions.get(key, np.nan) for key in keys], float)
    rows, probability = rows[~np.isnan(probability)], probability[~np.isnan(probability)]
    if not len(rows):
        raise DatasetError(
            "The predictions say nothing about these training faces; run `python -m training.out_of_fold` on this dataset."
        )
    return Opinions(rows, probability, judge_labels(faces.smile[rows], probability, faces.source[rows]))


def make_queue(
    faces: Faces,
    predictions: Mapping[Key, float],
    contested: Faces | None = None,
    *,
    limit: int,
    sources: Collection[str] = (),
    everything: bool = False,
) -> list[list[Doubt]]:
    """Clusters of faces in the order in which to look at them; at least `limit` faces if there are so many.

    First come near-copies with opposite labels, together: those that the dataset left out (`contested`), then pictures of
    one group that look alike. Then come single faces: those whose label confident learning calls wrong, the worst first,
    then those whose label has a P under 0.5. `everything`: then the rest, too. Raises DatasetError.
    """
    judged = judge_training_part(faces, predictions, sources)
    rows = _usable(faces, sources)
    queue: list[list[Doubt]] = []
    if contested is not None:
        here = np.flatnonzero(np.isin(contested.source, list(sources)) if sources else np.ones(len(contested), bool))
        found = look_alikes(contested.gray[here], contested.smile[here], np.zeros(len(here), int), _COPY)
        queue += [[_doubt(contested, here[i], None, "copies") for i in cluster] for cluster in clusters(found.pairs)]
    found = look_alikes(faces.gray[rows], faces.smile[rows], faces.group[rows])
    said = dict(zip(judged.rows.tolist(), judged.probability.tolist(), strict=True))
    alike = [rows[cluster] for cluster in clusters(found.pairs)]
    queue += [[_doubt(faces, row, said.get(int(row)), "copies") for row in cluster] for cluster in alike]
    shown = set(np.concatenate(alike).tolist()) if alike else set()
    wanted = limit - sum(map(len, queue))
    why = _reasons(faces, judged)
    for i in np.lexsort((judged.suspicion.score, why == "trusted", why != "wrong")):
        if wanted <= 0 or (why[i] == "trusted" and not everything):
            break
        row = int(judged.rows[i])
        if row not in shown:
            queue.append([_doubt(faces, row, said[row], str(why[i]))])
            wanted -= 1
    return _first(queue, limit)


def _reasons(faces: Faces, judged: Opinions) -> np.ndarray:
    """`Doubt.why` of each judged face, str `(n,)`."""
    of_label = np.where(faces.smile[judged.rows] == 1, judged.probability, 1 - judged.probability)
    return np.where(judged.suspicion.wrong, "wrong", np.where(of_label < _CONTRADICTED, "contradicted", "trusted"))


def _usable(faces: Faces, sources: Collection[str]) -> np.ndarray:
    usable = (faces.split == "train") & (faces.face == 1) & (faces.smile != NO_LABEL)
    return np.flatnonzero(usable & np.isin(faces.source, list(sources)) if sources else usable)


def _doubt(faces: Faces, row: Any, probability: float | None, why: str) -> Doubt:
    key = str(faces.source[row]), str(faces.name[row])
    return Doubt(key, int(faces.smile[row]), probability, why, faces.wide[row].copy())


def _first(queue: list[list[Doubt]], limit: int) -> list[list[Doubt]]:
    counts = np.cumsum([len(cluster) for cluster in queue])
    return queue[: int(np.searchsorted(counts, limit)) + 1]
