"""Score files on all cores: worker processes, with results in the order of the files.

    with ScoringWorkers(Work(), 4) as workers:
        for file, rows in workers.results(find_media(["holiday/"])): ...

A damaged file may crash the process that reads it. It is tried once more in another process, and then gets a row that says
so. The same happens if reading shows no sign of life for minutes. All other files go on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common.errors import ProcessesError, SmileError
from pictures.finding import MediaFile
from scoring.rows import empty_row
from scoring.work import Rows, Work
from scoring.worker import run_worker

CRASHED = "The file could not be read: its reader crashed."
GIVEN_UP = "The file was left out: reading it made no progress for too long."
MOST_WORKERS = 256
_AHEAD = 4  # photos handed to a worker ahead, so that it never waits for the next
_UNDELIVERED = 64  # files for each worker that are being read, or wait for an earlier one
_PATIENCE_S = 300.0
_TRIES = 2
_GIVE_UP_AFTER = 3  # so many workers in a row ended before they could work
_LOOK_EVERY_S = 1.0
_END_WITHIN_S = 5.0


@dataclass
class _Task:
    number: int
    file: MediaFile
    place: str
    crashes: int = 0


@dataclass
class _Worker:
    process: Any
    connection: multiprocessing.connection.Connection
    tasks: deque[_Task] = field(default_factory=deque)  # the first of them is being read
    ready: bool = False
    silent_s: float = 0.0

    def has_room(self, file: MediaFile) -> bool:
        # Nothing waits behind a video, which can take an hour.
        return not self.tasks or not (
            file.is_video or len(self.tasks) >= _AHEAD or any(task.file.is_video for task in self.tasks)
        )


class ScoringWorkers:
    """`count` processes that do `work`, as a context manager that ends them."""

    def __init__(
        self,
        work: Work,
        count: int,
        *,
        patience_s: float = _PATIENCE_S,
        on_progress: Callable[[MediaFile, float], None] = lambda file, time_s: None,
    ) -> None:
        """`on_progress` is called with how far the reading of a video is, in seconds of the video."""
        self._work = work
        self._count = count
        self._patience_s = patience_s
        self._on_progress = on_progress
        self._workers: list[_Worker] = []
        self._again: deque[_Task] = deque()
        self._done: dict[int, tuple[MediaFile, Rows | SmileError]] = {}
        self._failed_starts = 0
        self._told: set[str] = set()
        self._looked_at = time.monotonic()

    def __enter__(self) -> ScoringWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """Those of the current workers."""
        return [worker.process.pid for worker in self._workers]

    def results(self, files: Iterator[MediaFile]) -> Iterator[tuple[MediaFile, Rows]]:
        """Every file with its rows, in the order of `files`, which is read only some files for each worker ahead.

        Raises ProcessesError when no worker can be kept, and the SmileError that a worker met.
        """
        tasks = (_Task(number, file, os.path.abspath(file.path)) for number, file in enumerate(files))
        upcoming = next(tasks, None)
        next_out = 0
        while True:
            self._hand_out_again()
            while upcoming is not None and self._takes(upcoming, next_out):
                upcoming = next(tasks, None)
            outstanding = upcoming is not None or self._again or any(worker.tasks for worker in self._workers)
            if outstanding:
                self._listen(0 if next_out in self._done else _LOOK_EVERY_S)
            if next_out in self._done:
                file, rows = self._done.pop(next_out)
                next_out += 1
                if isinstance(rows, SmileError):
                    raise rows
                yield file, rows
            elif not outstanding:
                return

    def close(self) -> None:
        """Ends the workers. Those that are busy finish their current file first."""
        for worker in self._workers:
            worker.connection.close()
            if worker.tasks:
                worker.process.terminate()
        deadline = time.monotonic() + _END_WITHIN_S
        for worker in self._workers:
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(_END_WITHIN_S)
            worker.process.close()
        self._workers = []

    # --- handing out ---

    def _takes(self, task: _Task, next_out: int) -> bool:
        """Hands `task` to a worker and returns whether that worked. Files that lost their worker come first."""
        if self._again or task.number - next_out >= _UNDELIVERED * self._count:
            return False
        if task.file.is_video and self._videos_waiting() >= 2 * self._count:
            return False  # they have many rows
        return self._hand_out(task)

    def _hand_out_again(self) -> None:
        while self._again and self._hand_out(self._again[0]):
            self._again.popleft()

    def _hand_out(self, task: _Task) -> bool:
        if any(other.place == task.place for worker in self._workers for other in worker.tasks):
            return False  # named twice: two workers must not write one annotated copy
        while len(self._workers) < self._count:
            self._workers.append(_start(self._work))
        free = [worker for worker in self._workers if worker.has_room(task.file)]
        if not free:
            return False
        worker = min(free, key=lambda worker: len(worker.tasks))
        if not worker.tasks:
            worker.silent_s = 0.0
        worker.tasks.append(task)
        # `_listen` notices a worker that has just ended.
        with contextlib.suppress(OSError):
            worker.connection.send(task.file)
        return True

    def _videos_waiting(self) -> int:
        return sum(file.is_video for file, _ in self._done.values())

    # --- what comes back ---

    def _listen(self, timeout: float) -> None:
        waiting = set(multiprocessing.connection.wait([worker.connection for worker in self._workers], timeout))
        for worker in [worker for worker in self._workers if worker.connection in waiting]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._bury(worker, CRASHED)
            else:
                worker.silent_s = 0.0
                self._take(worker, message)
        # Only the time in which we listened counts: while a run is suspended, its workers are suspended, too.
        now = time.monotonic()
        passed, self._looked_at = min(now - self._looked_at, 2 * _LOOK_EVERY_S), now
        for worker in [worker for worker in self._workers if worker.tasks]:
            worker.silent_s += passed
            # A process that has yet to load libraries and networks says nothing, and on a busy computer for long.
            patience_s = self._patience_s if worker.ready else max(self._patience_s, _PATIENCE_S)
            if worker.silent_s > patience_s:
                worker.process.kill()
                worker.tasks[0].crashes = _TRIES  # it would only take as long again
                self._bury(worker, GIVEN_UP)

    def _take(self, worker: _Worker, message: tuple[str, Any]) -> None:
        kind, value = message
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
        elif kind == "unable":
            raise value
        elif kind == "note":
            if value not in self._told:
                self._told.add(value)
                print(value, file=sys.stderr)
        elif kind == "alive":
            self._on_progress(worker.tasks[0].file, value)
        else:
            task = worker.tasks.popleft()
            self._done[task.number] = (task.file, value)

    def _bury(self, worker: _Worker, sentence: str) -> None:
        """The worker has ended. The file that it was reading is tried once more; the files that it had ahead go to another
        worker.
        """
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(_END_WITHIN_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(_END_WITHIN_S)
        worker.process.close()
        tasks = worker.tasks
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _GIVE_UP_AFTER:
                raise ProcessesError("The worker processes end as soon as they start; try it with --workers 1.")
        elif tasks:
            tasks[0].crashes += 1
            if tasks[0].crashes >= _TRIES:
                task = tasks.popleft()
                self._done[task.number] = (task.file, [empty_row(task.file.path, 0, None, sentence)])
        self._again.extendleft(reversed(tasks))


def _start(work: Work) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks in their current state
    ours, theirs = context.Pipe()
    process = context.Process(target=run_worker, args=(theirs, work), name="scoring", daemon=True)
    try:
        with _interrupts_held_back(), _nothing_run_again():
            process.start()
    except OSError as error:
        raise ProcessesError(f"A worker process can't be started ({error.strerror}); give fewer with --workers.") from error
    finally:
        theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits, and does not reach a process that starts meanwhile: the first process ends the others in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _nothing_run_again() -> Iterator[None]:
    """Otherwise a new process would first run the main module again, which may be anybody's. Our workers don't need it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
