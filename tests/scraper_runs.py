"""What the scraper's tests share: running it as its user does, time that passes at once, and reading what it left."""

from __future__ import annotations

import csv
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import getty_scraper
from scraping.asking import politeness
from scraping.asking.pace import Clock
from tests.getty_server import GettyServer


class QuickClock(Clock):
    """Nobody waits: a sleep only puts the clock forward. `sleeps`: how long each was to be, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float] = []
        self._lock = threading.Lock()
        self._skipped_s = 0.0

    def now(self) -> float:
        with self._lock:
            return time.monotonic() + self._skipped_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.sleeps.append(seconds)
            self._skipped_s += seconds


@dataclass
class Run:
    code: int
    out: str
    err: str


def hurry(monkeypatch: pytest.MonkeyPatch, part: str, timeout_s: float) -> None:
    """Has the scraper give up early on answers of addresses with a certain part, and wait for all others as usual."""
    exchange = politeness.exchange

    def ask(session: Any, url: str, **options: Any) -> Any:
        return exchange(session, url, **options | ({"timeout_s": timeout_s} if part in url else {}))

    monkeypatch.setattr(politeness, "exchange", ask)


class Scraper:
    """`python getty_scraper.py` in this process, against `server`, into `out`."""

    def __init__(self, server: GettyServer, out: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.server = server
        self.out = out
        self._capture = capture

    def __call__(self, *words: str, clock: Clock | None = None, environ: dict[str, str] | None = None) -> Run:
        """`words`: terms and options; sensible ones are added."""
        options = list(words)
        api = "api" in options
        for name, value in (("--out", str(self.out)), ("--api" if api else "--site", self.server.url), ("--pause", "0")):
            if name not in options:
                options += [name, value]
        if not api and "--without-permission" not in options:
            options.append("--i-have-permission")
        options = [option for option in options if option != "--without-permission"]
        self._capture.readouterr()
        try:
            code = getty_scraper.main(options, environ=environ or {}, clock=clock or QuickClock())
        except SystemExit as exit:  # argparse
            code = int(str(exit.code))
        text = self._capture.readouterr()
        assert "Traceback" not in text.err
        return Run(code, text.out, text.err)

    def table(self) -> list[dict[str, str]]:
        with (self.out / "manifest.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def row(self, identity: str) -> dict[str, str]:
        (row,) = [row for row in self.table() if row["asset_id"] == identity]
        return row

    def files(self) -> list[str]:
        """Everything in the folder but the table, by its name there."""
        paths = sorted(path for path in self.out.rglob("*") if path.is_file() and not path.name.startswith("manifest."))
        return [path.relative_to(self.out).as_posix() for path in paths]
