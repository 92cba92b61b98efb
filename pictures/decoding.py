"""Decode pictures that anybody may have made: one reading, one set of limits, for photos, downloads, visitors and stills.

    image = decode_picture(Path("photo.jpg").read_bytes())      # uint8 BGR (h, w, 3), upright

What would cost too much is refused by its first bytes. Of a picture with several frames the first one is read. Whatever is
wrong is a PictureError with one sentence; nothing else is raised for it.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from common.errors import PictureError, PictureTooCostly, PictureTooLarge
from pictures.avif_turns import avif_turns
from pictures.picture_size import MAX_PIXELS, jpeg_scans, picture_size

MAX_SCANS = 100  # of a JPEG; progressive ones have about ten
_MAX_SCANNED = 2_500_000_000  # pixels times scans: each scan goes over the whole picture, and may be a few bytes long
_PNG_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
# Compressed data that no picture ends with by chance; where pixels are missing it becomes some.
_FILLINGS = (b"\x52\xa7\x1c" * 400, b"\x9d\x38\xe5" * 400)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
_REDUCED = {
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}  # in colour, and grey


def check_picture(data: bytes, *, most_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """`(width, height)` as stored of what may be decoded. `most_pixels`: a lower limit.

    Raises PictureTooLarge, PictureTooCostly for a JPEG that would take too long, or PictureError for what is no picture.
    """
    size = picture_size(data)
    if size is None:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
            raise PictureError("HEIC pictures can't be read; convert it to JPEG.")
        raise PictureError("This is not a picture, or it is cut off at its very beginning.")
    pixels = size[0] * size[1]
    if pixels > most_pixels:
        allowed = f"at most {most_pixels // 10**6} megapixels"
        raise PictureTooLarge(f"The picture is too large: {size[0]}x{size[1]} pixels; use one of {allowed}.")
    if data.startswith(b"\xff\xd8"):
        most = min(MAX_SCANS, _MAX_SCANNED // max(1, pixels))
        # A video that a phone appends to a photo may hold the mark of a scan by chance; counting alone is quicker.
        if data.count(b"\xff\xda") > most and jpeg_scans(data)[0] > most:
            raise PictureTooCostly("This JPEG has too many scans; save the picture anew.")
    return size


def decode_picture(data: bytes, *, gray: bool = False) -> np.ndarray:
    """A picture from its file's bytes, upright as its EXIF data says: uint8 BGR `(h, w, 3)`, or uint8 `(h, w)` if `gray`.

    More bits are reduced to eight, transparency is dropped. Raises PictureError for what is no whole picture, and for what
    `check_picture` refuses, which is not decoded at all.
    """
    check_picture(data)
    return decode_checked(data, gray=gray)


def decode_checked(data: bytes, *, gray: bool = False) -> np.ndarray:
    """The same for what has passed `check_picture` already."""
    return _decode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)


def decode_small(data: bytes, side: int, *, gray: bool = False) -> np.ndarray:
    """As `decode_picture`, then scaled down so that no side is longer than `side` pixels; a large JPEG costs little."""
    size = check_picture(data)
    flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    # The smallest that its decoder makes of it which is still twice as large as asked for.
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
    """As `_decoded`, for a JPEG, PNG or GIF that ends after its last pixel, as some writers leave it; else None."""
    if data.startswith(b"\x89PNG"):
        return _decoded(data + _PNG_END, flag)
    if data.startswith(b"GIF"):
        return _decoded(data + b";", flag)
    if not data.startswith(b"\xff\xd8"):
        return None
    # libjpeg fills missing pixels without a word. So other data takes their place: if it shows, they were missing.
    first, second = (_decoded(data + filling + b"\xff\xd9", flag) for filling in _FILLINGS)
    return first if first is not None and second is not None and np.array_equal(first, second) else None
