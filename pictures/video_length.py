"""What a video's container promises: how long the video plays, and how many bytes there are.

The number of frames that decoders give is often a guess from the bit rate, or counts frames that an edit list hides.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from pictures.iso_boxes import IsoBox, body, boxes, inner

_SEGMENT = b"\x18\x53\x80\x67"  # Matroska's outer element, after a short head
_ISO = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot"}


def is_cut_short(path: str) -> bool:
    """Whether the container says that the file was once longer. MP4, MOV, AVI, Matroska and WebM can say so; others never
    do.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(4096)
            if head[4:8] in _ISO:
                return any(box.end > size for box in boxes(file, 0, size))
            if head.startswith(b"RIFF"):
                (told,) = struct.unpack_from("<I", head, 4)
                return 0 < told < 0xFFFF_FFF0 and told + 8 > size  # the others: a recording that did not end in order
            at = head.find(_SEGMENT) + 4
            if head.startswith(b"\x1aE\xdf\xa3") and at >= 4:
                length = 9 - head[at].bit_length()  # of the number: the zero bits at the start of its first byte, plus one
                told = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
                return told < (1 << 7 * length) - 1 and at + length + told > size  # all ones: unknown length
    except (OSError, struct.error, IndexError):
        pass
    return False


def promised_seconds(path: str) -> float | None:
    """How many seconds an MP4 or MOV plays after all edits; 0 if it does not say; None for another kind of file."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(8)[4:] not in _ISO:
                return None
            return max((_seconds(file, moov) for moov in boxes(file, 0, size) if moov.kind == b"moov"), default=0.0)
    except (OSError, struct.error):
        return 0.0


def _seconds(file: BinaryIO, moov: IsoBox) -> float:
    scale = 0
    for header in inner(file, moov, b"mvhd"):
        data = body(file, header, 32)
        (scale,) = struct.unpack_from(">I", data, 20 if data[0] else 12)
    longest = 0
    for track in inner(file, moov, b"trak"):
        if not any(body(file, handler, 12)[8:12] == b"vide" for handler in inner(file, track, b"mdia", b"hdlr")):
            continue
        for header in inner(file, track, b"tkhd"):
            data = body(file, header, 36)
            (told,) = struct.unpack_from(">Q", data, 28) if data[0] else struct.unpack_from(">I", data, 20)
            if told not in (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF):  # unknown
                longest = max(longest, told)
    return longest / scale if scale else 0.0
