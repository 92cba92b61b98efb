"""End a benchmark's command: an error is a sentence on standard error and a code, never a traceback."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable

from common import commands
from common.commands import Arguments


def said_plainly(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """`common.commands.said_plainly` for a benchmark. SIGTERM ends it as Ctrl-C does, and with it what it started."""

    @commands.said_plainly("The benchmark could not go on")
    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        if threading.current_thread() is not threading.main_thread():
            return main(*args, **kwargs)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return main(*args, **kwargs)
        finally:
            signal.signal(signal.SIGTERM, before)

    return run
