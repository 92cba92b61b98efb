"""Write files whole or not at all, even through a kill, a full disk or a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from common.errors import OutputError

PART = ".scraper.part"  # ours alone: leftovers with this name are removed


def write_whole(path: Path, data: bytes) -> None:
    """Writes under another name, makes sure that it is on the disk, then renames it. Raises OutputError."""
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise OutputError(
            f"{path} can't be written ({error.strerror}); free some space, or choose another --out."
        ) from error


def remove_parts(folder: Path) -> None:
    """Removes what a killed run had not finished writing, in this folder and the folders in it."""
    for part in [*folder.glob(f"*{PART}"), *folder.glob(f"*/*{PART}")]:
        with suppress(OSError):
            part.unlink()


def make_folder(path: Path) -> None:
    """Makes the folder and those above it. Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} can't be made ({error.strerror}); choose another --out.") from error


def move(source: Path, target: Path) -> None:
    """Moves a file so that it outlasts a power cut. Raises OutputError."""
    try:
        os.replace(source, target)
        _sync_folder(target.parent)
        _sync_folder(source.parent)
    except OSError as error:
        raise OutputError(f"{source} can't be moved to {target} ({error.strerror}); check who may write there.") from error


def _sync_folder(folder: Path) -> None:
    """Makes the name outlast a power cut, too. Windows can't do this."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
