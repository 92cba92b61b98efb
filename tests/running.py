"""The real app as a process, and viewers of its pictures."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.numbered_pictures import read_number
from tests.project import ROOT, clean_environment
from tests.waiting import PATIENCE_S, end, eventually


@dataclass
class RunningApp:
    """The real app in a process of its own."""

    process: subprocess.Popen
    url: str
    lines: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, timeout: float = PATIENCE_S) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=timeout) as response:
            return response.read()

    def json(self, path: str) -> dict:
        return json.loads(self.get(path))

    def metrics(self) -> dict[str, float]:
        """What `/metrics` says, by name with labels as written there: `{'smile_viewers{kind="picture"}': 1.0, ...}`."""
        lines = self.get("/metrics").decode().splitlines()
        return {
            name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def event(self) -> dict:
        """One event from /events."""
        with urllib.request.urlopen(self.url + "/events", timeout=PATIENCE_S) as response:
            for line in response:
                if line.startswith(b"data: "):
                    return json.loads(line[6:])
        raise AssertionError("no event came")

    def events(self, count: int) -> list[dict]:
        found: list[dict] = []
        with urllib.request.urlopen(self.url + "/events", timeout=PATIENCE_S) as response:
            for line in response:
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
        return found

    def wait_for(self, condition: Callable[[dict], bool], timeout: float = PATIENCE_S) -> dict:
        """The first event that meets `condition`."""
        deadline = time.monotonic() + timeout
        event: dict = {}
        with urllib.request.urlopen(self.url + "/events", timeout=timeout) as response:
            for line in response:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    if condition(event):
                        return event
                if time.monotonic() > deadline:
                    break
        raise AssertionError(f"no such event within {timeout} s; the last was {event}; the app said {self.lines}")

    def stop(self) -> None:
        """SIGTERM, and until the process has ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        if self.listener is not None:
            self.listener.join(PATIENCE_S)  # `lines` is whole now


@contextmanager
def running_app(log: Path, source: str | Path, board: str | Path = "none") -> Iterator[RunningApp]:
    command = [sys.executable, "app.py", "--port", "0", "--source", str(source), "--joke-url", "", "--board", str(board)]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=clean_environment())
    try:
        eventually(lambda: process.poll() is not None or "http://" in log.read_text(), log.read_text)
        address = re.search(r"http://\S+", log.read_text())
        assert address, log.read_text()
        yield RunningApp(process, address[0])
    finally:
        end(process)
    assert "Traceback" not in log.read_text()


@contextmanager
def viewer(app: RunningApp, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """An open picture stream: a socket past its response head."""
    with socket.socket() as connection:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", app.port))
        connection.sendall(f"GET /video_feed HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n\r\n".encode())
        yield connection


@dataclass(frozen=True)
class Arrival:
    """A whole picture of a stream: when it was there, its frame number, and the stream's bytes until then."""

    at: float
    number: int
    received: int


def arrivals(connection: socket.socket, bytes_per_second: float = 0) -> Iterator[Arrival]:
    """Every whole picture, as it comes, reading no faster than asked; until the stream ends."""
    data = b""
    started = time.monotonic()
    received = 0
    while True:
        if bytes_per_second and received > (time.monotonic() - started) * bytes_per_second:
            time.sleep(0.005)
            continue
        chunk = connection.recv(4096 if bytes_per_second else 65536)
        if not chunk:
            return
        received += len(chunk)
        data += chunk
        while (end := data.find(b"\r\n--frame", 2)) >= 0:
            begin = data.find(b"\xff\xd8", 0, end)
            if begin >= 0:
                yield Arrival(time.monotonic(), read_number(data[begin:end]), received)
            data = data[end + 2 :]


def pictures(connection: socket.socket, count: int) -> list[int]:
    """The frame numbers of the next so many pictures; fewer when the stream ends."""
    return [arrival.number for arrival in itertools.islice(arrivals(connection), count)]
