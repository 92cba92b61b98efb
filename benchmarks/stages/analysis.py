"""What the analysis of a frame costs in one process: one face, its parts, and how cost grows with faces and pixels."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.actors.scenes import RATE, crowd, read_frames, there_and_back
from benchmarks.reporting.figures import BenchmarkError, Curve, Report, median_and_p95
from common.face import Face
from faces.annotation import annotate, encode_jpeg
from faces.detectors import create_detector
from faces.search import smallest_face
from faces.tracking import FaceTracker
from inference import Scorer
from pictures.finding import MediaFile
from smile_recognition import SmileRecognizer

ONE_FACE_TITLE = "One frame of 640x480 with one followed face"
GROWTH_TITLE = "More faces, more pixels, at 30 frames a second"
OFFLINE_TITLE = "Videos from file to table"
_FOUND_WITHIN_S = 30.0
_FACES = (1, 2, 4, 8)
_SIZES = {"640x480": (640, 480), "1280x720": (1280, 720), "1920x1080": (1920, 1080)}
_OFFLINE_FRAMES = 300
_MEDIAN_MS, _P95_MS, _EIGHT_FACES_MS, _OFFLINE_FPS = 3.0, 8.0, 15.0, 200.0


@dataclass(frozen=True)
class Followed:
    """Milliseconds of each `update`, and the faces that the last one gave. `problem`: why that is not what was asked for."""

    times_ms: list[float]
    faces: list[Face]
    problem: str = ""


def follow(pictures: Sequence[np.ndarray], *, faces: int, frames: int, paced: bool = True) -> Followed:
    """Has a tracker of its own follow `faces` faces through `pictures`, again and again, and times `frames` frames of it.

    `paced`: 30 frames a second, so that the search for further faces competes as it does in the app.
    """
    tracker = FaceTracker(create_detector("face_recognition"), SmileRecognizer())
    endless = itertools.cycle(pictures)
    try:
        seen = _find_all(tracker, endless, faces)
        if len(seen) != faces:
            return Followed([], seen, f"{len(seen)} of {faces} faces were found")
        times_ms, counts, due = [], [], time.monotonic()
        for image in itertools.islice(endless, frames):
            if paced:
                due = max(due + 1 / RATE, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
            started = time.perf_counter()
            seen = tracker.update(image, time.monotonic())
            times_ms.append((time.perf_counter() - started) * 1e3)
            counts.append(len(seen))
    finally:
        tracker.close()
    problem = "" if np.median(counts) == faces else f"mostly {np.median(counts):g} of {faces} faces were followed"
    return Followed(times_ms, seen, problem)


def _find_all(tracker: FaceTracker, pictures, faces: int) -> list[Face]:
    seen: list[Face] = []
    deadline = time.monotonic() + _FOUND_WITHIN_S
    steady = 0
    while steady < RATE // 2 and time.monotonic() < deadline:
        seen = tracker.update(next(pictures), time.monotonic())
        steady = steady + 1 if len(seen) == faces else 0
        time.sleep(1 / RATE)
    return seen


def measure_one_face(report: Report, video: Path, *, frames: int) -> None:
    pictures = read_frames(video, 150)
    paced = follow(there_and_back(pictures), faces=1, frames=frames)
    if paced.problem:
        raise BenchmarkError(f"The video must show one face ({paced.problem}); choose another --source.")
    median, p95 = median_and_p95(paced.times_ms)
    report.add("one_face_median", "analysis at 30 frames a second, median", median, "ms", bar=_MEDIAN_MS)
    report.add("one_face_p95", "analysis at 30 frames a second, p95", p95, "ms", bar=_P95_MS)
    flat = follow(there_and_back(pictures), faces=1, frames=frames, paced=False)
    _add(report, "flat_out", "analysis without a pause", flat)
    _measure_parts(report, pictures[0], paced.faces, repeats=max(5, frames // 3))


def _measure_parts(report: Report, image: np.ndarray, faces: list[Face], *, repeats: int) -> None:
    recognizer, detector = SmileRecognizer(), create_detector("face_recognition")
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    boxes = [face.box for face in faces]
    parts: dict[str, tuple[str, Callable[[], object]]] = {
        "network": ("crop and network", lambda: recognizer.predict_smile(gray, boxes)),
        "draw": ("draw box and label", lambda: annotate(image.copy(), faces)),
        "encode": ("encode as JPEG", lambda: encode_jpeg(image)),
    }
    for key, (name, work) in parts.items():
        median, p95 = median_and_p95(_milliseconds(work, repeats))
        report.add(f"{key}_median", f"{name}, median", median, "ms")
        report.add(f"{key}_p95", f"{name}, p95", p95, "ms")
    smallest = smallest_face(*image.shape[:2])
    searches = _milliseconds(lambda: detector.detect(image, min_face=smallest), max(2, repeats // 5))
    report.add("search_median", "search of a whole frame, in its own thread, median", float(np.median(searches)), "ms")


def _milliseconds(work: Callable[[], object], repeats: int) -> list[float]:
    work()  # what is loaded or built at the first call
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return times


def measure_growth(report: Report, *, frames: int, short: bool = False) -> None:
    """More faces at 1280x720, then one face in larger pictures; the faces are a fixed part of the picture's height."""
    by_faces: dict[int, tuple[float, float]] = {}
    for count in _FACES[:: len(_FACES) - 1] if short else _FACES:
        done = follow(there_and_back(crowd(count, _SIZES["1280x720"])), faces=count, frames=frames)
        median, p95 = _add(report, f"faces_{count}", f"{count} face{'s' * (count > 1)}, 1280x720", done, eight=count == 8)
        if median is not None and p95 is not None:
            by_faces[count] = median, p95
    report.add_curve(_curve("faces", "Faces in a picture of 1280x720", "faces", list(by_faces), list(by_faces.values())))
    by_size: dict[str, tuple[float, float]] = {}
    for name, size in list(_SIZES.items())[::2] if short else _SIZES.items():
        done = follow(there_and_back(crowd(1, size)), faces=1, frames=frames)
        median, p95 = _add(report, f"size_{size[1]}", f"1 face, {name}", done)
        if median is not None and p95 is not None:
            by_size[name] = median, p95
    megapixels = [_SIZES[name][0] * _SIZES[name][1] / 1e6 for name in by_size]
    title, values = "One face in larger pictures", list(by_size.values())
    report.add_curve(_curve("pixels", title, "size", megapixels, values, ticks=tuple(by_size)))


