"""Compare the finder with the other detectors on hard frames.

    python -m training.finder_probe ../shared/data/genki.zip --yunet FILE --card models
    python -m training.finder_probe ../shared/data/genki.zip --part val --finder runs/finder --detectors finder

Photos of one face each are set into frames of 640x480 in many conditions. They come from the part that was used neither for
training nor for choosing. A face is found if a box overlaps the true place by at least 0.35. "app" is the whole path of a
photo, with the finder first: faces found, and smiles read right.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.commands import said_plainly
from common.errors import DatasetError
from common.face import Box
from faces.detection import FaceDetector
from faces.detectors import create_detector
from faces.finder import DEFAULT_FINDER
from faces.photo import analyze_photo
from faces.search import smallest_face
from smile_recognition import SMILE_THRESHOLD, SmileRecognizer
from training.data.sources import Picture, find_source, iterate_images
from training.finding.card import PROBE, write_finder_card
from training.finding.conditions import CONDITIONS, Probe, make_probe
from training.finding.pictures import Pictures
from training.judging.records import write_json
from training.quiet import tensorflow_quiet

_FOUND = 0.35  # overlap with the true square


@dataclass
class Tally:
    """What one detector did with the frames of one condition."""

    found: int = 0
    overlaps: list[float] = field(default_factory=list)  # with face_recognition's box, where both see the face
    milliseconds: list[float] = field(default_factory=list)


def ask(detector: FaceDetector, probe: Probe, tally: Tally, other: list[Box]) -> list[Box]:
    """Counts in `tally` the boxes that `detector` sees in a frame. `other`: face_recognition's boxes."""
    started = time.perf_counter()
    boxes = detector.detect(probe.frame, min_face=smallest_face(*probe.frame.shape[:2]))
    tally.milliseconds.append((time.perf_counter() - started) * 1e3)
    best = max(boxes, key=probe.truth.iou, default=None)
    if best is None or probe.truth.iou(best) < _FOUND:
        return boxes
    tally.found += 1
    theirs = max(other, key=probe.truth.iou, default=None)
    if theirs is not None and probe.truth.iou(theirs) >= _FOUND:
        tally.overlaps.append(best.iou(theirs))
    return boxes


def photos_of(path: Path, pictures: Pictures, part: str, count: int, seed: int) -> list[tuple[Picture, np.ndarray]]:
    """`count` photos of the part with one sure face, `(x, y, side)`. Raises DatasetError if there is none."""
    source = find_source(path)
    places = {}
    for i in np.flatnonzero((pictures.source == source.name) & (pictures.split == part)):
        faces, sure = pictures.faces_of(int(i))
        if len(faces) == 1 and sure.all():
            places[str(pictures.name[i])] = faces[0, :3]
    chosen = [picture for picture in iterate_images(path, source) if picture.name in places]
    if not chosen:
        raise DatasetError(f"{path} holds no photo of the {part} part; make the finder's pictures with it.")
    chosen = random.Random(seed).sample(chosen, min(count, len(chosen)))
    return [(picture, places[picture.name]) for picture in chosen]


def probe_condition(
    condition: str,
    photos: list[tuple[Picture, np.ndarray]],
    detectors: dict[str, FaceDetector],
    app: FaceDetector | None,
    seed: int,
) -> dict[str, Any]:
    """For each detector in how many frames it found the face, the median overlap with face_recognition's boxes, and its
    time.
    """
    rng, recognizer = np.random.default_rng(seed), SmileRecognizer()
    tallies = {name: Tally() for name in detectors}
    found = right = 0
    for picture, face in photos:
        image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        probe = make_probe(image, face, condition, rng)
        other: list[Box] = []
        for name, detector in detectors.items():  # face_recognition comes first
            boxes = ask(detector, probe, tallies[name], other)
            other = boxes if name == "face_recognition" else other
        if app is not None:
            faces = [f for f in analyze_photo(probe.frame, app, recognizer) if probe.truth.iou(f.box) >= _FOUND]
            found += bool(faces)
            right += any((f.smile >= SMILE_THRESHOLD) == (picture.smile > 0) for f in faces[:1])
    result: dict[str, Any] = {
        name: {
            "found": tally.found,
            "overlap": round(float(np.median(tally.overlaps)), 3) if tally.overlaps else None,
            "ms": round(float(np.median(tally.milliseconds)), 2),
        }
        for name, tally in tallies.items()
    }
    return {**result, "app": {"found": found, "right": right}} if app is not None else result


