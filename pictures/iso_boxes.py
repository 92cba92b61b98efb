"""Walk through the boxes of an ISO base media file (ISO/IEC 14496-12): MP4, MOV, AVIF.

    with open("party.mp4", "rb") as file:
        for box in boxes(file, 0, size):
            print(box.kind, box.start, box.end)

A damaged file raises nothing: the walk ends where no box can be read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST = 100_000  # boxes side by side; a recording in fragments has two for each fragment
_MOST_INSIDE = 100


@dataclass(frozen=True)
class IsoBox:
    """A box. Its body goes from byte `start` up to `end`, exclusive; the file may be shorter."""

    kind: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int, *, most: int = _MOST) -> Iterator[IsoBox]:
    """The first `most` boxes that begin between `start` and `end`, in order. The last may claim to reach past `end`."""
    for _ in range(most):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        length = 8
        if size == 1:
            if len(head) < 16:
                return
            (size,) = struct.unpack_from(">Q", head, 8)
            length = 16
        elif size == 0:  # to the end
            size = end - start
        if size < length:
            return
        yield IsoBox(kind, start + length, start + size)
        start += size


def inner(file: BinaryIO, box: IsoBox, *path: bytes) -> Iterator[IsoBox]:
    """All boxes at `path` below `box`, such as `b"mdia", b"hdlr"`. In each box only the first hundred count, and only as far
    as it reaches.

    So a file whose boxes claim to hold each other takes no longer than another.
    """
    if not path:
        yield box
        return
    for child in boxes(file, box.start, box.end, most=_MOST_INSIDE):
        if child.kind == path[0]:
            yield from inner(file, IsoBox(child.kind, child.start, min(child.end, box.end)), *path[1:])


def body(file: BinaryIO, box: IsoBox, most: int = 4096) -> bytes:
    """The first `most` bytes of the box's body, or fewer if the box or the file ends."""
    file.seek(box.start)
    return file.read(min(most, box.end - box.start))
