"""Width and height of an encoded picture from its first bytes, without decoding it.

    >>> picture_size(Path("photo.jpg").read_bytes())
    (4032, 3024)

A file of a few kilobytes can unpack to gigabytes of pixels, and OpenCV's own limit is a thousand million of them. So the
size is looked up before anything is decoded.
"""

from __future__ import annotations

import re
import struct

MAX_PIXELS = 128_000_000  # a 108-megapixel phone's photo; decoded it takes 384 MB
_NETPBM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_NO_FRAME_HEADER = {0xC4, 0xC8, 0xCC}  # the other JPEG markers from C0 to CF begin a frame


def picture_size(data: bytes) -> tuple[int, int] | None:
    """`(width, height)` as stored, before any rotation; None for what is not a JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000,
    AVIF, Sun raster or Netpbm picture, and for one that is cut off before its size.
    """
    try:
        return _size(data)
    except (struct.error, IndexError):
        return None


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", data, 16)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        if struct.unpack_from("<I", data, 14) == (12,):
            return struct.unpack_from("<HH", data, 18)
        width, height = struct.unpack_from("<ii", data, 18)
        return width, abs(height)  # negative: rows from top to bottom
    if data.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack_from("<HH", data, 6)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    if data.startswith(b"\0\0\0\x0cjP  "):
        height, width = (
            struct.unpack_from(">II", data, data.index(b"ihdr", 0, 4096) + 4) if b"ihdr" in data[:4096] else (0, 0)
        )
        return (width, height) if width else None
    if data.startswith(b"\xff\x4f\xff\x51"):  # a bare JPEG 2000 codestream
        right, bottom, left, top = struct.unpack_from(">IIII", data, 8)
        return right - left, bottom - top
    if data[4:8] == b"ftyp" and data[8:32].find(b"avi") >= 0:
        sizes = [struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[:65536])]
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    if data.startswith(b"\x59\xa6\x6a\x95"):
        return struct.unpack_from(">II", data, 4)
    match = _NETPBM.match(data[:4096])
    return (int(match[1]), int(match[2])) if match else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker == 0 or marker == 1 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        (width,), (height,) = struct.unpack("<I", data[24:27] + b"\0"), struct.unpack("<I", data[27:30] + b"\0")
        return width + 1, height + 1
    return None


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    found: dict[int, int] = {}
    for i in range(entries):
        at = start + 2 + 12 * i
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in (256, 257):
            found[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)[0]
    return (found[256], found[257]) if len(found) == 2 else None
