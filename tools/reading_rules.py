"""Write static/reading/rules.js: the numbers by which faces are found, followed and read, for the visitor's own browser.

python -m tools.reading_rules             # writes the file anew; do it after a change of any of these numbers
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import numpy as np

import smile_recognition
from common import face
from common.places import STATIC
from faces import alignment, finder, following, photo, search, smoothing, track, tracking
from visitors import carried, turns

RULES = STATIC / "reading" / "rules.js"
_HEAD = "// Written by `python -m tools.reading_rules` from the Python modules that these are named after, not by hand.\n"
_NUMBERS: dict[Any, str] = {
    face: "LANDMARKS SMILE_THRESHOLD PRESENCE_THRESHOLD _STILL_THERE",
    smile_recognition: "CROP_SIZE _OUTPUTS _SMOOTHED_FROM",
    alignment: "TYPICAL_LANDMARKS",
    finder: "WIDTH HEIGHT CELL CHANNELS _DEEPEST _SMALLEST _MOST_ENLARGED _MOST_PIXELS _LEAST_CONTRAST _MOST_SIZES "
    "_SAME_FACE _MOST_CELLS _MOST_LOG_SIDE _ONE_LOOK _SLACK _TOO_SMALL SEEN _DOUBTFUL",
    following: "_WEIGHT _ENOUGH _CUT_OFF _UPRIGHT _NEAR_SHIFT _NEAR_SIZE _NEAR_ANGLE _FARTHEST _MOST_SHIFT _MOST_SIZE "
    "_MOST_MISFIT _LEAST_HEIGHT _MOST_HEIGHT",
    track: "SHOWN_AFTER_S _COAST_S _PORTRAIT PORTRAIT_SHAPE THUMBNAIL_SHAPE PORTRAITS",
    tracking: "MAX_FACES _SEARCHED_LESS _JOINED_S _SEARCHED_FINELY _FORGET_AFTER_S _VELOCITY_S _COURSE_S "
    "_FOLLOWED_PER_FRAME _SAME_FACE _LIKE _ODD_S _UNLIKE_S _SURELY_LIKE _PORTRAIT_EVERY_S _HELD _MOVED _UNLIKE_WEIGHT "
    "_HIDDEN_WEIGHT _OVERLAP _SIZES _REACH _REACH_PER_S _FLAT _CUT",
    search: "_SMALLEST _SMALLEST_PART",
    turns: "_SMALLEST _SMALLEST_SHARE",
    carried: "_LONGEST_STEP_S _SHORTEST_STEP_S",
    photo: "_LEANING _SAME_FACE _ALIKE _ALIKE_OVERLAP _FINER",
}


def text() -> str:
    """What the file says."""
    rules = {
        module.__name__.rpartition(".")[2]: {name.strip("_"): _plain(getattr(module, name)) for name in names.split()}
        for module, names in _NUMBERS.items()
    }
    rules["turns"]["PAUSE_S"] = turns.TurnSearch.pause
    rules["smoothing"] = _defaults(smoothing.OneEuroFilter) | _defaults(smoothing.SmoothedSmile)
    lines = [_HEAD]
    for name, numbers in rules.items():
        inner = "".join(f"  {key.upper()}: {json.dumps(value)},\n" for key, value in numbers.items())
        lines.append(f"export const {name.upper()} = {{\n{inner}}};\n")
    return "".join(lines)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _defaults(made: Any) -> dict[str, float]:
    """The numbers that a class is made with unless told otherwise."""
    parameters = inspect.signature(made).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if isinstance(parameter.default, float)}


def main() -> int:
    """Writes the file. Exit code 0."""
    RULES.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
