"""Draw on a frame: a box, a readable label and, if wanted, landmarks for every face, or a sentence when there is no picture.

Colours differ in brightness as well as hue, and every label says in words what its colour says.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

from face_tracking import Face

# BGR
_SMILE, _NO_SMILE = (77, 208, 255), (214, 190, 168)
_INK, _PAPER, _MUTED = (24, 33, 43), (234, 248, 255), (74, 87, 102)
# In the order of `smile_recognition.LANDMARKS`, where "left" is the image's left: blue, red, green, white, white.
_LANDMARK_COLORS = ((255, 96, 32), (48, 48, 255), (64, 220, 64), (255, 255, 255), (255, 255, 255))
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SUBPIXEL_BITS = 4  # OpenCV then draws to a sixteenth of a pixel


def label_text(face: Face) -> str:
    """`Smile 93 %` or `Not smiling 12 %`; the number is always P(smile)."""
    percent = math.floor(face.smile * 100 + 1e-6)  # rounding down, so that 49.6 % does not read "Not smiling 50 %"
    return f"{'Smile' if face.label == 'smile' else 'Not smiling'} {percent} %"


def annotate(image: np.ndarray, faces: Sequence[Face], *, landmarks: bool = False) -> np.ndarray:
    """Draws boxes and labels into `image`, uint8 BGR `(h, w, 3)`, and returns it.

    `landmarks`: also a dot on each landmark: left eye blue, right eye red, nose green, mouth corners white, where "left" is
    the image's left.
    """
    height, width = image.shape[:2]
    # Lines and letters grow with the picture, so that they look alike at 320 and at 1920 pixels.
    unit = max(1.0, min(height, width) / 240)
    line = max(1, round(unit))
    for face in reversed(faces):  # the largest last, on top
        color = _SMILE if face.label == "smile" else _NO_SMILE
        box = face.box
        corners = (box.left, box.top), (box.right, box.bottom)
        cv2.rectangle(image, *corners, _INK, line * 3)  # a dark rim keeps the box visible on a bright picture
        cv2.rectangle(image, *corners, color, line)
    for face in reversed(faces if landmarks else ()):
        _draw_landmarks(image, face)
    for face in reversed(faces):
        _draw_label(image, face, unit)
    return image


def _draw_landmarks(image: np.ndarray, face: Face) -> None:
    # On a small face two pixels are the least whose colour can be told; on a large one dots should not hide the eye.
    radius = max(2.0, 0.018 * face.box.height)
    rim = max(1.0, 0.3 * radius)
    for (x, y), color in zip(face.landmarks, _LANDMARK_COLORS, strict=False):  # a face may come without landmarks
        if not (abs(x) < 1e5 and abs(y) < 1e5):  # not a number, or beyond what OpenCV can count in sixteenths
            continue
        center = _subpixel(x), _subpixel(y)
        for size, ink in ((radius + rim, _INK), (radius, color)):
            cv2.circle(image, center, _subpixel(size), ink, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _subpixel(value: float) -> int:
    return round(value * (1 << _SUBPIXEL_BITS))


def _draw_label(image: np.ndarray, face: Face, unit: float) -> None:
    height, width = image.shape[:2]
    text = label_text(face)
    scale, thickness = 0.42 * unit, max(1, round(0.6 * unit))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = round(5 * unit)
    if text_width + 2 * pad > width:  # a tiny picture: letters as large as fit
        scale *= max(0.1, (width - 2 * pad) / text_width)
        (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    plate_width, plate_height = text_width + 2 * pad, text_height + 2 * pad
    left = int(np.clip(face.box.left, 0, max(0, width - plate_width)))
    top = face.box.top - plate_height
    if top < 0:  # no room above the face: under it, or else inside its lower edge
        top = face.box.bottom if face.box.bottom + plate_height <= height else height - plate_height
    top = int(np.clip(top, 0, max(0, height - plate_height)))
    color = _SMILE if face.label == "smile" else _NO_SMILE
    cv2.rectangle(image, (left, top), (left + plate_width, top + plate_height), color, cv2.FILLED)
    origin = (left + pad, top + pad + text_height)
    cv2.putText(image, text, origin, _FONT, scale, _INK, thickness, cv2.LINE_AA)


def message_picture(message: str, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """A calm card that says `message`, uint8 BGR of `size` (width, height)."""
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
