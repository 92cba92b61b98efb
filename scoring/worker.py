"""One worker process. It takes files and returns their rows."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2

from common.errors import SmileError
from scoring.work import Rows, Work

_SIGN_OF_LIFE_EVERY_S = 1.0


class _Notes:
    """Replaces `sys.stderr`: lines go to the first process, which prints each only once."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            with contextlib.suppress(OSError):
                self._connection.send(("note", line))
        return len(text)

    def flush(self) -> None: ...


def run_worker(connection: Any, work: Work) -> None:
    """Runs in a worker process: does what comes until the other end is closed, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # in order: a half-written copy is removed
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # decoders write there what the table's error column says in plain words
    sys.stderr = _Notes(connection)
    cv2.setNumThreads(1)  # the other cores have workers of their own
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        try:
            scorer = work.scorer()
        except SmileError as error:
            connection.send(("unable", error))
            return
        connection.send(("ready", None))
        while True:
            file = connection.recv()
            sign = _sign_of_life(connection)
            try:
                rows: Rows | SmileError = scorer.all_rows(file, sign)
            except SmileError as error:
                rows = error
            connection.send(("rows", rows))


def _sign_of_life(connection: Any) -> Callable[[float], None]:
    last = time.monotonic()

    def sign(time_s: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _SIGN_OF_LIFE_EVERY_S:
            last = time.monotonic()
            connection.send(("alive", time_s))

    return sign
