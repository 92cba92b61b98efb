"""Whether the smile is read right over time: a face that changes its expression, and a head that tilts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.actors.scenes import RATE, tilting_astronaut
from benchmarks.reporting.figures import BenchmarkError, Report
from common.face import Face
from faces.detectors import create_detector
from faces.tracking import FaceTracker
from pictures.reading import read_video
from smile_recognition import SmileRecognizer

TITLE = "Smiles over time"
VIDEO = Path(__file__).parents[3] / "shared" / "video" / "neutral_smile_neutral.mp4"
# Seen by eye, frame by frame, in neutral_smile_neutral.mp4: when the smile begins and when it is over.
CHANGES_S = (0.60, 2.33)
_ROUND_A_CHANGE_S = 0.3
# It ends right after the second change; its last frame stays for so long that what is shown then can be judged.
_HELD_S = 0.7
_TILT = 30.0


def measure(report: Report, video: Path = VIDEO) -> None:
    if video.is_file():
        times, labels = _labels(video)
        right, flips = judge(times, labels)
        report.add("change_right", "neutral, smile, neutral: frames read right", 100 * right, "%", bar=99, at_least=True)
        report.add("change_flips", "neutral, smile, neutral: false changes of the label", flips, bar=0)
    else:
        note = f"needs {video.name}"
        report.add("change_right", "neutral, smile, neutral", None, "%", bar=99, at_least=True, note=note)
        report.add("change_flips", "neutral, smile, neutral: false changes", None, bar=0, note=note)
    found = _follow((image, i / RATE) for i, image in enumerate(tilting_astronaut(_TILT)))
    ids = {face.id for faces in found for face in faces}
    smiling = np.mean([len(faces) == 1 and faces[0].label == "smile" for faces in found])
    name = f"head tilted to {_TILT:g} degrees, both ways"
    report.add("tilt_ids", f"{name}: ids of the one face", len(ids), bar=1)
    report.add("tilt_right", f"{name}: frames read right", 100 * float(smiling), "%", bar=100, at_least=True)


def judge(times: Sequence[float], labels: Sequence[str]) -> tuple[float, int]:
    """Share of the frames outside 0.3 s round a change whose label is right, and how many label changes are false.

    A change of the label is true once near each of `CHANGES_S`; every further one is false.
    """
    judged = [
        label == ("smile" if CHANGES_S[0] <= at < CHANGES_S[1] else "no_smile")
        for at, label in zip(times, labels, strict=True)
        if all(abs(at - change) > _ROUND_A_CHANGE_S for change in CHANGES_S)
    ]
    flips = [at for (_, old), (at, new) in itertools.pairwise(zip(times, labels, strict=True)) if old != new]
    true = sum(any(abs(at - change) <= _ROUND_A_CHANGE_S for at in flips) for change in CHANGES_S)
    return float(np.mean(judged)), len(flips) - true


def _labels(video: Path) -> tuple[list[float], list[str]]:
    """Time and shown label of every frame; a frame without its one face has the label "none"."""
    frames = [(frame.image, frame.time_s) for frame in read_video(str(video))]
    if not frames:
        raise BenchmarkError(f"{video.name} holds no frame; restore it.")
    last, end = frames[-1]
    frames += [(last, end + i / RATE) for i in range(1, round(_HELD_S * RATE) + 1)]
    found = _follow(frames)
    return [at for _, at in frames], [faces[0].label if len(faces) == 1 else "none" for faces in found]


def _follow(frames: Iterable[tuple[np.ndarray, float]]) -> list[list[Face]]:
    tracker = FaceTracker(create_detector("face_recognition"), SmileRecognizer(), offline=True)
    try:
        return [tracker.update(image, at) for image, at in frames]
    finally:
        tracker.close()
