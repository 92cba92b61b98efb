"""A webcam before which people of a real video smile when the test says so, and not when a video comes round to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_WIDE_OF_SEVERAL = 400
NEUTRAL, SMILE = (0, 14), (24, 40)  # first and last such frame of the video

# Everybody goes to and fro between two frames of the video, and to those step by step. Beside each other they stand cropped.
_SCRIPT = """{
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const frames = Promise.all(%s.map((text) => createImageBitmap(new Blob([bytes(text)], { type: "image/jpeg" }))));
  window.sitters = Array.from({ length: %d }, () => ({ at: 0, step: 2, range: %s }));
  navigator.mediaDevices.getUserMedia = async () => {
    const pictures = await frames, canvas = document.createElement("canvas"), [{ width, height }] = pictures;
    const wide = sitters.length > 1 ? %d : width;
    [canvas.width, canvas.height] = [wide * sitters.length, height];
    const paper = canvas.getContext("2d");
    const paint = () => sitters.forEach((one, place) => {
      const [first, last] = one.range;
      if (one.at >= last) one.step = -2;
      if (one.at <= first) one.step = 2;
      one.at += one.step;
      paper.drawImage(pictures[one.at], (width - wide) / 2, 0, wide, height, wide * place, 0, wide, height);
    });
    paint();
    const stream = canvas.captureStream(15);
    const timer = setInterval(() => stream.active ? paint() : clearInterval(timer), 66);  // every second frame
    return stream;
  };
}"""

SMILES = f"sitters.forEach((one) => {{ one.range = {list(SMILE)}; }}) || "  # before an expression: everybody begins to smile


def person_of(video: Path) -> list[np.ndarray]:
    """A person who is neutral, and then smiles: uint8 BGR (360, 640, 3)."""
    capture = cv2.VideoCapture(str(video))
    frames = [capture.read()[1] for _ in range(SMILE[1] + 1)]
    capture.release()
    return frames


def script(frames: Sequence[np.ndarray], people: int = 1) -> str:
    """For a page's init script: its webcam shows so many of that person, side by side, neutral until told otherwise."""
    pictures = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for frame in frames]
    texts = json.dumps([base64.b64encode(data).decode() for data in pictures])
    return _SCRIPT % (texts, people, list(NEUTRAL), _WIDE_OF_SEVERAL)


def smile(page: Any, who: int | None = None) -> None:
    """That person begins to smile; None: everybody."""
    _pose(page, SMILE, who)


def rest(page: Any, who: int | None = None) -> None:
    """That person's smile ends; None: everybody's."""
    _pose(page, NEUTRAL, who)


def _pose(page: Any, frames: tuple[int, int], who: int | None) -> None:
    page.evaluate(
        "([range, who]) => sitters.forEach((one, i) => { if ((who ?? i) === i) one.range = range; })", [frames, who]
    )
