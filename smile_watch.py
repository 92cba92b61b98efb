"""From camera to viewers: one thread that analyses each new frame once, however many people watch.

camera -> FaceTracker (with predict_smile) -> annotate -> encode -> LiveStream. With nobody watching it sleeps, and the
camera releases its source.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from annotation import annotate, encode_jpeg, message_picture
from camera import Camera, Frame
from errors import SmileError
from face_detection import create_detector
from face_tracking import Face, FaceTracker
from live_stream import LiveStream
from settings import Settings
from smile_recognition import SmileRecognizer

# How long the picture before stays, in seconds, until a card says what the camera's status is. Opening is mostly quick.
_CARD_AFTER_S = {"opening": 1.0, "lost": 0.25, "ended": 0.25, "none": 0.25}

log = logging.getLogger("smile")


class SmileWatch:
    """The running whole. Threads begin with `start()` and end with `close()`; nothing is loaded before somebody watches."""

    def __init__(self, settings: Settings, *, camera: Camera | None = None) -> None:
        self.stream = LiveStream(viewer_limit=settings.viewer_limit)
        self.camera = camera or Camera(settings.source, loop=settings.loop)
        self._settings = settings
        self._detector, self._follower = (create_detector(settings.detector, settings.detector_model) for _ in range(2))
        self._tracker: FaceTracker | None = None
        self._problem = ""
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._done_at: deque[float] = deque(maxlen=31)
        self._size = (640, 480)
        self._searches_seen = 0
        self.analysed = 0
        self.timings_ms: dict[str, float] = {}

    def start(self) -> None:
        """Begin to wait for viewers; a second call does nothing."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self.camera.start()
                self._thread = threading.Thread(target=self._run, name="smile-watch", daemon=True)
                self._thread.start()

    def warm_up(self) -> None:
        """Load network and detector now, so that the first viewer need not wait for them. Problems are kept for later."""
        try:
            self._get_tracker()
        except SmileError as error:
            self._problem = str(error)
        except Exception as error:
            log.exception("network and detector could not be loaded")
            self._problem = f"Network and detector could not be loaded ({type(error).__name__}); the app's log says more."

    def close(self, timeout: float = 2.0) -> None:
        """End all streams and threads and release the camera, waiting up to `timeout` seconds in all."""
        deadline = time.monotonic() + timeout
        self._closing.set()
        self.stream.close()
        self.camera.stop(0)  # all are told to end before any is waited for
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        self.camera.stop(max(0.0, deadline - time.monotonic()))
        if self._tracker is not None:
            self._tracker.close(max(0.0, deadline - time.monotonic()))

    def health(self) -> dict[str, Any]:
        """What `/healthz` says: `status` is `ok`, or `degraded` with a sentence in `message`."""
        state = self.camera.state
        message = self._problem or (state.message if state.status in ("lost", "ended") else "")
        return {
            "status": "degraded" if message else "ok",
            "message": message,
            "camera": {"status": state.status, "message": state.message},
            "detector": self._settings.detector,
            "viewers": self.stream.viewers,
            "frames": {"captured": self.camera.captured, "analysed": self.analysed},
            "fps": self._fps(),
            "milliseconds": {name: round(value, 2) for name, value in self.timings_ms.items()},
        }

    def _run(self) -> None:
        number = 0
        shown_at = float("-inf")
        watched = False
        while not self._closing.is_set():
            if not self.stream.wait_until_watched(1.0):
                if watched:
                    watched = False
                    self._forget()
                continue
            if not watched:
                watched, shown_at = True, time.monotonic()
            try:
                tracker = self._get_tracker()  # before the camera: a video must not play on while networks are loaded
                self.camera.want()
                frame = self.camera.wait_for_frame(after=number, timeout=0.2)
                if frame is not None:
                    number = frame.number
                    self._show(frame, tracker)
                    shown_at = time.monotonic()
                elif time.monotonic() - shown_at > _CARD_AFTER_S.get(self.camera.state.status, math.inf):
                    self._show_message(self.camera.state.message, passing=self.camera.state.status == "opening")
                    shown_at = time.monotonic()
            except SmileError as error:
                self._problem = str(error)
                self._show_message(self._problem)
                self._closing.wait(1.0)
            except Exception as error:  # one bad frame must not end the show
                log.exception("frame %s could not be analysed", number)
                self._problem = f"A picture could not be analysed ({type(error).__name__}); the app's log says more."
                self._closing.wait(0.1)

    def _forget(self) -> None:
        self.stream.forget()
        if self._tracker is not None:
            self._tracker.forget()

    def _show(self, frame: Frame, tracker: FaceTracker) -> None:
        image = _at_most(frame.image, self._settings.max_width)
        faces = tracker.update(image, frame.time)
        tracked = time.perf_counter()
        # The searching thread may still be reading `image`: draw on another.
        picture = annotate(image.copy(), faces, landmarks=self._settings.landmarks)
        drawn = time.perf_counter()
        jpeg = encode_jpeg(picture, self._settings.jpeg_quality)
        encoded = time.perf_counter()
        if tracker.searches > self._searches_seen:  # until a search has worked, what went wrong is still wrong
            self._problem = ""
            self._searches_seen = tracker.searches
        self.analysed += 1
        self._done_at.append(time.monotonic())
        self._size = (picture.shape[1], picture.shape[0])
        self.timings_ms = tracker.timings_ms | {"draw": (drawn - tracked) * 1e3, "encode": (encoded - drawn) * 1e3}
        self.stream.publish(jpeg, self._event(faces, frame_number=frame.number))

    def _show_message(self, message: str, *, passing: bool = False) -> None:
        if self._tracker is not None:
            self._tracker.forget()
        self._done_at.clear()
        card = encode_jpeg(message_picture(message, self._size))
        self.stream.publish(card, self._event((), message=message), passing=passing)

    def _event(self, faces: Sequence[Face], *, frame_number: int = 0, message: str = "") -> str:
        width, height = self._size
        return json.dumps(
            {
                "time": round(time.time(), 3),
                "frame": frame_number,
                "fps": self._fps(),
                "width": width,
                "height": height,
                "message": message,
                "faces": [face_json(face) for face in faces],
            }
        )

    def _fps(self) -> float:
        done = list(self._done_at)
        if len(done) < 2 or time.monotonic() - done[-1] > 3:
            return 0.0
        return round((len(done) - 1) / max(1e-6, done[-1] - done[0]), 1)

    def _get_tracker(self) -> FaceTracker:
        with self._loading:
            if self._tracker is None:
                self._detector.load()
                self._follower.load()
                recognizer = SmileRecognizer(self._settings.model)
                self._tracker = FaceTracker(self._detector, recognizer, follower=self._follower)
            return self._tracker


def face_json(face: Face) -> dict[str, Any]:
    """A face as the page and the API see it."""
    return {
        "id": face.id,
        "box": face.box._asdict(),
        "smile": round(face.smile, 4),
        "raw_smile": round(face.raw_smile, 4),
        "label": face.label,
    }


def _at_most(image: np.ndarray, width: int) -> np.ndarray:
    if image.shape[1] <= width:
        return image
    return cv2.resize(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))), interpolation=cv2.INTER_AREA)
