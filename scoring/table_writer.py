"""Write the table of faces as CSV, JSON Lines or Parquet. Nobody ever finds half a table.

table = open_table("faces.csv")            # "faces.jsonl": JSON Lines; "faces.parquet": Parquet; "-": CSV on standard output
table.begin()
table.write(face_row("a.jpg", 0, None, 1, face, tracked=False))
table.finish()                             # until here the rows are in faces.csv.part
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from common.csv_lines import LineFeeds, as_it_was, harmless
from common.errors import OutputError
from common.whole_files import put_in_place, unwritable
from scoring.parquet_table import require_pyarrow, write_parquet
from scoring.rows import COLUMNS
from scoring.table_text import as_text, on_disk

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Table:
    """Writes rows to a file: `begin`, any number of `write`, then `finish` or `abandon`.

    Raises OutputError if they can't be written.
    """

    def __init__(
        self,
        file: TextIO,
        *,
        kind: str,
        part: Path | None = None,
        whole: Path | None = None,
        spreadsheet: bool = False,
    ) -> None:
        """`kind`: `csv`, `jsonl`, or `parquet`, which is JSON Lines until it is finished. `spreadsheet`: a CSV for
        spreadsheets.

        `part`: where the rows are until `finish` gives them the name `whole`. None: `file` is written directly.
        """
        self._file = file
        self._kind = kind
        self._csv = csv.DictWriter(LineFeeds(file), COLUMNS, lineterminator=LineFeeds.written) if kind == "csv" else None
        self._spreadsheet = spreadsheet
        self._begun = False
        self._whole = whole
        self.part = part
        self.rows = 0

    def begin(self, kept_bytes: int = 0, kept_rows: int = 0) -> None:
        """Make the file ready for rows. Of an earlier run's rows `kept_bytes` are kept, which hold `kept_rows`.

        Raises OutputError if there is less than that.
        """
        if self.part is not None:
            if self.size() < kept_bytes:
                raise OutputError(f"{self.part} is shorter than its earlier run left it; add --restart to start over.")
            self._guarded(self._file.truncate, kept_bytes)
        self._begun = True
        self.rows = kept_rows
        if self._csv and not kept_bytes:
            if self._spreadsheet:
                self._guarded(self._file.write, "\ufeff")
            self._guarded(self._csv.writeheader)

    def write(self, row: dict[str, Any]) -> None:
        row = row | {name: as_text(row[name]) for name in ("file", "error") if row[name]}
        if self._csv:
            cells = {name: _cell(value) for name, value in row.items()}
            if self._spreadsheet:
                cells |= {name: harmless(value) for name, value in row.items() if isinstance(value, str)}
            self._guarded(self._csv.writerow, cells)
        else:
            self._guarded(self._file.write, json.dumps(row) + "\n")
        self.rows += 1

    def flush(self) -> None:
        """Hand the rows to the system, so that they outlast this process."""
        self._guarded(self._file.flush)

    def sync(self) -> None:
        """Put the rows onto the disk, so that they outlast a power cut."""
        self.flush()
        if self.part is not None:
            self._guarded(os.fsync, self._file.fileno())

    def size(self) -> int:
        """How many bytes were handed to the system."""
        return os.fstat(self._file.fileno()).st_size

    def written(self) -> Iterator[dict[str, Any]]:
        """The rows so far, read from the file; there must be a `part`. Numbers in a CSV table come as text.

        Files have names by which they can be opened.
        """
        for row in self._read():
            name = as_it_was(row["file"]) if self._spreadsheet else row["file"]
            yield row | {"file": on_disk(name)}

    def _read(self) -> Iterator[dict[str, Any]]:
        assert self.part is not None
        self.flush()
        with self.part.open(encoding="utf-8-sig", newline="") as file:
            if self._csv:
                yield from csv.DictReader(file)
            else:
                yield from map(json.loads, file)

    def finish(self) -> None:
        """Give the table its name, in place of an older one. All rows must be written."""
        self.sync()
        if self.part is None or self._whole is None:
            if self._file is not sys.stdout:
                self._guarded(self._file.close)
            return
        if self._kind == "parquet":
            made = self._whole.with_name(self._whole.name + ".new")
            try:
                self._guarded(write_parquet, self._read(), made)
                self._guarded(put_in_place, made, self._whole)  # the rows that it was made of go next
            except BaseException:
                made.unlink(missing_ok=True)
                raise
            self._guarded(self._file.close)
            self._guarded(self.part.unlink)
        else:
            self._guarded(self._file.close)
            self._guarded(put_in_place, self.part, self._whole)

    def abandon(self) -> Path | None:
        """Stop half-way. Returns where the rows so far are kept, if there are any."""
        try:
            if self._file is not sys.stdout:
                self._file.close()
            else:
                self._file.flush()
        except OSError:  # a full disk, or a reader that left: what has arrived stays
            if self._file is sys.stdout:
                _drop_stdout()
        if self.part is None or not self.part.is_file():
            return None
        if self.rows:
            return self.part
        if self._begun or not self.part.stat().st_size:
            with contextlib.suppress(OSError):
                self.part.unlink()
        return None

    def _guarded(self, act: Any, *values: Any) -> None:
        try:
            act(*values)
        except BrokenPipeError:  # the reader of our standard output has seen enough; that is not an error
            raise
        except OSError as error:
            raise unwritable(self._whole or "standard output", error) from error


def _drop_stdout() -> None:
    """Sends what still waits to be written nowhere. Otherwise Python would try again at its end, and complain."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _cell(value: Any) -> Any:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else value  # never 1e-06


