"""What a frame costs on this machine, stage by stage, and what the running app costs.

    make bench [SOURCE=video]          # or: python -m benchmarks.bench [--source video]

Without a video it plays a face from scikit-image (NASA's astronaut, public domain) that moves from side to side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil

from annotation import annotate, encode_jpeg
from face_detection import create_detector
from face_tracking import FaceTracker, smallest_face
from smile_recognition import SmileRecognizer

ROOT = Path(__file__).parent.parent
SHARED_VIDEO = ROOT.parent / "shared" / "video" / "neutral_smile_neutral.mp4"


def astronaut_video(path: Path, *, frames: int = 150, size: tuple[int, int] = (640, 480)) -> None:
    """Writes `frames` pictures of a moving face, 30 a second."""
    from skimage import data

    picture = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, size)
    for i in range(frames):
        shift = np.array([[1.6, 0, 30 * np.sin(i / 15) - 80], [0, 1.6, -20]], np.float32)
        writer.write(cv2.warpAffine(picture, shift, size, borderMode=cv2.BORDER_REPLICATE))
    writer.release()


def read_frames(path: Path, size: tuple[int, int], limit: int = 150) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while len(frames) < limit and (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], size, interpolation=cv2.INTER_AREA))
    capture.release()
    return frames


def milliseconds(work: Callable[[], object], *, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return times


def row(name: str, times: list[float]) -> None:
    print(f"{name:<44}{np.median(times):>9.2f}{np.percentile(times, 95):>9.2f}")


def bench_stages(frames: list[np.ndarray]) -> None:
    detector, recognizer = create_detector("face_recognition"), SmileRecognizer()
    haar = create_detector("haar")
    image = frames[0]
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    smallest = smallest_face(image.shape[0])
    boxes = detector.detect(image, min_face=smallest)
    if not boxes:
        sys.exit("No face was found in the video's first frame; choose another --source.")
    haar.detect(image)
    print(f"{'milliseconds, ' + str(image.shape[1]) + 'x' + str(image.shape[0]):<44}{'median':>9}{'p95':>9}")
    row("detect: whole frame, face_recognition", milliseconds(lambda: detector.detect(image, min_face=smallest), repeats=20))
    row("detect: whole frame, haar", milliseconds(lambda: haar.detect(image, min_face=smallest), repeats=20))
    row("smile: crop and network, one face", milliseconds(lambda: recognizer.predict_smile(gray, boxes[:1]), repeats=300))
    tracker = FaceTracker(detector, recognizer, follower=create_detector("face_recognition"))
    try:
        follow, total, faces = [], [], []
        for i, frame in enumerate(frames * (1 + 150 // len(frames))):
            started = time.perf_counter()
            faces = tracker.update(frame, i / 30)
            total.append((time.perf_counter() - started) * 1e3)
            if faces:
                follow.append(tracker.timings_ms["follow"])
            time.sleep(0.005)
        row("follow: find the known face again", follow)
    finally:
        tracker.close()
    row("draw: box and label", milliseconds(lambda: annotate(image.copy(), faces), repeats=100))
    row("encode: JPEG", milliseconds(lambda: encode_jpeg(image), repeats=100))
    row("analysis of a frame: follow and smile", total)
    print(f"{'frames a second that one core could analyse':<44}{1000 / np.median(total):>9.0f}")


def bench_app(video: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMILE_")}
    command = [sys.executable, "app.py", "--port", "0", "--source", str(video), "--joke-url", ""]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        listening = time.perf_counter() - started
        first = 0.0
        rates: list[float] = []
        with urllib.request.urlopen(url + "/events", timeout=30) as response:
            for line in response:
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                if event["faces"] and not first:
                    first = time.perf_counter() - started
                if first:
                    rates.append(event["fps"])
                if time.perf_counter() - started > 15:
                    break
            usage = psutil.Process(process.pid)
            busy = usage.cpu_percent(3)
            memory = usage.memory_info().rss / 2**20
            peak_rate = float(np.median(rates[len(rates) // 2 :]))
        print(f"\n{'the running app, one page open':<44}")
        print(f"{'start to listening, s':<44}{listening:>9.2f}")
        print(f"{'start to first frame with a face, s':<44}{first:>9.2f}")
        print(f"{'frames a second shown (source: 30)':<44}{peak_rate:>9.1f}")
        print(f"{'processor, % of one core':<44}{busy:>9.0f}")
        print(f"{'memory, MB':<44}{memory:>9.0f}")
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description="Time each stage and the whole app.")
    parser.add_argument("--source", type=Path, help="video with one face")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        video = options.source or SHARED_VIDEO
        if not video.is_file():
            if options.source:
                sys.exit(f"There is no video {video}; check --source.")
            video = Path(folder) / "astronaut.avi"
            astronaut_video(video)
        frames = read_frames(video, (640, 480))
        if not frames:
            sys.exit(f"{video} is not a video that can be read; choose another --source.")
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {video.name}\n")
        bench_stages(frames)
        bench_app(video.resolve())


if __name__ == "__main__":
    main()
