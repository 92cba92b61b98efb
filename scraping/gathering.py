"""Gather term by term, page by page and picture by picture: fetch what is not in the table yet.

The order never depends on when things came, so a run that was killed and started again ends with the same table as one that
was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import FetchError
from scraping.asking.assets import Asset, Source, folder_name
from scraping.asking.pace import Clock
from scraping.asking.politeness import PoliteClient
from scraping.downloads import fetch_picture, run_bounded
from scraping.gathered_files import make_folder
from scraping.manifest import Fetched, Manifest
from scraping.progress import GatheringProgress


@dataclass(frozen=True)
class Extent:
    """How much to fetch: `pages` of each term, at most `limit` pictures of each term (None: all), `workers` at once."""

    pages: int = 1
    limit: int | None = None
    workers: int = 2


class Gathering:
    """One run. Raises ScrapingStopped, OutputError and SettingsError; everything fetched before that is in the table."""

    def __init__(
        self,
        source: Source,
        client: PoliteClient,
        manifest: Manifest,
        folder: Path,
        *,
        extent: Extent,
        clock: Clock,
        progress: GatheringProgress,
        dry: bool = False,
    ) -> None:
        """`dry`: pictures are listed in `would_fetch` and not fetched."""
        self._source = source
        self._client = client
        self._manifest = manifest
        self._folder = folder
        self._extent = extent
        self._clock = clock
        self._progress = progress
        self._dry = dry
        self.would_fetch: list[tuple[str, Asset]] = []

    def run(self, terms: Sequence[str]) -> None:
        for term in terms:
            self._manifest.add_term(term, folder_name(term))
        for term in terms:
            self._gather(term)

    def _gather(self, term: str) -> None:
        folder = self._folder / folder_name(term)
        if not self._dry:
            make_folder(folder)
        self._progress.begin(term, self._expected(term, 0), self._done(term))
        for number in range(1, self._extent.pages + 1):
            if self._is_full(term) or not self._list(term, number):
                break
            self._progress.page(number, self._extent.pages, self._expected(term, number))
            if self._fetch(term, number, folder):
                self._manifest.export()
                self._progress.end_page(self._manifest.counts(term))
        self._progress.end()

    def _list(self, term: str, number: int) -> bool:
        """Makes sure that the page is in the table. False if the results end before it."""
        last = self._manifest.last_page(term)
        if last is not None and number > last:
            return False
        if self._manifest.has_page(term, number):
            return True
        page = self._source.page(term, number, self._manifest.promised(term))
        if not page.assets:
            self._manifest.end_term(term, number - 1)
            return False
        self._manifest.add_page(term, number, page)
        return True

    def _fetch(self, term: str, number: int, folder: Path) -> bool:
        """Whether there was anything to fetch."""
        any_fetched = False
        while assets := self._manifest.to_fetch(term, number)[: self._room(term)]:
            if self._dry:
                self.would_fetch += [(term, asset) for asset in assets]
                break
            self._fetch_all(assets, folder)
            any_fetched = True
        return any_fetched

    def _fetch_all(self, assets: list[Asset], folder: Path) -> None:
        """Fetches `assets`; those that come cut off are asked for once more when the others are there."""
        if cut_off := self._fetch_each(assets, folder, again=True):
            self._fetch_each(cut_off, folder)

    def _fetch_each(self, assets: list[Asset], folder: Path, *, again: bool = False) -> list[Asset]:
        """`again`: those that come cut off are returned, and not noted as failed."""
        stopped: Exception | None = None
        cut_off: list[Asset] = []

        def fetch(asset: Asset) -> Fetched:
            return fetch_picture(self._client, asset, folder, self._clock)

        for asset, result in run_bounded(assets, fetch, workers=self._extent.workers, clock=self._clock):
            if again and isinstance(result, FetchError) and result.kind == "truncated":
                cut_off.append(asset)
            elif isinstance(result, FetchError):
                self._manifest.fail(asset.id, result)
                self._progress.picture(failed=True)
            elif isinstance(result, Exception):
                stopped = stopped or result
            else:
                self._manifest.store(asset.id, result)
                self._progress.picture()
        if stopped is not None:
            raise stopped
        return sorted(cut_off, key=assets.index)

    def _done(self, term: str) -> int:
        counts = self._manifest.counts(term)
        return counts["fetched"] + counts["failed"]

    def _room(self, term: str) -> int | None:
        if self._extent.limit is None:
            return None
        taken = sum(name == term for name, _ in self.would_fetch)
        return max(0, self._extent.limit - self._manifest.counts(term)["fetched"] - taken)

    def _is_full(self, term: str) -> bool:
        return self._room(term) == 0

    def _expected(self, term: str, page: int) -> int:
        """How many pictures there will be after all pages, if those to come are full."""
        listed = sum(self._manifest.counts(term).values())
        ends = (self._manifest.last_page(term), self._manifest.promised(term))
        last = next((page for page in ends if page is not None), None)
        pages = self._extent.pages if last is None else min(last, self._extent.pages)
        unread = sum(not self._manifest.has_page(term, number) for number in range(page + 1, pages + 1))
        expected = listed + unread * self._source.page_size
        return expected if self._extent.limit is None else min(expected, self._extent.limit)
