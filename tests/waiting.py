"""Waiting for what must come to pass: for a condition, never for a time that some machine needs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 120.0  # a busy machine is no failure; a test that waits this long is one

T = TypeVar("T")


def eventually(
    condition: Callable[[], T | None], what: Callable[[], object] | str = "", *, timeout: float = PATIENCE_S
) -> T:
    """The first true value of `condition`; AssertionError that says `what` did not happen after `timeout` seconds."""
    deadline, pause = time.monotonic() + timeout, 0.01
    while not (value := condition()):
        if time.monotonic() >= deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {timeout:g} s: {said or 'it did not come to pass'}")
        time.sleep(pause)
        pause = min(0.08, 1.3 * pause)  # asking a browser takes it and us some milliseconds each time
    return value


def always(condition: Callable[[], object], what: str = "", *, seconds: float = 0.5) -> None:
    """`condition` stays true for so long. For what must not happen there is nothing to wait for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what or "it did not stay so"
        time.sleep(0.05)


def end(process: subprocess.Popen) -> None:
    """Asks the process to end, and waits until it has; one that does not is killed."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE_S)
