"""How far a run has come, in a file beside its table, so that the same command goes on where a killed one stopped.

    faces.csv.part          the rows so far
    faces.csv.progress      which run it is, how many files are done, and how many bytes their rows take

About once a second the rows go onto the disk, then the progress, in one step. Bytes in the table beyond the noted ones
belong to a file that was not done. They are cut off, and that file is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from common.errors import SettingsError
from common.whole_files import unwritable, write_whole
from pictures.finding import MediaFile
from scoring.table_writer import Table

_VERSION = 1
_SAVE_EVERY_S = 1.0
_MOST_TIME = 0.05  # share of the time for saving, however slow the disk is


@dataclass
class Tally:
    """The numbers in the last line. A face in a video counts in every frame. `named_unreadable`: files that were given by
    their own names, and can't be read.
    """

    files: int = 0
    faces: int = 0
    smiles: int = 0
    unreadable: int = 0
    named_unreadable: int = 0

    def add(self, row: Mapping[str, Any], *, named: bool = False) -> None:
        self.faces += row["face"] is not None
        self.smiles += row["label"] == "smile"
        self.unreadable += row["error"] is not None
        self.named_unreadable += named and row["error"] is not None


@dataclass(frozen=True)
class _Done:
    """What is in the table for good. It is one value, so that Ctrl-C never comes between its parts."""

    chain: str = ""
    bytes: int = 0
    rows: int = 0
    tally: Tally = field(default_factory=Tally)


class ScoringProgress:
    """Of the run that writes `table`; only with a table that has a `part`."""

    def __init__(self, table: Table, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        """Finds out how far an earlier run came. `settings`: what the rows depend on, with names that a user knows.

        Raises SettingsError if the rows there come from other settings. `restart`: drop those rows instead.
        """
        assert table.part is not None
        self._table = table
        self._path = path_of(table.part)
        self._new = self._path.with_name(self._path.name + ".new")
        self._settings = dict(settings)
        self._done = _Done()
        self._saved_at = float("-inf")
        self._pause = 0.0
        self.tally = Tally()
        if not restart:
            self._read()

    @property
    def earlier(self) -> int:
        """How many files an earlier run has done; for use before `begin`."""
        return self.tally.files

    def _read(self) -> None:
        part = self._table.part
        if not self._table.size():
            return  # an earlier run never began
        again = "add --restart to start over"
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            settings, tally = state["settings"], Tally(**state["tally"])
            done = _Done(str(state["chain"]), int(state["bytes"]), int(state["rows"]), tally)
            if state["version"] != _VERSION:
                raise ValueError
        except FileNotFoundError as error:
            raise SettingsError(
                f"{part} was left by another program or an earlier version; move it away, or {again}."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{self._path} can't be read, so the run can't go on; {again}.") from error
        for name in sorted(settings.keys() | self._settings.keys()):
            if settings.get(name) != self._settings.get(name):
                raise SettingsError(
                    f"{part} holds an unfinished run with a different {name}; give the same command to go on, or {again}."
                )
        self.tally, self._done = replace(tally), done

    def begin(self, files: Iterator[MediaFile]) -> Iterator[MediaFile]:
        """Makes the table ready and returns those of `files` that are still to be done.

        Raises SettingsError if the files that were done are no longer the same.
        """
        chain = ""
        for _ in range(self.tally.files):
            file = next(files, None)
            chain = _linked(chain, file.path) if file else ""
        if chain != self._done.chain:
            raise SettingsError(
                f"Files were added or removed since {self._table.part} was left unfinished; add --restart to start over."
            )
        if not self._done.bytes:
            self._save()  # before the first row: rows without progress would belong to no run
        self._table.begin(self._done.bytes, self._done.rows)
        return files

    def done(self, file: MediaFile) -> None:
        """Notes that all rows of `file` are in the table, and that `tally` counts them."""
        self._table.flush()
        chain = _linked(self._done.chain, file.path)
        self._done = _Done(chain, self._table.size(), self._table.rows, replace(self.tally))
        now = time.monotonic()
        if now - self._saved_at >= self._pause:
            self._table.sync()
            self._save()
            self._saved_at = time.monotonic()
            self._pause = max(_SAVE_EVERY_S, (self._saved_at - now) / _MOST_TIME)

    def stop(self) -> None:
        """Saves the progress at an orderly stop: nothing that is done will be done again."""
        if self._done.rows:
            self._table.sync()
            self._save()

    def remove(self) -> None:
        """Removes the file, because the table is finished or was never begun."""
        for path in (self._path, self._new):
            path.unlink(missing_ok=True)

    def _save(self) -> None:
        state = {
            "version": _VERSION,
            "settings": self._settings,
            **asdict(self._done),
        }
        try:
            write_whole(self._path, json.dumps(state).encode(), self._new)
        except OSError as error:
            raise unwritable(self._path, error) from error


def path_of(part: Path) -> Path:
    """Where the progress of a run is, if its rows are in `part`."""
    return part.with_suffix(".progress")


def _linked(chain: str, path: str) -> str:
    """A short name for a list of files: from the name for those before, and `path`."""
    return hashlib.blake2b(chain.encode() + os.fsencode(path), digest_size=12).hexdigest()
