"""Attack the real app as visitors who mean harm do. Is the picture still live, does memory stay, does a newcomer get in?

    python -m benchmarks.hostile                    # a minute: four attacks, one after the other
    python -m benchmarks.hostile --seconds 12

Each attack comes from one address and a process of its own, while a few viewers watch. Each second a newcomer opens the
page. Attackers and viewers share the machine's cores with the app, and perhaps with other programs, so a first stage without
an attack shows what the machine can do. At last the app is told to end while the last attack goes on.
"""

from __future__ import annotations

import argparse
import http.client
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.actors.running_app import ROOT, AppProcess
from benchmarks.actors.scenes import write_numbered_video
from benchmarks.actors.viewers import Audience
from benchmarks.reporting.command import said_plainly
from benchmarks.reporting.figures import Report, print_header
from benchmarks.stages.correctness import VIDEO
from common.errors import SettingsError

_FPS, _MEMORY_MB, _NEWCOMER_S, _EXIT_S = 27.0, 300.0, 2.0, 2.0
_VIEWERS = 3
_WARM_S = 2.0


@dataclass
class Seen:
    """What happened during one stage, for each second, and how many seconds newcomers waited for the page."""

    fps: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    newcomer_s: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0


TITLES = {
    "padding": "pictures of padding",
    "bodies": "uploads without an end",
    "half_open": "half-open connections",
    "chunks": "single bytes",
}


def watch(app: AppProcess, audience: Audience, seconds: float) -> Seen:
    """Watches viewers, memory and newcomers for so long."""
    seen = Seen()
    cpu, began = app.cpu_seconds(), time.monotonic()
    deadline = began + seconds
    newcomers = threading.Thread(target=_come_anew, args=(app.port, seen, deadline), name="newcomers")
    newcomers.start()
    while not seen.fps or time.monotonic() < deadline:
        before, started = [viewer.pictures for viewer in audience.viewers], time.monotonic()
        audience.watch(1.0)
        shown = [viewer.pictures - count for viewer, count in zip(audience.viewers, before, strict=True)]
        seen.fps.append(min(shown) / (time.monotonic() - started))
        seen.memory_mb.append(app.memory_mb())
    seen.cpu_percent = 100 * (app.cpu_seconds() - cpu) / (time.monotonic() - began)
    newcomers.join(30)
    return seen


def _come_anew(port: int, seen: Seen, deadline: float) -> None:
    while not seen.newcomer_s or time.monotonic() < deadline:
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        right = False
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/")
            response = connection.getresponse()
            right = response.status == 200 and response.read().startswith(b"<!doctype html>")
        connection.close()
        seen.newcomer_s.append(time.monotonic() - started if right else float("inf"))
        time.sleep(max(0.0, started + 1.0 - time.monotonic()))


def add_stage(report: Report, key: str, seen: Seen, *, attacked: bool) -> None:
    def bar(value: float) -> float | None:
        return value if attacked else None

    report.add(f"{key}_fps", "pictures a second, in the worst second", min(seen.fps), "fps", bar=bar(_FPS), at_least=True)
    report.add(f"{key}_median", "pictures a second, median", float(np.median(seen.fps)), "fps")
    report.add(f"{key}_cpu", "processor, the app, of one core", seen.cpu_percent, "%")
    report.add(f"{key}_memory", "memory at most", max(seen.memory_mb), "MB", bar=bar(_MEMORY_MB))
    report.add(f"{key}_newcomer", "a newcomer's page, at most", max(seen.newcomer_s), "s", bar=bar(_NEWCOMER_S))


def measure(report: Report, video: Path, seconds: float) -> None:
    with AppProcess(video) as app, ExitStack() as attacks:
        app.wait_for_face()
        with Audience(app.port) as audience:
            for _ in range(_VIEWERS):
                audience.join()
            audience.watch(_WARM_S)
            report.begin("quiet", "no attack")
            add_stage(report, "quiet", watch(app, audience, min(5.0, seconds)), attacked=False)
            for key, title in TITLES.items():
                attacks.close()
                attacks.enter_context(attacking(key, app.port))
                report.begin(key, title)
                add_stage(report, key, watch(app, audience, seconds), attacked=True)
        report.begin("end", "afterwards")
        started = time.monotonic()
        app.process.terminate()
        app.process.wait(30)
        report.add("exit", "from SIGTERM to the end", time.monotonic() - started, "s", bar=_EXIT_S)
        report.add("exit_code", "exit code", app.process.returncode, bar=0)


@contextmanager
def attacking(key: str, port: int) -> Iterator[None]:
    """Runs an attack in a process of its own until the block ends. It has begun when the block does."""
    command = [sys.executable, "-m", "benchmarks.attacks", key, str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it says when it has begun
            yield
        finally:
            process.kill()


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a figure misses its bar; 2 if it can't be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="Visitors who mean harm.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of all attacks together (default: 60)")
    parser.add_argument("--source", type=Path, metavar="VIDEO", help="a video that shows one face")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    source = options.source or (VIDEO if VIDEO.is_file() else None)
    if not options.seconds >= 1:
        raise SettingsError("--seconds must be at least 1.")
    if source is not None and not source.is_file():
        raise SettingsError(f"There is no video {source}; check --source.")
    print_header()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "face.avi"
        write_numbered_video(video, source)
        measure(report, video, options.seconds / len(TITLES))
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
