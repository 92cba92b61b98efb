"""Small videos as the world's cameras, browsers and cutters make them, each frame with a number in its brightness."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

FRAME = (64, 48)


def write_video(
    path: Path, count: int = 10, *, rate: float = 10, codec: str = "mp4v", image: np.ndarray | None = None
) -> Path:
    """`count` frames, of `image` or ever brighter ones, thirteen in a row."""
    size = FRAME if image is None else image.shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((48, 64, 3), number % 13 * 20, np.uint8) if image is None else image)
    writer.release()
    return path


def brightness(image: np.ndarray) -> int:
    """That of a frame of `write_video`, of which each is one brighter."""
    return round(float(image.mean()) / 20)


def _box(data: bytes, name: bytes) -> tuple[int, int]:
    """Where the body of the only box `name` begins and ends."""
    at = data.index(name) - 4
    return at + 8, at + struct.unpack_from(">I", data, at)[0]


def with_times(path: Path, gaps: Sequence[int]) -> Path:
    """The MP4 or MOV, whose frames now stand for `gaps` thousandths of a second each."""
    data = path.read_bytes()
    start, end = _box(data, b"stts")
    table = struct.pack(">II", 0, len(gaps)) + b"".join(struct.pack(">II", 1, gap) for gap in gaps)
    grown = len(table) - (end - start)
    data = data[:start] + table + data[end:]
    for name in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.index(name) - 4
        data = data[:at] + struct.pack(">I", struct.unpack_from(">I", data, at)[0] + grown) + data[at + 4 :]
    return _rewritten(path, data, sum(gaps), 1000)


def with_edit(path: Path, first: int, last: int, *, rate: int) -> Path:
    """The MP4, of which an edit list now shows only the frames from `first` to before `last`, of `rate` a second."""
    data = bytearray(path.read_bytes())
    start, _ = _box(bytes(data), b"mdhd")
    (scale,) = struct.unpack_from(">I", data, start + 12)
    start, _ = _box(bytes(data), b"elst")
    struct.pack_into(">II", data, start + 8, 1000 * (last - first) // rate, first * scale // rate)
    for name, at in ((b"tkhd", 20), (b"mvhd", 16)):
        struct.pack_into(">I", data, _box(bytes(data), name)[0] + at, 1000 * (last - first) // rate)
    path.write_bytes(data)
    return path


def _rewritten(path: Path, data: bytes, length: int, scale: int) -> Path:
    changed = bytearray(data)
    struct.pack_into(">II", changed, _box(data, b"mdhd")[0] + 12, scale, length)
    struct.pack_into(">I", changed, _box(data, b"mvhd")[0] + 16, length)
    struct.pack_into(">I", changed, _box(data, b"tkhd")[0] + 20, length)
    start, _ = _box(data, b"elst")
    struct.pack_into(">I", changed, start + 8, length)
    path.write_bytes(changed)
    return path


def with_pixels(path: Path, wide: int, high: int) -> Path:
    """The MP4 of mp4v, whose pixels are now said to be `wide` to `high`."""
    data = path.read_bytes()
    entry, _ = _box(data, b"stsd")
    at = entry + 8  # the only sample entry
    size = struct.unpack_from(">I", data, at)[0]
    box = struct.pack(">I4sII", 16, b"pasp", wide, high)
    existing = data.find(b"pasp", at, at + size)
    if existing >= 0:
        data = data[: existing - 4] + box + data[existing + 12 :]
        path.write_bytes(data)
        return path
    data = data[: at + size] + box + data[at + size :]
    data = data[:at] + struct.pack(">I", size + 16) + data[at + 4 :]
    for name in (b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.index(name) - 4
        data = data[:at] + struct.pack(">I", struct.unpack_from(">I", data, at)[0] + 16) + data[at + 4 :]
    path.write_bytes(data)
    return path
