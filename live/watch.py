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
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from camera import STATUSES, Camera, Frame
from common.errors import SmileError
from common.event_log import log_event, native_libraries_silenced
from common.face import Face
from common.settings import Settings
from faces.annotation import annotate, encode_jpeg, message_picture
from faces.detectors import create_detector
from faces.tracking import FaceTracker
from live.metrics import Counts, Metrics
from live.stream import LiveStream
from smile_recognition import SmileRecognizer

# How long the picture before stays, in seconds, until a card says what the camera's status is. Opening is mostly quick.
_CARD_AFTER_S = {"opening": 1.0, "lost": 0.25, "ended": 0.25, "none": 0.25}
_HANGS_AFTER_S = 10.0  # with frames to analyse
_STUCK_AFTER_S = 60.0  # with anything else; loading network and detector takes its time on a busy computer
_SAY_AFTER_S = 1.0  # a few frames that can't be analysed go unseen; more are said in the picture
_UNEXPECTED = "A picture could not be analysed ({}); the app's log says more."


class SmileWatch:
    """The running whole. Threads begin with `start()` and end with `close()`; nothing is loaded before somebody watches."""

    def __init__(self, settings: Settings, *, camera: Camera | None = None) -> None:
        self.metrics = Metrics(self._counts)
        self.stream = LiveStream(viewer_limit=settings.viewer_limit, on_delivered=self.metrics.delivered)
        self.camera = camera or Camera(settings.source, loop=settings.loop)
        self._settings = settings
        self._detector = create_detector(settings.detector, settings.detector_model)
        self._tracker: FaceTracker | None = None
        self._problem = ""
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._done_at: deque[float] = deque(maxlen=31)
        self._size = (640, 480)
        self._faces = 0
        self._searches_seen = 0
        self._failures = 0  # since the last problem began
        self._watched = False
        self._skipping = "unwatched"  # why frames between the last one and the next are not analysed
        self._number = 0  # of the newest frame that was taken
        self._shown_at = float("-inf")
        self._started_at = self._beat_at = time.monotonic()
        self._analysed_at: float | None = None
        self._not_analysed_since: float | None = None  # a frame was taken, and none was analysed since
        self._dropped = {"late": 0, "unwatched": 0, "failed": 0}
        self.analysed = 0
        self.timings_ms: dict[str, float] = {}

    def start(self) -> None:
        """Begin to wait for viewers; a second call does nothing."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self.camera.start()
                self._beat_at = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="smile-watch", daemon=True)
                self._thread.start()

    def warm_up(self, load: Callable[[], object] | None = None) -> None:
        """Load network and detector now, so that the first viewer need not wait for them. Problems are kept for later.

        `load`: another part's loading, in place of this one's own.
        """
        try:
            (load or self._get_tracker)()
        except SmileError as error:
            self._note_problem(str(error))
        except Exception as error:
            sentence = f"Network and detector could not be loaded ({type(error).__name__}); the app's log says more."
            self._note_problem(sentence, error)

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
        """What `/healthz` says. `status`, with a sentence in `message` unless it is `ok`:

        `ok`: all is well, or nobody watches. `degraded`: no pictures, or no smiles in them, for a reason that no restart
        mends: the camera is lost and will be tried again, or the network file is damaged. `failed`: the analysis has ended,
        hangs, or has failed for every frame of the last ten seconds; only this asks for a restart (HTTP 503).

        `seconds_since_frame`: since a frame was last analysed; null before the first.
        """
        state = self.camera.state
        failure = self._failure()
        message = failure or self._problem or (state.message if state.status in ("lost", "ended") else "")
        now = time.monotonic()
        since_frame = None if self._analysed_at is None else round(now - self._analysed_at, 3)
        return {
            "status": "failed" if failure else "degraded" if message else "ok",
            "message": message,
            "uptime_s": round(now - self._started_at, 3),
            "seconds_since_frame": since_frame,
            "camera": {"status": state.status, "message": state.message},
            "detector": self._settings.detector,
            "viewers": self.stream.viewers,
            "frames": {"captured": self.camera.captured, "analysed": self.analysed},
            "fps": self._fps(),
            "milliseconds": {name: round(value, 2) for name, value in self.timings_ms.items()},
        }

    def _failure(self) -> str:
        """Why only a restart helps, in a sentence; empty when none is needed."""
        if self._thread is None or self._closing.is_set():
            return ""
        now = time.monotonic()
        if not self._thread.is_alive():
            return "The analysis of the pictures has ended; restart the app."
        since = self._not_analysed_since
        if (since is not None and now - since > _HANGS_AFTER_S) or now - self._beat_at > _STUCK_AFTER_S:
            return f"The analysis of the pictures hangs or fails; restart the app. {self._problem}".rstrip()
        return ""

    def _counts(self) -> Counts:
        tracker = self._tracker
        return Counts(
            captured=self.camera.captured,
            analysed=self.analysed,
            dropped=dict(self._dropped),
            searches=tracker.searches if tracker else 0,
            failed_searches=tracker.failed_searches if tracker else 0,
            faces=self._faces,
            viewers=self.stream.viewers_by_kind,
            camera=self.camera.state.status,
            camera_states=STATUSES,
            uptime_s=time.monotonic() - self._started_at,
        )

    # --- the analysing thread ---

    def _run(self) -> None:
        while not self._closing.is_set():
            self._beat_at = time.monotonic()
            try:
                self._go_on()
            except Exception as error:  # one bad frame must not end the show
                self._closing.wait(self._survive(error))

    def _go_on(self) -> None:
        """Waits for viewers, then for a frame, for a second at most; shows what there is to see."""
        if not self.stream.watched:
            self._skipping = "unwatched"
        if not self.stream.wait_until_watched(1.0):
            if self._watched:
                self._watched = False
                self._forget()
            return
        if not self._watched:
            self._watched, self._shown_at = True, time.monotonic()
        tracker = self._get_tracker()  # before the camera: a video must not play on while networks are loaded
        self.camera.want()
        frame = self.camera.wait_for_frame(after=self._number, timeout=0.2)
        if frame is not None:
            self._analyse(frame, tracker)
            return
        state = self.camera.state
        if time.monotonic() - self._shown_at > _CARD_AFTER_S.get(state.status, math.inf):
            self._not_analysed_since = None
            self._show_message(state.message, passing=state.status == "opening")

    def _analyse(self, frame: Frame, tracker: FaceTracker) -> None:
        self._dropped[self._skipping] += frame.number - self._number - 1
        self._number, self._skipping = frame.number, "late"
        if self._not_analysed_since is None:
            self._not_analysed_since = time.monotonic()
        try:
            self._show(frame, tracker)
        except Exception:
            self._dropped["failed"] += 1
            raise
        self._not_analysed_since = None

    def _survive(self, error: Exception) -> float:
        """Says what went wrong; returns how many seconds to wait before going on."""
        expected = isinstance(error, SmileError)
        sentence = str(error) if expected else _UNEXPECTED.format(type(error).__name__)
        self._note_problem(sentence, None if expected else error)
        if expected or time.monotonic() - self._shown_at > _SAY_AFTER_S:
            try:
                self._show_message(sentence)
            except Exception as another:
                self._note_problem(_UNEXPECTED.format(type(another).__name__), another)
        return 1.0 if expected else 0.1

    def _note_problem(self, sentence: str, error: Exception | None = None) -> None:
        self._problem = sentence
        self._failures += 1
        level = logging.ERROR if error else logging.WARNING
        log_event("problem", level=level, error=error, message=sentence)

    def _forget(self) -> None:
        self._faces = 0
        self._not_analysed_since = None
        self.stream.forget()
        if self._tracker is not None:
            self._tracker.forget()

    def _show(self, frame: Frame, tracker: FaceTracker) -> None:
        began = time.perf_counter()
        image = _at_most(frame.image, self._settings.max_width)
        if self._size != (image.shape[1], image.shape[0]):  # places in a picture of another size mean nothing in this one
            self._size = (image.shape[1], image.shape[0])
            tracker.forget()
        sized = time.perf_counter()
        faces = tracker.update(image, frame.time)
        tracked = time.perf_counter()
        # The searching thread may still be reading `image`: draw on another.
        picture = annotate(image.copy(), faces, landmarks=self._settings.landmarks)
        drawn = time.perf_counter()
        jpeg = encode_jpeg(picture, self._settings.jpeg_quality)
        encoded = time.perf_counter()
        if tracker.searches > self._searches_seen:  # until a search has worked, what went wrong is still wrong
            self._note_recovery()
            self._searches_seen = tracker.searches
        self.analysed += 1
        self._faces = len(faces)
        self._shown_at = self._analysed_at = time.monotonic()
        self._done_at.append(self._analysed_at)
        self.timings_ms = tracker.timings_ms | {"draw": (drawn - tracked) * 1e3, "encode": (encoded - drawn) * 1e3}
        self.stream.publish(jpeg, self._event(faces, frame_number=frame.number), captured_at=frame.time)
        whole = time.perf_counter() - began
        self.metrics.analysed(track=tracked - sized, draw=drawn - tracked, encode=encoded - drawn, whole=whole)

    def _note_recovery(self) -> None:
        if self._problem:
            log_event("recovered", per_minute=1, failures=self._failures, message=self._problem)
        self._problem, self._failures = "", 0

    def _show_message(self, message: str, *, passing: bool = False) -> None:
        if self._tracker is not None:
            self._tracker.forget()
        self._done_at.clear()
        self._faces = 0
        self._shown_at = time.monotonic()
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
                "faces": [face.as_json() for face in faces],
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
                with native_libraries_silenced():
                    recognizer = SmileRecognizer(self._settings.model)
                self._tracker = FaceTracker(self._detector, recognizer)
            return self._tracker


def _at_most(image: np.ndarray, width: int) -> np.ndarray:
    if image.shape[1] <= width:
        return image
    return cv2.resize(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))), interpolation=cv2.INTER_AREA)
