"""End a benchmark's command: an error is a sentence on standard error and a code, never a traceback."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import ParamSpec

from common.errors import SmileError

Arguments = ParamSpec("Arguments")


def said_plainly(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Decorates a command's `main`: it returns 2 and prints one sentence after an error that has one, and 130 after
    Ctrl-C.
    """

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except SmileError as error:
            print(error, file=sys.stderr)
            return 2
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"The benchmark could not go on: {error}.", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            return 130

    return run
