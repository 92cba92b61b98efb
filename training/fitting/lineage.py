"""Where a network comes from: what earlier trainings showed it, and their split, so that it is not judged by faces that it
has seen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import DatasetError
from training.data.faces import Faces
from training.data.splits import read_split
from training.fitting.progress import BEST

if TYPE_CHECKING:
    import keras


def take_weights(model: keras.Model, folder: Path) -> None:
    """Gives `model` the weights of the best epoch in `folder`, or of the exported network there. Outputs that this does not
    have, because it is exported or older, begin anew. Raises DatasetError.
    """
    import keras

    from training.networks.network import part_with

    path = folder / BEST
    path = path if path.is_file() else folder / "my_model.keras"
    try:
        earlier = keras.models.load_model(path, compile=False)
        shared = [name for name in model.output if name in earlier.output]
        if not shared:
            raise ValueError("no output in common")
        part_with(model, shared).set_weights(part_with(earlier, shared).get_weights())
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{path} is not a network of this kind; give the folder of an earlier training.") from error


def earlier_stages(folder: Path | None) -> list[dict]:
    """The trainings before this one, oldest first."""
    return [] if folder is None else what_was_trained(folder).get("stages", [])


def what_was_trained(folder: Path) -> dict:
    """The `training.json` in `folder`. Raises DatasetError."""
    try:
        made = json.loads((folder / "training.json").read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder} has no readable training.json; give the folder of a whole training.") from error
    if not isinstance(made, dict) or not isinstance(made.get("trained_on"), dict):
        raise DatasetError(f"{folder / 'training.json'} does not say what was trained on; train that network again.")
    return made


def check_start(folder: Path, faces: Faces) -> None:
    """A network may go on with more or less data. But faces that it was trained on must not choose or judge it."""
    what_was_trained(folder)
    manifest = folder / "split.csv.gz"
    if not manifest.is_file():
        raise DatasetError(f"{folder} has no split.csv.gz, so nobody knows what its network has seen.")
    seen = {key for key, (_, side) in read_split(manifest).items() if side == "train"}
    kept = faces.where(faces.split != "train")
    if any(key in seen for key in zip(kept.source.tolist(), kept.name.tolist(), strict=True)):
        raise DatasetError(
            f"The network in {folder} was trained on faces of this dataset's validation or test part; "
            f"build the dataset with --split {manifest}."
        )
