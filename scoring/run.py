"""One run: score the files that are not in the table yet."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from tqdm import tqdm

from common.errors import SmileError, printable
from pictures.finding import MediaFile, count_media, find_media
from scoring.dask_cluster import DaskScoring
from scoring.left_out import LeftOut
from scoring.resume import ScoringProgress, Tally, path_of
from scoring.table_writer import Table
from scoring.work import Row, Rows, Work
from scoring.workers import ScoringWorkers

_FEW_FILES = 8  # so few files are done before a second process would have started
_COUNT_WITHIN_S = 2.0


class _Bar(tqdm):
    monitor_interval = 0  # no thread of its own: that only serves bars that hardly ever move


class _Shown:
    """The bar on standard error: files, and for a long video its seconds. `bar` None: only on a terminal."""

    def __init__(self, paths: Sequence[str], *, earlier: int, bar: bool | None) -> None:
        shown = sys.stderr.isatty() if bar is None else bar
        total = count_media(paths, within_s=_COUNT_WITHIN_S) if shown else None
        self._bar = _Bar(total=total, initial=earlier, unit="file", disable=not shown, file=sys.stderr)

    def video(self, file: MediaFile, time_s: float) -> None:
        self._bar.set_postfix_str(f"{printable(os.path.basename(file.path))}: {time_s:.0f} s")

    def file_done(self) -> None:
        self._bar.set_postfix_str("", refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


def score(
    results: Iterable[tuple[MediaFile, Rows]],
    table: Table,
    tally: Tally,
    *,
    done: Callable[[MediaFile], None] = lambda file: None,
    on_row: Callable[[MediaFile, Row], None] = lambda file, row: None,
) -> None:
    """Writes the rows of all files into `table` as they come, and counts them. Calls `done` for each file that is whole."""
    for file, rows in results:
        for row in rows:
            table.write(row)
            tally.add(row, named=file.named)
            on_row(file, row)
        table.flush()
        tally.files += 1
        done(file)


@contextlib.contextmanager
def _results(
    files: Iterator[MediaFile], work: Work, options: argparse.Namespace, on_progress: Callable[[MediaFile, float], None]
) -> Iterator[Iterator[tuple[MediaFile, Rows]]]:
    """Files with their rows, from this process, from several processes, or from a cluster."""
    if options.dask:
        with DaskScoring(options.dask, replace(work, folder=os.getcwd())) as cluster:
            yield cluster.results(files)
        return
    few = list(itertools.islice(files, _FEW_FILES + 1))
    files = itertools.chain(few, files)
    if options.workers == 1 or (len(few) <= _FEW_FILES and sum(file.is_video for file in few) <= 1):
        scorer = work.scorer()
        yield ((file, scorer.rows(file)) for file in files)
        return
    with ScoringWorkers(work, options.workers, on_progress=on_progress) as workers:
        yield workers.results(files)


def score_all(
    options: argparse.Namespace, work: Work, table: Table, progress: ScoringProgress | None, left_out: LeftOut
) -> Tally:
    files = find_media(options.paths, on_other=left_out.add)
    tally = Tally()
    if progress:
        files, tally = progress.begin(files), progress.tally
    else:
        table.begin()
    shared = options.out == "-" and sys.stdout.isatty()  # rows and a bar on one terminal would get mixed up
    shown = _Shown(options.paths, earlier=tally.files, bar=False if shared else None)

    def done(file: MediaFile) -> None:
        if progress:
            progress.done(file)
        shown.file_done()

    second = 0

    def on_row(file: MediaFile, row: Row) -> None:
        nonlocal second
        if int(row["time_s"] or 0) != second:  # a long video: show that it goes on
            second = int(row["time_s"] or 0)
            shown.video(file, second)

    try:
        with _results(files, work, options, shown.video) as results:
            score(results, table, tally, done=done, on_row=on_row)
    finally:
        shown.close()
    return tally


def kept(table: Table | None, progress: ScoringProgress | None) -> str:
    if table is None:
        return ""
    with contextlib.suppress(SmileError, OSError, ValueError):
        if progress:
            progress.stop()
    part = table.abandon()
    if table.part is not None and not table.part.exists():
        path_of(table.part).unlink(missing_ok=True)
    return f" The rows so far are in {part}." if part else ""
