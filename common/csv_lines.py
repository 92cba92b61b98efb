"""CSV whose cells come back exactly as they were, in lines that end with a line feed.

Before Python 3.13 the csv module quotes a lone carriage return only where lines end with one. A reader then takes it for the
end of a line, and half a file name passes for a whole one. A spreadsheet takes some cells for formulas; `harmless` prevents
that.
"""

from __future__ import annotations

import csv
from typing import Any, Protocol

_END = "\r\n"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a spreadsheet takes for one begins so, but for the last


class _Text(Protocol):
    def write(self, text: str, /) -> Any: ...


class LineFeeds:
    """For a `csv.writer` or `csv.DictWriter` with `lineterminator=LineFeeds.written`: rows reach `file` with `\\n`."""

    written = _END

    def __init__(self, file: _Text) -> None:
        self._file = file

    def write(self, row: str) -> Any:
        """Write one row; the csv writer hands over whole rows."""
        return self._file.write(row.removesuffix(_END) + "\n")


def csv_writer(file: _Text) -> Any:
    """A `csv.writer` for `file`, opened with `newline=""`."""
    return csv.writer(LineFeeds(file), lineterminator=LineFeeds.written)


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_it_was(text: str) -> str:
    """What `harmless` made `text` of."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
