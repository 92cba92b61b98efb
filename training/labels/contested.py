"""Near-copies with opposite labels: one of the two labels must be wrong, and only a person can say which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.data.faces import Faces
from training.data.grouping import opposite
from training.labels.decisions import LABELS, Decision, Key


def contested_file(data: Path) -> Path:
    """The file with the near-copies with opposite labels that were left out of the dataset `data` (OUT.npz)."""
    return data.with_suffix(".contested.npz")


def without_contested(decisions: Mapping[Key, Decision], contested: Faces) -> dict[Key, Decision]:
    """The decisions on faces that are not among `contested`."""
    aside = set(zip(contested.source.tolist(), contested.name.tolist(), strict=True))
    return {key: decision for key, decision in decisions.items() if key not in aside}


def settle(faces: Faces, pairs: np.ndarray, decisions: Mapping[Key, Decision]) -> tuple[Faces, np.ndarray, Faces]:
    """Follows what people decided about near-copies `pairs` `(m, 2)` with opposite labels, in any part.

    No network chose these faces, so a decision flatters none. Returns the faces with changed labels, without those that
    people dropped; the pairs among them; and all faces that were or are contested, unchanged.
    """
    before = opposite(pairs, faces.smile)
    smile, keep = faces.smile.copy(), np.ones(len(faces), bool)
    for row in before.tolist():
        decision = decisions.get((str(faces.source[row]), str(faces.name[row])))
        if decision is not None and not decision.automatic:
            smile[row] = LABELS.get(decision.choice, smile[row])
            keep[row] = decision.choice != "drop"
    kept = pairs[keep[pairs].all(axis=1)]
    aside = faces.where(np.union1d(before, opposite(kept, smile)))
    place = np.cumsum(keep) - 1
    settled = Faces(**{**faces.fields(), "smile": smile})
    return settled if keep.all() else settled.where(keep), place[kept], aside
