"""Score files on a Dask cluster: the same rows in the same order, even if computers come and go.

    with DaskScoring("tcp://10.0.0.1:8786", Work(folder=os.getcwd())) as cluster:
        for file, rows in cluster.results(find_media(["/photos/holiday"])): ...

Every worker needs this project in its Python path, and the files under the same path. If a worker is lost, another gets what
it had not delivered. Only rows that have arrived here are written, so every file is scored once.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import cv2

from common.errors import ClusterError, SettingsError, SmileError
from pictures.finding import MediaFile
from scoring.rows import empty_row
from scoring.work import Rows, Work
from scoring.workers import CRASHED

_CONNECT_S = 15.0
_FIRST_WORKER_S = 60.0
_AHEAD = 8  # files for each thread of the cluster
_LEAST_AHEAD, _MOST_AHEAD = 32, 8192
_COUNT_THREADS_EVERY_S = 10.0
_LOOK_EVERY_S = 1.0
_LOST_AFTER_S = 60.0


class DaskScoring:
    """The cluster at `address`, as a context manager that leaves it at the end."""

    def __init__(self, address: str, work: Work) -> None:
        """Raises SettingsError without the package, ClusterError if there is no scheduler or no worker."""
        self._distributed = _distributed()
        self._address = address
        self._work = work
        self._on_worker = _sent_function()
        self._lost_since: float | None = None
        try:
            self._client = self._distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError, ImportError) as error:
            raise ClusterError(
                f"There is no Dask scheduler at {address}; start one with `dask scheduler`, or check --dask."
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except (TimeoutError, OSError) as error:
            self.close()
            raise ClusterError(
                f"The Dask cluster at {address} has no worker; start some with `dask worker {address}`."
            ) from error
        self._window = _LEAST_AHEAD
        self._counted_at = float("-inf")

    def __enter__(self) -> DaskScoring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drops the work that is still to be done, and leaves the cluster as it is."""
        self._client.close(timeout=10)

    def results(self, files: Iterator[MediaFile]) -> Iterator[tuple[MediaFile, Rows]]:
        """Every file with its rows, in the order of `files`, which is read only some files for each thread ahead.

        Raises ClusterError if the cluster is lost, and the SmileError that a worker met.
        """
        asked: deque[tuple[MediaFile, Any]] = deque()
        upcoming = next(files, None)
        while upcoming is not None or asked:
            while upcoming is not None and len(asked) < self._ahead():
                # Not pure: a file that is named twice has its rows twice.
                job = pickle.dumps((self._work, upcoming))
                asked.append((upcoming, self._client.submit(self._on_worker, job, pure=False)))
                upcoming = next(files, None)
            file, future = asked.popleft()
            rows = self._wait_for(file, future)
            future.release()
            yield file, rows

    def _ahead(self) -> int:
        now = time.monotonic()
        if now - self._counted_at > _COUNT_THREADS_EVERY_S:
            self._counted_at = now
            threads = sum(self._client.nthreads().values())
            self._window = min(max(_LEAST_AHEAD, _AHEAD * threads), _MOST_AHEAD)
        return self._window

    def _wait_for(self, file: MediaFile, future: Any) -> Rows:
        while True:
            try:
                rows, problem = pickle.loads(future.result(timeout=_LOOK_EVERY_S))
            except self._distributed.KilledWorker:  # several workers, one after the other
                return [empty_row(file.path, 0, None, CRASHED)]
            except TimeoutError:
                self._check_connection()
            except ImportError as error:
                raise ClusterError(
                    f"The Dask workers do not find this project ({error}); start them with its folder in PYTHONPATH."
                ) from error
            except Exception as error:  # many kinds: the connection broke, the work was cancelled
                raise ClusterError(
                    f"The Dask cluster at {self._address} was lost or failed ({type(error).__name__}); see its log."
                ) from error
            else:
                if problem is not None:
                    raise problem
                return rows

    def _check_connection(self) -> None:
        """Raises ClusterError if the scheduler has been gone for a while."""
        if self._client.status == "running":
            self._lost_since = None
            return
        self._lost_since = self._lost_since or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - self._lost_since > _LOST_AFTER_S:
            raise ClusterError(f"The Dask cluster at {self._address} was lost.")


_local = threading.local()


def _sent_function() -> Any:
    # A function inside a function travels with its code, so only workers must have this project, not the scheduler.
    def score_on_worker(job: bytes) -> bytes:
        from scoring import dask_cluster

        return dask_cluster.score_job(job)

    return score_on_worker


def score_job(job: bytes) -> bytes:
    """Runs in a Dask worker: the file's rows for a `Work` and a `MediaFile`, or the SmileError that makes all work
    impossible.

    Networks are loaded once in each thread. Arguments and result are pickled; only this function and the client unpickle
    them.
    """
    work, file = pickle.loads(job)
    result: tuple[Rows, SmileError | None]
    try:
        if getattr(_local, "work", None) != work:
            _local.scorer, _local.work = work.scorer(), work
            cv2.setNumThreads(1)  # the cluster's other threads have files of their own
        result = _local.scorer.all_rows(file), None
    except SmileError as error:
        result = [], error
    return pickle.dumps(result)


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise SettingsError(
            f"--dask needs Dask; install it with: {sys.executable} -m pip install -r requirements/scale.txt"
        ) from error
