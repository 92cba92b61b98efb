"""Faces in one picture that a visitor sends, and in the next one with no memory of the first.

    >>> analysis = VisitorAnalysis(Settings())
    >>> answer = analysis.analyze(jpeg)                     # a still: searched as hard as a folder's photos
    >>> answer = analysis.analyze(next_jpeg, answer)        # a stream: faces of the answer before are followed

All that must be known of the past travels with the request, so any worker process can answer it. Pictures are neither kept
nor written anywhere.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from errors import PictureError, SmileError
from face_detection import Box, FaceDetector, candidates, create_detector
from face_following import Sight, distance, follow, look
from face_search import effective_height
from face_tracking import Face, as_points
from photo_analysis import analyze_photo
from picture_decoding import PictureTooLarge, check_picture, decode_checked
from serving.stream_load import StreamLoad, TooBusy
from settings import Settings
from smile_recognition import LANDMARKS, PRESENCE_THRESHOLD, SmileRecognizer
from smoothing import SmoothedSmile

MAX_BYTES = 12 * 2**20
MAX_PIXELS = 25_000_000
MAX_FACES = 32
MAX_NUMBER = 2**52  # of ids and counts in an answer before; JavaScript's numbers hold them exactly
_LONG_PIXELS = 2_000_000  # no page sends as many in a stream
_MOST_WAITING = 64  # pictures of all visitors that wait for a place; what more come are sent away at once
_WAIT_S = 2.0  # for a place among those being analysed
_LOADING_WAIT_S = 20.0  # the same while network and detector are loaded for the first time
_SEARCH_EVERY = 15  # answers of a stream, while faces are followed
_SMALLEST = 1 / 8  # of a visitor's picture: they sit before their camera
_SAME_FACE = 0.4  # distance in box heights
# A pattern beside a face that has gone can pass for it. So a face that the detector does not see either in so many searches
# is given up; one that leans may go unseen for longer.
_UNSEEN, _UNSEEN_LEANING, _LEANING = 4, 12, 20.0
_BLANK = np.full((120, 160, 3), 128, np.uint8)
_BUSY = "Too many pictures at once; try again in a second."


class PreviousError(SmileError):
    """What came as the answer before is not one."""


class TooLarge(SmileError):
    """The picture has more pixels than are analysed."""


@dataclass(frozen=True)
class _Desk:
    """What one picture at a time needs."""

    detector: FaceDetector
    recognizer: SmileRecognizer


@dataclass(frozen=True)
class _Previous:
    """The answer before: `faces` as `(id, smile, landmarks (5, 2), unseen)`; `followed`: answers since the last search."""

    faces: list[tuple[int, float, np.ndarray, int]]
    followed: int
    next_id: int
    time: float


class VisitorAnalysis:
    """Analyses pictures, a few at once. Nothing is loaded before the first, or before `warm_up`."""

    def __init__(self, settings: Settings, *, places: int | None = None) -> None:
        """`places`: pictures analysed at the same time (default: one a core, four at most)."""
        self._settings = settings
        self._loaded = False
        self._desks: queue.LifoQueue[_Desk | None] = queue.LifoQueue()
        self._places = places = places or min(4, os.cpu_count() or 1)
        for _ in range(places):
            self._desks.put(None)  # made when it is needed
        self._present = threading.BoundedSemaphore(places + _MOST_WAITING)
        self._long = threading.BoundedSemaphore(max(1, places - 1))
        self._load = StreamLoad(places)

    def analyze(self, data: bytes, previous: Any = None) -> dict[str, Any]:
        """What `POST /api/v1/analyze` answers, from a JPEG, PNG or WebP file's bytes.

        `previous`: None for a still; for a stream the answer to the picture before, or `{}` with the first. Raises
        PictureError, TooLarge, PreviousError, TooBusy, DetectorError or ModelError.
        """
        started = time.perf_counter()
        before = None if previous is None else _read_previous(previous)
        # Nothing of the picture is read before: many at once would take the processor, or fill the memory.
        with self._desk(data, still=before is None) as desk:
            stream: dict[str, Any] = {}
            if before is None:
                image = decode_checked(data)
                faces = [_as_json(face) for face in analyze_photo(image, desk.detector, desk.recognizer)]
            else:
                image = decode_checked(data, gray=desk.detector.name != "yunet")  # which alone looks at colours
                faces, stream = _next_in_stream(image, before, desk, self._load)
        height, width = image.shape[:2]
        elapsed_ms = round((time.perf_counter() - started) * 1e3, 2)
        return {"width": width, "height": height, "elapsed_ms": elapsed_ms, "faces": faces} | stream

    def warm_up(self) -> None:
        """Loads what every place needs, and uses it once, so that no visitor waits for that. Raises SmileError."""
        with ExitStack() as stack:
            for _ in range(self._places):
                desk = stack.enter_context(self._free_desk(_LOADING_WAIT_S))
                analyze_photo(_BLANK, desk.detector, desk.recognizer)
                desk.recognizer.read(_BLANK[..., 0], [Box(10, 70, 70, 10)])

    @contextmanager
    def _desk(self, data: bytes, *, still: bool) -> Iterator[_Desk]:
        """A place for a picture that may be decoded. Raises TooBusy, PictureError or TooLarge."""
        wait = _WAIT_S if self._loaded else _LOADING_WAIT_S
        with _held(self._present, 0):
            # A still is searched for up to seconds, and one place is kept from such, so that streams go on.
            if _pixels(data) > _LONG_PIXELS or still:
                with _held(self._long, wait), self._free_desk(wait) as desk:
                    yield desk
            else:
                with self._load.picture(), self._free_desk(wait) as desk, self._load.place():
                    yield desk

    @contextmanager
    def _free_desk(self, wait: float) -> Iterator[_Desk]:
        try:
            desk = self._desks.get(timeout=wait)
        except queue.Empty:
            raise TooBusy(_BUSY) from None
        try:
            if desk is None:
                detector = create_detector(self._settings.detector, self._settings.detector_model)
                detector.load()
                desk = _Desk(detector, SmileRecognizer(self._settings.model))
            self._loaded = True
            yield desk
        finally:
            self._desks.put(desk)


@contextmanager
def _held(places: threading.BoundedSemaphore, wait: float) -> Iterator[None]:
    if not places.acquire(timeout=wait):
        raise TooBusy(_BUSY)
    try:
        yield
    finally:
        places.release()


def _pixels(data: bytes) -> int:
    """How many pixels the picture has. Raises PictureError or TooLarge."""
    if not (data.startswith((b"\xff\xd8", b"\x89PNG\r\n\x1a\n")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")):
        raise PictureError("This is not a JPEG, PNG or WebP picture; send one of these.")
    try:
        width, height = check_picture(data, most_pixels=MAX_PIXELS)
    except PictureTooLarge as error:
        raise TooLarge(str(error)) from error
    return width * height


def _next_in_stream(
    image: np.ndarray, before: _Previous, desk: _Desk, load: StreamLoad
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    now = time.time()
    elapsed = min(max(now - before.time, 0.0), 1.0)
    faces: list[Face] = []
    sights: list[Sight] = []
    unseen: dict[int, int] = {}  # searches in a row that did not see the face, by its id
    for number, smile_before, landmarks, unseen_before in before.faces:
        sight = follow(gray, landmarks, desk.recognizer)
        if not sight.present or any(_same(sight.box, other.box) for other in sights):
            continue
        smoothed = SmoothedSmile()
        smoothed(smile_before, 0.0)
        smile = smoothed(sight.smile, elapsed)
        sights.append(sight)
        faces.append(Face(number, sight.box, smile, sight.smile, as_points(sight.landmarks)))
        unseen[number] = unseen_before
    followed, next_id = before.followed + 1, before.next_id
    urgent = not faces or len(faces) < len(before.faces)
    if urgent:
        followed = max(followed, _SEARCH_EVERY)  # and it stays due until it is done
    if followed >= _SEARCH_EVERY and load.may_search(urgent=urgent):
        followed = 0
        with load.search():
            smallest = max(40.0, _SMALLEST * effective_height(*image.shape[:2]))
            found = candidates(desk.detector, image, min_face=smallest)
        for face, sight in list(zip(faces, sights, strict=True)):
            seen = any(_same(sight.box, box) for box, _ in found)
            unseen[face.id] = 0 if seen else unseen[face.id] + 1
            if unseen[face.id] >= (_UNSEEN_LEANING if abs(sight.angle) > _LEANING else _UNSEEN):
                faces.remove(face)
        for box, angle in found:
            sight = look(gray, box, angle, desk.recognizer)
            known = any(_same(sight.box, other.box) for other in sights)
            if known or sight.presence < PRESENCE_THRESHOLD or len(faces) >= MAX_FACES:
                continue
            sights.append(sight)
            faces.append(Face(next_id, sight.box, sight.smile, sight.smile, as_points(sight.landmarks)))
            unseen[next_id] = 0
            next_id += 1
    faces.sort(key=lambda face: -face.box.area)
    answer = [_as_json(face) | {"unseen": unseen[face.id]} for face in faces]
    return answer, {"followed": followed, "next_id": next_id, "time": round(now, 3)}


def _same(box: Box, other: Box) -> bool:
    return distance(box, other) < _SAME_FACE or box.iou(other) > 0.2


def _as_json(face: Face) -> dict[str, Any]:
    points = {name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True)}
    return face.as_json() | {"landmarks": points}


def _read_previous(previous: Any) -> _Previous:
    """Raises PreviousError for what is no answer. A face at an impossible place is left to be found gone."""
    wrong = PreviousError(
        "The field 'previous' must be the answer to the picture before, or {} with the first; leave it out."
    )
    if not isinstance(previous, Mapping):
        raise wrong
    try:
        faces = [
            (_whole(face["id"]), _number(face["smile"]), _points(face["landmarks"]), _whole(face.get("unseen", 0)))
            for face in previous.get("faces", [])
        ]
        followed, next_id = _whole(previous.get("followed", 0)), _whole(previous.get("next_id", 1))
        at = _number(previous.get("time", 0.0))
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise wrong from None
    if len(faces) > MAX_FACES or len({number for number, *_ in faces}) < len(faces):
        raise wrong
    next_id = max([next_id, *(number + 1 for number, *_ in faces)])
    if next_id + MAX_FACES >= MAX_NUMBER:  # the next answer's ids would be none
        raise wrong
    followed = min(followed, _SEARCH_EVERY)
    faces = [(number, min(max(smile, 0.0), 1.0), points, unseen) for number, smile, points, unseen in faces]
    return _Previous(faces, followed, next_id, at)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _points(value: Any) -> np.ndarray:
    return np.array([[_number(x), _number(y)] for x, y in (value[name] for name in LANDMARKS)])
