"""From camera to viewers: one thread that analyses each new frame once, however many people watch.

camera -> FaceTracker (with predict_smile) -> annotate -> encode -> LiveStream. With nobody watching it sleeps, and the
camera releases its source.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from camera import STATUSES, Camera, Frame
from common.errors import SmileError
from common.event_log import native_libraries_silenced
from common.face import Face
from common.settings import Settings
from faces.annotation import annotate, encode_jpeg, message_picture
from faces.detectors import create_detector
from faces.tracking import FaceTracker
from live.health import Health
from live.metrics import Counts, Metrics
from live.stream import LiveStream
from smile_recognition import SmileRecognizer

# For how many seconds the last picture stays before a card tells the camera's status. Opening is mostly quick.
_CARD_AFTER_S = {"opening": 1.0, "lost": 0.25, "ended": 0.25, "none": 0.25}
_SAY_AFTER_S = 1.0  # a few frames that can't be analysed go unnoticed; then the picture says so
_UNEXPECTED = "A picture could not be analysed ({}); the app's log says more."


class SmileWatch:
    """Camera, tracker and stream, running together. Threads begin with `start()` and end with `close()`. Nothing is loaded
    before somebody watches.
    """

    def __init__(self, settings: Settings, *, camera: Camera | None = None) -> None:
        self.metrics = Metrics(self._counts)
        self.stream = LiveStream(viewer_limit=settings.viewer_limit, on_delivered=self.metrics.delivered)
        self.camera = camera or Camera(settings.source, loop=settings.loop)
        self._settings = settings
        self._detector = create_detector(settings.detector, settings.detector_model)
        self._tracker: FaceTracker | None = None
        self._health = Health()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._size = (640, 480)
        self._faces = 0
        self._searches_seen = 0
        self._watched = False
        self.timings_ms: dict[str, float] = {}

    def start(self) -> None:
        """Begin to wait for viewers; a second call does nothing."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self.camera.start()
                self._health.beat_at = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="smile-watch", daemon=True)
                self._thread.start()

    def warm_up(self, load: Callable[[], object] | None = None) -> None:
        """Load network and detector now, so that the first viewer need not wait. Problems are kept for later.

        `load`: what to load instead.
        """
        try:
            (load or self._get_tracker)()
        except SmileError as error:
            self._health.note_problem(str(error))
        except Exception as error:
            sentence = f"Network and detector could not be loaded ({type(error).__name__}); the app's log says more."
            self._health.note_problem(sentence, error)

    def close(self, timeout: float = 2.0) -> None:
        """End all streams and threads and release the camera. Waits `timeout` seconds at most."""
        deadline = time.monotonic() + timeout
        self._closing.set()
        self.stream.close()
        self.camera.stop(0)  # tell all of them to end before waiting for one
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        self.camera.stop(max(0.0, deadline - time.monotonic()))
        if self._tracker is not None:
            self._tracker.close(max(0.0, deadline - time.monotonic()))

    def health(self) -> dict[str, Any]:
        """What `/healthz` says: `Health.report`, and who watches what."""
        thread = None if self._closing.is_set() else self._thread
        return self._health.report(self.camera, thread) | {
            "detector": self._settings.detector,
            "viewers": self.stream.viewers,
            "milliseconds": {name: round(value, 2) for name, value in self.timings_ms.items()},
        }

    @property
    def analysed(self) -> int:
        """Frames so far."""
        return self._health.analysed

    def _counts(self) -> Counts:
        tracker = self._tracker
        return Counts(
            captured=self.camera.captured,
            analysed=self.analysed,
            dropped=dict(self._health.dropped),
            searches=tracker.searches if tracker else 0,
            failed_searches=tracker.failed_searches if tracker else 0,
            faces=self._faces,
            viewers=self.stream.viewers_by_kind,
            camera=self.camera.state.status,
            camera_states=STATUSES,
            uptime_s=self._health.uptime_s,
        )

    # --- the analysing thread ---

    def _run(self) -> None:
        while not self._closing.is_set():
            self._health.beat_at = time.monotonic()
            try:
                self._go_on()
            except Exception as error:  # one bad frame must not end the analysis
                self._closing.wait(self._survive(error))

    def _go_on(self) -> None:
        """Waits for viewers, then for a frame, a second at most, and shows what there is to see."""
        if not self.stream.watched:
            self._health.skipping = "unwatched"
        if not self.stream.wait_until_watched(1.0):
            if self._watched:
                self._watched = False
                self._forget()
            return
        if not self._watched:
            self._watched, self._health.shown_at = True, time.monotonic()
        tracker = self._get_tracker()  # before the camera opens: a video must not play on while networks load
        self.camera.want()
        frame = self.camera.wait_for_frame(after=self._health.taken, timeout=0.2)
        if frame is not None:
            self._analyse(frame, tracker)
            return
        state = self.camera.state
        if time.monotonic() - self._health.shown_at > _CARD_AFTER_S.get(state.status, math.inf):
            self._health.not_analysed_since = None
            self._show_message(state.message, passing=state.status == "opening")

    def _analyse(self, frame: Frame, tracker: FaceTracker) -> None:
        self._health.take(frame.number)
        try:
            self._show(frame, tracker)
        except Exception:
            self._health.dropped["failed"] += 1
            raise
        self._health.not_analysed_since = None

    def _survive(self, error: Exception) -> float:
        """Says what went wrong. Returns how many seconds to wait before going on."""
        expected = isinstance(error, SmileError)
        sentence = str(error) if expected else _UNEXPECTED.format(type(error).__name__)
        self._health.note_problem(sentence, None if expected else error)
        if expected or time.monotonic() - self._health.shown_at > _SAY_AFTER_S:
            try:
                self._show_message(sentence)
            except Exception as another:
                self._health.note_problem(_UNEXPECTED.format(type(another).__name__), another)
        return 1.0 if expected else 0.1

    def _forget(self) -> None:
        self._faces = 0
        self._health.not_analysed_since = None
        self.stream.forget()
        if self._tracker is not None:
            self._tracker.forget()

    def _show(self, frame: Frame, tracker: FaceTracker) -> None:
        began = time.perf_counter()
        image = _at_most(frame.image, self._settings.max_width)
        if self._size != (image.shape[1], image.shape[0]):  # boxes from a picture of another size mean nothing in this one
            self._size = (image.shape[1], image.shape[0])
            tracker.forget()
        sized = time.perf_counter()
        faces = tracker.update(image, frame.time)
        tracked = time.perf_counter()
        wanted = self.stream.wanted
        # The searching thread may still be reading `image`: draw on another.
        boxed = annotate(image.copy(), faces, landmarks=self._settings.landmarks) if "boxed" in wanted else None
        drawn = time.perf_counter()
        jpeg = encode_jpeg(boxed, self._settings.jpeg_quality) if boxed is not None else None
        clean = encode_jpeg(image, self._settings.jpeg_quality) if "clean" in wanted else None
        encoded = time.perf_counter()
        if tracker.searches > self._searches_seen:  # until a search works, the last problem still holds
            self._health.note_recovery()
            self._searches_seen = tracker.searches
        self._health.done()
        self._faces = len(faces)
        self.timings_ms = tracker.timings_ms | {"draw": (drawn - tracked) * 1e3, "encode": (encoded - drawn) * 1e3}
        self.stream.publish(jpeg, self._event(faces, frame_number=frame.number), clean=clean, captured_at=frame.time)
        whole = time.perf_counter() - began
        self.metrics.analysed(track=tracked - sized, draw=drawn - tracked, encode=encoded - drawn, whole=whole)

    def _show_message(self, message: str, *, passing: bool = False) -> None:
        if self._tracker is not None:
            self._tracker.forget()
        self._health.paused()
        self._faces = 0
        card = encode_jpeg(message_picture(message, self._size))
        self.stream.publish(card, self._event((), message=message), clean=card, passing=passing)

    def _event(self, faces: Sequence[Face], *, frame_number: int = 0, message: str = "") -> str:
        width, height = self._size
        return json.dumps(
            {
                "time": round(time.time(), 3),
                "frame": frame_number,
                "fps": self._health.fps,
                "width": width,
                "height": height,
                "message": message,
                "faces": [face.as_json() for face in faces],
            }
        )

    def _get_tracker(self) -> FaceTracker:
        with self._loading:
            if self._tracker is None:
                self._detector.load()
                with native_libraries_silenced():
                    recognizer = SmileRecognizer(self._settings.model)
                self._tracker = FaceTracker(self._detector, recognizer)
            return self._tracker


def _at_most(image: np.ndarray, width: int) -> np.ndarray:
    if image.shape[1] <= width:
        return image
    return cv2.resize(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))), interpolation=cv2.INTER_AREA)
