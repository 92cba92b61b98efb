"""Get pictures from a webcam, video file, still image or network stream, and keep only the newest.

    camera = Camera("0")            # or "video.mp4", "photo.jpg", "rtsp://...", "auto", "none"
    camera.start()
    camera.want()                   # again and again while somebody watches, or the source is released
    frame = camera.wait_for_frame(after=0, timeout=1.0)
    camera.stop()

Two threads: one reads the source, and one watches over it, because opening a busy camera or reading a lost stream can hang
for ever. Problems are never exceptions here. They are a `CameraState` with a sentence for the user.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.errors import CameraError
from common.event_log import log_event
from common.urls import without_password
from pictures.playback import PictureSource
from pictures.sources import opener_for

RETRY_PAUSES_S = (1.0, 5.0, 10.0, 60.0)
STATUSES = ("idle", "opening", "live", "lost", "ended", "none")
_LOGGED_PER_MINUTE = 10  # lines for each kind of change; a source that comes and goes many times a second is summed up
_MAX_STUCK_READERS = 3


@dataclass(frozen=True)
class Frame:
    """One picture: uint8 BGR `(h, w, 3)`, its number (1, 2, ...) and capture time in `time.monotonic()` seconds."""

    image: np.ndarray
    number: int
    time: float


@dataclass(frozen=True)
class CameraState:
    """`status`: `idle` (released, nobody watches), `opening`, `live`, `lost` (will be tried again), `ended`, `none`."""

    status: str
    message: str


_LIVE = CameraState("live", "")


class Camera:
    """One source, its newest frame, and what is wrong with it if anything is.

    `source`: camera number, path, URL, `auto` or `none`. `loop`: play a file again and again. `idle_release_s`: release the
    source if nobody called `want()` for so long. `open_timeout_s`, `read_timeout_s`: a source that takes longer counts as
    lost. `opener` is for tests.
    """

    def __init__(
        self,
        source: str,
        *,
        loop: bool = True,
        idle_release_s: float = 10.0,
        open_timeout_s: float = 20.0,  # some webcams need more than ten on Windows
        read_timeout_s: float = 5.0,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
        opener: Callable[[str], PictureSource] | None = None,
    ) -> None:
        self.source = source
        self._loop = loop
        self._idle_release_s = idle_release_s
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retry_pauses_s = retry_pauses_s
        self._opener = opener or opener_for(source)
        self._changed = threading.Condition()
        self._stopping = False
        self._wanted_until = float("-inf")
        self._retry_now = False
        self._frame: Frame | None = None
        self._captured = 0
        self._state = CameraState("idle", "The camera is off while nobody watches.")
        self._thread: threading.Thread | None = None
        self._stuck: list[threading.Thread] = []

    @property
    def state(self) -> CameraState:
        return self._state

    @property
    def captured(self) -> int:
        """Pictures read so far; the newest frame's number."""
        return self._captured

    def start(self) -> None:
        """Begin watching over the source. It opens once somebody wants it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch_over, name="camera", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Release the source and end the threads. A thread stuck in a driver is left behind after `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def want(self) -> None:
        """Say that somebody watches: the source stays open for another `idle_release_s` seconds."""
        with self._changed:
            idle = self._wanted_until < time.monotonic()
            self._wanted_until = time.monotonic() + self._idle_release_s
            if idle:
                self._retry_now = True  # for a newcomer a long pause ends at once
                self._changed.notify_all()

    def wait_for_frame(self, *, after: int, timeout: float) -> Frame | None:
        """The newest frame if its number is above `after`; waits up to `timeout` seconds for it. Else None."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (self._frame and self._frame.number > after), timeout)
            frame = self._frame
            return frame if frame is not None and frame.number > after else None

    # --- the watching thread ---

    def _watch_over(self) -> None:
        failures = 0
        while not self._stopping:
            if not self._is_wanted():
                self._set_state("idle", "The camera is off while nobody watches.")
                with self._changed:
                    self._frame = None  # the last picture is forgotten, as the page promises
                    self._changed.wait_for(lambda: self._stopping or self._is_wanted(), 60)
                failures = 0
                continue
            if self.source == "none":
                self._set_state("none", "The app was started without a camera.")
                self._pause(1.0)
                continue
            before = self._captured
            outcome = self._read_once_through()
            if outcome is None or self._stopping:
                continue
            if outcome.status == "ended":
                self._set_state(outcome.status, outcome.message)
                self._wait_until_unwanted()
                continue
            failures = 1 if self._captured > before else failures + 1
            pause = self._retry_pauses_s[min(failures, len(self._retry_pauses_s)) - 1]
            self._set_state("lost", f"{outcome.message} Trying again in {pause:.0f} s.")
            with self._changed:
                self._retry_now = False
                self._changed.wait_for(lambda: self._stopping or self._retry_now, pause)

    def _read_once_through(self) -> CameraState | None:
        """Runs one reader until it ends, is late, or is no longer wanted. None: nothing is wrong."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= _MAX_STUCK_READERS:
            return CameraState("lost", f"{self._called()} does not answer. Unplug it, or close the program that uses it.")
        self._set_state("opening", f"Opening {'the camera' if self.source == 'auto' else self._called()}.")
        reader = _Reader(self, self._opener)
        thread = threading.Thread(target=reader.run, name="camera-reader", daemon=True)
        thread.start()
        with self._changed:
            while not reader.done:
                self._changed.wait(0.25)
                limit = self._read_timeout_s if reader.opened else self._open_timeout_s
                late = not reader.done and time.monotonic() - reader.alive_at > limit
                if self._stopping or late or not self._is_wanted():
                    reader.give_up = True
                    self._changed.notify_all()
                if late:
                    self._stuck.append(thread)
                    what = "sends no more pictures" if reader.opened else "does not open; another program may use it"
                    return CameraState("lost", f"{self._called()} {what}.")
                if self._stopping or not self._is_wanted():
                    break
        thread.join(1.0)
        if thread.is_alive():
            self._stuck.append(thread)
        return reader.outcome

    def _wait_until_unwanted(self) -> None:
        while not self._stopping and self._is_wanted():
            self._pause(0.5)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    def _is_wanted(self) -> bool:
        return time.monotonic() < self._wanted_until

    def _set_state(self, status: str, message: str) -> None:
        with self._changed:
            state, before = CameraState(status, message), self._state
            self._state = state
        _log_change(before, state)

    def _called(self) -> str:
        if self.source.isdigit():
            return f"Camera {self.source}"
        return "The camera" if self.source == "auto" else without_password(self.source)


class _Reader:
    """Opens a source and reads it to its end, in a thread of its own that can be left behind if it hangs."""

    def __init__(self, camera: Camera, opener: Callable[[str], PictureSource]) -> None:
        self._camera = camera
        self._opener = opener
        self.opened = False
        self.done = False
        self.give_up = False
        self.alive_at = time.monotonic()
        self.outcome: CameraState | None = None

    def run(self) -> None:
        try:
            self.outcome = self._read_all()
        except CameraError as error:
            self.outcome = CameraState("lost", str(error))
        except Exception as error:  # a driver's own errors: the app must go on, and say so
            self.outcome = CameraState("lost", f"{self._camera._called()} failed: {type(error).__name__}.")
        finally:
            with self._camera._changed:
                self.done = True
                self._camera._changed.notify_all()

    def _read_all(self) -> CameraState | None:
        camera = self._camera
        source = self._opener(camera.source)
        self.opened, self.alive_at = True, time.monotonic()
        try:
            due = time.monotonic()
            pictures = 0
            while not self.give_up:
                image = source.read()
                if image is None:
                    if not source.interval:
                        return CameraState("lost", f"{camera._called()} stopped sending pictures.")
                    if not pictures:
                        raise CameraError(f"{camera._called()} holds no picture that can be read; choose another file.")
                    if not camera._loop or not source.rewind():
                        return CameraState("ended", "The video has ended.")
                    continue
                pictures += 1
                if source.interval:
                    due = max(due + source.interval, time.monotonic() - 1.0)  # late: go on from here and don't catch up
                    if not self._wait_until(due):
                        return None
                self._publish(image)
            return None
        finally:
            source.close()

    def _wait_until(self, due: float) -> bool:
        camera = self._camera
        with camera._changed:
            while not self.give_up and (left := due - time.monotonic()) > 0:
                self.alive_at = time.monotonic()
                camera._changed.wait(min(left, 1.0))
        return not self.give_up

    def _publish(self, image: np.ndarray) -> None:
        camera = self._camera
        with camera._changed:
            if self.give_up:
                return
            self.alive_at = time.monotonic()
            camera._captured += 1
            camera._frame = Frame(image, camera._captured, self.alive_at)
            before, camera._state = camera._state, _LIVE
            camera._changed.notify_all()
        _log_change(before, _LIVE)


def _log_change(before: CameraState, state: CameraState) -> None:
    if state != before:
        level = logging.WARNING if state.status == "lost" else logging.INFO
        log_event("camera", level=level, per_minute=_LOGGED_PER_MINUTE, status=state.status, message=state.message)
