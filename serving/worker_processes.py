"""Several processes that serve one address: `python app.py --source none --workers 4`.

A supervisor listens and deals connections out (`dealt_connections`) but serves nobody itself. Each worker is a process of
its own. Workers share nothing but the joke board's database. A worker that dies is replaced. When the supervisor ends, in
whatever way, so do they.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from common.errors import ProcessesError
from common.event_log import log_event
from common.settings import Settings
from serving.dealt_connections import Taker, deal

UNUSABLE_SETTINGS = 2  # exit code of a worker that can never serve

_ROOT = Path(__file__).parent.parent
# Paths in the settings are relative to the folder where the app was started, so a worker starts there too.
_START = "import sys; sys.path[0] = sys.argv.pop(1); from serving.worker import run; run(sys.argv[1:])"
_LOOK_EVERY_S = 0.2
_LIVED_S = 10.0  # a worker that ends sooner never got to work
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # before such a worker is started again
_GIVE_UP_AFTER = 5  # such ends in a row, while no other worker runs
_END_WITHIN_S = 1.7  # then they are killed


@dataclass
class _Running:
    """A worker that was started."""

    process: subprocess.Popen[bytes]
    taker: Taker
    started_at: float

    def works(self, now: float) -> bool:
        return now - self.started_at > _LIVED_S


@dataclass
class _Slot:
    """A worker's number, and the worker that has it now, if any."""

    number: int
    running: _Running | None = None
    due: float = 0.0  # when one is to be started
    quick_ends: int = 0  # in a row


class WorkerProcesses:
    """`settings.workers` processes that serve `listener`, from `run()` until `stop()`.

    `most_connections`: for one worker; the system holds further ones.
    """

    def __init__(self, settings: Settings, listener: socket.socket, *, most_connections: int) -> None:
        self._settings = settings
        self._listener = listener
        self._most_connections = most_connections
        self._stopping = threading.Event()
        self._quick_ends = 0  # in a row, of all
        self._slots = [_Slot(number) for number in range(1, settings.workers + 1)]

    def stop(self) -> None:
        """Ends `run()`. Safe to call from a signal handler."""
        self._stopping.set()

    def run(self) -> int:
        """Keeps the workers alive until `stop()`, then ends them.

        Returns 0, or 2 when a worker says that it can't ever serve. Raises ProcessesError when they end as soon as they are
        started, again and again.
        """
        self._listener.setblocking(False)
        try:
            while not self._stopping.is_set():
                for slot in self._slots:
                    if slot.running is None:
                        if time.monotonic() >= slot.due:
                            self._start(slot)
                    elif (code := slot.running.process.poll()) is not None:
                        self._note_end(slot, slot.running, code)
                        if code == UNUSABLE_SETTINGS:
                            return code
                takers = [slot.running.taker for slot in self._slots if slot.running is not None]
                deal(self._listener, takers, most=self._most_connections, timeout=_LOOK_EVERY_S)
            return 0
        finally:
            self._end_all()

    def _start(self, slot: _Slot) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("SMILE_")}
        others.setdefault("MALLOC_ARENA_MAX", "2")  # glibc: otherwise each of many threads keeps memory of its own
        ours, theirs = socket.socketpair()
        with theirs:
            numbers = [self._listener.fileno(), theirs.fileno()]
            process = subprocess.Popen(
                [sys.executable, "-c", _START, str(_ROOT), str(slot.number), *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                pass_fds=numbers,
                env=others | self._settings.as_environment(),  # everybody on this computer can read options
                process_group=0,  # Ctrl-C reaches only this process, which then ends the others in order
            )
        slot.running = _Running(process, Taker(ours), time.monotonic())
        log_event("worker", status="started", number=slot.number, pid=process.pid)

    def _note_end(self, slot: _Slot, ended: _Running, code: int) -> None:
        now = time.monotonic()
        slot.running = None
        ended.taker.pair.close()
        quick = not ended.works(now)
        slot.quick_ends = slot.quick_ends + 1 if quick else 0
        self._quick_ends = self._quick_ends + 1 if quick else 0
        pause = _PAUSES_S[min(slot.quick_ends, len(_PAUSES_S)) - 1] if quick else 0.0
        slot.due = now + pause
        log_event(
            "worker",
            level=logging.ERROR,
            status="ended",
            number=slot.number,
            pid=ended.process.pid,
            code=code,
            again_in_s=pause,
        )
        if self._quick_ends >= _GIVE_UP_AFTER and not any(
            other.running and other.running.works(now) for other in self._slots
        ):
            raise ProcessesError("The worker processes end as soon as they start; the log says why. Fix that first.")

    def _end_all(self) -> None:
        left = [slot.running for slot in self._slots if slot.running is not None]
        for running in left:
            running.process.terminate()
            running.process.send_signal(signal.SIGCONT)  # a worker that somebody stopped gets the signal only then
        deadline = time.monotonic() + _END_WITHIN_S
        for running in left:
            try:
                running.process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log_event("worker", level=logging.WARNING, status="killed", pid=running.process.pid)
                running.process.kill()
                running.process.wait(5)
            running.taker.pair.close()


def end_this_worker() -> None:
    """Ends a worker whose supervisor is gone, in order if possible."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_WITHIN_S)
    os._exit(1)  # the orderly end hangs
