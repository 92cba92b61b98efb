"""Copies of the photos with a smile, or of the best of them, and a page that shows them.

    selection = SmileSelection(["holiday/"], best=20, copies="smiles", report="smiles.html")
    selection.write(table)                                   # smiles/beach/a.jpg ..., smiles.html

Copies have the same relative names in a folder of their own, and never overwrite a file. If another file has that name
already, the copy becomes `a-2.jpg`. A copy that is there already stays as it is, so the same run can be done again.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.errors import SettingsError, UnwritableName
from common.whole_files import replacing
from scoring.best_smiles import SmilingPhoto, best_smiles, smiling_photos
from scoring.contact_sheet import MOST_PHOTOS, ContactSheet
from scoring.output_folder import OutputFolder
from scoring.table_writer import Table


class SmileCopies:
    """Writes into `folder`."""

    def __init__(self, folder: str, paths: Sequence[str]) -> None:
        """`paths`: all that is read.

        Raises SettingsError if copies could fall among them, OutputError if the folder can't be made.
        """
        self._folder = OutputFolder(folder, paths, option="--copy-smiles", holds="copies")
        self.copied = self.there = self.gone = 0
        self.refused: list[str] = []

    def add(self, file: str) -> Path | None:
        """Where the copy of `file` is; None if `file` is gone, or if its name can't be written there.

        Raises OutputError.
        """
        try:
            return self._add(file)
        except UnwritableName as error:
            self.refused.append(str(error))
            return None

    def _add(self, file: str) -> Path | None:
        first = self._folder.target(file, "")
        try:
            for number in itertools.count(2):
                target = first if number == 2 else self._folder.fitting(first.with_stem(f"{first.stem}-{number - 1}"))
                if not os.path.lexists(target):
                    break
                if target.is_file() and filecmp.cmp(file, target, shallow=False):
                    self.there += 1
                    return target
            with replacing(target, self._folder.part_of(target)) as part:
                shutil.copy2(file, part)
        except FileNotFoundError:
            if os.path.exists(file):
                raise SettingsError(f"{first} vanished while it was written; leave the folder alone during a run.") from None
            self.gone += 1
            return None
        except OSError as error:
            raise self._folder.unwritable(first, error) from error
        self.copied += 1
        return target


class SmileSelection:
    """Copies and page, once the table is whole."""

    def __init__(self, paths: Sequence[str], *, best: int | None, copies: str | None, report: str | None) -> None:
        """`paths`: all that is read. `best`: how many photos, one of each burst; None: all with a smile.

        `copies`: a folder or None; `report`: a page or None. Raises SmileError if they can't be written there.
        """
        self._best = best
        self._folder, self._page = copies, report
        self._copies = SmileCopies(copies, paths) if copies else None
        self._sheet = ContactSheet(report, paths) if report else None

    def write(self, table: Table) -> list[str]:
        """One sentence about each thing that was made. Raises OutputError, SettingsError."""

        def photos() -> Iterator[SmilingPhoto]:
            return smiling_photos(table.written())

        said = []
        chosen = None if self._best is None else best_smiles(photos, self._best)
        if self._copies is not None:
            for photo in photos() if chosen is None else chosen:
                self._copies.add(photo.file)
            gone = f", {self._copies.gone} vanished meanwhile" if self._copies.gone else ""
            count = self._copies.copied + self._copies.there
            said.append(f"photos with a smile in {self._folder}: {count} ({self._copies.copied} new{gone})")
            if refused := self._copies.refused:
                said.append(f"{len(refused)} could not be copied ({refused[0]})")
        if self._sheet is not None:
            smiles = sum(1 for _ in photos())
            if chosen is None:
                chosen = best_smiles(photos, MOST_PHOTOS, one_per_burst=False)
            shown = chosen[:MOST_PHOTOS]
            title = "1 photo with a smile" if smiles == 1 else f"{smiles} photos with a smile"
            burst = "" if self._best is None else ", one of each burst of photos that look alike"
            which = "The best of them is" if len(shown) == 1 else f"The {len(shown)} best of them are"
            note = f"{which} shown{burst}." if len(shown) < smiles else ""
            said.append(f"photos shown in {self._page}: {self._sheet.write(shown, title=title, note=note)}")
        return said
