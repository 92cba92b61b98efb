"""Annotated copies of pictures and videos, in a folder of their own, under the same relative names.

copies = AnnotatedCopies("marked", ["holiday/"], landmarks=True)
copies.add_photo("holiday/beach/a.jpg", image, faces)        # marked/beach/a.jpg
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from common.errors import OutputError, UnwritableName
from common.face import Face
from faces.annotation import annotate
from pictures.finding import suffix_of
from pictures.reading import VideoFrame
from scoring.output_folder import OutputFolder

# By suffix, what is encoded. Other kinds become PNG files, with `.png` after their name.
_ENCODED_AS = {".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg"} | {
    suffix: suffix for suffix in (".png", ".webp", ".bmp", ".tif", ".tiff")
}
_SLOWEST, _FASTEST = 10.0, 1000.0  # frames a second of a copy
_LONGEST_STILL_S = 60.0  # a pause of hours would become as many frames
_JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


class AnnotatedCopies:
    """Writes copies into `folder`, never over a file that is read."""

    def __init__(self, folder: str, paths: Sequence[str], *, landmarks: bool = False) -> None:
        """`paths`: all that is read.

        Raises SettingsError when copies could fall among them, OutputError when the folder can't be made.
        """
        self._folder = OutputFolder(folder, paths, option="--annotate", holds="annotated copies")
        self._landmarks = landmarks
        self._video: cv2.VideoWriter | None = None
        self._video_part = self._video_whole = Path()
        self._shown: np.ndarray | None = None  # and not written yet
        self._shown_s = self._begun_s = self._last_s = 0.0
        self._rate, self._written = _SLOWEST, 0
        self._refused: UnwritableName | None = None
        self._told = False

    def add_photo(self, file: str, image: np.ndarray, faces: Sequence[Face]) -> None:
        """Draws into `image`, uint8 BGR `(h, w, 3)`, and writes it. Raises OutputError."""
        suffix = suffix_of(file)
        target = self._folder.target(file, "" if suffix in _ENCODED_AS else ".png")
        annotate(image, faces, landmarks=self._landmarks)
        encoded_as = _ENCODED_AS.get(suffix, ".png")
        ok, data = cv2.imencode(encoded_as, image, _JPEG_QUALITY if encoded_as == ".jpg" else [])
        if not ok:
            raise OutputError(f"{target} can't be encoded; leave this picture out, or run without --annotate.")
        self._folder.write(target, data.tobytes())

    def add_frame(self, file: str, frame: VideoFrame, faces: Sequence[Face]) -> None:
        """Draws into the frame's image and adds it to the video's copy, an MP4 of constant rate.

        There a frame is repeated or left out so that it is shown when it is in the video. A copy that can't be written for
        its name is left out, and said by `end_video`.
        """
        if frame.number == 0:
            self._refused = None
            try:
                self._open_video(file, frame)
            except UnwritableName as error:
                self._refused = error
        if self._video is None:
            return
        self._fill_until(frame.time_s)
        self._shown = annotate(frame.image, faces, landmarks=self._landmarks)
        self._shown_s = frame.time_s

    def end_video(self, *, whole: bool) -> None:
        """The video is over; a copy that is not `whole` is removed. Raises OutputError."""
        if self._refused is not None:
            raise self._refused
        if self._video is None:
            return
        self._fill_until(self._shown_s + self._last_s)
        self._video.release()
        self._video, self._shown = None, None
        try:
            if whole:
                os.replace(self._video_part, self._video_whole)
            else:
                self._video_part.unlink(missing_ok=True)
        except OSError as error:
            with suppress(OSError):
                self._video_part.unlink(missing_ok=True)
            raise self._folder.unwritable(self._video_whole, error) from error

    def _open_video(self, file: str, frame: VideoFrame) -> None:
        self._video_whole = self._folder.target(file, "" if suffix_of(file) == ".mp4" else ".mp4")
        self._video_part = self._folder.part_of(self._video_whole, ".part.mp4")  # OpenCV goes by the suffix
        size = (frame.image.shape[1], frame.image.shape[0])
        rate = min(frame.rate, _FASTEST)
        self._rate = rate * max(1, math.ceil(_SLOWEST / rate))
        self._begun_s, self._last_s, self._written = frame.time_s, 1 / frame.rate, 0
        writer = cv2.VideoWriter(str(self._video_part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
        if writer.isOpened():
            self._video = writer
        elif not self._told:
            self._told = True
            print("Annotated videos can't be written here and are left out; the table is complete.", file=sys.stderr)

    def _fill_until(self, time_s: float) -> None:
        """Writes what is shown so often that it is shown until then."""
        if self._video is None or self._shown is None:
            return
        until = round((time_s - self._begun_s) * self._rate)
        for _ in range(min(until - self._written, math.ceil(_LONGEST_STILL_S * self._rate))):
            self._video.write(self._shown)
        self._written = until
