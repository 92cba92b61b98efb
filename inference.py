"""Score photos, folders and videos: one table row for every face.

python inference.py holiday/ --out faces.csv                     # all pictures and videos below holiday/
python inference.py a.jpg b.png party.mp4 --out faces.jsonl      # JSON Lines instead of CSV
python inference.py crops/ --cropped                             # each picture is one tight face crop; CSV on the screen
python inference.py holiday/ --out faces.csv --annotate marked --landmarks
python inference.py party.mp4 --out faces.csv --plot plots       # plots/party.mp4.png: who smiled when

Columns, always all of them and in this order:

    file                    the path as given, or as found below a given folder
    frame, time_s           video: number of the frame from 0, and its time in seconds; picture: 0, and empty
    face                    1, 2, ... in its picture or frame, largest first; empty: no face there
    track                   video: the same number for the same face from frame to frame; picture: empty
    top, right, bottom, left                  the face's box in pixels; it may reach past the edge
    smile, label            P(smile) from 0 to 1, in videos smoothed over time; "smile" from 0.5 on, else "no_smile"
    left_eye_x ... mouth_right_y              landmarks in pixels; "left" is the image's left
    raw_smile               P(smile) of this picture or frame alone; in pictures and --cropped the same as smile
    error                   one sentence on a file that can't be read, which then has a row of its own; else empty
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from annotated_copies import AnnotatedCopies
from errors import OutputError, PictureError, SettingsError, SmileError
from face_detection import Box, FaceDetector, create_detector
from face_tracking import Face, FaceTracker, as_points
from media_files import (
    PHOTO_SUFFIXES,
    VIDEO_SUFFIXES,
    MediaFile,
    decode_picture,
    find_media,
    read_bytes,
    read_video,
    suffix_of,
)
from photo_analysis import analyze_photo
from smile_recognition import DEFAULT_MODEL, SmileRecognizer
from table_writer import Table, empty_row, face_row, open_table, part_of
from timeline_plot import TimelinePlots


class Scorer:
    """Analyses files one after the other into table rows, and annotated copies and plots if wanted."""

    def __init__(
        self,
        recognizer: SmileRecognizer,
        detector: FaceDetector | None,
        *,
        copies: AnnotatedCopies | None = None,
        plots: TimelinePlots | None = None,
    ) -> None:
        """`detector` None: every picture is one tight face crop."""
        self._recognizer = recognizer
        self._detector = detector
        self._copies = copies
        self._plots = plots

    def rows(self, file: MediaFile) -> Iterator[dict[str, Any]]:
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
        except (OutputError, SettingsError):
            raise
        except PictureError as error:
            # Of a video that breaks off: the number of the frame that is missing.
            yield empty_row(file.path, frame, None, str(error))
        except Exception as error:  # one odd file must not end the work on a million others
            at = "" if time_s is None else f" after {time_s} s"
            yield empty_row(file.path, frame, None, f"The file could not be analysed{at} ({type(error).__name__}).")

    def _photo_rows(self, path: str) -> Iterator[dict[str, Any]]:
        data = read_bytes(path)
        image = decode_picture(data)
        if self._detector is None:
            faces = [self._crop(decode_picture(data, gray=True))]
        else:
            faces = analyze_photo(image, self._detector, self._recognizer)
        if self._copies:
            self._copies.add_photo(path, image, faces)
        yield from _rows(path, 0, None, faces, tracked=False)

    def _video_rows(self, path: str) -> Iterator[dict[str, Any]]:
        tracker = FaceTracker(self._detector, self._recognizer, offline=True) if self._detector else None
        whole = False
        try:
            for frame in read_video(path):
                if tracker is None:
                    faces = [self._crop(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY))]
                else:
                    faces = tracker.update(frame.image, frame.time_s)
                yield from _rows(path, frame.number, frame.time_s, faces, tracked=tracker is not None)
                if self._plots:
                    self._plots.add_frame(path, frame, faces)
                if self._copies:
                    self._copies.add_frame(path, frame, faces)
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
        readings = self._recognizer.read(gray, [box])
        smile = float(readings.smile[0])
        return Face(1, box, smile, smile, as_points(readings.landmarks[0]))


def _rows(file: str, frame: int, time_s: float | None, faces: Sequence[Face], *, tracked: bool) -> Iterator[dict[str, Any]]:
    if not faces:
        yield empty_row(file, frame, time_s)
    for i, face in enumerate(faces):
        yield face_row(file, frame, time_s, i + 1, face, tracked=tracked)


class _Bar(tqdm):
    monitor_interval = 0  # no thread of its own, which would serve only bars that hardly ever move


@dataclass
class Tally:
    """What the last line says; a face in a video counts in every frame."""

    files: int = 0
    faces: int = 0
    smiles: int = 0
    unreadable: int = 0

    def add(self, row: dict[str, Any]) -> None:
        self.faces += row["face"] is not None
        self.smiles += row["label"] == "smile"
        self.unreadable += row["error"] is not None


def score(paths: Sequence[str], table: Table, scorer: Scorer, *, total: int | None = None, bar: bool | None = None) -> Tally:
    """Writes the rows of all files below `paths` into `table`, as they come. `bar`: None shows it on a terminal only."""
    tally = Tally()
    with _Bar(total=total, unit="file", disable=None if bar is None else not bar, file=sys.stderr) as progress:
        for file in find_media(paths):
            second = 0
            for row in scorer.rows(file):
                table.write(row)
                tally.add(row)
                if int(row["time_s"] or 0) > second:  # a long video: show that it goes on
                    second = int(row["time_s"])
                    progress.set_postfix_str(f"{os.path.basename(file.path)}: {second} s")
            table.flush()  # a kill leaves whole files in the table's .part
            progress.set_postfix_str("", refresh=False)
            tally.files += 1
            progress.update()
    return tally


def _count(paths: Sequence[str]) -> tuple[int, int]:
    """How many files there are to read, and how many of them are videos.

    Raises SettingsError when a path is missing or holds none.
    """
    total = videos = 0
    for path in paths:
        before = total
        for file in find_media([path]):
            total += 1
            videos += file.is_video
        if total == before:
            raise SettingsError(f"There is no picture or video in {path}; check the folder.")
    return total, videos


def _check_out(out: str, paths: Sequence[str]) -> None:
    if out == "-":
        return
    if suffix_of(out) in PHOTO_SUFFIXES | VIDEO_SUFFIXES:
        raise SettingsError(f"--out {out} is the name of a picture or video; give it a name such as table.csv.")
    for written in (Path(out), part_of(Path(os.path.realpath(out)))):
        if written.exists() and any(os.path.samefile(written, path) for path in paths):
            raise SettingsError(f"--out {out} would overwrite a file that is to be read; choose another name.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python inference.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog=(__doc__ or "").partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="pictures, videos, and folders with such (hidden files are passed over)")
    add("--out", default="-", metavar="FILE", help="table.csv, table.jsonl, or - for CSV on the screen (default: -)")
    add("--cropped", action="store_true", help="each picture is one tight face crop: no face is searched for")
    add("--annotate", metavar="DIR", help="write copies with boxes and percentages into this folder (videos as MP4)")
    add("--landmarks", action="store_true", help="mark eyes, nose and mouth corners in these copies")
    add("--plot", metavar="DIR", help="write a plot of each video's smiles over time into this folder (PNG)")
    add("--detector", default="face_recognition", help="face_recognition, haar or yunet (default: face_recognition)")
    add("--detector-model", type=Path, metavar="FILE", help="network file for the yunet detector")
    add("--model", type=Path, default=DEFAULT_MODEL, metavar="FILE", help="smile network (default: models/smile.tflite)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Score what the command line names. Exit code 0; 2 with one sentence when that is impossible; 130 after Ctrl-C."""
    options = _parser().parse_args(argv)
    # OpenCV and FFmpeg write to the terminal what the table's error column says in words.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    table: Table | None = None
    started = time.monotonic()
    try:
        if options.landmarks and not options.annotate:
            raise SettingsError("--landmarks marks the annotated copies; give --annotate DIR too.")
        total, videos = _count(options.paths)
        if options.plot and not videos:
            raise SettingsError("--plot draws videos, and there is none among the files; leave it out, or name a video.")
        _check_out(options.out, options.paths)
        detector = None if options.cropped else create_detector(options.detector, options.detector_model)
        copies = AnnotatedCopies(options.annotate, options.paths, landmarks=options.landmarks) if options.annotate else None
        plots = TimelinePlots(options.plot, options.paths) if options.plot else None
        table = open_table(options.out)
        if detector is not None:
            detector.load()
        recognizer = SmileRecognizer(options.model)
        shared = options.out == "-" and sys.stdout.isatty()  # rows and a bar on one terminal would be a muddle
        scorer = Scorer(recognizer, detector, copies=copies, plots=plots)
        tally = score(options.paths, table, scorer, total=total, bar=False if shared else None)
        table.finish()
    except SmileError as error:
        print(f"{error}{_kept(table)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `... | head` has seen enough
        if table is not None:
            table.abandon()
        return 0
    except KeyboardInterrupt:
        print(f"Stopped.{_kept(table)}", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    print(
        f"files: {tally.files}, faces: {tally.faces}, smiles: {tally.smiles}, unreadable: {tally.unreadable}, "
        f"seconds: {seconds:.1f}",
        file=sys.stderr,
    )
    return 0


def _kept(table: Table | None) -> str:
    part = table.abandon() if table is not None else None
    return f" The rows so far are in {part}." if part else ""


if __name__ == "__main__":
    sys.exit(main())
