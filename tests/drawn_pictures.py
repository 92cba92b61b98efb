"""Pictures for the training of the finder: drawn faces whose places are known, and walls without a face."""

import numpy as np

from tests.drawn_faces import MARGIN, draw_background, draw_wide
from training.data.faces import WIDE_BOX
from training.finding.pictures import Pictures


def drawn_pictures(count: int = 24) -> Pictures:
    rng = np.random.default_rng(1)
    rows = []
    for i in range(count):
        picture, points = draw_wide(bool(i % 2), rng)
        corners = points * WIDE_BOX + MARGIN  # counted from the edge
        face = np.array([[64, 64, WIDE_BOX, *(corners - 0.5).ravel()]])
        split = ("train", "train", "val", "test")[i % 4]
        rows.append(("genki", f"smile/{i}.jpg", split, picture, face, np.ones(1, bool)))
        rows.append(("backgrounds", f"{i}.jpg", split, draw_background(rng), np.empty((0, 13)), np.empty(0, bool)))
    return Pictures.of(rows)
