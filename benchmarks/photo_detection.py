"""Measure what each step of the search in photos finds, costs and gets wrong.

    python -m benchmarks.photo_detection ../shared/data/genki.zip --split models/split.csv.gz --part val [--width 64]

It goes through `faces.photo.search_steps` for every photo of one part of a set whose photos show one face each. For each
step it prints in how many photos that step found the face first, how many candidates the presence output refused, the
milliseconds for each photo that came so far, and how many of its faces got the right smile label.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np

from common.settings import DEFAULT_DETECTOR
from faces.detectors import create_detector
from faces.photo import search_steps, verified
from smile_recognition import SMILE_THRESHOLD, SmileRecognizer
from training.data.sources import find_source, iterate_images
from training.data.splits import read_split


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photo_detection")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--split", type=Path, help="manifest of a dataset; without it all photos are looked at")
    parser.add_argument("--part", default="val")
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--detector-model", type=Path)
    parser.add_argument("--width", type=int, help="first shrink every photo to this many pixels")
    parser.add_argument("--dark", type=float, default=1.0, help="first multiply the brightness")
    options = parser.parse_args()
    detector = create_detector(options.detector, options.detector_model)
    recognizer = SmileRecognizer()
    source = find_source(options.photos)
    chosen = None
    if options.split:
        rows = read_split(options.split)
        chosen = {name for (of, name), (_, side) in rows.items() if (of, side) == (source.name, options.part)}
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    photos = 0
    for picture in iterate_images(options.photos, source):
        if chosen is not None and picture.name not in chosen:
            continue
        image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            continue
        if options.width:
            scale = options.width / image.shape[1]
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.clip(image * options.dark, 0, 255).astype(np.uint8)
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        photos += 1
        started = time.perf_counter()
        for name, candidates in search_steps(image, detector):
            faces = verified(gray, candidates, recognizer)
            seconds[name] += time.perf_counter() - started
            started = time.perf_counter()
            reached[name] += 1
            refused[name] += len(candidates) - len(faces)
            if faces:
                smile = max(faces, key=lambda face: face.box.area).smile
                found[name] += 1
                right[name] += (smile >= SMILE_THRESHOLD) == (picture.smile > 0)
                break
    print(f"{photos} photos")
    print("step            photos that came so far   found first   labels right   turned down or doubled   ms a photo")
    for name in reached:
        n = reached[name]
        print(
            f"{name:15} {n:24} {found[name]:13} {right[name]:14} {refused[name]:24} {1e3 * seconds[name] / max(1, n):12.1f}"
        )
    print(f"found {sum(found.values()) / photos:.2%}, whole path right {sum(right.values()) / photos:.2%}")


if __name__ == "__main__":
    main()
