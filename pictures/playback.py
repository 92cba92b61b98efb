"""Open sources of pictures: cameras, streams, recordings and stills. Each is read one picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from pictures.video_files import CaptureFrames, VideoFrame

_STILL_INTERVAL_S = 0.5
_FIRST_AFTER_S = 0.01
_SHORTEST_S = 0.001


class PictureSource(Protocol):
    """An open source."""

    @property
    def interval(self) -> float:
        """Seconds from the previous picture to the one just read, or 0 if the source sets the pace itself."""

    def read(self) -> np.ndarray | None:
        """The next picture, uint8 BGR `(h, w, 3)`; None after the last."""

    def close(self) -> None: ...

    def rewind(self) -> bool:
        """Start again from the first picture; False when this source can't."""


class DeviceSource:
    """A camera of this computer."""

    interval = 0.0

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self.delivered = 0

    def read(self) -> np.ndarray | None:
        ok, image = self._capture.read()
        if not ok or image is None or image.size == 0:
            return None
        self.delivered += 1
        return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self._capture.release()


class LiveStream:
    """A network camera, which sets the pace itself."""

    interval = 0.0

    def __init__(self, frames: CaptureFrames) -> None:
        self._frames = frames

    def read(self) -> np.ndarray | None:
        frame = self._frames.read()
        return None if frame is None else frame.image

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self._frames.close()


class Recording:
    """A video that plays by its frames' own times, again and again.

    To begin again it is opened again: many kinds of video say that they were wound back, and then give no picture.
    """

    def __init__(self, opened: Callable[[], CaptureFrames]) -> None:
        """`opened` opens the video; its errors are raised here."""
        self._open = opened
        self._frames = opened()
        self._before: VideoFrame | None = None
        self._only: np.ndarray | None = None
        self.interval = _FIRST_AFTER_S

    def read(self) -> np.ndarray | None:
        if self._only is not None:
            return self._only.copy()
        frame = self._frames.read()
        if frame is None:
            return None
        if self._before is not None:
            # The last frame is shown for as long as a usual one.
            gap = frame.time_s - self._before.time_s if frame.number else 1 / self._before.rate
            self.interval = max(gap, _SHORTEST_S)
        self._before = frame
        return frame.image

    def rewind(self) -> bool:
        if self._before is not None and self._before.number == 0:  # a single frame: a still
            self._only, self.interval = self._before.image, _STILL_INTERVAL_S
            return True
        self._frames.close()
        self._frames = self._open()
        return True

    def close(self) -> None:
        self._frames.close()


class StillSource:
    """One picture, again and again."""

    interval = _STILL_INTERVAL_S

    def __init__(self, image: np.ndarray) -> None:
        self._image = image

    def read(self) -> np.ndarray | None:
        return self._image.copy()

    def rewind(self) -> bool:
        return True

    def close(self) -> None:
        pass
