"""Write the finder's own model card from the JSON files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.judging.model_card import LICENCES, research_only
from training.judging.records import read_json, write_text

PROBE, TRAINING = "finder.json", "finder_training.json"

_CARD = """# Model card: finder.tflite

Made by `python -m training.finder_probe --card models`; change that command, not this file.

## What it is
A convolutional network of {weights:,} weights that sees all faces of a grey frame at once: place, size, lean and five
landmarks. The file judged here has the sha256 sum `{sha256}` and {bytes:,} bytes.

- In: float32 `(1, 128, 160, 1)`, grey levels 0 to 255; another height and width may be set that 32 divides.
- Out: float32 `(1, 16, 20, 14)`, for each cell of 8x8 pixels: a score; the centre of the face's square from the middle of
  the cell, in cells; the logarithm of its side in cells; x and y of eyes, nose and mouth corners from the centre, in sides.

## What it is for
Finding faces for this app, which asks the smile network about each of them before it shows one. It tells nobody apart and
knows nothing of who somebody is.

## How good it is
{photos} photos of {set} in the {part} part, of which nothing was trained on, set into frames of 640x480 (seed {seed}).
Found: a box overlaps the true square by 0.35 or more. In brackets: the median overlap with the box of `face_recognition` on
the frames where both see the face, and the median milliseconds of one frame on one thread. "app": the whole path of a photo,
and how many smiles were then read right. Times are of one run on a computer that may have had other work.

{table}

False faces in {backgrounds} pictures without a face of the {part} part: {false}.

How sure finder and smile network must be together was set on validation photos, but this table had been seen before with
other networks, and clouds came into the training because a test video had shown them taken for faces. So the table is not
quite blind, least of all its false faces.

Conditions, photos and backgrounds are made by this project's own commands, from a set of which other photos were trained on.

## What it was trained on
{trained_on}

Frames were made of these on the fly, {frames:,} of them: faces of any size and lean set before other pictures, cut by the
border, covered, dim, noisy, blurred, backlit, some among clouds and lettering that are drawn. Where the faces are was said
by YuNet (OpenCV's model zoo, MIT) and by the smile network's landmarks; so what these two never see, it was never taught.
Parts are those of the smile network's dataset as it was when the pictures were first read, and by name in sets that it did
not know then; training pictures that are near-copies of others outside the training part were left out.

{licences}The pictures are not in this project.

## Known limits
- {frames:,} frames are few for such a network: a longer training found more each time (`training.finder --start-from`).
- Where the whole face is turned far to the side, teachers' marks are poor, and so are boxes.
- Accuracy by age, gender or skin colour was not measured: the sets have no such labels.
"""


def finder_card(probe: Mapping[str, Any], training: Mapping[str, Any], table: str) -> str:
    """The text of FINDER_CARD.md, from the files of `training.finder_probe` and `training.finder`."""
    false = dict(probe["false_faces"])
    backgrounds = false.pop("pictures")
    licence = {**LICENCES, "backgrounds": "Pictures without a face, of a public set of negatives for Haar training"}
    trained_on = [
        f"- {name}: {count:,} pictures. {licence.get(name, 'Its licence is known to whoever made the set')}."
        for name, count in training["trained_on"].items()
    ]
    return _CARD.format(
        **{key: probe[key] for key in ("sha256", "bytes", "photos", "set", "part", "seed")},
        weights=training["weights"],
        frames=training["frames"],
        table=table,
        backgrounds=backgrounds,
        false=", ".join(f"{name} {count}" for name, count in false.items()),
        trained_on="\n".join(trained_on),
        licences=research_only(training["trained_on"].keys()),
    )


def write_finder_card(folder: Path, table: str) -> None:
    """Writes FINDER_CARD.md from the JSON files in `folder`. Raises DatasetError if one can't be read."""
    card = finder_card(read_json(folder / PROBE), read_json(folder / TRAINING), table)
    write_text(folder / "FINDER_CARD.md", card)
