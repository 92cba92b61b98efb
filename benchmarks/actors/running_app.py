"""The real app as a process on loopback: its start, events, health, metrics, memory and processor time."""

from __future__ import annotations

import json
import math
import os
import queue
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from common.errors import BenchmarkError

ROOT = Path(__file__).parents[2]
LATENCY = "smile_frame_to_viewer_seconds"
_START_WITHIN_S = 60.0
_BUCKET = re.compile(rf'^{LATENCY}_bucket\{{(?:.*,)?le="([^"]+)".*\}} (\S+)', re.MULTILINE)


class AppProcess:
    """`python app.py` on a free port with `source`, as a context manager that ends it.

    Raises BenchmarkError if it does not start.
    """

    def __init__(self, source: Path, *options: str) -> None:
        command = [
            sys.executable,
            "app.py",
            "--port",
            "0",
            "--source",
            str(source),
            "--joke-url",
            "",
            "--board",
            "none",
            *options,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SMILE_")}
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self._last_line = ""
        addresses: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read_lines, args=(addresses,), name="app-output", daemon=True)
        self._reader.start()
        try:
            self.url = addresses.get(timeout=_START_WITHIN_S)
        except queue.Empty:
            self.url = ""
        self.listening_s = time.monotonic() - self.started_at
        if not self.url:
            self.close()
            raise BenchmarkError(f"The app did not start; it said: {self._last_line or 'nothing'}")
        self.port = int(self.url.rpartition(":")[2])
        self._usage = psutil.Process(self.process.pid)

    def _read_lines(self, addresses: queue.Queue[str]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._last_line = line.strip()
            if match := re.search(r"http://\S+", line):
                addresses.put(match[0])
        addresses.put("")

    def __enter__(self) -> AppProcess:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()

    # --- what it says ---

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read()

    def health(self) -> dict[str, Any]:
        return json.loads(self.get("/healthz"))

    def events(self, timeout: float) -> Iterator[dict[str, Any]]:
        """The events of `/events`, for up to `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with urllib.request.urlopen(self.url + "/events", timeout=timeout) as response:
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
                if time.monotonic() > deadline:
                    return

    def wait_for_face(self, timeout: float = 60.0) -> float:
        """Seconds from the start of the process to the first shown frame with a face."""
        for event in self.events(timeout):
            if event["faces"]:
                return time.monotonic() - self.started_at
        raise BenchmarkError(f"The app showed no face within {timeout:.0f} s; choose another --source.")

    def wait_for_health(self, condition: Callable[[dict[str, Any]], bool], timeout: float, what: str) -> None:
        """Waits until `/healthz` meets `condition`. After `timeout` seconds raises BenchmarkError, which says `what` did not
        happen.
        """
        deadline = time.monotonic() + timeout
        while not condition(self.health()):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"The app did not {what} within {timeout:.0f} s.")
            time.sleep(0.25)

    def wait_until_idle(self) -> None:
        """Waits until nobody watches and the source is released."""

        def rests(health: dict[str, Any]) -> bool:
            return not health["viewers"] and health["camera"]["status"] == "idle"

        self.wait_for_health(rests, 120, "come to rest")

    def latencies(self) -> dict[float, float]:
        """How many frames so far went to a viewer within each bound, in seconds after their capture. `{}`: unknown."""
        try:
            return parse_histogram(self.get("/metrics").decode())
        except urllib.error.HTTPError:
            return {}

    # --- what it takes ---

    def cpu_seconds(self) -> float:
        times = self._usage.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        return self._usage.memory_info().rss / 2**20

    def threads(self) -> int:
        return self._usage.num_threads()

    def sockets(self) -> int:
        """Open connections, without the listening socket."""
        return sum(connection.status != psutil.CONN_LISTEN for connection in self._usage.net_connections("tcp"))


def settled(read: Callable[[], int], wanted: int, within_s: float = 30.0) -> int:
    """What `read` returns once it is at most `wanted`, or after `within_s` seconds. The system needs a moment to clear
    up.
    """
    deadline = time.monotonic() + within_s
    while (value := read()) > wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def parse_histogram(text: str) -> dict[float, float]:
    """The buckets of the latency histogram in Prometheus' text: upper bound in seconds -> count, all labels together."""
    buckets: dict[float, float] = {}
    for bound, count in _BUCKET.findall(text):
        le = math.inf if bound == "+Inf" else float(bound)
        buckets[le] = buckets.get(le, 0.0) + float(count)
    return dict(sorted(buckets.items()))


def since(after: Mapping[float, float], before: Mapping[float, float]) -> dict[float, float]:
    """The counts between two readings of a histogram."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The `q` quantile of cumulative `buckets`, interpolated within its bucket as Prometheus does; None without counts.

    Beyond the last finite bound it is that bound, since no more is known.
    """
    total = buckets.get(math.inf, max(buckets.values(), default=0.0))
    if total <= 0:
        return None
    wanted = q * total
    lower, below = 0.0, 0.0
    for bound, count in buckets.items():
        if count >= wanted:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
