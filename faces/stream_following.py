"""Faces of the next picture of a stream whose past is carried by the caller."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np

from common.face import Box, Face
from faces.detection import FaceDetector, candidates
from faces.following import distance, follow, look
from faces.search import effective_height
from faces.smoothing import SmoothedSmile
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer

MAX_FACES = 32
SEARCH_EVERY = 15  # answers of a stream, while faces are followed
_SMALLEST = 1 / 8  # of a visitor's picture: they sit before their camera
_SAME_FACE = 0.4  # distance in box heights
# A pattern beside a face that has gone can pass for it. So a face that the detector does not see either in so many searches
# is given up; one that leans may go unseen for longer.
_UNSEEN, _UNSEEN_LEANING, _LEANING = 4, 12, 20.0


@dataclass(frozen=True)
class Previous:
    """The answer before: `faces` as `(id, smile, landmarks (5, 2), unseen)`; `followed`: answers since the last search."""

    faces: list[tuple[int, float, np.ndarray, int]]
    followed: int
    next_id: int
    time: float


class Turns(Protocol):
    """Who may search a whole picture now, while other streams wait for the processor."""

    def may_search(self, *, urgent: bool) -> bool: ...

    def search(self) -> AbstractContextManager[None]: ...


def next_in_stream(
    image: np.ndarray, before: Previous, detector: FaceDetector, recognizer: SmileRecognizer, turns: Turns
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The faces of `image`, uint8 grey or BGR, and what else the answer carries to the next one, both as JSON."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    now = time.time()
    elapsed = min(max(now - before.time, 0.0), 1.0)
    faces: list[Face] = []
    sights: list[Face] = []
    unseen: dict[int, int] = {}  # searches in a row that did not see the face, by its id
    for number, smile_before, landmarks, unseen_before in before.faces:
        sight = follow(gray, landmarks, recognizer)
        if not sight.present or any(_same(sight.box, other.box) for other in sights):
            continue
        smoothed = SmoothedSmile()
        smoothed(smile_before, 0.0)
        smile = smoothed(sight.smile, elapsed)
        sights.append(sight)
        faces.append(replace(sight, id=number, smile=smile))
        unseen[number] = unseen_before
    followed, next_id = before.followed + 1, before.next_id
    urgent = not faces or len(faces) < len(before.faces)
    if urgent:
        followed = max(followed, SEARCH_EVERY)  # and it stays due until it is done
    if followed >= SEARCH_EVERY and turns.may_search(urgent=urgent):
        followed = 0
        with turns.search():
            smallest = max(40.0, _SMALLEST * effective_height(*image.shape[:2]))
            found = candidates(detector, image, min_face=smallest)
        for face, sight in list(zip(faces, sights, strict=True)):
            seen = any(_same(sight.box, box) for box, _ in found)
            unseen[face.id] = 0 if seen else unseen[face.id] + 1
            if unseen[face.id] >= (_UNSEEN_LEANING if abs(sight.angle) > _LEANING else _UNSEEN):
                faces.remove(face)
        for box, angle in found:
            sight = look(gray, box, angle, recognizer)
            known = any(_same(sight.box, other.box) for other in sights)
            if known or sight.presence < PRESENCE_THRESHOLD or len(faces) >= MAX_FACES:
                continue
            sights.append(sight)
            faces.append(replace(sight, id=next_id))
            unseen[next_id] = 0
            next_id += 1
    faces.sort(key=lambda face: -face.box.area)
    answer = [face.as_full_json() | {"unseen": unseen[face.id]} for face in faces]
    return answer, {"followed": followed, "next_id": next_id, "time": round(now, 3)}


def _same(box: Box, other: Box) -> bool:
    return distance(box, other) < _SAME_FACE or box.iou(other) > 0.2
