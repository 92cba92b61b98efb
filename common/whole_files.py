"""Files that are there whole or not at all, whatever happens meanwhile: kill, full disk, power cut.

    write_whole(Path("training.json"), b"{}")
    with replacing(Path("faces.npz")) as part, part.open("wb") as file:
        np.savez(file, ...)                      # faces.part.npz, which becomes faces.npz when the block ends

They are first written under another name, then synced to the disk, then renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import OutputError


@contextmanager
def replacing(path: Path, part: Path | None = None) -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends; after an error it is removed, and an older file stays.

    `part`: in the folder of `path` (default: its name with `.part` before the suffix). Makes the folder. Raises OSError.
    """
    part = part or path.with_name(f"{path.stem}.part{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        put_in_place(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_whole(path: Path, data: bytes, part: Path | None = None) -> None:
    """`data` as the file `path`, in one step over an older one. Raises OSError."""
    with replacing(path, part) as part:
        part.write_bytes(data)


def put_in_place(part: Path, path: Path) -> None:
    """A file that is written becomes `path`, and both outlast a power cut. Raises OSError."""
    _sync(part, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows puts only what may be written onto the disk
    os.replace(part, path)
    _sync_folder(path.parent)
    if part.parent != path.parent:
        _sync_folder(part.parent)


def unwritable(path: Path | str, error: OSError, option: str = "--out") -> OutputError:
    """The error to raise when `path`, which the user chose with `option`, can't be written."""
    return OutputError(f"{path} can't be written ({error.strerror}); free some space, or choose another {option}.")


def _sync_folder(folder: Path) -> None:
    """Makes the name outlast a power cut, too. Windows can't do this."""
    with suppress(OSError):
        _sync(folder, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    try:
        number = os.open(path, flags)
    except PermissionError:  # a copy of a file that nobody may change: left to the system
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)
