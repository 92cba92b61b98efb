"""Measure many visitors with their own cameras: how soon each picture is answered, and what happens beyond the machine's
limit.

    python -m benchmarks.load                                       # 30 visitors, 10 pictures a second each, 2 processes
    python -m benchmarks.load --visitors 60 --workers 4 --fps 10
    python -m benchmarks.load --into docs/deploy.md                 # puts the figures between the markers there

There are two runs of the real app. In the first, visitors send at a fixed rate. In the second there are far more visitors
than the app can serve. They behave as the page does: they wait when told to (503), and while answers are slow they send
smaller and fewer pictures. A repetition shows whether the app's memory grows. The visitors share one process on the same
machine. The processor time that they take from the app is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import psutil

from benchmarks.actors.page_visitors import Plan, Seen, page_rules, visit
from benchmarks.actors.running_app import AppProcess
from benchmarks.actors.scenes import moving_astronaut
from benchmarks.reporting.command import said_plainly
from benchmarks.reporting.figures import COLUMNS, Report, conditions, print_header
from benchmarks.stages.correctness import VIDEO
from common.errors import BenchmarkError, SettingsError
from pictures.reading import read_video

BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"
_P95_MS = 100.0
_OVERLOAD_P95_MS = 500.0
_KEPT_SHARE = 0.95  # share of the rate that was asked for
_GROWTH_MB = 20.0
_WARM_S = 4.0
_READY_WITHIN_S = 90.0
_QUALITY = 80  # the same as in picture_loop.js
_FRAMES = 72
_LOOK_EVERY_S = 0.5


@dataclass
class Use:
    """What the app's processes took meanwhile: processor seconds, megabytes, and connections by worker."""

    cpu_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)


