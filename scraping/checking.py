"""Check that a download is a whole picture, and take its perceptual hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2

from common.errors import FetchError, PictureError, PictureTooCostly
from pictures.decoding import MAX_SCANS, decode_checked
from pictures.decoding import check_picture as check_cost
from pictures.perceptual_hash import perceptual_hash
from pictures.picture_size import jpeg_scans

SUFFIXES = (".jpg", ".png", ".webp")
MAX_PICTURE_BYTES = 32 << 20
MIN_SIDE = 64  # pixels: the network reads faces of 64x64; tracking pixels and placeholders are smaller


@dataclass(frozen=True)
class Checked:
    """A whole picture. `width`, `height` in pixels, upright; `phash`: 16 hexadecimal digits."""

    suffix: str
    width: int
    height: int
    size: int
    sha256: str
    phash: str


def check_picture(data: bytes, kind: str = "") -> Checked:
    """What the bytes hold, whatever the server calls it. `kind`, its media type, is only for the message.

    Raises FetchError: `not_a_picture`, `truncated`, `too_small` or `too_large`.
    """
    suffix = _suffix(data)
    if suffix is None:
        what = "a web page" if kind == "text/html" or b"<html" in data[:1024].lower() else kind or "something else"
        raise FetchError("not_a_picture", f"it is {what if data else 'empty'}, not a picture")
    if not _is_whole(data, suffix):
        raise FetchError("truncated", "the picture is cut off")
    try:
        size = check_cost(data)
        if min(size) < MIN_SIDE:
            raise FetchError("too_small", f"{size[0]}x{size[1]} pixels")
        image = decode_checked(data)
    except PictureTooCostly as error:
        raise FetchError("too_large", str(error)) from error
    except PictureError as error:
        raise FetchError("truncated", str(error)) from error
    height, width = image.shape[:2]
    phash = f"{perceptual_hash(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)):016x}"
    return Checked(suffix, width, height, len(data), hashlib.sha256(data).hexdigest(), phash)


def _suffix(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ".webp"
    return None


def _is_whole(data: bytes, suffix: str) -> bool:
    if suffix == ".png":
        return b"IEND" in data[-64:]
    if suffix == ".webp":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    scans, whole = jpeg_scans(data)  # OpenCV silently fills missing parts with grey
    return whole or scans > MAX_SCANS  # refused for that reason
