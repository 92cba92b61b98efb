"""The detectors by name."""

from __future__ import annotations

from pathlib import Path

from common.errors import DetectorError
from faces.detection import FaceDetector, FaceRecognitionDetector, HaarDetector, YuNetDetector

DETECTORS = ("finder", "face_recognition", "haar", "yunet")


def create_detector(name: str, model: Path | None = None) -> FaceDetector:
    """The detector called `name`, not yet loaded. Raises DetectorError for an unknown name."""
    if name == "face_recognition":
        return FaceRecognitionDetector()
    if name == "finder":
        from faces.finder import FinderDetector  # which knows the boxes of this module

        return FinderDetector(model)
    if name == "haar":
        return HaarDetector()
    if name == "yunet":
        return YuNetDetector(model)
    raise DetectorError(f"There is no detector called {name!r}; choose one of: {', '.join(DETECTORS)}.")