def encoded_pictures(video: Path | None, sides: Iterable[int]) -> dict[int, list[bytes]]:
    """JPEGs of one moving face, 4:3, by the length of the longer side in pixels."""
    frames = list(_frames(video))
    pictures = {}
    for side in sides:
        scaled = (cv2.resize(frame, (side, side * 3 // 4), interpolation=cv2.INTER_AREA) for frame in frames)
        pictures[side] = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes() for frame in scaled]
    return pictures


def _frames(video: Path | None) -> Iterator[np.ndarray]:
    if video is None:
        yield from moving_astronaut(_FRAMES)
        return
    for number, frame in enumerate(read_video(str(video))):
        if number >= _FRAMES:
            return
        height, width = frame.image.shape[:2]
        inner = min(width, height * 4 // 3), min(height, width * 3 // 4)
        x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
        yield cv2.resize(frame.image[y : y + inner[1], x : x + inner[0]], (640, 480))


class Watcher:
    """Looks at the app's processes while visitors are there, as a context manager."""

    def __init__(self, app: AppProcess) -> None:
        self._app = psutil.Process(app.process.pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watcher")
        self.use = Use()

    def __enter__(self) -> Use:
        self._cpu_before = self._cpu()
        self._thread.start()
        return self.use

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join(10)
        self.use.cpu_s = self._cpu() - self._cpu_before

    def _processes(self) -> list[psutil.Process]:
        return self._app.children() or [self._app]

    def _cpu(self) -> float:
        times = [process.cpu_times() for process in [self._app, *self._app.children()]]
        return sum(one.user + one.system for one in times)

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            processes = [self._app, *self._app.children()]
            self.use.memory_mb.append(sum(process.memory_info().rss for process in processes) / 2**20)
            connections = [
                sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))
                for process in self._processes()
            ]
            if sum(connections) >= sum(self.use.connections):
                self.use.connections = connections


def measure_load(report: Report, app: AppProcess, send: Sender, plan: Plan) -> None:
    """Visitors who send at a fixed rate."""
    assert plan.fps is not None
    seen, use = send(app, plan)
    p50, p95, p99 = _quantiles(seen.answer_ms)
    report.add("load_p50", "answer time, median", p50, "ms")
    report.add("load_p95", "answer time, p95", p95, "ms", bar=_P95_MS)
    report.add("load_p99", "answer time, p99", p99, "ms")
    rate = seen.fewest / seen.seconds
    wanted = _KEPT_SHARE * plan.fps
    report.add("load_fps", "answers a second that each visitor got at least", rate, "fps", bar=wanted, at_least=True)
    _add_common(report, "load", seen, use)


def measure_overload(report: Report, app: AppProcess, send: Sender, plan: Plan) -> None:
    """Far more visitors, who behave as the page does; twice."""
    first, use_before = send(app, plan)
    seen, use = send(app, plan)
    p50, p95, _ = _quantiles(seen.answer_ms)
    report.add("over_p50", "answer time, median", p50, "ms")
    report.add("over_p95", "answer time, p95", p95, "ms", bar=_OVERLOAD_P95_MS)
    report.add("over_rate", "answers a second, all visitors together", len(seen.answer_ms) / seen.seconds)
    report.add("over_fewest", "answers a second that each visitor got at least", seen.fewest / seen.seconds, "fps")
    report.add("over_unexplained", "refusals without Retry-After", first.unexplained + seen.unexplained, bar=0)
    refused = _quantiles(seen.refused_ms)[1] if seen.refused_ms else None
    report.add("over_refused", "time to say 503, p95", refused, "ms", note="" if seen.refused_ms else "nobody was refused")
    for side, count in sorted(seen.sides.items(), reverse=True):
        report.add(f"over_side_{side}", f"pictures of {side} pixels", 100 * count / max(1, seen.sides.total()), "%")
    _add_common(report, "over", seen, use)
    growth = float(np.median(use.memory_mb[-4:]) - np.median(use_before.memory_mb[-4:]))
    report.add("over_growth", "growth of memory from the first such run to the second", growth, "MB", bar=_GROWTH_MB)


def _add_common(report: Report, key: str, seen: Seen, use: Use) -> None:
    report.add(f"{key}_refused_share", "of all requests, answered with 503", 100 * _share(seen, 503), "%")
    others = seen.requests - seen.statuses[200] - seen.statuses[503]
    report.add(f"{key}_failed", "other errors and broken connections", others + seen.broken, bar=0)
    report.add(f"{key}_faces", "answers with a face in them", 100 * seen.with_faces / max(1, len(seen.answer_ms)), "%")
    report.add(f"{key}_cpu", "processor, the app, of one core", 100 * use.cpu_s / seen.seconds, "%")
    report.add(f"{key}_cpu_each", "processor, the app, for one answer", 1e3 * use.cpu_s / len(seen.answer_ms), "ms")
    report.add(f"{key}_visitors_cpu", "processor, the visitors, of one core", 100 * seen.cpu_s / seen.seconds, "%")
    report.add(f"{key}_memory", "memory of all the app's processes, at most", max(use.memory_mb, default=0.0), "MB")
    for number, count in enumerate(sorted(use.connections, reverse=True), 1):
        report.add(f"{key}_worker_{number}", f"visitors at process {number}", count)


class Sender:
    """Runs a plan's visitors in another process and looks at the app meanwhile, as a context manager."""

    def __enter__(self) -> Sender:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown()

    def __call__(self, app: AppProcess, plan: Plan) -> tuple[Seen, Use]:
        """Raises BenchmarkError if not a single picture was answered."""
        seen, use = self.watched(app, plan)
        if not seen.answer_ms:
            raise BenchmarkError(f"The app answered no picture; it said {dict(seen.statuses) or 'nothing'}.")
        return seen, use

    def watched(self, app: AppProcess, plan: Plan) -> tuple[Seen, Use]:
        with Watcher(app) as use:
            return self._pool.submit(visit, plan).result(timeout=plan.seconds + 60), use


def measure(report: Report, options: argparse.Namespace, pictures: dict[int, list[bytes]]) -> None:
    workers = ("--workers", str(options.workers)) if options.workers > 1 else ()
    app_options = (*workers, "--trusted-proxies", "1", *options.app)
    with Sender() as send, AppProcess(Path("none"), *app_options) as app:
        plan = Plan(app.port, options.visitors, _WARM_S, pictures, options.side, options.fps)
        _warm_up(send, app, plan, options.workers)
        plan = Plan(app.port, options.visitors, options.seconds, pictures, options.side, options.fps, seed=1)
        report.begin("load", f"{options.visitors} visitors, {options.fps:g} pictures of {options.side} pixels a second each")
        measure_load(report, app, send, plan)
        if options.overload:
            plan = Plan(app.port, options.overload, options.seconds, pictures, seed=2)
            report.begin("overload", f"{options.overload} visitors, as fast as the page lets them")
            measure_overload(report, app, send, plan)


def _warm_up(send: Sender, app: AppProcess, plan: Plan, workers: int) -> None:
    """Waits until every worker serves and has loaded its network and its detector."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        seen, use = send.watched(app, plan)
        taking = sum(count > 0 for count in use.connections)
        if seen.answer_ms and (workers == 1 or taking == min(workers, plan.visitors)):
            return
    raise BenchmarkError(f"The app did not answer with all its processes within {_READY_WITHIN_S:.0f} s.")


def table(report: Report, command: str, where: dict[str, str]) -> str:
    """The figures as Markdown."""
    titles = {"load": "At the rate that was asked for", "overload": "Far past what the machine can do"}
    parts = [f"Written by `{command}`.", "\n".join(f"- {name}: {text}" for name, text in where.items())]
    for stage, figures in report.figures.items():
        rows = [COLUMNS, ("---", "---:", "---", "---"), *(figure.texts for figure in figures)]
        parts += [f"{titles[stage]}:", "\n".join("| " + " | ".join(row) + " |" for row in rows)]
    return "\n\n".join(parts)


def write_into(page: Path, text: str) -> None:
    """Puts `text` between the two markers in `page`. Raises BenchmarkError if they are not there."""
    try:
        before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    except OSError as error:
        raise BenchmarkError(f"{page} can't be read; check --into.") from error
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{page} has no lines {BEGIN} and {END}; add them where the figures are to stand.")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    return tuple(float(value) for value in np.percentile(values, (50, 95, 99)))  # type: ignore[return-value]


def _share(seen: Seen, status: int) -> float:
    return seen.statuses[status] / max(1, seen.requests)


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a figure misses its bar; 2 if it can't be run."""
    argv = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(argv)
    video = options.source or (VIDEO if VIDEO.is_file() else None)
    _check(options, video)
    where = conditions(video.name if video else "the astronaut of scikit-image")
    pictures = encoded_pictures(video, {options.side, *(side for side, _ in page_rules().levels)})
    print_header()
    report = Report()
    measure(report, options, pictures)
    if options.into:
        write_into(options.into, table(report, shlex.join(["python", "-m", "benchmarks.load", *argv]), where))
        print(f"Written: {options.into}")
    return 1 if report.missed() else 0


def _check(options: argparse.Namespace, video: Path | None) -> None:
    for name, least, most in (("visitors", 1, 500), ("overload", 0, 1000), ("workers", 1, 64), ("side", 64, 1920)):
        if not least <= getattr(options, name) <= most:
            raise SettingsError(f"--{name} must be from {least} to {most}.")
    if not (0 < options.fps <= 60 and options.seconds >= 1):
        raise SettingsError("--fps must be above 0 and at most 60, --seconds at least 1.")
    if video is not None and not video.is_file():
        raise SettingsError(f"There is no video {video}; check --source.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="Many visitors with their own cameras.")
    add = parser.add_argument
    add("--visitors", type=int, default=30, metavar="N")
    add("--fps", type=float, default=10.0, help="pictures a second of each (default: 10)")
    add("--side", type=int, default=640, metavar="PIXELS", help="of the pictures' longer side (default: 640)")
    add("--workers", type=int, default=2, metavar="N", help="the app's processes (default: 2)")
    add("--seconds", type=float, default=20.0, help="of each run (default: 20)")
    add("--overload", type=int, default=120, metavar="N", help="visitors in the second run; 0: none (default: 120)")
    add("--source", type=Path, metavar="VIDEO", help="a video that shows one face")
    add("--into", type=Path, metavar="PAGE", help=f"put the figures into this Markdown page, between {BEGIN} and {END}")
    add("--app", nargs="*", default=[], metavar="OPTION", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
