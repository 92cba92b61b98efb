"""Pictures that carry a number which survives JPEG."""

from __future__ import annotations

import cv2
import numpy as np

BARS = 12  # bits of the frame number that can be read off a numbered video


def number_picture(image: np.ndarray, number: int) -> None:
    """Write `number` into the lowest rows of `image` as black and white fields that survive JPEG."""
    height, width = image.shape[:2]
    side = width // BARS
    for bit in range(BARS):
        image[height - 24 :, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0


def read_number(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None, "not a JPEG picture"
    side = image.shape[1] // BARS
    fields = [image[-12, bit * side + side // 2] > 127 for bit in range(BARS)]
    return sum(1 << bit for bit, white in enumerate(fields) if white)
