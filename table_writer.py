"""The table of faces: its columns, and writing it as CSV or JSON Lines so that nobody ever finds half a table.

table = open_table("faces.csv")            # "faces.jsonl": JSON Lines; "-": CSV on standard output
table.write(face_row("a.jpg", 0, None, 1, face, tracked=False))
table.finish()                             # until here the rows are in faces.csv.part
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from errors import OutputError
from face_tracking import Face
from smile_recognition import LANDMARKS, SMILE_THRESHOLD

COLUMNS = (
    "file",
    "frame",
    "time_s",
    "face",
    "track",
    *("top", "right", "bottom", "left"),
    "smile",
    "label",
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
    "raw_smile",
    "error",
)


def empty_row(file: str, frame: int, time_s: float | None, error: str | None = None) -> dict[str, Any]:
    """The row of a picture or frame without a face, or of a file that can't be read; None is an empty cell."""
    return dict.fromkeys(COLUMNS) | {"file": file, "frame": frame, "time_s": _rounded(time_s, 3), "error": error}


def face_row(file: str, frame: int, time_s: float | None, number: int, face: Face, *, tracked: bool) -> dict[str, Any]:
    """The row of one face: the `number`-th of its picture or frame, from 1, largest first.

    The box is in pixels, `top` and `left` inside, `bottom` and `right` outside, and may reach past the edge; landmarks are
    `(x, y)` in pixels, whole numbers at pixel centres. `track`, the id over time, only of a face that is `tracked`.
    """
    smile = _rounded(face.smile, 6)
    points = {
        f"{name}_{axis}": _rounded(value, 2)
        for name, point in zip(LANDMARKS, face.landmarks, strict=False)
        for axis, value in zip("xy", point, strict=True)
    }
    return empty_row(file, frame, time_s) | {
        "face": number,
        "track": face.id if tracked else None,
        "top": int(face.box.top),
        "right": int(face.box.right),
        "bottom": int(face.box.bottom),
        "left": int(face.box.left),
        "smile": smile,
        # Of the number as it is written, so that no row contradicts itself.
        "label": "smile" if smile is not None and smile >= SMILE_THRESHOLD else "no_smile",
        **points,
        "raw_smile": _rounded(face.raw_smile, 6),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


class Table:
    """Rows on their way into a file. Raises OutputError when they can't be written."""

    def __init__(self, file: TextIO, *, jsonl: bool, part: Path | None = None, whole: Path | None = None) -> None:
        """`part`: where the rows stand until `finish` gives them the name `whole`; None: `file` is written directly."""
        self._file = file
        self._part = part
        self._whole = whole
        self._csv = None if jsonl else csv.DictWriter(file, COLUMNS, lineterminator="\n")
        self.rows = 0
        if self._csv:
            self._guarded(self._csv.writeheader)

    def write(self, row: dict[str, Any]) -> None:
        if self._csv:
            self._guarded(self._csv.writerow, {name: _cell(value) for name, value in row.items()})
        else:
            self._guarded(self._file.write, json.dumps(row) + "\n")
        self.rows += 1

    def flush(self) -> None:
        """Hand the rows to the system: they then outlast this process."""
        self._guarded(self._file.flush)

    def finish(self) -> None:
        """All rows are written: the table gets its name, in place of an older one."""
        self.flush()
        if self._file is not sys.stdout:
            self._guarded(self._file.close)
        if self._part is not None and self._whole is not None:
            self._guarded(os.replace, self._part, self._whole)

    def abandon(self) -> Path | None:
        """Stop half-way; where the rows so far are kept, if there are any."""
        try:
            if self._file is not sys.stdout:
                self._file.close()
            else:
                self._file.flush()
        except OSError:  # a full disk, or a reader that left: what has arrived has arrived
            if self._file is sys.stdout:
                _drop_stdout()
        if self._part is None or not self._part.is_file():
            return None
        if self.rows:
            return self._part
        with contextlib.suppress(OSError):
            self._part.unlink()
        return None

    def _guarded(self, act: Any, *values: Any) -> None:
        try:
            act(*values)
        except BrokenPipeError:  # whoever reads our standard output has seen enough; that is no error
            raise
        except OSError as error:
            where = self._whole or "standard output"
            raise OutputError(
                f"{where} can't be written ({error.strerror}); free some space, or choose another --out."
            ) from error


def _drop_stdout() -> None:
    """What still waits to be written goes nowhere; else Python would try once more at its end, and complain."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _cell(value: Any) -> Any:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else value  # never 1e-06


def open_table(out: str) -> Table:
    """The table that `--out` names. Raises OutputError with a sentence for the user."""
    if out == "-":
        if hasattr(sys.stdout, "reconfigure"):  # whatever the terminal's language, names come out as they are on disk
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        return Table(sys.stdout, jsonl=False)
    path = Path(os.path.realpath(out))  # a link keeps leading to its table
    if path.is_dir():
        raise OutputError(f"{out} is a folder; give --out a file such as {Path(out) / 'table.csv'}.")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {Path(out).parent} for the table; make it, or choose another --out.")
    jsonl = Path(out).suffix.lower() == ".jsonl"
    # A pipe or device has no place for a second file beside it, and must not be replaced by a file.
    direct = path.exists() and not path.is_file()
    part = path if direct else part_of(path)
    try:
        file = part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise OutputError(f"{out} can't be written ({error.strerror}); choose another --out.") from error
    return Table(file, jsonl=jsonl, part=None if direct else part, whole=path)


def part_of(path: Path) -> Path:
    """Where a table's rows stand until it is whole."""
    return path.with_name(path.name + ".part")