def _add(report: Report, key: str, name: str, done: Followed, *, eight: bool = False) -> tuple[float | None, float | None]:
    median, p95 = median_and_p95(done.times_ms) if not done.problem else (None, None)
    report.add(f"{key}_median", f"{name}, median", median, "ms", bar=_EIGHT_FACES_MS if eight else None, note=done.problem)
    report.add(f"{key}_p95", f"{name}, p95", p95, "ms", note=done.problem)
    return median, p95


def _curve(
    key: str, title: str, x_label: str, x: list, values: list[tuple[float, float]], *, ticks: tuple[str, ...] = ()
) -> Curve:
    series = {"median": [median for median, _ in values], "p95": [p95 for _, p95 in values]}
    return Curve(key, title, x_label, "milliseconds a frame", x, series, ticks)


def measure_offline(report: Report, video: Path, *, repeats: int) -> None:
    """Frames of `video` a second from file to table rows, with reading and decoding, in one process."""
    detector = create_detector("face_recognition")
    detector.load()
    scorer = Scorer(SmileRecognizer(), detector)
    rates = []
    for _ in range(repeats):
        frames, faces = set(), 0
        started = time.perf_counter()
        for row in scorer.rows(MediaFile(str(video), is_video=True)):
            if row["error"]:
                raise BenchmarkError(f"{video.name}: {row['error']} Choose another --source.")
            frames.add(row["frame"])
            faces += row["face"] is not None
            if len(frames) >= _OFFLINE_FRAMES:
                break
        rates.append(len(frames) / (time.perf_counter() - started))
        if not faces:
            raise BenchmarkError(f"No face was found in {video.name}; choose another --source.")
    report.add("offline", "frames a second, one process", float(np.median(rates)), "fps", bar=_OFFLINE_FPS, at_least=True)
