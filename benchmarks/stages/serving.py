"""Measure the running app: how soon it shows a face, what it takes, how late pictures come, and what a slow viewer
changes.
"""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.actors.running_app import AppProcess, quantile, since
from benchmarks.actors.scenes import RATE, read_number
from benchmarks.actors.viewers import Audience, Viewer
from benchmarks.reporting.figures import Curve, Report
from common.errors import BenchmarkError

APP_TITLE = "The running app"
VIEWERS_TITLE = "From a frame's capture until its bytes are sent to a viewer, at 30 frames a second"
SLOW_TITLE = "Viewers that take 100 kB a second, among three fast ones"
_SLOW_BYTES_PER_S = 100_000
_SMALL_BUFFER = 16_384
_FAST_VIEWERS = 3
_WARM_S = 3.0
_DEFAULT_LIMIT = 50  # viewers
_FIRST_FACE_S, _MEMORY_MB, _ONE_P95_MS, _FIFTY_P99_MS, _LAG_S = 1.5, 300.0, 15.0, 40.0, 1.5
_CATCHING_UP_S = 0.5  # how far behind a fast viewer may be


def measure_app(report: Report, video: Path, *, starts: int, seconds: float) -> None:
    listening, first_face = [], []
    for _ in range(starts):
        with AppProcess(video) as app:
            first_face.append(app.wait_for_face())
            listening.append(app.listening_s)
    report.add("listening", "start until it listens", float(np.median(listening)), "s")
    seconds_to_face = float(np.median(first_face))
    report.add("first_face", "start until the first frame with a face", seconds_to_face, "s", bar=_FIRST_FACE_S)
    with AppProcess(video) as app:
        use = _watch(app, 1, seconds)
        report.add("memory", "memory, one viewer", use.memory_mb, "MB", bar=_MEMORY_MB)
        report.add("cpu", "processor, one viewer, of one core", use.cpu_percent, "%")
        app.wait_until_idle()
        before, started = app.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        idle = 100 * (app.cpu_seconds() - before) / (time.monotonic() - started)
        report.add("idle_cpu", "processor once nobody watches, of one core", idle, "%")


@dataclass(frozen=True)
class _Use:
    fps: float  # frames of the viewer who got fewest
    cpu_percent: float
    memory_mb: float
    latencies: dict[float, float]

    def milliseconds(self, q: float) -> float | None:
        found = quantile(self.latencies, q)
        return None if found is None else found * 1e3


def _watch(app: AppProcess, viewers: int, seconds: float) -> _Use:
    """What happens while so many viewers watch for so long, once a face is shown."""
    with Audience(app.port) as audience:
        for _ in range(viewers):
            audience.join()
        app.wait_for_face()
        audience.watch(min(_WARM_S, seconds))
        seen = [viewer.pictures for viewer in audience.viewers]
        latencies, cpu, started = app.latencies(), app.cpu_seconds(), time.monotonic()
        audience.watch(seconds)
        elapsed = time.monotonic() - started
        if any(viewer.ended for viewer in audience.viewers):
            raise BenchmarkError("The app turned viewers away or ended their streams.")
        shown = [viewer.pictures - before for viewer, before in zip(audience.viewers, seen, strict=True)]
        return _Use(
            min(shown) / elapsed,
            100 * (app.cpu_seconds() - cpu) / elapsed,
            app.memory_mb(),
            since(app.latencies(), latencies),
        )


def measure_viewers(report: Report, video: Path, *, counts: tuple[int, ...], seconds: float) -> None:
    """`counts`: numbers of viewers. The first has one bar, and 50 (in a short run the last but one) has the other."""
    barred = _DEFAULT_LIMIT if _DEFAULT_LIMIT in counts else counts[-1]
    uses: dict[int, _Use] = {}
    for count in counts:
        options = ("--viewer-limit", str(count)) if count > _DEFAULT_LIMIT else ()
        with AppProcess(video, *options) as app:
            use = uses[count] = _watch(app, count, seconds)
        note = "" if use.latencies else "the app has no /metrics"
        key = {counts[0]: "one", barred: "many"}.get(count, str(count))
        name = f"{count} viewer{'s' * (count > 1)}"
        p95_bar, p99_bar = _ONE_P95_MS if count == counts[0] else None, _FIFTY_P99_MS if count == barred else None
        report.add(f"viewers_{key}_p95", f"{name}, p95", use.milliseconds(0.95), "ms", bar=p95_bar, note=note)
        report.add(f"viewers_{key}_p99", f"{name}, p99", use.milliseconds(0.99), "ms", bar=p99_bar, note=note)
        report.add(f"viewers_{key}_fps", f"{name}, frames a second that each got at least", use.fps, "fps")
        report.add(f"viewers_{key}_cpu", f"{name}, processor, of one core", use.cpu_percent, "%")
        report.add(f"viewers_{key}_memory", f"{name}, memory", use.memory_mb, "MB")
    known = {count: use for count, use in uses.items() if use.latencies}
    late = {f"p{q}": [known[count].milliseconds(q / 100) or 0.0 for count in known] for q in (50, 95, 99)}
    report.add_curve(Curve("viewers", "Capture to sent", "viewers", "milliseconds", list(known), late))
    used = {"processor": [use.cpu_percent for use in uses.values()]}
    report.add_curve(Curve("viewers_cpu", "Processor time of the app", "viewers", "% of one core", list(uses), used))


