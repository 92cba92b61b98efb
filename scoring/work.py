"""From one picture or video to its table rows, in whichever process that happens.

    work = Work(detector="face_recognition")
    for row in work.scorer().rows(MediaFile("a.jpg")): ...

`Work` says what is to be done and can be sent to another process or computer; the `Scorer` made of it there does it.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.errors import ModelError, OutputError, PictureError, SettingsError, UnwritableName
from common.face import Box, Face
from faces.detection import FaceDetector
from faces.detectors import create_detector
from faces.photo import analyze_photo
from faces.tracking import FaceTracker
from pictures.decoding import decode_picture
from pictures.finding import MediaFile
from pictures.reading import read_bytes, read_video
from scoring.annotated_copies import AnnotatedCopies
from scoring.rows import empty_row, face_row
from scoring.timeline_plot import TimelinePlots
from smile_recognition import DEFAULT_MODEL, SmileRecognizer

Row = dict[str, Any]
Rows = Iterable[Row]  # of one file; of a video that another process read they are packed
_ROWS_AT_ONCE = 512
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Work:
    """What is done with every file. `detector` None: each picture is one tight face crop.

    `paths`: all that is read, which annotated copies and plots are kept apart from. `model` None: the shipped network of
    whichever computer does the work, which must have the `digest`, if that is given. `folder`: where relative paths begin;
    empty: where this process runs.
    """

    detector: str | None = "face_recognition"
    detector_model: Path | None = None
    model: Path | None = None
    digest: str = ""
    paths: tuple[str, ...] = ()
    annotate: str | None = None
    landmarks: bool = False
    plot: str | None = None
    folder: str = ""

    def scorer(self) -> Scorer:
        """Loads networks, makes folders. Raises SmileError when that can't be done."""
        model = self.model or DEFAULT_MODEL
        if self.digest and model.is_file() and model_digest(model) != self.digest:
            raise ModelError(f"The network {model} is another one here than where the run was started; use one version.")
        detector, copies, plots = self.check()
        if detector is not None:
            detector.load()
        return Scorer(SmileRecognizer(model), detector, copies=copies, plots=plots, folder=self.folder)

    def check(self) -> tuple[FaceDetector | None, AnnotatedCopies | None, TimelinePlots | None]:
        """What needs no network, at little cost. Raises SmileError for what no process could do."""
        detector = None if self.detector is None else create_detector(self.detector, self.detector_model)
        copies = AnnotatedCopies(self.annotate, self.paths, landmarks=self.landmarks) if self.annotate else None
        plots = TimelinePlots(self.plot, self.paths) if self.plot else None
        return detector, copies, plots


