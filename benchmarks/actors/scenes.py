"""Pictures and videos for measuring: faces that move, frames that carry their number, a head that tilts.

Without a video of their own, scenes show a face from scikit-image (NASA's astronaut Eileen Collins, public domain).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from common.errors import PictureError
from pictures.reading import read_video

RATE = 30  # frames a second
SIZE = (640, 480)
_BITS = 12  # bits of a frame's number
_STRIP = 24  # pixels, the height of the strip that holds it
_FACE = (121, 222)  # centre of the astronaut's face, row and column
_HEAD = slice(21, 221), slice(122, 322)
_LAST_FRAMES = 225  # only so much of a longer video is used


@cache
def astronaut() -> np.ndarray:
    """A smiling face: uint8 BGR `(512, 512, 3)`."""
    from skimage import data

    picture = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    picture.setflags(write=False)
    return picture


def moving_astronaut(frames: int = 90, size: tuple[int, int] = SIZE) -> Iterator[np.ndarray]:
    """One face that moves slowly to the right. Her helmet, which can pass for a face, is out of sight."""
    for i in range(frames):
        x = 30 * np.cos(np.pi * i / max(1, frames - 1))
        shift = np.array([[2.4, 0, -240 - x], [0, 2.4, -10]], np.float32)
        yield cv2.warpAffine(astronaut(), shift, size, borderMode=cv2.BORDER_REPLICATE)


def tilting_astronaut(most: float = 30.0, *, step: float = 0.7) -> Iterator[np.ndarray]:
    """One face that leans by up to `most` degrees to one side and then to the other, `step` degrees each frame."""
    ends = (0.0, most, -most, 0.0)
    runs = [np.linspace(a, b, max(2, round(abs(b - a) / step))) for a, b in itertools.pairwise(ends)]
    for angle in np.concatenate(runs):
        turn = cv2.getRotationMatrix2D((_FACE[1], _FACE[0]), angle, 1.6)
        turn[:, 2] += np.array([SIZE[0] / 2 - _FACE[1], SIZE[1] / 2 - _FACE[0]])
        yield cv2.warpAffine(astronaut(), turn, SIZE, borderMode=cv2.BORDER_REPLICATE)


def crowd(faces: int, size: tuple[int, int], frames: int = 30) -> list[np.ndarray]:
    """`frames` pictures of up to eight faces of one size that move slowly to and fro, each its own way."""
    width, height = size
    side = round(0.3 * height)
    head = cv2.resize(astronaut()[_HEAD], (side, side), interpolation=cv2.INTER_AREA)
    heads = [head, np.ascontiguousarray(head[:, ::-1])]
    columns = min(4, faces)
    rows = -(-faces // columns)
    pictures = []
    for i in range(frames):
        picture = np.full((height, width, 3), 118, np.uint8)
        move = 0.02 * height * np.cos(np.pi * i / max(1, frames - 1))
        for k in range(faces):
            column, row = k % columns, k // columns
            x = round((column + 0.5) * width / columns - side / 2 + move * np.cos(k))
            y = round((row + 0.5) * height / rows - side / 2 + move * np.sin(k))
            picture[y : y + side, x : x + side] = heads[k % 2]
        pictures.append(picture)
    return pictures


def there_and_back(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The frames, and then backwards those between the first and the last, so that they repeat without a jump."""
    return [*frames, *frames[-2:0:-1]]


def covering(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of `image`, in its proportions and large enough to fill `size` (width, height)."""
    scale = max(size[0] / image.shape[1], size[1] / image.shape[0])
    width, height = max(size[0], round(image.shape[1] * scale)), max(size[1], round(image.shape[0] * scale))
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    return np.ascontiguousarray(large[y : y + size[1], x : x + size[0]])


def write_numbered_video(path: Path, source: Path | None, *, frames: int = 420) -> int:
    """Writes 640x480 Motion JPEG, 30 frames a second, and returns how many frames it has: about `frames`.

    It shows `source`, or the astronaut, forwards and backwards again and again, so that it repeats without a jump. Each
    frame carries its number. Raises PictureError if `source` can't be read.
    """
    once = [covering(image, SIZE) for image in _first(source)] if source else list(moving_astronaut())
    cycle = there_and_back(once)
    count = max(1, round(frames / len(cycle))) * len(cycle)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, SIZE)
    if not writer.isOpened():
        raise PictureError(f"No video can be written to {path}.")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
    for i in range(count):
        picture = cycle[i % len(cycle)].copy()
        number_picture(picture, i)
        writer.write(picture)
    writer.release()
    return count


def _first(source: Path) -> Iterable[np.ndarray]:
    for frame in read_video(str(source)):
        yield frame.image
        if frame.number + 1 >= _LAST_FRAMES:
            return


def read_frames(path: Path, limit: int) -> list[np.ndarray]:
    """The first frames, uint8 BGR `(h, w, 3)`. Raises PictureError if the video can't be read."""
    frames = []
    for frame in read_video(str(path)):
        frames.append(frame.image)
        if len(frames) >= limit:
            break
    return frames


def number_picture(image: np.ndarray, number: int) -> None:
    """Writes `number` into the lowest rows as black and white fields that survive JPEG."""
    height, width = image.shape[:2]
    side = width // _BITS
    for bit in range(_BITS):
        image[height - _STRIP :, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0


def read_number(jpeg: bytes) -> int:
    """The number that `number_picture` wrote. Raises PictureError for bytes that are not a picture."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise PictureError("These bytes are not a JPEG picture.")
    side = image.shape[1] // _BITS
    fields = [image[-_STRIP // 2, bit * side + side // 2] > 127 for bit in range(_BITS)]
    return sum(1 << bit for bit, white in enumerate(fields) if white)
