"""Keep the messages of native libraries away from standard error, which belongs to the app.

libpng, for one, writes there whatever a stranger's picture tells it to: line ends that forge lines of the log, and escapes
that clear the terminal. Python's own `sys.stderr` and the log go on as before. If a library brings the whole process down,
its last words are lost.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.errors import printable
from common.event_log import log_event

_EVERY_S = 60.0
_LONGEST = 200  # bytes of it that an event quotes
_AT_ONCE = 65_536
_NO_NEWS = b"INFO: "  # how LiteRT says which way it computes


@contextmanager
def native_output_dropped() -> Iterator[None]:
    """For commands that say in their own words what is wrong with a file."""
    with open(os.devnull, "wb") as nothing, _standard_error_to(nothing.fileno()):
        yield


@contextmanager
def native_output_logged(*, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Logs it as `native_output` events, at most one a minute. Each has the beginning of the text, cut and without control
    characters, and says how many bytes there were. The rest is logged when the block ends.
    """
    reading, writing = os.pipe()
    with contextlib.suppress(OSError, AttributeError):  # where the system can: nobody should wait for the log
        os.set_blocking(writing, False)
    ended = threading.Event()
    thread = threading.Thread(target=_log, args=(reading, ended, clock), name="native-output", daemon=True)
    thread.start()
    try:
        with _standard_error_to(writing):
            yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):  # the pipe is full, and is read anyway
            os.write(writing, b"\n")
        thread.join(1.0)
        os.close(writing)


@contextmanager
def _standard_error_to(descriptor: int) -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    stream, ours = sys.stderr, None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if stream.fileno() == 2:
            stream.flush()
            file = io.FileIO(kept, "w", closefd=False)
            ours = io.TextIOWrapper(io.BufferedWriter(file), stream.encoding, "backslashreplace", line_buffering=True)
            sys.stderr = ours
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        if ours is not None:
            if sys.stderr is ours:
                sys.stderr = stream
            with contextlib.suppress(OSError, ValueError):
                ours.close()
        os.close(kept)


def _log(reading: int, ended: threading.Event, clock: Callable[[], float]) -> None:
    first, line, count, logged_at = b"", b"", 0, float("-inf")
    with open(reading, "rb", buffering=0) as pipe:
        while data := pipe.read(_AT_ONCE):
            *lines, line = (line + data).split(b"\n")
            if len(line) >= _LONGEST:  # otherwise the rest may follow: libraries write some lines piece by piece
                lines, line = [*lines, line], b""
            told = [one for one in lines if not one.startswith(_NO_NEWS)]
            count += sum(len(one) + 1 for one in told)
            first = (first + b"\n".join(told))[:_LONGEST]
            if ended.is_set() or clock() - logged_at >= _EVERY_S:
                if first.strip():
                    text = printable(first.decode(errors="backslashreplace").strip())
                    log_event("native_output", level=logging.WARNING, per_minute=10, bytes=count, message=text)
                    logged_at = clock()
                first, count = b"", 0
            if ended.is_set():
                return
