"""Faces in the pictures that a visitor sends, with no memory between one picture and the next.

    >>> analysis = VisitorAnalysis(Settings())
    >>> answer = analysis.analyze(jpeg)                     # a still: searched as thoroughly as a photo in a folder
    >>> answer = analysis.analyze(next_jpeg, answer)        # a stream: the faces in the previous answer are followed

Everything about the past travels with the request, so any worker process can answer it. Pictures are neither kept nor
written anywhere.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import PictureError, PictureTooLarge, PreviousError, TooBusy, TooLarge
from common.face import Box
from common.settings import Settings
from faces.detection import FaceDetector
from faces.detectors import create_detector
from faces.photo import analyze_photo
from faces.tracking import FaceTracker
from pictures.decoding import check_picture, decode_checked
from smile_recognition import SmileRecognizer
from visitors.carried import Stream, pack, unpack
from visitors.load import StreamLoad
from visitors.turns import TurnSearch

MAX_BYTES = 12 * 2**20
MAX_PIXELS = 25_000_000
_LONG_PIXELS = 2_000_000  # a page's streams have far fewer
_MOST_WAITING = 64  # pictures of all visitors that wait for a place; further ones are refused at once
_WAIT_S = 2.0  # waiting for a place
_LOADING_WAIT_S = 20.0  # the same while network and detector load for the first time
_BLANK = np.full((120, 160, 3), 128, np.uint8)
_BUSY = "Too many pictures at once; try again in a second."


@dataclass(frozen=True)
class _Desk:
    """What one picture at a time needs."""

    detector: FaceDetector
    recognizer: SmileRecognizer


class VisitorAnalysis:
    """Analyses pictures, a few at once. Loads nothing before the first picture or `warm_up`."""

    def __init__(self, settings: Settings, *, places: int | None = None, clock: Callable[[], float] = time.time) -> None:
        """`places`: how many pictures are analysed at once (default: one for each core, four at most). `clock`: seconds
        since 1970.
        """
        self._settings = settings
        self._clock = clock
        self._loaded = False
        self._desks: queue.LifoQueue[_Desk | None] = queue.LifoQueue()
        self._places = places = places or min(4, os.cpu_count() or 1)
        for _ in range(places):
            self._desks.put(None)  # made when it is needed
        self._present = threading.BoundedSemaphore(places + _MOST_WAITING)
        self._long = threading.BoundedSemaphore(max(1, places - 1))
        self._load = StreamLoad(places)

    def analyze(self, data: bytes, previous: Any = None) -> dict[str, Any]:
        """The answer of `POST /api/v1/analyze` for the bytes of a JPEG, PNG or WebP file.

        `previous`: None for a still; in a stream the answer to the previous picture, or `{}` with the first. Raises
        PictureError, TooLarge, PreviousError, TooBusy, DetectorError or ModelError.
        """
        started = time.perf_counter()
        before = None if previous is None else _stream(previous)
        # The picture is read only now: many at once would take the processor or fill the memory.
        with self._desk(data, still=before is None) as desk:
            self._loaded = True
            stream: dict[str, Any] = {}
            if before is None:
                image = decode_checked(data)
                faces = [face.as_full_json() for face in analyze_photo(image, desk.detector, desk.recognizer)]
            else:
                image = decode_checked(data, gray=desk.detector.name != "yunet")  # only this detector looks at colours
                faces, stream = self._next(image, before, desk)
        height, width = image.shape[:2]
        elapsed_ms = round((time.perf_counter() - started) * 1e3, 2)
        return {"width": width, "height": height, "elapsed_ms": elapsed_ms, "faces": faces} | stream

    def _next(self, image: np.ndarray, before: Stream, desk: _Desk) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        height, width = image.shape[:2]
        wall = self._clock()
        now, before = before.now(wall), before.fitted((width, height))
        search = TurnSearch(desk.detector, self._load, searched_at=before.searched_at)
        tracker = FaceTracker(desk.detector, desk.recognizer, search=search, memory=before.memory)
        faces = tracker.update(image, now)
        state = pack(Stream(tracker.memory, (width, height), now, wall, search.searched_at))
        return [face.as_full_json() for face in faces], {"state": state}

    def warm_up(self) -> None:
        """Loads and uses once what every place needs, so that no visitor waits for it. Raises SmileError."""
        with ExitStack() as stack:
            for _ in range(self._places):
                desk = stack.enter_context(self._free_desk(_LOADING_WAIT_S))
                analyze_photo(_BLANK, desk.detector, desk.recognizer)
                desk.recognizer.read(_BLANK[..., 0], [Box(10, 70, 70, 10)])
        self._loaded = True  # only now: until here this holds the places

    @contextmanager
    def _desk(self, data: bytes, *, still: bool) -> Iterator[_Desk]:
        """A place for one picture, once it may be decoded. Raises TooBusy, PictureError or TooLarge."""
        wait = _WAIT_S if self._loaded else _LOADING_WAIT_S
        with _held(self._present, 0):
            # Searching a still can take seconds, so one place is kept for streams.
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
            yield desk
        finally:
            self._desks.put(desk)


def _stream(previous: Any) -> Stream:
    """The stream in the `previous` that `analyze` was given. Raises PreviousError."""
    if isinstance(previous, Mapping) and not previous:
        return Stream()
    state = previous.get("state") if isinstance(previous, Mapping) else None
    if not isinstance(state, str):
        raise PreviousError
    return unpack(state)


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
