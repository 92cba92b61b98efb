"""Find pictures and videos in folders and read their files, however broken they are.

    for file in find_media(["holiday/", "party.mp4"]):
        if file.is_video:
            for frame in read_video(file.path): ...
        else:
            data = read_bytes(file.path)                        # for pictures.decoding.decode_picture

Whatever is wrong with a file is a PictureError with one sentence; nothing else is raised.
"""

from __future__ import annotations

import os
import stat

from common.errors import PictureError
from pictures.finding import is_video_path, suffix_of
from pictures.video_files import VideoFrame as VideoFrame
from pictures.video_files import read_video as read_video

_MAX_BYTES = 1 << 30


def is_still(path: str) -> bool:
    """Whether to read the file as a picture. A GIF counts as a video, even one with a single frame."""
    return suffix_of(path) != ".gif" and not is_video_path(path)


def read_bytes(path: str) -> bytes:
    """The whole file. Raises PictureError if it can't be read, is empty, or is too large for a picture."""
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for ever
            raise PictureError("This is not a file.")
        if state.st_size > _MAX_BYTES:
            raise PictureError(f"The file is too large for a picture ({state.st_size >> 20} MB).")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise PictureError(f"The file can't be opened ({error.strerror}).") from error
    if not data:
        raise PictureError("The file is empty.")
    return data
