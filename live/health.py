"""How the analysis of the camera's pictures goes: what became of each frame, and what went wrong."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from camera import Camera
from common.event_log import log_event

_HANGS_AFTER_S = 10.0  # with frames to analyse
_STUCK_AFTER_S = 60.0  # while anything else is done; loading network and detector takes long on a busy computer


@dataclass
class Health:
    """Written by the analysing thread, read by everybody. Times are monotonic seconds."""

    started_at: float = field(default_factory=time.monotonic)
    beat_at: float = field(default_factory=time.monotonic)  # when the thread last began a round
    shown_at: float = float("-inf")  # a frame or a card
    analysed_at: float | None = None
    not_analysed_since: float | None = None  # a frame was taken, and none was analysed since
    analysed: int = 0
    taken: int = 0  # number of the newest frame
    skipping: str = "unwatched"  # why frames between the last one and the next are not analysed
    dropped: dict[str, int] = field(default_factory=lambda: {"late": 0, "unwatched": 0, "failed": 0})
    problem: str = ""
    failures: int = 0  # since the problem began
    _done_at: deque[float] = field(default_factory=lambda: deque(maxlen=31))

    def take(self, number: int) -> None:
        """Frame `number` is analysed next."""
        self.dropped[self.skipping] += number - self.taken - 1
        self.taken, self.skipping = number, "late"
        if self.not_analysed_since is None:
            self.not_analysed_since = time.monotonic()

    def done(self) -> None:
        """The frame is analysed and shown."""
        self.analysed += 1
        self.shown_at = self.analysed_at = time.monotonic()
        self._done_at.append(self.analysed_at)

    def paused(self) -> None:
        """A card is shown in place of frames."""
        self._done_at.clear()
        self.shown_at = time.monotonic()

    def note_problem(self, sentence: str, error: Exception | None = None) -> None:
        """`error`: of an unexpected kind, for the log."""
        self.problem = sentence
        self.failures += 1
        level = logging.ERROR if error else logging.WARNING
        log_event("problem", level=level, error=error, message=sentence)

    def note_recovery(self) -> None:
        if self.problem:
            log_event("recovered", per_minute=1, failures=self.failures, message=self.problem)
        self.problem, self.failures = "", 0

    @property
    def fps(self) -> float:
        """Analysed frames a second, lately."""
        done = list(self._done_at)
        if len(done) < 2 or time.monotonic() - done[-1] > 3:
            return 0.0
        return round((len(done) - 1) / max(1e-6, done[-1] - done[0]), 1)

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.started_at

    def failure(self, thread: threading.Thread | None) -> str:
        """Why only a restart helps, in a sentence; empty if none is needed. `thread`: that should be analysing."""
        if thread is None:
            return ""
        now = time.monotonic()
        if not thread.is_alive():
            return "The analysis of the pictures has ended; restart the app."
        since = self.not_analysed_since
        if (since is not None and now - since > _HANGS_AFTER_S) or now - self.beat_at > _STUCK_AFTER_S:
            return f"The analysis of the pictures hangs or fails; restart the app. {self.problem}".rstrip()
        return ""

    def report(self, camera: Camera, thread: threading.Thread | None) -> dict[str, Any]:
        """What `/healthz` says. `status`, with a sentence in `message` unless it is `ok`:

        `ok`: all is well, or nobody watches. `degraded`: no pictures, or no smiles in them, for a reason that no restart
        mends: the camera is lost and will be tried again, or the network file is damaged. `failed`: the analysis has ended,
        hangs, or has failed for every frame of the last ten seconds; only this asks for a restart (HTTP 503).

        `seconds_since_frame`: since a frame was last analysed; null before the first.
        """
        state = camera.state
        failure = self.failure(thread)
        message = failure or self.problem or (state.message if state.status in ("lost", "ended") else "")
        since_frame = None if self.analysed_at is None else round(time.monotonic() - self.analysed_at, 3)
        return {
            "status": "failed" if failure else "degraded" if message else "ok",
            "message": message,
            "uptime_s": round(self.uptime_s, 3),
            "seconds_since_frame": since_frame,
            "camera": {"status": state.status, "message": state.message},
            "frames": {"captured": camera.captured, "analysed": self.analysed},
            "fps": self.fps,
        }