def model_digest(path: Path) -> str:
    """Tells two networks apart; empty for a file that can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class Scorer:
    """Analyses files one after the other into table rows, and annotated copies and plots if wanted."""

    def __init__(
        self,
        recognizer: SmileRecognizer,
        detector: FaceDetector | None,
        *,
        copies: AnnotatedCopies | None = None,
        plots: TimelinePlots | None = None,
        folder: str = "",
    ) -> None:
        """`detector` None: every picture is one tight face crop. `folder`: where relative paths begin."""
        self._recognizer = recognizer
        self._detector = detector
        self._copies = copies
        self._plots = plots
        self._folder = folder

    def rows(self, file: MediaFile) -> Iterator[Row]:
        """The rows of one file, as `table_writer.face_row` says. What is wrong with the file becomes a row.

        Raises OutputError when an annotated copy or a plot can't be written, SettingsError when it would overwrite what is
        read.
        """
        frame, time_s = 0, None
        try:
            if file.problem:
                raise PictureError(file.problem)
            for row in self._video_rows(file.path) if file.is_video else self._photo_rows(file.path):
                frame, time_s = row["frame"] + 1, row["time_s"]
                yield row
        except UnwritableName as error:
            sentence = f"The copy or plot of this file can't be written ({error}); its rows are whole."
            yield empty_row(file.path, frame if file.is_video else 0, None, sentence)
        except (OutputError, SettingsError):
            raise
        except PictureError as error:
            # Of a video that breaks off: the number of the frame that is missing.
            yield empty_row(file.path, frame, None, str(error))
        except Exception as error:  # one odd file must not end the work on a million others
            at = "" if time_s is None else f" after {time_s} s"
            yield empty_row(file.path, frame, None, f"The file could not be analysed{at} ({type(error).__name__}).")

    def all_rows(self, file: MediaFile, alive: Callable[[float], None] = lambda time_s: None) -> Rows:
        """The same, whole: a list, or `PackedRows` of a video. `alive` hears of every row's time in the video."""
        if not file.is_video:
            return list(self.rows(file))
        packed = PackedRows()
        for row in self.rows(file):
            packed.add(row)
            alive(row["time_s"] or 0.0)
        packed.close()
        return packed

    def _photo_rows(self, path: str) -> Iterator[Row]:
        where = os.path.join(self._folder, path)
        data = read_bytes(where)
        image = decode_picture(data)
        if self._detector is None:
            faces = [self._crop(decode_picture(data, gray=True))]
        else:
            faces = analyze_photo(image, self._detector, self._recognizer)
        yield from _rows(path, 0, None, faces, tracked=False)
        if self._copies:
            self._copies.add_photo(where, image, faces)

    def _video_rows(self, path: str) -> Iterator[Row]:
        where = os.path.join(self._folder, path)
        tracker = FaceTracker(self._detector, self._recognizer, offline=True) if self._detector else None
        whole = False
        try:
            for frame in read_video(where):
                if tracker is None:
                    faces = [self._crop(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY))]
                else:
                    faces = tracker.update(frame.image, frame.time_s)
                yield from _rows(path, frame.number, frame.time_s, faces, tracked=tracker is not None)
                if self._plots:
                    self._plots.add_frame(where, frame, faces)
                if self._copies:
                    self._copies.add_frame(where, frame, faces)
            whole = True
        except PictureError:
            whole = True  # as far as it goes
            raise
        finally:
            self._end_video(whole=whole)

    def _end_video(self, *, whole: bool) -> None:
        try:
            if self._plots:
                self._plots.end_video(whole=whole)
        finally:
            if self._copies:
                self._copies.end_video(whole=whole)

    def _crop(self, gray: np.ndarray) -> Face:
        """The one face that fills `gray`, uint8 `(h, w)`."""
        box = Box(0, gray.shape[1], gray.shape[0], 0)
        (face,) = self._recognizer.read(gray, [box])
        return replace(face, id=1)


def _rows(file: str, frame: int, time_s: float | None, faces: Sequence[Face], *, tracked: bool) -> Iterator[Row]:
    if not faces:
        yield empty_row(file, frame, time_s)
    for i, face in enumerate(faces):
        yield face_row(file, frame, time_s, i + 1, face, tracked=tracked)


class PackedRows:
    """Rows compressed to about a twentieth: an hour of video has 90,000, which would not all fit on the way.

    Filled by `add` until `close`; then it can be sent and iterated over, any number of times.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._packer: Any = zlib.compressobj(1)
        self._lines: list[str] = []

    def add(self, row: Row) -> None:
        self._lines.append(json.dumps(row))
        if len(self._lines) == _ROWS_AT_ONCE:
            self._pack()

    def close(self) -> None:
        self._pack()
        self._blocks.append(self._packer.flush())
        self._packer = None

    def __iter__(self) -> Iterator[Row]:
        unpacker = zlib.decompressobj()
        rest = b""
        for block in self._blocks:
            while block:
                *lines, rest = (rest + unpacker.decompress(block, _BLOCK)).split(b"\n")
                block = unpacker.unconsumed_tail
                yield from map(json.loads, lines)
        *lines, _ = (rest + unpacker.flush()).split(b"\n")
        yield from map(json.loads, lines)

    def _pack(self) -> None:
        if self._lines:
            lines, self._lines = "\n".join(self._lines) + "\n", []
            self._blocks.append(self._packer.compress(lines.encode("ascii")))
