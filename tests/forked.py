"""Processes of Python that have TensorFlow already: copies of one that has loaded it, which takes seconds each time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tensorflow", "keras", "training.train"])  # none of which begins to compute when loaded


class Forked(ForkServerProcess):
    """`python -c code options` with this environment; what it writes goes to files. Otherwise as `subprocess.Popen`."""

    def __init__(self, code: str, options: list[str], environ: dict[str, str], out: Path, err: Path) -> None:
        super().__init__(target=_run, args=(code, options, environ, str(out), str(err)))
        self.start()

    @property
    def returncode(self) -> int | None:
        return self.exitcode

    def wait(self, timeout: float) -> None:
        self.join(timeout)
        assert self.exitcode is not None, f"not ended within {timeout:g} s"

    def send_signal(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)


def _run(code: str, options: list[str], environ: dict[str, str], out: str, err: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        with open(path, "w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["-c", *options]
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
