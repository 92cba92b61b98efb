"""Read videos frame by frame: upright, with square pixels, and with each frame's own time.

for frame in read_video("party.mp4"): ...

reader = VideoReader("party.mp4")           # the same, one frame at a time
while frame := reader.read(): ...
reader.close()
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from common.errors import PictureError
from pictures.picture_size import MAX_PIXELS
from pictures.video_length import is_cut_short, promised_seconds

_BREAKS_OFF = 0.75  # damaged, if a video ends before this share of the time that its header promises
_USUAL_RATE = 25.0
_HIGHEST_RATE = 240.0  # a higher number is mostly not a rate but the clock of the time stamps
_COVER_RATE = 90_000.0  # that clock, for a cover picture of a sound file
_LOOK_AHEAD = 9  # frames
_SQUEEZED_AT_MOST = 5.0


@dataclass(frozen=True)
class VideoFrame:
    """One frame: uint8 BGR `(h, w, 3)`, its number from 0, its time in seconds, and the video's frames per second."""

    image: np.ndarray
    number: int
    time_s: float
    rate: float


class CaptureFrames:
    """The frames of an open `cv2.VideoCapture`, with times that always grow. `close` closes it."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.capture = capture
        told = capture.get(cv2.CAP_PROP_FPS)
        self.rate = told if 0 < told <= _HIGHEST_RATE else _USUAL_RATE
        self.count = 0  # frames read so far
        self.time_s = 0.0  # of the last one
        self._gap = 1 / self.rate
        self._stretch = _stretch(capture)

    def read(self) -> VideoFrame | None:
        """The next frame; None after the last."""
        ok, image = self.capture.read()
        if not ok or image is None or not image.size:
            return None
        stamp = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if not self.count:
            self.time_s = max(0.0, stamp)
        elif stamp > self.time_s:
            self._gap, self.time_s = stamp - self.time_s, stamp
        else:  # without a usable time stamp: as long as the frame before
            self.time_s += self._gap
        self.count += 1
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if self._stretch != (1.0, 1.0):
            size = tuple(round(side * factor) for side, factor in zip(image.shape[1::-1], self._stretch, strict=True))
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        return VideoFrame(image, self.count - 1, self.time_s, self.rate)

    def close(self) -> None:
        self.capture.release()


def _stretch(capture: cv2.VideoCapture) -> tuple[float, float]:
    """The factors for width and height that make pixels square. As in browsers, one of them grows and the other stays."""
    wide, high = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    if not (wide > 0 and high > 0) or not 1 / _SQUEEZED_AT_MOST <= wide / high <= _SQUEEZED_AT_MOST:
        return 1.0, 1.0
    x, y = max(1.0, wide / high), max(1.0, high / wide)
    return (y, x) if round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 180 else (x, y)


class VideoReader(CaptureFrames):
    """The frames of one video file."""

    def __init__(self, path: str) -> None:
        """Raises PictureError for anything but a video, and for one that is too large."""
        # With an absolute path FFmpeg can't take part of a name for a protocol such as `http:`.
        self._path = os.path.abspath(path)
        capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG)
        try:
            if not capture.isOpened():
                empty = os.path.isfile(path) and not os.path.getsize(path)
                raise PictureError(
                    "The file is empty." if empty else "This is not a video that can be read; it may be damaged."
                )
            super().__init__(capture)
            sides = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
            width, height = (int(side * factor) for side, factor in zip(sides, self._stretch, strict=True))
            if width * height > MAX_PIXELS:
                raise PictureError(f"The video is too large: {width}x{height} pixels.")
            self._ahead: deque[VideoFrame] = deque()
            if capture.get(cv2.CAP_PROP_FPS) > _HIGHEST_RATE:
                self._measure_rate()
        except BaseException:
            capture.release()
            raise

    def _measure_rate(self) -> None:
        """Takes the rate from the first frames' own times. Raises PictureError if there is only the cover picture of a sound
        file.
        """
        while len(self._ahead) < _LOOK_AHEAD and (frame := super().read()):
            self._ahead.append(frame)
        if len(self._ahead) == 1 and self.capture.get(cv2.CAP_PROP_FPS) >= _COVER_RATE:
            raise PictureError("The file holds no video, only sound with a cover picture.")
        if len(self._ahead) > 1:
            self.rate = float(1 / np.median(np.diff([frame.time_s for frame in self._ahead])))
        self._ahead = deque(replace(frame, rate=self.rate) for frame in self._ahead)

    def read(self) -> VideoFrame | None:
        """The next frame; None after the last."""
        return self._ahead.popleft() if self._ahead else super().read()

    def problem(self) -> str:
        """After the last frame: a sentence on why there should have been more; empty if all is well."""
        if not self.count:
            return "No frame of this video can be read; it may be damaged."
        told = max(0.0, self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        promised_s = promised_seconds(self._path)
        ended_s = self.time_s + max(self._gap, 1 / self.rate)
        if promised_s is None:
            promised_s = told / self.rate
            trusted = _is_avi(self._path)  # elsewhere the number is a guess, or counts sound that goes on longer
        else:
            trusted = self.count < told
        breaks_off = trusted and ended_s < _BREAKS_OFF * promised_s and promised_s - ended_s > 1
        if breaks_off or is_cut_short(self._path):
            of = f" of {promised_s:.1f}" if promised_s > ended_s else ""
            return f"The video breaks off after {ended_s:.1f}{of} s; it may be damaged."
        return ""


def _is_avi(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"RIFF"
    except OSError:
        return False


def read_video(path: str) -> Iterator[VideoFrame]:
    """Every frame of a video. Raises PictureError for anything but a video, and after the last frame of one that breaks off.

    If pixels are not square, width or height is stretched until they are.
    """
    reader = VideoReader(path)
    try:
        while frame := reader.read():
            yield frame
        problem = reader.problem()
    finally:
        reader.close()
    if problem:
        raise PictureError(problem)
