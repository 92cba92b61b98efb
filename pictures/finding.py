"""Find pictures and videos in folders."""

from __future__ import annotations

import contextlib
import heapq
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import cv2

from common.errors import SettingsError
from pictures.picture_size import begins_as_picture

_RAW = "Camera raw pictures can't be read; convert this one to JPEG."
_UNREADABLE = dict.fromkeys(
    (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr", ".iiq"),
    _RAW,
) | {
    suffix: f"{kind} can't be read; convert this one to JPEG or PNG."
    for suffix, kind in ((".tga", "TGA pictures"), (".jxl", "JPEG XL pictures"), (".psd", "Photoshop files"))
}
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif"}
    | {".jp2", ".j2k", ".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr", ".mpo"}
    # OpenCV can't read these. They are listed so that a phone's photos are reported and not passed over in silence.
    | {".heic", ".heif", ".hif"}
    | _UNREADABLE.keys()
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mjpeg", ".mjpg", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp"}
    | {".3g2", ".mts", ".m2ts", ".m2t", ".ts", ".vob", ".asf", ".divx", ".xvid", ".mxf", ".f4v", ".ogm", ".rm", ".rmvb"}
    | {".dv", ".m1v", ".m2v", ".mpv", ".mod", ".tod", ".qt", ".ivf", ".y4m", ".h264", ".264", ".hevc", ".h265", ".265"}
)
_SUFFIXES = PHOTO_SUFFIXES | VIDEO_SUFFIXES
_TRANSPORT_STREAM = ".ts"  # or TypeScript
_PACKET, _SYNC = 188, 0x47  # in a transport stream: the length of a packet, and its first byte
_NAMES_AT_ONCE = 10_000  # of one folder in memory; the names of a million photos would fill a hundred megabytes
_BLOCK = 4096  # bytes


@dataclass(frozen=True)
class MediaFile:
    """One file to read. `problem`: why it can't even be opened, if that is known already. `named`: given by its own name,
    and not found in a folder.
    """

    path: str
    is_video: bool = False
    problem: str = ""
    named: bool = False


def find_media(paths: Sequence[str], *, on_other: Callable[[str], None] = lambda path: None) -> Iterator[MediaFile]:
    """Every picture and video, in the order of `paths`; folders with all that is in them, in name order.

    Inside a folder the suffix decides, or the content of a picture without a suffix; hidden files and folders (`.name`) are
    passed over. A file that is named itself is always taken. `on_other` gets every other file. Only some thousand names are
    in memory at a time. Raises SettingsError for a path that does not exist.
    """
    return _find(paths, lambda folder: _names_in_order(folder, on_other))


def scan_media(paths: Sequence[str]) -> Iterator[MediaFile]:
    """What `find_media` finds, in no order, with each folder read only once. For counting, or to see whether there is
    any.
    """
    return _find(paths, _names)


def count_media(paths: Sequence[str], *, within_s: float) -> int | None:
    """How many files `find_media` finds; None if counting them takes longer than `within_s` seconds."""
    deadline = time.monotonic() + within_s
    count = 0
    for _ in scan_media(paths):
        count += 1
        if time.monotonic() > deadline:
            return None
    return count


def _find(paths: Sequence[str], names: Callable[[str], Iterator[tuple[str, bool]]]) -> Iterator[MediaFile]:
    for path in paths:
        if os.path.isdir(path):
            yield from _walk(path, names)
        elif not os.path.exists(path):
            raise SettingsError(f"There is no file or folder {path}; check the path.")
        else:
            yield MediaFile(path, is_video_path(path), _UNREADABLE.get(suffix_of(path), ""), named=True)


def _walk(top: str, names: Callable[[str], Iterator[tuple[str, bool]]]) -> Iterator[MediaFile]:
    open_folders = [(os.path.realpath(top), top, names(top))]
    while open_folders:
        real, folder, found = open_folders[-1]
        try:
            name, is_folder = next(found, ("", False))
        except OSError as error:
            open_folders.pop()
            problem = f"This folder can't be opened ({error.strerror})."
            yield MediaFile(folder, problem=problem, named=not open_folders)
            continue
        path = os.path.join(folder, name)
        if not name:
            open_folders.pop()
        elif not is_folder:
            suffix = suffix_of(name)
            yield MediaFile(path, is_video=suffix in VIDEO_SUFFIXES, problem=_UNREADABLE.get(suffix, ""))
        else:
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(real, name)
            if real not in [above for above, _, _ in open_folders]:  # a link may lead back to a folder above
                open_folders.append((real, path, names(path)))


def _names(folder: str, on_other: Callable[[str], None] = lambda path: None) -> Iterator[tuple[str, bool]]:
    """Pictures, videos and folders (True) in a folder, in the order in which the system lists them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                is_folder = _is_folder(entry)
                if is_folder or _is_media(entry):
                    yield entry.name, is_folder
                else:
                    on_other(entry.path)


def _names_in_order(folder: str, on_other: Callable[[str], None]) -> Iterator[tuple[str, bool]]:
    """The same in name order. For a large folder some thousand names are in memory, the others in a temporary file."""
    names: list[tuple[str, bool]] = []
    with contextlib.ExitStack() as closing:
        runs: list[Iterator[tuple[str, bool]]] = []
        for found in _names(folder, on_other):
            names.append(found)
            if len(names) >= _NAMES_AT_ONCE:
                if not runs:
                    file = closing.enter_context(tempfile.TemporaryFile())
                runs.append(_put_aside(sorted(names), file))
                names = []
        names.sort()
        yield from heapq.merge(*runs, names) if runs else names


def _put_aside(names: list[tuple[str, bool]], file: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Writes names to the end of `file` and reads them back as they are asked for, some at a time."""
    start = file.seek(0, os.SEEK_END)
    # A name never holds a zero byte or a slash.
    file.writelines(os.fsencode(name) + (b"/\0" if is_folder else b"\0") for name, is_folder in names)
    return _take_up(file, start, file.tell())


def _take_up(file: IO[bytes], start: int, end: int) -> Iterator[tuple[str, bool]]:
    rest = b""
    while start < end:
        file.seek(start)
        block = file.read(min(_BLOCK, end - start))
        start += len(block)
        *whole, rest = (rest + block).split(b"\0")
        for name in whole:
            yield os.fsdecode(name.removesuffix(b"/")), name.endswith(b"/")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that can't be followed
        return False


def _is_media(entry: os.DirEntry[str]) -> bool:
    suffix = suffix_of(entry.name)
    if suffix not in (_TRANSPORT_STREAM, ""):
        return suffix in _SUFFIXES
    try:
        if not entry.is_file():  # to open a pipe would wait for ever
            return False
        with open(entry.path, "rb") as file:
            head = file.read(_BLOCK)
    except OSError:
        return False
    if suffix:
        return len(head) > _PACKET and head[0] == head[_PACKET] == _SYNC
    return begins_as_picture(head)


def suffix_of(path: str) -> str:
    """`.jpg` of `a/B.JPG`."""
    return os.path.splitext(path)[1].lower()


def is_video_path(path: str) -> bool:
    suffix = suffix_of(path)
    if suffix in PHOTO_SUFFIXES or not os.path.isfile(path):
        return False
    return suffix in VIDEO_SUFFIXES or not cv2.haveImageReader(path)
