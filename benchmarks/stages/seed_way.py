"""Measure a frame the way this project began, for comparison only. The app never works this way.

`face_recognition.face_locations` searches every full frame, and each face goes through Keras' `model.predict`. TensorFlow is
loaded in a process of its own. Its start and memory are measured, too:

    python -m benchmarks.stages.seed_way VIDEO --frames 30        # prints JSON
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.reporting.figures import Report, median_and_p95
from common.errors import BenchmarkError

ROOT = Path(__file__).parents[2]
TITLE = "The way it began: every frame searched, Keras for every face"
_LIMIT_S = 600.0
_FASTER = 80.0


def measure(report: Report, video: Path, *, frames: int) -> None:
    """Rows for the first way, and how many times faster ours is if `report` already has its figures."""
    found = _in_its_own_process(video, frames)
    median, p95 = median_and_p95(found["frame_ms"])
    report.add("seed_median", "one face, 640x480, a frame, median", median, "ms")
    report.add("seed_p95", "one face, 640x480, a frame, p95", p95, "ms")
    report.add("seed_start", "start until the network is loaded", found["start_s"], "s")
    report.add("seed_memory", "memory of the process", found["memory_mb"], "MB")
    # The first way works without a pause, because it can't keep up with a camera. So the fair comparison is ours without a
    # pause.
    for key, how, bar in (
        ("flat_out_median", "both without a pause", _FASTER),
        ("one_face_median", "ours at 30 a second", None),
    ):
        ours = report.value(key)
        if ours and median:
            name = f"ours is faster by, median, {how}"
            report.add(f"seed_ratio_{key}", name, median / ours, "times", bar=bar, at_least=True)


def _in_its_own_process(video: Path, frames: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.stages.seed_way", str(video), "--frames", str(frames)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT_S, env=environment)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"The first way took more than {_LIMIT_S:.0f} s; leave it out with --only.") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise BenchmarkError(
            f"The first way can't be run ({reason}); install requirements/dev.txt, or leave it out with --only."
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not found["faces"]:
        raise BenchmarkError("The first way found no face in the video; choose another --source.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stages.seed_way", description="Time a frame the way the project began."
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=30)
    options = parser.parse_args()

    import cv2
    import face_recognition
    import joblib
    import keras
    import numpy as np
    import psutil

    from benchmarks.actors.scenes import read_frames
    from smile_recognition import CROP_SIZE
    from training.networks import network  # noqa: F401  it registers a layer of its own with Keras

    model: Any = keras.models.load_model(ROOT / "models" / "my_model.keras")
    scaler = joblib.load(ROOT / "models" / "scaler.save")

    def analyze(image: np.ndarray) -> int:
        boxes = face_recognition.face_locations(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        for top, right, bottom, left in boxes:
            crop = gray[max(0, top) : bottom, max(0, left) : right]
            crop = cv2.resize(crop, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
            scaled = scaler.transform(crop.reshape(1, -1)).astype(np.float32)
            model.predict(scaled.reshape(1, CROP_SIZE, CROP_SIZE, 1), verbose=0)
        return len(boxes)

    frames = read_frames(options.video, options.frames)
    process = psutil.Process()
    start_s = time.time() - process.create_time()
    analyze(frames[0])  # Keras builds its function at the first call, which should not count for a frame
    faces, frame_ms = 0, []
    for image in frames:
        started = time.perf_counter()
        faces += analyze(image)
        frame_ms.append((time.perf_counter() - started) * 1e3)
    memory_mb = process.memory_info().rss / 2**20 - sum(image.nbytes for image in frames) / 2**20
    print(json.dumps({"start_s": start_s, "memory_mb": memory_mb, "faces": faces, "frame_ms": frame_ms}))


if __name__ == "__main__":
    main()
