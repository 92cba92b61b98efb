"""Find pictures and videos in folders and read them, however broken they are.

    for file in find_media(["holiday/", "party.mp4"]):
        if file.is_video:
            for frame in read_video(file.path): ...
        else:
            image = decode_picture(read_bytes(file.path))       # uint8 BGR (h, w, 3), upright

Whatever is wrong with a file is a PictureError with one sentence; nothing else is raised for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from errors import PictureError, SettingsError
from picture_size import picture_size

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif"}
    | {".jp2", ".j2k", ".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr"}
    # OpenCV can't read these: they are listed so that a phone's photos are reported rather than passed over in silence.
    | {".heic", ".heif"}
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mjpeg", ".mjpg", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp"}
    | {".mts", ".m2ts"}
)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
MAX_PIXELS = 128_000_000  # a 108-megapixel phone's photo; decoded it takes 384 MB
_MAX_BYTES = 1 << 30
_BREAKS_OFF = 0.75  # a video that ends before this part of the time that its header promises


@dataclass(frozen=True)
class MediaFile:
    """One file to read. `problem`: why it can't even be opened, if it is known already."""

    path: str
    is_video: bool = False
    problem: str = ""


@dataclass(frozen=True)
class VideoFrame:
    """One frame: uint8 BGR `(h, w, 3)`, its number from 0, its time in seconds, and the video's frames per second."""

    image: np.ndarray
    number: int
    time_s: float
    rate: float


def find_media(paths: Sequence[str]) -> Iterator[MediaFile]:
    """Every picture and video, in the order of `paths`, folders recursively in name order; only one folder's names are held.

    Inside a folder the suffix decides, and hidden files and folders (`.name`) are passed over; a file that is given itself
    is always taken. Raises SettingsError for a path that does not exist.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _walk(path, ())
        elif not os.path.exists(path):
            raise SettingsError(f"There is no file or folder {path}; check the path.")
        else:
            yield MediaFile(path, is_video=_is_video(path))


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[MediaFile]:
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back to where we came from
        return
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        yield MediaFile(folder, problem=f"This folder can't be opened ({error.strerror}).")
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _walk(path, (*above, real))
        elif (suffix := suffix_of(name)) in PHOTO_SUFFIXES or suffix in VIDEO_SUFFIXES:
            yield MediaFile(path, is_video=suffix in VIDEO_SUFFIXES)


def suffix_of(path: str) -> str:
    """`.jpg` of `a/B.JPG`."""
    return os.path.splitext(path)[1].lower()


def _is_video(path: str) -> bool:
    suffix = suffix_of(path)
    if suffix in PHOTO_SUFFIXES or not os.path.isfile(path):
        return False
    return suffix in VIDEO_SUFFIXES or not cv2.haveImageReader(path)


def read_bytes(path: str) -> bytes:
    """The whole file. Raises PictureError when it can't be read, is empty, or too large for a picture."""
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for ever
            raise PictureError("This is not a file.")
        if state.st_size > _MAX_BYTES:
            raise PictureError(f"The file is too large for a picture ({state.st_size >> 20} MB).")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise PictureError(f"The file can't be opened ({error.strerror}).") from error
    if not data:
        raise PictureError("The file is empty.")
    return data


def decode_picture(data: bytes, *, gray: bool = False) -> np.ndarray:
    """A picture from its file's bytes, upright as its EXIF data says: uint8 BGR `(h, w, 3)`, or uint8 `(h, w)` if `gray`.

    More bits are reduced to eight, transparency is dropped. Raises PictureError for what is no whole picture, and for one of
    more than `MAX_PIXELS`, which is not decoded at all.
    """
    size = picture_size(data)
    if size is None:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
            raise PictureError("HEIC pictures can't be read; convert it to JPEG.")
        raise PictureError("This is not a picture, or it is cut off at its very beginning.")
    if size[0] * size[1] > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 10**6} megapixels"
        raise PictureError(f"The picture is too large: {size[0]}x{size[1]} pixels, and {limit} is the limit.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError):
        image = None
    if image is None or not image.size:
        raise PictureError("The picture is damaged, cut off, or of a kind that OpenCV can't read.")
    return image


def read_video(path: str) -> Iterator[VideoFrame]:
    """Every frame of a video, upright. Raises PictureError for what is no video, and after the last frame of one that
    breaks off.
    """
    # An absolute path, so that FFmpeg takes no part of a name for a protocol such as `http:`.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            empty = os.path.isfile(path) and not os.path.getsize(path)
            raise PictureError("The file is empty." if empty else "This is not a video that can be read; it may be damaged.")
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise PictureError(f"The video is too large: {width}x{height} pixels.")
        told = capture.get(cv2.CAP_PROP_FPS)
        rate = told if 1 <= told <= 240 else 25.0
        promised_s = capture.get(cv2.CAP_PROP_FRAME_COUNT) / told if told > 0 else 0.0
        number, time_s = 0, 0.0
        while True:
            ok, image = capture.read()
            if not ok or image is None or not image.size:
                break
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # A frame without a usable time stamp comes one frame after the last.
            time_s = max(0.0, stamp) if not number else stamp if stamp > time_s else time_s + 1 / rate
            yield VideoFrame(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), number, time_s, rate)
            number += 1
    finally:
        capture.release()
    if not number:
        raise PictureError("No frame of this video can be read; it may be damaged.")
    ended_s = time_s + 1 / rate
    if ended_s < _BREAKS_OFF * promised_s and promised_s - ended_s > 1:
        raise PictureError(f"The video breaks off after {ended_s:.1f} of {promised_s:.1f} s; it may be damaged.")