def false_faces(pictures: Pictures, part: str, count: int, detectors: dict[str, FaceDetector]) -> dict[str, int]:
    """How many boxes each detector sees in `count` pictures without a face; for "app" only those that the smile network
    confirms.
    """
    rows = np.flatnonzero((pictures.source == "backgrounds") & (pictures.split == part))[:count]
    recognizer = SmileRecognizer()
    totals = dict.fromkeys(detectors, 0)
    confirmed = 0
    for i in rows:
        gray = pictures.picture(int(i))
        for name, detector in detectors.items():
            totals[name] += len(detector.detect(gray, min_face=smallest_face(*gray.shape[:2])))
        if "finder" in detectors:
            confirmed += len(analyze_photo(gray, detectors["finder"], recognizer))
    return {"pictures": len(rows), **totals, **({"app": confirmed} if "finder" in detectors else {})}


def table(results: dict[str, dict[str, Any]], names: list[str], count: int) -> str:
    """A Markdown table with one row for each condition."""
    app = ["app: found / right"] if any("app" in row for row in results.values()) else []
    lines = [
        f"| condition, {count} frames | " + " | ".join([*names, *app]) + " |",
        "|---" * (1 + len(names) + len(app)) + "|",
    ]
    for condition, row in results.items():
        cells = [f"{row[name]['found']} ({_or_dash(row[name]['overlap'])}, {row[name]['ms']} ms)" for name in names]
        cells += [f"{row['app']['found']} / {row['app']['right']}"] if app else []
        lines.append(f"| {condition} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _write(options: argparse.Namespace, results: dict, false: dict, photos: int, shown: str) -> None:
    data = (options.finder or DEFAULT_FINDER.parent).joinpath(DEFAULT_FINDER.name).read_bytes()
    record = {
        **{"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "photos": photos, "set": options.photos.stem},
        **{"part": options.part, "seed": options.seed, "conditions": results, "false_faces": false},
    }
    write_json(options.card / PROBE, record)
    write_finder_card(options.card, shown)


@tensorflow_quiet()
@said_plainly("A detector could not be judged")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.finder_probe", description="Judge face detectors.")
    parser.add_argument("photos", type=Path, help="zip of photos with one face each, such as genki.zip")
    parser.add_argument("--data", type=Path, default=Path("datasets/finder.npz"), help="from `python -m training.finder`")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--finder", type=Path, help="folder of the finder to judge (default: models)")
    parser.add_argument("--yunet", type=Path, help="YuNet's file, to judge it too")
    parser.add_argument("--detectors", nargs="+", default=["face_recognition", "finder"])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-app", action="store_true", help="the detectors alone, which is quicker")
    parser.add_argument("--card", type=Path, metavar="DIR", help="write finder.json and FINDER_CARD.md of the finder in DIR")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    pictures = Pictures.load(options.data)
    names = sorted([*options.detectors, *(["yunet"] if options.yunet else [])], key=lambda name: name != "face_recognition")
    model = {"yunet": options.yunet, "finder": options.finder and options.finder / "finder.tflite"}
    detectors = {name: create_detector(name, model.get(name)) for name in names}
    for detector in detectors.values():
        detector.load()
    photos = photos_of(options.photos, pictures, options.part, options.count, options.seed)
    app = None if options.no_app else detectors.get("finder")
    results = {}
    for condition in CONDITIONS:
        results[condition] = probe_condition(condition, photos, detectors, app, options.seed)
        print(condition, results[condition], file=sys.stderr, flush=True)
    false = false_faces(pictures, options.part, 300, detectors)
    print("found (overlap with face_recognition's box where both see the face, median time)\n")
    shown = table(results, names, len(photos))
    print(shown)
    print(f"\nfalse faces: {false}")
    if options.card:
        _write(options, results, false, len(photos), shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
