"""Decode pictures that anybody may have made: one reader and one set of limits for photos, downloads, visitors and stills.

    image = decode_picture(Path("photo.jpg").read_bytes())      # uint8 BGR (h, w, 3), upright

A picture that would cost too much is refused by its first bytes. If a picture has several frames, the first one is read.
Whatever is wrong with a picture is a PictureError with one sentence; nothing else is raised.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from common.errors import PictureError, PictureTooCostly, PictureTooLarge
from pictures.avif_turns import avif_turns
from pictures.picture_size import HEIC_BRANDS, MAX_PIXELS, jpeg_scans, picture_size

MAX_SCANS = 100  # of a JPEG; a progressive one has about ten
_MAX_SCANNED = 2_500_000_000  # pixels times scans: each scan goes over the whole picture, even one of a few bytes
_PNG_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
# Compressed data that no picture ends with by chance. If pixels are missing, these data become pixels.
_FILLINGS = (b"\x52\xa7\x1c" * 400, b"\x9d\x38\xe5" * 400)
_REDUCED = {
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}  # in colour, and grey


def check_picture(data: bytes, *, most_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """`(width, height)` as stored, of a picture that may be decoded. `most_pixels`: a limit below the usual one.

    Raises PictureTooLarge, PictureTooCostly for a JPEG that would take too long, or PictureError for anything but a picture.
    """
    size = picture_size(data)
    if size is None:
        if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
            raise PictureError("HEIC pictures can't be read; convert this one to JPEG.")
        raise PictureError("This is not a picture, or it is cut off at the very beginning.")
    pixels = size[0] * size[1]
    if pixels > most_pixels:
        allowed = f"at most {most_pixels // 10**6} megapixels"
        raise PictureTooLarge(f"The picture is too large: {size[0]}x{size[1]} pixels; use one of {allowed}.")
    if data.startswith(b"\xff\xd8"):
        most = min(MAX_SCANS, _MAX_SCANNED // max(1, pixels))
        # A video that a phone appends to a photo may hold the mark of a scan by chance. Counting marks comes first, since it
        # is quicker.
        if data.count(b"\xff\xda") > most and jpeg_scans(data)[0] > most:
            raise PictureTooCostly("This JPEG has too many scans; save the picture again.")
    return size


def decode_picture(data: bytes, *, gray: bool = False) -> np.ndarray:
    """A picture from its file's bytes, turned upright by its EXIF data: uint8 BGR `(h, w, 3)`, or uint8 `(h, w)` if `gray`.

    More than eight bits become eight, transparency is dropped. Raises PictureError for anything but a whole picture, and,
    without decoding it, for a picture that `check_picture` refuses.
    """
    check_picture(data)
    return decode_checked(data, gray=gray)


def decode_checked(data: bytes, *, gray: bool = False) -> np.ndarray:
    """The same for bytes that have passed `check_picture`."""
    return _decode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)


def decode_small(data: bytes, side: int, *, gray: bool = False) -> np.ndarray:
    """Like `decode_picture`, then scaled down so that no side is longer than `side` pixels. Even a large JPEG costs
    little.
    """
    size = check_picture(data)
    flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    # The smallest size that the decoder can make and that is still twice as large as asked for.
    for factor in (8, 4, 2):
        if max(size) >= 2 * side * factor:
            flag = _REDUCED[factor][gray]
            break
    image = _decode(data, flag)
    scale = side / max(image.shape[:2])
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return image


def _decode(data: bytes, flag: int) -> np.ndarray:
    image = _decoded(data, flag)
    if image is None:
        image = _decoded_without_end(data, flag)
    if image is None:
        raise PictureError("The picture is damaged, cut off, or of a kind that OpenCV can't read.")
    return image


def _decoded(data: bytes, flag: int) -> np.ndarray | None:
    turns = avif_turns(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag if turns is None else flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except (cv2.error, MemoryError):
        return None
    if image is None or not image.size:
        return None
    for kind, value in turns or ():
        image = np.rot90(image, value) if kind == b"irot" else np.flip(image, value)
    return np.ascontiguousarray(image)


def _decoded_without_end(data: bytes, flag: int) -> np.ndarray | None:
    """Like `_decoded`, for a JPEG, PNG or GIF that ends right after its last pixel, as some programs write it; else None."""
    if data.startswith(b"\x89PNG"):
        return _decoded(data + _PNG_END, flag)
    if data.startswith(b"GIF"):
        return _decoded(data + b";", flag)
    if not data.startswith(b"\xff\xd8"):
        return None
    # libjpeg fills missing pixels without a word. So other data are put in their place: if these show, pixels were missing.
    first, second = (_decoded(data + filling + b"\xff\xd9", flag) for filling in _FILLINGS)
    return first if first is not None and second is not None and np.array_equal(first, second) else None