def open_table(out: str, *, spreadsheet: bool = False) -> Table:
    """The table that `--out` names, not yet begun. It belongs to this process alone until it is finished or abandoned.

    `spreadsheet`: a CSV that spreadsheets open correctly, with a byte order mark and without formulas.
    Raises OutputError with a sentence for the user.
    """
    if out == "-":
        if hasattr(sys.stdout, "reconfigure"):  # in any language of the terminal
            sys.stdout.reconfigure(encoding="utf-8")
        return Table(sys.stdout, kind="csv", spreadsheet=spreadsheet)
    path = Path(os.path.realpath(out))  # a link still leads to its table
    if path.is_dir():
        raise OutputError(f"{out} is a folder; give --out a file such as {Path(out) / 'table.csv'}.")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {Path(out).parent} for the table; make it, or choose another --out.")
    kind = kind_of(out)
    if spreadsheet and kind != "csv":
        raise OutputError(f"--spreadsheet is for CSV tables; leave it out, or give --out a name such as {path.stem}.csv.")
    # A second file can't stand beside a pipe or device, and a file must not replace it.
    direct = path.exists() and not path.is_file()
    if kind == "parquet":
        if direct:
            raise OutputError(f"A Parquet table needs a file, and {out} is not one; choose another --out.")
        require_pyarrow()
    part = path if direct else part_of(path)
    try:
        # Not emptied: an earlier run may have left rows in it, or another run may be writing it right now.
        file = part.open("w" if direct else "a", encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"{out} can't be written ({error.strerror}); choose another --out.") from error
    if not direct and not _locked(file, part):
        file.close()
        raise OutputError(f"Another run is writing {out}; wait until it has ended, or choose another --out.")
    return Table(file, kind=kind, part=None if direct else part, whole=path, spreadsheet=spreadsheet)


def kind_of(out: str) -> str:
    """`csv`, `jsonl` or `parquet`."""
    return {".jsonl": "jsonl", ".parquet": "parquet", ".pq": "parquet"}.get(Path(out).suffix.lower(), "csv")


def _locked(file: TextIO, path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    # Another run may have given it its final name after we opened and before we locked it.
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def part_of(path: Path) -> Path:
    """Where a table's rows are until it is whole."""
    return path.with_name(path.name + ".part")
