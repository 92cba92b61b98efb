"""How to turn and mirror an AVIF picture. OpenCV leaves that to its caller.

for kind, value in avif_turns(data) or ():
    image = np.rot90(image, value) if kind == b"irot" else np.flip(image, value)
"""

from __future__ import annotations

import io
import struct

from pictures.iso_boxes import body, boxes, inner

_MOST_PROPERTIES = 1000


def avif_turns(data: bytes) -> list[tuple[bytes, int]] | None:
    """An AVIF's turns in order: `irot` by so many quarter turns to the left, `imir` along that axis of an array.

    None for any other file, which EXIF data turn. In an AVIF file EXIF data do not count (ISO/IEC 23000-22).
    """
    if data[4:8] != b"ftyp":
        return None
    try:
        return _turns(data)
    except (struct.error, IndexError):
        return []


def _turns(data: bytes) -> list[tuple[bytes, int]]:
    file = io.BytesIO(data)
    for meta in boxes(file, 0, len(data)):
        if meta.kind != b"meta":
            continue
        parts = {box.kind: box for box in boxes(file, meta.start + 4, meta.end, most=_MOST_PROPERTIES)}
        if b"pitm" not in parts or b"iprp" not in parts:
            return []
        head = body(file, parts[b"pitm"])
        (picture,) = struct.unpack_from(">I" if head[0] else ">H", head, 4)
        properties = [
            box
            for list_ in inner(file, parts[b"iprp"], b"ipco")
            for box in boxes(file, list_.start, list_.end, most=_MOST_PROPERTIES)
        ]
        turns = []
        for table in inner(file, parts[b"iprp"], b"ipma"):
            for number in _associated(body(file, table, 1 << 16), picture):
                if 0 < number <= len(properties) and properties[number - 1].kind in (b"irot", b"imir"):
                    kind, value = properties[number - 1].kind, body(file, properties[number - 1])[0]
                    turns.append((kind, value & 3 if kind == b"irot" else value & 1))
        return turns
    return []


def _associated(table: bytes, picture: int) -> list[int]:
    """The numbers of the properties of `picture`, from 1, in the body of an `ipma` box."""
    version, wide = table[0], table[3] & 1
    (entries,) = struct.unpack_from(">I", table, 4)
    at = 8
    for _ in range(entries):
        (item,) = struct.unpack_from(">I" if version else ">H", table, at)
        at += 4 if version else 2
        count = table[at]
        at += 1
        if item == picture:
            numbers = struct.unpack_from(f">{count}{'H' if wide else 'B'}", table, at)
            return [number & (0x7FFF if wide else 0x7F) for number in numbers]
        at += count * (2 if wide else 1)
    return []
