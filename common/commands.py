"""Commands: how they end, and those that a message tells people to run, whole and quoted so that they can be pasted."""

from __future__ import annotations

import functools
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from common.errors import SmileError
from common.places import ROOT

Arguments = ParamSpec("Arguments")


def said_plainly(
    failed: str, stopped: str = "Stopped. The same command begins anew."
) -> Callable[[Callable[Arguments, int]], Callable[Arguments, int]]:
    """Decorates a command's `main`: an error is one sentence on standard error and code 2, never a traceback.

    `failed`: how the sentence about an error of the system begins; `stopped`: the sentence after Ctrl-C, whose code is 130.
    """

    def decorate(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
        @functools.wraps(main)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except SmileError as error:
                print(error, file=sys.stderr)
            except (OSError, subprocess.SubprocessError) as error:
                print(f"{failed}: {error}.", file=sys.stderr)
            except KeyboardInterrupt:
                print(stopped, file=sys.stderr)
                return 130
            return 2

        return run

    return decorate


def command(module: str, *arguments: object, **options: object) -> str:
    """`python -m MODULE ARGUMENTS --OPTION VALUE ...`, run by this Python; an option that is None is left out.

    `module` may also be a script such as `app.py`. Underscores in names of options become hyphens.
    """
    start = [_from_here(ROOT / module)] if module.endswith(".py") else ["-m", module]
    named = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items() if value is not None]
    words = [_from_here(Path(sys.executable)), *start, *map(str, arguments)]
    return shlex.join([*words, *(word for pair in named for word in pair)])


def _from_here(path: Path) -> str:
    """The short way from the current folder down to a file, where there is one."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
