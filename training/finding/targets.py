"""What the finder should say about a frame, and what each mistake costs."""

from __future__ import annotations

import numpy as np

from faces.finder import CELL

# For one cell: how much it is a face's centre, weight of a false alarm, weight of the face's numbers, then the face.
TARGETS = 3 + 13
_SPREAD, _LEAST_SPREAD = 0.13, 0.4  # width of the bell round a centre: in sides, and in cells
_PART_OF_CENTER = 0.4  # value of the bell from which on a cell should know where its face is


def targets(faces: np.ndarray, sure: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Targets float32 `(height / 8, width / 8, 16)` for faces float32 `(k, 13)` of a frame `shape` (height, width).

    Around unsure faces nothing counts.
    """
    rows, columns = shape[0] // CELL, shape[1] // CELL
    result = np.zeros((rows, columns, TARGETS), np.float32)
    result[:, :, 1] = 1
    result[:, :, 5] = CELL  # a side of 0 has no logarithm
    ys, xs = np.mgrid[:rows, :columns] + 0.5  # (rows, columns), in cells
    for face, certain in sorted(zip(faces, sure, strict=True), key=lambda pair: -pair[0][2]):
        x, y, side = face[:3] / CELL
        away = np.hypot(xs - x, ys - y)
        if not certain:
            result[away < max(1.0, 0.6 * side), 1] = 0
            continue
        bell = np.exp(-(away**2) / (2 * max(_LEAST_SPREAD, _SPREAD * side) ** 2))
        row, column = min(max(int(y), 0), rows - 1), min(max(int(x), 0), columns - 1)
        bell[row, column] = 1
        mine = (bell > _PART_OF_CENTER) & (bell >= result[:, :, 0])
        result[mine, 2] = (bell / bell[mine].sum())[mine] if mine.any() else 0
        result[mine, 3:] = face
        result[:, :, 0] = np.maximum(result[:, :, 0], bell)
    return result


def finder_loss(truth, found):
    """The loss of a batch: focal for the score (Law and Deng 2018), absolute errors in sides of the face for the rest."""
    import tensorflow as tf

    center, alarm, weight = truth[..., 0], truth[..., 1], truth[..., 2]
    logit = found[..., 0]
    p = tf.sigmoid(logit)
    is_center = tf.cast(center >= 1, tf.float32)
    hit = is_center * (1 - p) ** 2 * tf.nn.softplus(-logit)
    false = (1 - is_center) * alarm * (1 - center) ** 4 * p**2 * tf.nn.softplus(logit)
    faces = tf.maximum(tf.reduce_sum(is_center), 1.0)
    score = tf.reduce_sum(hit + false) / faces
    rows, columns = tf.shape(truth)[1], tf.shape(truth)[2]
    ys, xs = tf.meshgrid(tf.range(rows, dtype=tf.float32), tf.range(columns, dtype=tf.float32), indexing="ij")
    middle = tf.stack([xs + 0.5, ys + 0.5], axis=-1)  # (rows, columns, 2)
    side = truth[..., 5] / CELL
    place = tf.abs(found[..., 1:3] + middle - truth[..., 3:5] / CELL) / side[..., None]
    size = tf.abs(found[..., 3] - tf.math.log(side))
    points = (truth[..., 6:] - tf.tile(truth[..., 3:5], [1, 1, 1, 5])) / truth[..., 5:6]
    shape = tf.abs(found[..., 4:] - points)
    # Most faces are upright, so with absolute errors alone the network would call every unsure one upright.
    lean = tf.reduce_sum(tf.square(_upright(found[..., 4:]) - _upright(points)), -1)
    each = 2.5 * tf.reduce_sum(place, -1) + 1.2 * size + 2.5 * tf.reduce_mean(shape, -1) + lean
    return score + tf.reduce_sum(weight * each) / faces


def _upright(points):
    """The direction of a face from its landmarks `(..., 10)`: from eye to eye, plus from eyes to mouth turned by 90
    degrees.
    """
    import tensorflow as tf

    left, right, _, mouth_left, mouth_right = (points[..., 2 * i : 2 * i + 2] for i in range(5))
    across, down = right - left, (mouth_left + mouth_right - left - right) / 2
    return across + tf.stack([down[..., 1], -down[..., 0]], axis=-1)
