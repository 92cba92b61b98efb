"""Let viewers come and go, slow ones among them. Does the app's memory grow, and is anything left behind?

    python -m benchmarks.soak --minutes 20
    python -m benchmarks.soak --minutes 20 --write-docs       # also puts the figures into docs/benchmarks.md

Memory is compared between minute 2, when everything has been used once, and the end. In a run of less than four minutes it
is half-way instead of minute 2. Threads and connections are compared at rest, before and after.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.actors.running_app import AppProcess, settled
from benchmarks.actors.scenes import write_numbered_video
from benchmarks.actors.viewers import Audience
from benchmarks.bench import DOCS
from benchmarks.reporting import document
from benchmarks.reporting.command import said_plainly
from benchmarks.reporting.figures import Curve, Report, conditions, print_header
from benchmarks.stages.correctness import VIDEO
from common.errors import SettingsError

_REFERENCE_MIN = 2.0
_GROWTH_MB = 5.0
_MOST_VIEWERS = 20
_SLOW = (20_000.0, 100_000.0, 400_000.0)  # bytes a second
_SLOW_SHARE = 0.3
_LOOK_EVERY_S = 1.0


@dataclass
class Soak:
    """What was seen: minutes and megabytes, and the number of viewers."""

    minutes: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    viewers: int = 0
    pictures: int = 0
    ended_early: int = 0  # streams that the app ended

    def growth_mb(self) -> float:
        """Growth from the reference to the end. Each of the two is the median over a twentieth of the looks, at least
        one.
        """
        minutes, memory = np.array(self.minutes), np.array(self.memory_mb)
        few = max(1, len(memory) // 20)
        begin = int(np.argmax(minutes >= min(_REFERENCE_MIN, minutes[-1] / 2)))
        return float(np.median(memory[-few:]) - np.median(memory[begin : begin + few]))


def soak(app: AppProcess, minutes: float, seed: int) -> Soak:
    """Runs random viewers for so long. All have left when it returns."""
    rng = random.Random(seed)
    seen = Soak()
    started = looked = time.monotonic()
    with Audience(app.port) as audience:
        while (elapsed := time.monotonic() - started) < 60 * minutes:
            if audience.viewers and (len(audience.viewers) >= _MOST_VIEWERS or rng.random() < 0.45):
                viewer = rng.choice(audience.viewers)
                seen.pictures += viewer.pictures
                seen.ended_early += viewer.ended
                audience.leave(viewer)
            else:
                audience.join(bytes_per_second=rng.choice(_SLOW) if rng.random() < _SLOW_SHARE else 0.0)
                seen.viewers += 1
            audience.watch(rng.uniform(0.05, 1.0))
            if time.monotonic() - looked >= _LOOK_EVERY_S:
                looked = time.monotonic()
                seen.minutes.append(elapsed / 60)
                seen.memory_mb.append(app.memory_mb())
        seen.pictures += sum(viewer.pictures for viewer in audience.viewers)
        seen.ended_early += sum(viewer.ended for viewer in audience.viewers)
    return seen


def measure(report: Report, video: Path, *, minutes: float, seed: int) -> None:
    with AppProcess(video) as app:
        app.wait_for_face()
        with Audience(app.port) as audience:
            for _ in range(3):
                audience.join()
            audience.watch(1.0)
        app.wait_until_idle()
        threads, sockets = app.threads(), app.sockets()
        seen = soak(app, minutes, seed)
        app.wait_until_idle()
        report.add("soak_growth", "growth of memory, once all was used, to the end", seen.growth_mb(), "MB", bar=_GROWTH_MB)
        report.add("soak_threads", "threads left", max(0, settled(app.threads, threads) - threads), bar=0)
        report.add("soak_sockets", "connections left", max(0, settled(app.sockets, sockets) - sockets), bar=0)
        report.add("soak_ended", "streams that the app ended", seen.ended_early, bar=0)
        report.add("soak_viewers", "viewers in all", seen.viewers)
        report.add("soak_pictures", "pictures that they got", seen.pictures)
        report.add("soak_memory", "memory at most", max(seen.memory_mb), "MB")
    every = max(1, len(seen.minutes) // 200)
    series = {"memory": seen.memory_mb[::every]}
    report.add_curve(Curve("soak", "Memory while viewers come and go", "minutes", "MB", seen.minutes[::every], series))


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Viewers who come and go, for minutes.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0, help="of who comes and goes when")
    parser.add_argument("--source", type=Path, metavar="VIDEO", help="a video that shows one face")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/benchmarks.md too")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="where that is (default: docs)")
    options = parser.parse_args(argv)
    source = options.source or (VIDEO if VIDEO.is_file() else None)
    if not options.minutes >= 0.1:
        raise SettingsError("--minutes must be at least 0.1.")
    if source is not None and not source.is_file():
        raise SettingsError(f"There is no video {source}; check --source.")
    print_header()
    report = Report()
    where = conditions(source.name if source else "the astronaut of scikit-image")
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "face.avi"
        write_numbered_video(video, source)
        report.begin("soak", f"{options.minutes:g} minutes of viewers")
        measure(report, video, minutes=options.minutes, seed=options.seed)
    if options.write_docs:
        command = shlex.join(["python", "-m", "benchmarks.soak", *argv])
        document.save(options.docs, report, document.SOAK, command=command, conditions=where)
        print(f"Written: {document.write(options.docs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