def measure_slow_viewer(report: Report, video: Path, *, frames_in_video: int, seconds: float) -> None:
    with AppProcess(video) as app, Audience(app.port) as audience:
        app.wait_for_face()
        fast = [audience.join(keep=True) for _ in range(_FAST_VIEWERS)]
        audience.watch(1.0)
        lost_alone, _ = _lost(app, audience, fast, frames_in_video, seconds)
        joined = time.monotonic()
        slow = {
            "slow": audience.join(bytes_per_second=_SLOW_BYTES_PER_S, keep=True),
            "slow_small": audience.join(bytes_per_second=_SLOW_BYTES_PER_S, keep=True, receive_buffer=_SMALL_BUFFER),
        }
        lost, skipped = _lost(app, audience, fast, frames_in_video, seconds)
        watched_s = time.monotonic() - joined
    names = {"slow": "usual receive buffer", "slow_small": "receive buffer of 16 kB"}
    for key, viewer in slow.items():
        lags = _lags(viewer, fast)
        if not lags:
            raise BenchmarkError("A slow viewer saw no picture that a fast one also saw.")
        report.add(f"{key}_lag", f"{names[key]}, longest lag", max(lags), "s", bar=_LAG_S)
        report.add(f"{key}_lag_median", f"{names[key]}, lag, median", float(np.median(lags)), "s")
        report.add(f"{key}_fps", f"{names[key]}, frames a second", viewer.pictures / watched_s, "fps")
    report.add("slow_lost", "frames that a fast viewer lost beside them, at most", lost, bar=0)
    report.add("lost_alone", "frames that a fast viewer lost without them, at most", lost_alone)
    report.add("skipped", "frames that the analysis itself skipped", skipped)


def _lost(app: AppProcess, audience: Audience, fast: list[Viewer], frames_in_video: int, seconds: float) -> tuple[int, int]:
    """Watches for so long. Returns how many shown frames one of `fast` did not get, and how many frames were never
    analysed.
    """
    skipped = _skipped_while_watching(app, audience)
    started = time.monotonic()
    audience.watch(seconds)
    ended = time.monotonic()
    skipped = max(0, _skipped_while_watching(app, audience) - skipped)
    return max(0, max(_missing(viewer, frames_in_video, started, ended) for viewer in fast) - skipped), skipped


def _skipped_while_watching(app: AppProcess, audience: Audience) -> int:
    """The app's own count, while the viewers go on reading: a pause would turn fast viewers into slow ones."""
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(_skipped, app)
        while not looking.done():
            audience.watch(1 / RATE)
    return looking.result()


def _skipped(app: AppProcess) -> int:
    """Frames that were captured but never analysed: the smallest of a few counts, because one may be under way."""
    looks = []
    for _ in range(6):
        frames = app.health()["frames"]
        looks.append(frames["captured"] - frames["analysed"])
        time.sleep(0.2 / RATE)
    return min(looks)


def _lags(slow: Viewer, fast: list[Viewer]) -> list[float]:
    """Seconds from the latest time at which a fast viewer had a picture until the slow one had it."""
    shown: dict[bytes, list[float]] = {}
    for at, jpeg in itertools.chain.from_iterable(viewer.arrivals for viewer in fast):
        shown.setdefault(jpeg, []).append(at)
    lags = []
    for at, jpeg in slow.arrivals:
        # The video begins again, so the same picture also came some time ago. A fast viewer may even get it later than the
        # slow one.
        before = [time_shown for time_shown in shown.get(jpeg, []) if time_shown <= at + _CATCHING_UP_S]
        if before:
            lags.append(max(0.0, at - max(before)))
    return lags


def _missing(viewer: Viewer, frames_in_video: int, since_s: float, until_s: float) -> int:
    """How many frames of the video were left out between those that the viewer got."""
    numbers = [read_number(jpeg) for at, jpeg in viewer.arrivals if since_s <= at <= until_s]
    steps = [(b - a) % frames_in_video for a, b in itertools.pairwise(numbers)]
    return sum(step - 1 for step in steps if step)  # the same frame again, because there was no new one
