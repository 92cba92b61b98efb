"""Measure how other detectors' boxes differ from face_recognition's on the same faces.

    python -m benchmarks.box_geometry ../shared/data/genki.zip [--yunet FILE]

The network reads face_recognition's boxes. `faces/detection.py` moves all others by the medians printed here: the shift of
the centre and the ratio of the sides, in sides of the raw box.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from faces.detection import FaceDetector, HaarDetector, YuNetDetector
from faces.detectors import create_detector
from training.data.sources import find_source, iterate_images


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.box_geometry")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--yunet", type=Path)
    parser.add_argument("--every", type=int, default=6, help="look at every so many photos")
    options = parser.parse_args()
    reference = create_detector("face_recognition")
    others: list[FaceDetector] = [HaarDetector(adjust=False)]
    if options.yunet:
        others.append(YuNetDetector(options.yunet, adjust=False))
    rows: dict[str, list[tuple[float, ...]]] = {other.name: [] for other in others}
    for i, picture in enumerate(iterate_images(options.photos, find_source(options.photos))):
        if i % options.every:
            continue
        image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            continue
        wanted = reference.detect(image, min_face=40)
        for other in others:
            for box in other.detect(image, min_face=40):
                if wanted and box.iou(wanted[0]) > 0.3:
                    (x, y), (wx, wy) = box.center, wanted[0].center
                    w, h = box.width, box.height
                    rows[other.name].append(((wx - x) / w, (wy - y) / h, wanted[0].width / w, wanted[0].height / h))
    print("detector faces  right  down  width  height  (face_recognition's box in sides of the raw box)")
    for name, found in rows.items():
        print(f"{name:8} {len(found):5} ", *(f"{value:6.3f}" for value in np.median(found, axis=0)))


if __name__ == "__main__":
    main()
