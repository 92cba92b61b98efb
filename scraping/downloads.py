"""Fetch pictures, several at once. A picture gets its name only after it was checked."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from common.errors import FetchError, PictureError
from pictures.reading import read_bytes
from scraping.asking.assets import Asset
from scraping.asking.exchange import Answer
from scraping.asking.pace import Clock
from scraping.asking.politeness import PoliteClient
from scraping.checking import MAX_PICTURE_BYTES, SUFFIXES, Checked, check_picture
from scraping.gathered_files import save
from scraping.manifest import Fetched

_ACCEPT = {"Accept": "image/jpeg, image/png;q=0.5, image/webp;q=0.5", "Accept-Encoding": "identity"}

Job = TypeVar("Job")
Result = TypeVar("Result")


def fetch_picture(client: PoliteClient, asset: Asset, folder: Path, clock: Clock) -> Fetched:
    """`folder/ID.jpg`, fetched unless a killed run had already written it without noting it.

    One that comes cut off is not asked for again here. Raises FetchError, ScrapingStopped, OutputError if it can't be
    written, and Interrupted.
    """
    adopted = _adopt(folder, asset.id)
    if adopted is not None:
        return adopted
    found: list[Checked] = []

    def check(answer: Answer) -> None:
        found[:] = [check_picture(answer.body, answer.kind)]

    answer = client.get(asset.url, headers=_ACCEPT, max_bytes=MAX_PICTURE_BYTES, check=check, patient=False)
    save(folder / f"{asset.id}{found[0].suffix}", answer.body)
    return Fetched(found[0], clock.wall())


def _adopt(folder: Path, identity: str) -> Fetched | None:
    for suffix in SUFFIXES:
        path = folder / f"{identity}{suffix}"
        try:
            if path.is_file():
                checked = check_picture(read_bytes(str(path)))
                if checked.suffix == suffix:
                    return Fetched(checked, path.stat().st_mtime)
        except (PictureError, FetchError, OSError):
            continue
    return None


def run_bounded(
    jobs: Iterable[Job], work: Callable[[Job], Result], *, workers: int, clock: Clock
) -> Iterator[tuple[Job, Result | Exception]]:
    """Does all `jobs`, at most `workers` at once. Yields each as it ends, with its result or the exception that it raised.

    After an exception other than FetchError no further job begins; those under way are still yielded. If the caller stops
    early, `clock` stops, too, and with it every wait. A thread in the middle of a slow answer is left to end by itself.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Job, Result | Exception] | None] = queue.SimpleQueue()
    broken = threading.Event()
    count = 0
    for job in jobs:
        waiting.put(job)
        count += 1

    def labour() -> None:
        while not broken.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                break
            try:
                done.put((job, work(job)))
            except FetchError as error:
                done.put((job, error))
            except Exception as error:
                broken.set()
                done.put((job, error))
        done.put(None)

    threads = [threading.Thread(target=labour, name=f"fetch-{i}", daemon=True) for i in range(min(workers, count))]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            try:
                result = done.get(timeout=0.2)  # so that Ctrl-C works on Windows, too
            except queue.Empty:
                continue
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        if running:
            clock.stop()
        for thread in threads:
            thread.join(1.0)
