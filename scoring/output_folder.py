"""A folder for what is made from the files that are read: under the same relative names, and never over one of them.

folder = OutputFolder("marked", ["holiday/"], option="--annotate", holds="annotated copies")
folder.target("holiday/beach/a.pgm", ".png")                 # Path("marked/beach/a.pgm.png"), whose folder exists
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from common.errors import OutputError, SettingsError, UnwritableName
from common.whole_files import unwritable, write_whole

# The file system refuses such a name or such a large file.
_ONLY_THIS_ONE = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EFBIG)
_LONGEST_SUFFIX = 20  # bytes; a longer ending is not a suffix


class OutputFolder:
    """Names for files in the folder `path`, which is made if it is missing."""

    def __init__(self, path: str, read: Sequence[str], *, option: str, holds: str) -> None:
        """`read`: all files and folders that are read. `option` and `holds` (a plural) are for error messages.

        Raises SettingsError if what is written could fall among what is read, OutputError if the folder can't be made.
        """
        self._path = os.path.abspath(path)
        self._option = option
        self._check_apart(path, read, holds)
        roots = [os.path.abspath(given if os.path.isdir(given) else os.path.dirname(given)) for given in read]
        try:
            self._root = os.path.commonpath(roots)  # so that a/x.jpg and b/x.jpg keep apart
        except ValueError as error:  # Windows: on several drives
            raise SettingsError(f"With {option} all files must be on one drive; run it once for each.") from error
        try:
            os.makedirs(self._path, exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {path} can't be made ({error.strerror}); choose another {option}.") from error

    def _check_apart(self, path: str, read: Sequence[str], holds: str) -> None:
        ours = Path(os.path.realpath(path))
        for given in read:
            theirs = Path(os.path.realpath(given))
            if theirs.is_relative_to(ours) or (theirs.is_dir() and ours.is_relative_to(theirs)):
                raise SettingsError(
                    f"The {holds} in {path} would end up among the files that are read from {given}; "
                    f"give {self._option} a folder outside of them."
                )

    def target(self, file: str, added: str) -> Path:
        """Where to write what is made from `file`: its name and `added`. Raises OutputError, SettingsError."""
        target = Path(self._path, os.path.relpath(os.path.abspath(file), self._root) + added)
        self._check_inside(target.parent)  # before any folder is made
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target = self.fitting(target)
            if target.exists() and os.path.samefile(target, file):  # through a link
                raise SettingsError(f"{target} would overwrite {file}, which is read; choose another {self._option}.")
        except OSError as error:
            raise self.unwritable(target, error) from error
        return target

    def fitting(self, target: Path) -> Path:
        """`target`; if its name is too long, the beginning of that name and a mark of the whole."""
        most = _longest_name(target.parent)
        name = os.fsencode(target.name)
        if len(name) <= most:
            return target
        end = os.fsencode("".join(target.suffixes[-2:]))
        if len(end) > _LONGEST_SUFFIX:
            end = b""
        mark = f"~{_mark(target.name)}".encode() + end
        kept = name[: most - len(mark)].decode("utf-8", "ignore")  # not half a letter
        return target.with_name(kept + os.fsdecode(mark))

    def part_of(self, target: Path, added: str = ".part") -> Path:
        """Where to write what becomes `target` once it is whole. Ask right before writing.

        Raises OutputError if that is outside of the folder, through a link or `..`.
        """
        part = target.with_name(target.name + added)
        if len(os.fsencode(part.name)) > _longest_name(target.parent):
            part = target.with_name(_mark(target.name) + added)
        self._check_inside(target.parent)
        try:
            if part.is_symlink():  # writing would follow the link
                part.unlink()
        except OSError as error:
            raise self.unwritable(target, error) from error
        return part

    def _check_inside(self, folder: Path) -> None:
        if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(self._path)):
            raise OutputError(
                f"{folder} is outside of {self._path}, where {self._option} writes; choose a folder without links in it."
            )

    def write(self, target: Path, data: bytes) -> None:
        """The file gets its name when it is whole. Raises OutputError."""
        try:
            write_whole(target, data, self.part_of(target))
        except OSError as error:
            raise self.unwritable(target, error) from error

    def unwritable(self, target: Path, error: OSError) -> OutputError:
        """The error to raise: an UnwritableName if other files can still be written to this folder."""
        if error.errno in _ONLY_THIS_ONE:
            return UnwritableName(f"{target.name}: {error.strerror}")
        return unwritable(target, error, self._option)


def _mark(name: str) -> str:
    return hashlib.blake2b(os.fsencode(name), digest_size=6).hexdigest()


def _longest_name(folder: Path) -> int:
    """In bytes."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, and file systems that don't say
        return 255
