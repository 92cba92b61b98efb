"""Count the files in folders that are neither picture nor video, so that the last line can name them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from pictures.finding import suffix_of
from scoring.resume import path_of
from scoring.table_writer import part_of

_SUFFIXES_NAMED = 5


class LeftOut:
    """Counts these files, except the table's own."""

    def __init__(self, out: str) -> None:
        """`out`: the table's name, as given."""
        whole = Path(os.path.realpath(out))
        self._ours = {whole, part_of(whole), path_of(part_of(whole))}
        self._suffixes: Counter[str] = Counter()

    def add(self, path: str) -> None:
        if Path(os.path.realpath(path)) not in self._ours:
            self._suffixes[suffix_of(path) or "no suffix"] += 1

    def __str__(self) -> str:
        """The end of the last line; empty if nothing was left out."""
        if not self._suffixes:
            return ""
        most = [suffix for suffix, _ in self._suffixes.most_common(_SUFFIXES_NAMED)]
        more = ", ..." if len(self._suffixes) > len(most) else ""
        return f", left out: {self._suffixes.total()} ({', '.join(most)}{more})"
