"""Commands that a message tells people to run: whole, and quoted so that they can be pasted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from common.places import ROOT


def command(module: str, *arguments: object, **options: object) -> str:
    """`python -m MODULE ARGUMENTS --OPTION VALUE ...`, run by this Python; an option that is None is left out.

    `module` may also be a script such as `app.py`. Underscores in names of options become hyphens.
    """
    start = [_from_here(ROOT / module)] if module.endswith(".py") else ["-m", module]
    named = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items() if value is not None]
    words = [_from_here(Path(sys.executable)), *start, *map(str, arguments)]
    return shlex.join([*words, *(word for pair in named for word in pair)])


def stopped(what_next: str = "The same command begins anew.") -> int:
    """Says that a command was ended by Ctrl-C. Returns its exit code, 130."""
    print(f"Stopped. {what_next}", file=sys.stderr)
    return 130


def _from_here(path: Path) -> str:
    """The short way from the current folder down to a file, where there is one."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
