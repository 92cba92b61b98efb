"""The app's log: one line for each event, as `key=value` pairs or as JSON, on standard error.

    log_event("camera", status="lost", message="Camera 0 stopped sending pictures.")
    time=2026-01-31T12:00:00.000Z level=info event=camera status=lost message="Camera 0 stopped sending pictures."

If a line can't be written, because the disk is full or nobody reads the pipe, it is dropped and the app goes on. A kind of
line that comes too often is written once a minute; `repeated` says how many were left out. URLs are cut to scheme and host,
because the rest may hold a camera's password.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import select
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any

from common.urls import without_password

LOG_FORMATS = ("text", "json")

_EVERY_S = 60.0
_KINDS_REMEMBERED = 1000
_LONGEST_VALUE = 500  # so that a whole line fits into what a pipe takes at once
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S+")
_PLAIN = re.compile(r"[^\s\"=]+")

_log = logging.getLogger("smile")
_silencing = threading.Lock()


def log_event(
    event: str,
    *,
    level: int = logging.INFO,
    per_minute: int | None = None,
    error: BaseException | None = None,
    **fields: Any,
) -> None:
    """One line about `event`, a word, with `fields` in their order.

    `per_minute`: how many lines of this kind (same event and fields) are written in a minute. By default that is one for
    warnings and errors, and no limit for the rest. `error`: its type, text and place are added.
    """
    _log.log(level, event, exc_info=error, extra={"fields": fields, "per_minute": per_minute})


def set_up_logging(log_format: str) -> None:
    """Write everything that is logged in this process, from `INFO` on, to standard error as `text` or `json` lines."""
    handler = _LineHandler()
    handler.setFormatter(LineFormatter(as_json=log_format == "json"))
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, _LineHandler):
            old.close()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    threading.excepthook = _log_thread_error


@contextmanager
def native_libraries_silenced() -> Iterator[None]:
    """Drops what libraries write straight to standard error meanwhile. LiteRT prints a greeting there that no option turns
    off.

    The log goes on. Without `set_up_logging` nothing is dropped.
    """
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, _LineHandler)]
    if not any(handler.writes for handler in handlers):
        yield
        return
    with _silencing:
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def write_line(stream: IO | io.FileIO | None, line: str) -> None:
    """Writes a line without Python's buffer, or drops it if it can't be written now. `stream`: standard output or error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no such stream, no file behind it, disk full
        number = stream.fileno()  # type: ignore[union-attr]
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(number, select.POLLOUT)
            if not any(happened & select.POLLOUT for _, happened in poll.poll(0)):
                return  # a pipe that nobody empties; waiting for it would stop the app
        os.write(number, f"{line}\n".encode(errors="backslashreplace"))


class LineFormatter(logging.Formatter):
    """A record as one line: `time` (UTC), `level`, `event`, its fields, then `error` and `stack` if there was an error."""

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values: dict[str, Any] = {"time": written, "level": record.levelname.lower()}
        fields = getattr(record, "fields", None)
        if fields is None:  # from a module or package that only knows `logging`
            values |= {"event": "log", "logger": record.name, "message": record.getMessage()}
        else:
            values |= {"event": record.msg} | fields
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            values |= {"error": f"{type(error).__name__}: {error}", "stack": _stack(error)}
        if repeated := getattr(record, "repeated", 0):
            values["repeated"] = repeated
        values = {key: _clean(value) for key, value in values.items()}
        if self._as_json:
            return json.dumps(values)
        return " ".join(f"{key}={_quoted(value)}" for key, value in values.items())


class RepeatFilter(logging.Filter):
    """Limits how often a kind of line comes in a minute. The next line says how many were left out (`repeated`)."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        allowed = getattr(record, "per_minute", None)
        if allowed is None:
            if record.levelno < logging.WARNING:
                return True
            allowed = 1
        error = record.exc_info[1] if record.exc_info else None
        # Not the error's text: it may differ from frame to frame.
        kind = (record.name, record.msg, repr(getattr(record, "fields", None)), type(error), _stack(error))
        now = self._clock()
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= _KINDS_REMEMBERED:
                self._kinds.clear()
            seen = self._kinds.setdefault(kind, _Kind(now))
            if now - seen.since >= _EVERY_S:
                seen.since, seen.written = now, 0
            if seen.written >= allowed:
                seen.left_out += 1
                return False
            seen.written += 1
            record.repeated, seen.left_out = seen.left_out, 0
            return True


class _Kind:
    def __init__(self, since: float) -> None:
        self.since = since
        self.written = 0
        self.left_out = 0


class _LineHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._file: io.FileIO | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):  # started without standard error
            self._file = io.FileIO(os.dup(sys.stderr.fileno()), "w")

    @property
    def writes(self) -> bool:
        return self._file is not None

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # a line that can't be formatted must not stop the app
            write_line(self._file, self.format(record))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def _log_thread_error(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread else "?"
        log_event("thread_ended", level=logging.ERROR, error=args.exc_value, thread=name)


def _stack(error: BaseException | None) -> str:
    """Where the error came from, outermost first: `live/watch.py:150 _run > faces/tracking.py:110 update`."""
    if error is None:
        return ""
    calls = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{os.path.basename(call.filename)}:{call.lineno} {call.name}" for call in calls[-8:])


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _URL.sub(lambda found: without_password(found[0]), str(value))[:_LONGEST_VALUE]


def _quoted(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
