"""Width and height of an encoded picture from its first bytes, without decoding it.

    >>> picture_size(Path("photo.jpg").read_bytes())
    (4032, 3024)

A file of a few kilobytes can unpack to gigabytes of pixels, and OpenCV's own limit is a billion of them. So the
size is looked up before anything is decoded.
"""

from __future__ import annotations

import re
import struct

MAX_PIXELS = 128_000_000  # enough for a phone of 108 megapixels; decoded, that takes 384 MB
_NETPBM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_NO_FRAME_HEADER = {0xC4, 0xC8, 0xCC}  # the other JPEG markers from C0 to CF begin a frame
# Strangers send pictures. So what Python looks at is bounded, and everything else is left to the library underneath.
# No quantifier: with one, the time for a file of FF bytes alone would grow with the square of its length.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")  # neither a stuffed byte nor a restart
MOST_MARKERS = 2000  # of a JPEG; profiles and previews in segments add up to some hundreds
_MOST_BETWEEN = 65_536  # bytes of a JPEG's head outside segments, in all
_MOST_TIFF_ENTRIES = 1000
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; text, too, may begin with BM
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}


def begins_as_picture(head: bytes) -> bool:
    """Whether a file that begins so is a picture by its content, whole or not; `head`: its first 4096 bytes, or more.

    Of the kinds that `picture_size` knows, or a HEIC picture, which can't be read.
    """
    if head.startswith((b"\xff\xd8\xff", b"II*\0", b"MM\0*")):  # their size may stand much later
        return True
    if head.startswith(b"BM"):
        return head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    if head[4:8] == b"ftyp":
        return head[8:12] in HEIC_BRANDS | {b"avif", b"avis"}
    return picture_size(head) is not None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """`(width, height)` as stored, before any rotation, of a JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000, AVIF, Sun raster or
    Netpbm picture. None for other files, and for a picture that is cut off before its size.
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
    at, between = 2, _MOST_BETWEEN
    for _ in range(MOST_MARKERS):
        found = _MARKER.search(data, at, at + between)
        if found is None:
            return None
        between -= found.end() - at - 2
        marker, at = found[1][0], found.end()
        if marker == 1 or 0xD0 <= marker <= 0xD8:  # markers without a length
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        at += struct.unpack_from(">H", data, at)[0]
    return None


def jpeg_scans(data: bytes) -> tuple[int, bool]:
    """How many scans a JPEG has, and whether its end mark comes after them (that of an embedded preview does not count).

    For a JPEG with more than `MOST_MARKERS` markers: that number, and False.
    """
    at, scans = 2, 0
    for _ in range(MOST_MARKERS):
        found = _MARKER_IN_SCAN.search(data, at)
        if found is None:
            return scans, False
        marker, at = found[1][0], found.end()
        if marker == 0xD9:
            return scans, True
        scans += marker == 0xDA
        at += int.from_bytes(data[at : at + 2], "big")  # past it; the data after a scan's are searched for markers
    return MOST_MARKERS, False


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
    for i in range(min(entries, _MOST_TIFF_ENTRIES)):
        at = start + 2 + 12 * i
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in (256, 257):
            found[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)[0]
    return (found[256], found[257]) if len(found) == 2 else None
