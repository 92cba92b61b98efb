"""How a network is to be trained: all that decides what comes of the same faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.data.dense import Dense

if TYPE_CHECKING:
    from training.networks.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Taught:
    """What teachers that were not trained on these faces say: P(smile), float `(n,)`, NaN where they are silent, and `dense`
    points and blendshapes.

    `share`: of P(smile) in the target, beside the label (Hinton et al. 2015).
    """

    smile: np.ndarray
    share: float = 0.5
    dense: Dense | None = None

    def where(self, chosen: np.ndarray) -> Taught:
        """Of the faces `chosen`, bool `(n,)`."""
        return Taught(self.smile[chosen], self.share, self.dense.where(chosen) if self.dense else None)


@dataclass(frozen=True, eq=False)
class Plan:
    """`patience`: stop after so many epochs without a better one. `precision`: Keras' name of it. `shipped`: make the file
    for the app, too. `start_from`: the folder of an earlier training of the same network, whose weights to begin with.
    `labels_from`: the files that changed labels and their SHA-256 sums, for training.json.
    """

    recipe: Recipe
    seed: int = 0
    patience: int = 12
    precision: str = "float32"
    shipped: bool = True
    start_from: Path | None = None
    taught: Taught | None = None
    labels_from: Mapping[str, str] = field(default_factory=dict)
