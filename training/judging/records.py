"""From figures to files: JSON without NaN, and the model card, a function of the JSON files beside it.

`metrics.json` is what `training.evaluate` measured, `training.json` what `training.train` did; `left_out.json` and
`baselines.json`, where they are, were recorded by the options `--left-out` and `--baselines`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.csv_lines import csv_writer
from common.errors import DatasetError
from common.whole_files import replacing, write_whole
from training.data.faces import Faces
from training.judging.scores import plain

LEFT_OUT, BASELINES = "left_out.json", "baselines.json"

# --- files ---


def read_json(path: Path) -> dict[str, Any]:
    """Raises DatasetError for what is missing or no JSON object."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(f"There is no {path}; `python -m training.train` or `training.evaluate` makes it.") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} can't be read as JSON; restore it or make it again.") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no JSON object; restore it or make it again.")
    return content


def read_training(folder: Path) -> dict[str, Any]:
    """What `training.train` wrote of a network, with all that is needed of it here. Raises DatasetError."""
    training = read_json(folder / "training.json")
    lacking = [key for key in ("trained_on", "weights", "temperature", "seed", "epochs") if key not in training]
    if lacking:
        raise DatasetError(f"{folder / 'training.json'} does not say {', '.join(lacking)}; train the network again.")
    return training


def write_text(path: Path, text: str) -> None:
    """A kill leaves the old file or the new one, never half of one."""
    write_whole(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(plain(content), indent=1, allow_nan=False) + "\n")


def record(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Sets `name` in the JSON file `path` and leaves its other names as they are. Names are sorted, whatever the order of
    calls.
    """
    entries = read_json(path) if path.is_file() else {}
    write_json(path, dict(sorted({**entries, name: entry}.items())))


def write_unseen(faces: Faces, path: Path) -> None:
    """Names, not pictures, of faces that the network has never seen, so that others can judge it on the same faces."""
    real = faces.face == 1
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(["source", "name"])
        writer.writerows(sorted(zip(faces.source[real].tolist(), faces.name[real].tolist(), strict=True)))


# --- the card ---
