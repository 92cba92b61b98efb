"""What the tests of tracking share: pictures for a tracker, fed to it without a race, and heads to follow."""

import time

import cv2
import numpy as np

from faces.tracking import FaceTracker
from tests.waiting import PATIENCE_S


def wait_for_search(tracker: FaceTracker) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while tracker._search.busy:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # a thousand such waits a test


def run(tracker, pictures, start=0.0):
    """Feeds pictures as if 30 came a second; waits for the search that each asks for, so that a test sees no race."""
    faces = []
    for i, picture in enumerate(pictures):
        faces.append(tracker.update(picture, start + i / 30))
        wait_for_search(tracker)
    return faces


def head(astronaut, x, y, *, size=1.0, angle=0.0, background=None):
    """A 640x480 picture with the astronaut's head, centred at `x`, `y`, leaning `angle` degrees clockwise."""
    cosine, sine = size * np.cos(np.deg2rad(angle)), size * np.sin(np.deg2rad(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    move = np.column_stack([turn, (x, y) - turn @ (226, 118)])
    picture = background if background is not None else np.full((480, 640, 3), 110, np.uint8)
    mask = np.zeros(astronaut.shape[:2], np.uint8)
    cv2.ellipse(mask, (226, 110), (72, 100), 0, 0, 360, 255, -1)
    mask = cv2.warpAffine(mask, move, (640, 480))[..., None] / 255
    return (picture * (1 - mask) + cv2.warpAffine(astronaut, move, (640, 480)) * mask).astype(np.uint8)


def room(seed):
    """Something smooth to stand before, different for each seed."""
    blocks = np.random.default_rng(seed).integers(40, 210, (5, 6, 3), np.uint8)
    return cv2.resize(blocks, (640, 480), interpolation=cv2.INTER_CUBIC)


def ids(faces):
    return [[face.id for face in found] for found in faces]
