"""Read the answer to the previous picture. It comes back from a visitor, so it may be anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import SmileError
from faces.stream_following import MAX_FACES, SEARCH_EVERY, Previous
from smile_recognition import LANDMARKS

MAX_NUMBER = 2**52  # the largest id or count; JavaScript's numbers hold it exactly


class PreviousError(SmileError):
    """What came as the previous answer is not one."""


def read_previous(previous: Any) -> Previous:
    """The previous answer, checked. Raises PreviousError if it is not an answer. A face at an impossible place is kept;
    following it will find it gone.
    """
    wrong = PreviousError(
        "The field 'previous' must be the answer to the previous picture, or {} with the first, or be left out."
    )
    if not isinstance(previous, Mapping):
        raise wrong
    try:
        faces = [
            (_whole(face["id"]), _number(face["smile"]), _points(face["landmarks"]), _whole(face.get("unseen", 0)))
            for face in previous.get("faces", [])
        ]
        followed, next_id = _whole(previous.get("followed", 0)), _whole(previous.get("next_id", 1))
        at = _number(previous.get("time", 0.0))
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise wrong from None
    if len(faces) > MAX_FACES or len({number for number, *_ in faces}) < len(faces):
        raise wrong
    next_id = max([next_id, *(number + 1 for number, *_ in faces)])
    if next_id + MAX_FACES >= MAX_NUMBER:  # the next answer would have no valid ids left
        raise wrong
    followed = min(followed, SEARCH_EVERY)
    faces = [(number, min(max(smile, 0.0), 1.0), points, unseen) for number, smile, points, unseen in faces]
    return Previous(faces, followed, next_id, at)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _points(value: Any) -> np.ndarray:
    return np.array([[_number(x), _number(y)] for x, y in (value[name] for name in LANDMARKS)])
