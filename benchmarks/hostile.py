"""Visitors who mean harm, against the real app: is the picture still live, does memory stay, does a newcomer get in?

    python -m benchmarks.hostile                    # a minute: four attacks, one after the other
    python -m benchmarks.hostile --seconds 12

All of an attack comes from one address, out of a process of its own, while a few viewers watch. Each second a newcomer opens
the page. Attackers and viewers share the machine's cores with the app, and so may other programs: a first stage without any
attack shows what the machine can do. In the end the app is told to end, while the last attack goes on.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.command import said_plainly
from benchmarks.correctness import VIDEO
from benchmarks.figures import Report, print_header
from benchmarks.running_app import AppProcess
from benchmarks.scenes import write_numbered_video
from benchmarks.viewers import Audience
from errors import SettingsError

_FPS, _MEMORY_MB, _NEWCOMER_S, _EXIT_S = 27.0, 300.0, 2.0, 2.0
_VIEWERS = 3
_WARM_S = 2.0
_HEAD = "POST /api/v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_PADDING = (b"\xff\xd8" + b"\xff" * (2 << 20), b"\xff\xd8" + b"\xff\x01" * (1 << 20))


@dataclass
class Seen:
    """What happened during one stage, by the second; seconds are those that a newcomer waited for the page."""

    fps: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    newcomer_s: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0


def _connect(port: int) -> socket.socket:
    """From another address of this computer where it has one, as Linux does."""
    with suppress(OSError):
        return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.0.2", 0))
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _at_once(count: int, act: Callable[[int], None], deadline: float) -> None:
    """`act` again and again in so many threads, whatever becomes of it."""

    def work(number: int) -> None:
        while time.monotonic() < deadline:
            with suppress(OSError, http.client.HTTPException):
                act(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()) + 0.5)


def padding(port: int, seconds: float) -> None:
    """JPEGs that begin and never come to anything, 2 MB each, 16 at once."""

    def act(number: int) -> None:
        with _connect(port) as connection:
            data = _PADDING[number % 2]
            connection.sendall(f"{_HEAD}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            http.client.HTTPResponse(connection).begin()

    _at_once(16, act, time.monotonic() + seconds)


def unfinished_bodies(port: int, seconds: float) -> None:
    """80 uploads of 12.9 MB that stop one byte short and are held open; who is sent away comes again."""
    size, piece = 12_900_000, bytes(1 << 16)
    deadline = time.monotonic() + seconds

    def act(_: int) -> None:
        with _connect(port) as connection:
            connection.sendall(f"{_HEAD}Content-Length: {size}\r\n\r\n".encode())
            left = size - 1
            while left and time.monotonic() < deadline:
                left -= connection.send(piece[:left])
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            connection.recv(1000)

    _at_once(80, act, deadline)


def half_open(port: int, seconds: float) -> None:
    """400 connections that send one byte in five seconds."""
    deadline = time.monotonic() + seconds
    connections: list[socket.socket] = []
    while time.monotonic() < deadline:
        with suppress(OSError):
            while len(connections) < 400 and time.monotonic() < deadline:
                connections.append(_connect(port))
        kept = []
        for connection in connections:
            try:
                connection.send(b"G")
                kept.append(connection)
            except OSError:
                connection.close()
        connections = kept
        time.sleep(max(0.0, min(5.0, deadline - time.monotonic())))
    for connection in connections:
        connection.close()


def tiny_chunks(port: int, seconds: float) -> None:
    """Bodies in chunks of one byte, and bodies sent one byte at a time, eight at once each."""
    chunks = b"1\r\nx\r\n" * 20_000
    deadline = time.monotonic() + seconds

    def act(number: int) -> None:
        with _connect(port) as connection:
            if number % 2:
                connection.sendall(f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
                http.client.HTTPResponse(connection).begin()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(f"{_HEAD}Content-Length: 1000000\r\n\r\n".encode())
            while time.monotonic() < deadline:
                connection.sendall(b"x")
                time.sleep(0.0005)  # faster, and the system would join the bytes

    _at_once(16, act, deadline)


ATTACKS = {
    "padding": ("pictures of padding", padding),
    "bodies": ("uploads without an end", unfinished_bodies),
    "half_open": ("half-open connections", half_open),
    "chunks": ("single bytes", tiny_chunks),
}


def watch(app: AppProcess, audience: Audience, seconds: float) -> Seen:
    """Viewers, memory and newcomers, for so long."""
    seen = Seen()
    cpu, began = app.cpu_seconds(), time.monotonic()
    deadline = began + seconds
    newcomers = threading.Thread(target=_come_anew, args=(app.port, seen, deadline), name="newcomers")
    newcomers.start()
    while time.monotonic() < deadline:
        before, started = [viewer.pictures for viewer in audience.viewers], time.monotonic()
        audience.watch(1.0)
        shown = [viewer.pictures - count for viewer, count in zip(audience.viewers, before, strict=True)]
        seen.fps.append(min(shown) / (time.monotonic() - started))
        seen.memory_mb.append(app.memory_mb())
    seen.cpu_percent = 100 * (app.cpu_seconds() - cpu) / (time.monotonic() - began)
    newcomers.join(30)
    return seen


def _come_anew(port: int, seen: Seen, deadline: float) -> None:
    while time.monotonic() < deadline:
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


def measure(report: Report, video: Path, seconds: float, options: Sequence[str] = ()) -> None:
    context = multiprocessing.get_context("spawn")
    with AppProcess(video, *options) as app:
        app.wait_for_face()
        with Audience(app.port) as audience:
            for _ in range(_VIEWERS):
                audience.join()
            audience.watch(_WARM_S)
            report.begin("quiet", "no attack")
            add_stage(report, "quiet", watch(app, audience, min(5.0, seconds)), attacked=False)
            for key, (title, attack) in ATTACKS.items():
                attacker = context.Process(target=attack, args=(app.port, seconds + 1), daemon=True)
                attacker.start()
                report.begin(key, title)
                add_stage(report, key, watch(app, audience, seconds), attacked=True)
                if key != "chunks":  # the end comes while the last one goes on
                    attacker.join(15)
        report.begin("end", "afterwards")
        started = time.monotonic()
        app.process.terminate()
        app.process.wait(30)
        report.add("exit", "from SIGTERM to the end", time.monotonic() - started, "s", bar=_EXIT_S)
        report.add("exit_code", "exit code", app.process.returncode, bar=0)
        attacker.join(15)


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 when something that was to be reached was not; 2 when it can't be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="Visitors who mean harm.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of all attacks together (default: 60)")
    parser.add_argument("--source", type=Path, metavar="VIDEO", help="a video that shows one face")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    source = options.source or (VIDEO if VIDEO.is_file() else None)
    if not options.seconds >= 4:
        raise SettingsError("--seconds must be at least 4.")
    if source is not None and not source.is_file():
        raise SettingsError(f"There is no video {source}; check --source.")
    print_header()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "face.avi"
        write_numbered_video(video, source)
        measure(report, video, options.seconds / len(ATTACKS))
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
