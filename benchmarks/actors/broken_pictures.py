"""Pictures that a stranger may send to `POST /api/v1/analyze`: of every kind, whole and broken.

They are Hypothesis strategies, so that a test can shrink what it finds. All pictures are made here, from one face and from
noise.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_SIDES = (1, 2, 7, 8, 9, 33, 64, 96)
_MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P",),
    "BMP": ("RGB",),
    "TIFF": ("RGB",),
}
_ORIENTATIONS = (*range(10), 255, 65535)
_WRONG_BEGINNINGS = (
    b"",
    b"\xff\xd8\xff",
    _PNG,
    b"RIFF\0\0\0\0WEBP",
    b"GIF89a",
    b"BM",
    b"%PDF",
    b"<svg ",
    b"\0\0\0\x18ftypheic",
)
_DECLARED_SIDES = (0, 1, 5, 255, 256, 1500, 2**14, 2**15, 2**16 - 1)


# Whole pictures


@cache
def face() -> np.ndarray:
    """A smiling face: uint8 RGB (192, 192, 3), from scikit-image (NASA, public domain)."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[20:212, 130:322])


@cache
def encoded(kind: str, mode: str, width: int, height: int, orientation: int | None, how: str) -> bytes:
    """A whole picture of `kind` (JPEG, PNG, ...) in Pillow's `mode`. `how`: plain, progressive or animated."""
    pixels = cv2.resize(face(), (width, height), interpolation=cv2.INTER_AREA)
    if mode == "I;16":
        image = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(pixels).convert(mode)
    options: dict[str, Any] = {}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif.tobytes()
    if how == "animated" and kind in ("PNG", "WEBP", "GIF", "TIFF"):
        options |= {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    if how == "progressive" and kind == "JPEG":
        options["progressive"] = True
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@st.composite
def whole_pictures(draw: st.DrawFn) -> bytes:
    """JPEG, PNG and WebP in every mode, and a few kinds that the app refuses."""
    kind = draw(st.sampled_from(["JPEG"] * 4 + ["PNG"] * 4 + ["WEBP"] * 4 + ["GIF", "BMP", "TIFF"]))
    width, height = draw(st.sampled_from(_SIDES)), draw(st.sampled_from(_SIDES))
    orientation = draw(st.one_of(st.none(), st.sampled_from(_ORIENTATIONS)))
    how = draw(st.sampled_from(("plain", "progressive", "animated")))
    return encoded(kind, draw(st.sampled_from(_MODES[kind])), width, height, orientation, how)


@cache
def interlaced_png(width: int, height: int, bits: int = 8) -> bytes:
    """An Adam7 PNG, which Pillow does not write."""
    pixels = cv2.cvtColor(cv2.resize(face(), (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    rows = b""
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = pixels[y::dy, x::dx].astype(f">u{bits // 8}")
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 1)
    return _PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def declared_png(width: int, height: int, *, bits: int = 8, color: int = 2, data: bytes = b"") -> bytes:
    """A PNG with right checksums that claims this size and holds `data` for its pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return _PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def declared_jpeg(width: int, height: int, *, mode: str = "RGB", bits: int = 8) -> bytes:
    """A JPEG that claims this size, and is grey beyond its first 64x64 pixels."""
    data = bytearray(encoded("JPEG", mode, 64, 64, None, "plain"))
    at = data.index(b"\xff\xc0")
    data[at + 4] = bits
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes `scans` times. Each goes over the whole picture."""
    data = encoded("JPEG", "L", side, side, None, "progressive")
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


# Broken ones


def _cut(data: bytes, at: float, _: int) -> bytes:
    return data[: round(at * len(data))]


def _flip(data: bytes, at: float, number: int) -> bytes:
    return _put(data, at, bytes([data[_index(data, at)] ^ (1 << number % 8)])) if data else data


def _overwrite(data: bytes, at: float, number: int) -> bytes:
    return _put(data, at, number.to_bytes(4, "big"))


def _insert(data: bytes, at: float, number: int) -> bytes:
    i = _index(data, at)
    return data[:i] + number.to_bytes(4, "little") * (1 + number % 50) + data[i:]


def _remove(data: bytes, at: float, number: int) -> bytes:
    i = _index(data, at)
    return data[:i] + data[i + 1 + number % 64 :]


def _repeat(data: bytes, at: float, number: int) -> bytes:
    i = _index(data, at)
    return data[:i] + data[i : i + 1 + number % 200] * 3 + data[i:]


def _begin_wrong(data: bytes, _: float, number: int) -> bytes:
    return _WRONG_BEGINNINGS[number % len(_WRONG_BEGINNINGS)] + data[number % 16 :]


def _append(data: bytes, _: float, number: int) -> bytes:
    return data + number.to_bytes(4, "big") * (number % 1000)


def _in_header(data: bytes, at: float, number: int) -> bytes:
    """Changes one of the first 64 bytes, where sizes and kinds are."""
    return _put(data[:], min(1.0, 64 / max(1, len(data))) * at, bytes([number % 256]))


DAMAGES: tuple[Callable[[bytes, float, int], bytes], ...] = (
    *(_cut, _flip, _overwrite, _insert, _remove, _repeat, _begin_wrong, _append, _in_header),
)


def _index(data: bytes, at: float) -> int:
    return min(int(at * len(data)), max(0, len(data) - 1))


def _put(data: bytes, at: float, what: bytes) -> bytes:
    i = _index(data, at)
    return data[:i] + what + data[i + len(what) :]


@st.composite
def damaged_pictures(draw: st.DrawFn) -> bytes:
    """Whole pictures with one to four damages."""
    data = draw(whole_pictures())
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from(DAMAGES))(data, draw(st.floats(0, 1)), draw(st.integers(0, 2**32 - 1)))
    return data


@st.composite
def lying_pictures(draw: st.DrawFn) -> bytes:
    """Pictures that claim another size or another kind of pixels than they have."""
    side = st.sampled_from(_DECLARED_SIDES)
    width, height = draw(side), draw(side)
    kind = draw(st.sampled_from(("png", "png chunks", "jpeg", "webp")))
    if kind == "png":
        large = st.sampled_from((width, 2**24, 2**31 - 1, 2**32 - 1))
        bits, color = draw(st.sampled_from((1, 2, 4, 8, 16, 3))), draw(st.integers(0, 7))
        return declared_png(draw(large), height, bits=bits, color=color, data=draw(st.binary(max_size=200)))
    if kind == "png chunks":
        whole = encoded("PNG", "RGB", 33, 33, None, "plain")
        names = st.sampled_from(
            (b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IHDR", b"gAMA")
        )
        extra = b"".join(chunk(draw(names), draw(st.binary(max_size=60))) for _ in range(draw(st.integers(1, 5))))
        return whole[:33] + extra + whole[33:]
    if kind == "jpeg":
        mode, bits = draw(st.sampled_from(_MODES["JPEG"])), draw(st.sampled_from((8, 8, 8, 12, 0)))
        return declared_jpeg(width, height, mode=mode, bits=bits)
    data = bytearray(encoded("WEBP", "RGBA", 64, 64, 1, "plain"))
    data[24:30] = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
    data[20] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def odd_pictures(draw: st.DrawFn) -> bytes:
    """Allowed but rare: long and narrow, interlaced, deep, with meaningless EXIF data, with many scans."""
    kind = draw(st.sampled_from(("narrow", "interlaced", "deep", "exif", "scans", "nested")))
    if kind == "narrow":
        long = draw(st.sampled_from((300, 2000, 9000)))
        size = draw(st.sampled_from(((long, 1), (1, long), (long, 9), (9, long))))
        return encoded(draw(st.sampled_from(("JPEG", "PNG", "WEBP"))), "RGB", *size, None, "plain")
    if kind == "interlaced":
        return interlaced_png(draw(st.integers(1, 70)), draw(st.integers(1, 70)), draw(st.sampled_from((8, 16))))
    if kind == "deep":
        depth = draw(st.sampled_from((1, 3, 4)))
        return cv2.imencode(".png", np.full((40, 40, depth), draw(st.integers(0, 65535)), np.uint16))[1].tobytes()
    if kind == "exif":
        data = encoded("JPEG", "RGB", 64, 64, None, "plain")
        exif = b"Exif\0\0" + draw(st.sampled_from((b"II*\0", b"MM\0*", b""))) + draw(st.binary(max_size=80))
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    if kind == "scans":
        return many_scans(64, draw(st.sampled_from((1, 50, 500))))
    return encoded("JPEG", "RGB", 64, 64, 6, "plain") + encoded("PNG", "RGB", 64, 64, None, "plain")


def pictures() -> st.SearchStrategy[bytes]:
    """Anything that may come as a picture or in its place."""
    noise = st.builds(lambda begin, rest: begin + rest, st.sampled_from(_WRONG_BEGINNINGS), st.binary(max_size=300))
    return st.one_of(whole_pictures(), damaged_pictures(), damaged_pictures(), lying_pictures(), odd_pictures(), noise)


# The field `previous`, and the form round it
