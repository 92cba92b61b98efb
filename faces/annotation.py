"""Draw on a frame: a box, a readable label and, if wanted, landmarks for every face. Or a card with a sentence.

Colours differ in brightness as well as hue, and every label says in words or by its number what its colour says. Lines and
letters grow with the picture, so they look alike at 320 and at 1920 pixels. They shrink with a small face, so a group's
labels stay off the other faces. Sizes come in steps: the letters of a face that moves a little keep their size.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from common.face import Box, Face

# BGR
_SMILE, _NO_SMILE = (77, 208, 255), (214, 190, 168)
_INK, _PAPER, _MUTED = (24, 33, 43), (234, 248, 255), (74, 87, 102)
# In the order of `smile_recognition.LANDMARKS`, where "left" is the image's left: blue, red, green, white, white.
_LANDMARK_COLORS = ((255, 96, 32), (48, 48, 255), (64, 220, 64), (255, 255, 255), (255, 255, 255))
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SUBPIXEL_BITS = 4  # OpenCV then draws to a sixteenth of a pixel
_LETTERS = 0.42  # OpenCV's scale of letters about 9 pixels high, the size for a picture 240 pixels high
_STEP = 1.35  # from one size of letters to the next
_FITTING = 1 / 90  # units of letters for each pixel of the box: "Smile 93 %" is about as wide as the face
_WIDEST = 2.5  # in box widths; instead of a longer label the number stands alone
_LONGEST = "Smile 100 %"  # decides for every label, so that the form does not change with the number


def label_text(face: Face) -> str:
    """`Smile 93 %` or `Smile 12 %`: P(smile), whichever way it goes."""
    percent = math.floor(face.smile * 100 + 1e-6)  # rounding down, so that 49.6 %, no smile yet, does not read 50 %
    return f"Smile {percent} %"


def annotate(image: np.ndarray, faces: Sequence[Face], *, landmarks: bool = False) -> np.ndarray:
    """Draws boxes and labels into `image`, uint8 BGR `(h, w, 3)`, and returns it. `faces`: the largest first.

    A label stands above, below or inside its box, where it covers least of other faces. On a small face among others it is
    the number alone. `landmarks`: also draws a dot on each landmark: left eye blue, right eye red, nose green, mouth corners
    white. "Left" is the image's left.
    """
    unit = max(1.0, min(image.shape[:2]) / 240)
    smallest = math.sqrt(unit)  # still visible when the whole picture is shown
    for face in reversed(faces):  # the largest last, on top
        line = round(max(smallest, _stepped(unit, face.box.width / 60)))
        corners = (face.box.left, face.box.top), (face.box.right, face.box.bottom)
        cv2.rectangle(image, *corners, _INK, line * 3)  # a dark rim keeps the box visible on a bright picture
        cv2.rectangle(image, *corners, _color(face), line)
    for face in reversed(faces if landmarks else ()):
        _draw_landmarks(image, face)
    placed: list[_Label] = []
    for face in faces:
        taken = [other.box for other in faces if other is not face] + [label.plate for label in placed]
        size = max(smallest, _stepped(unit, face.box.width * _FITTING))
        placed.append(_label(image.shape[:2], face, taken, size, smallest))
    for face, label in zip(reversed(faces), reversed(placed), strict=True):
        _draw_label(image, face, label)
    return image


def _color(face: Face) -> tuple[int, int, int]:
    return _SMILE if face.label == "smile" else _NO_SMILE


def _stepped(largest: float, wanted: float) -> float:
    """`largest`, or the first of the steps below it that is at most `wanted`."""
    if wanted >= largest:
        return largest
    return largest / _STEP ** math.ceil(math.log(largest / max(wanted, 0.01), _STEP))


def _draw_landmarks(image: np.ndarray, face: Face) -> None:
    # On a small face a dot needs two pixels for its colour to show; on a large one it should not hide the eye.
    radius = max(2.0, 0.018 * face.box.height)
    rim = max(1.0, 0.3 * radius)
    for (x, y), color in zip(face.landmarks, _LANDMARK_COLORS, strict=False):  # a face may come without landmarks
        if not (abs(x) < 1e5 and abs(y) < 1e5):  # not a number, or too large for OpenCV to count in sixteenths
            continue
        center = _subpixel(x), _subpixel(y)
        for size, ink in ((radius + rim, _INK), (radius, color)):
            cv2.circle(image, center, _subpixel(size), ink, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _subpixel(value: float) -> int:
    return round(value * (1 << _SUBPIXEL_BITS))


@dataclass(frozen=True)
class _Label:
    """A label and where it stands: `plate` and the lower left end of its text in pixels."""

    text: str
    plate: Box
    origin: tuple[int, int]
    scale: float
    thickness: int


def _label(shape: tuple[int, int], face: Face, taken: Sequence[Box], size: float, smallest: float) -> _Label:
    """The first of the label's forms and places that covers nothing of `taken` and little of the face itself, or else the
    one that covers least. Letters are `size` large, or `smallest` where there is little room, in units of `annotate`.
    """
    words = label_text(face)
    number = " ".join(words.split()[-2:])
    if not taken:
        forms = [(words, size)]
    elif _text_size(_LONGEST, size)[0] <= _WIDEST * face.box.width:
        forms = [(words, size), (number, size), (number, smallest)]
    else:
        forms = [(number, size), (number, smallest)]
    best, least = None, math.inf
    for text, units in forms:
        for label in _places(shape, face.box, text, units):
            own = _overlap(label.plate, face.box)
            covered = sum(_overlap(label.plate, box) for box in taken) + (own if 4 * own > face.box.area else 0)
            if not covered:
                return label
            if covered < least:
                best, least = label, covered
    assert best is not None
    return best


def _text_size(text: str, units: float) -> tuple[int, int]:
    (width, height), _ = cv2.getTextSize(text, _FONT, _LETTERS * units, _thickness(units))
    return width, height


def _thickness(units: float) -> int:
    return max(1, round(0.6 * units))


def _places(shape: tuple[int, int], box: Box, text: str, units: float) -> Iterator[_Label]:
    """A label with letters of `units` in each of its places, the best first, all inside the picture of `shape`."""
    height, width = shape
    pad = round(5 * units)
    text_width, text_height = _text_size(text, units)
    if text_width + 2 * pad > width:  # a tiny picture: letters as large as fit
        units *= max(0.1, (width - 2 * pad) / text_width)
        text_width, text_height = _text_size(text, units)
    plate_width, plate_height = text_width + 2 * pad, text_height + 2 * pad
    above, below = box.top - plate_height, box.bottom
    tops = [top for top in (above, below) if 0 <= top <= height - plate_height]
    tops.append(min(box.bottom, height) - plate_height)  # inside, at the lower edge
    if plate_height * 3 < box.height:
        tops.append(max(0, box.top))  # inside, at the upper edge
    for top in tops:
        top = max(0, min(top, height - plate_height))
        for left in (box.left, box.right - plate_width):
            left = max(0, min(left, width - plate_width))
            plate = Box(top, left + plate_width, top + plate_height, left)
            yield _Label(text, plate, (left + pad, top + pad + text_height), _LETTERS * units, _thickness(units))


def _overlap(box: Box, other: Box) -> int:
    """How many pixels both cover."""
    high = min(box.bottom, other.bottom) - max(box.top, other.top)
    wide = min(box.right, other.right) - max(box.left, other.left)
    return high * wide if high > 0 and wide > 0 else 0


def _draw_label(image: np.ndarray, face: Face, label: _Label) -> None:
    plate = label.plate
    cv2.rectangle(image, (plate.left, plate.top), (plate.right, plate.bottom), _color(face), cv2.FILLED)
    cv2.putText(image, label.text, label.origin, _FONT, label.scale, _INK, label.thickness, cv2.LINE_AA)


def message_picture(message: str, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """A calm card with `message` on it, uint8 BGR of `size` (width, height)."""
    width, height = size
    image = np.full((height, width, 3), _PAPER, np.uint8)
    scale = width / 640 * 0.8
    lines = textwrap.wrap(_ascii(message), 36) or [""]
    line_height = round(38 * width / 640)
    y = (height - line_height * (len(lines) - 1)) // 2
    for text in lines:
        (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, 1)
        cv2.putText(image, text, ((width - text_width) // 2, y + text_height // 2), _FONT, scale, _MUTED, 1, cv2.LINE_AA)
        y += line_height
    return image


def encode_jpeg(image: np.ndarray, quality: int = 80) -> bytes:
    """`image` uint8 BGR `(h, w, 3)` as JPEG bytes."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _ascii(text: str) -> str:
    """OpenCV's letters are ASCII only; anything else would print as question marks, several for each letter."""
    return text.encode("ascii", "replace").decode()
