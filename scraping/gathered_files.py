"""Pictures and tables of a gathering, written so that a kill leaves nothing half done."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from common.errors import OutputError
from common.whole_files import put_in_place, unwritable, write_whole

PART = ".scraper.part"  # nobody else's: what is found under it is removed


def save(path: Path, data: bytes) -> None:
    """Whole or not at all. Raises OutputError."""
    try:
        write_whole(path, data, path.with_name(path.name + PART))
    except OSError as error:
        raise unwritable(path, error) from error


def remove_parts(folder: Path) -> None:
    """What a killed run had not finished writing, in this folder and the folders in it."""
    for part in [*folder.glob(f"*{PART}"), *folder.glob(f"*/*{PART}")]:
        with suppress(OSError):
            part.unlink()


def make_folder(path: Path) -> None:
    """Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} can't be made ({error.strerror}); choose another --out.") from error


def move(source: Path, target: Path) -> None:
    """Raises OutputError."""
    try:
        put_in_place(source, target)
    except OSError as error:
        raise OutputError(f"{source} can't be moved to {target} ({error.strerror}); check who may write there.") from error
