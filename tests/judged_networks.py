"""What the tests of judgement share: a model folder and a dataset, and the command that judges them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from smile_recognition import DEFAULT_MODEL
from training import evaluate
from training.data.faces import Faces

TRAINING = {
    "network": "smile",
    "trained_on": {"rafdb": 9000, "mine": 24},
    "backgrounds": 7,
    "seed": 3,
    "epochs": 33,
    "chosen_epoch": 29,
    "precision": "mixed_bfloat16",
    "weights": 1234567,
    "temperature": 0.87,
}


def judging(faces: Faces, folder: Path) -> Callable[..., int]:
    """A function that runs the command with more options; a model folder and a dataset lie in `folder`."""
    model = folder / "model"
    model.mkdir()
    shutil.copy(DEFAULT_MODEL, model)
    (model / "training.json").write_text(json.dumps(TRAINING))
    faces.save(folder / "faces.npz")
    (folder / "faces.json").write_text(json.dumps({"seed": 0, "sets": {"mine": {"pictures": 4321, "no_face": 17}}}))

    def run(*options) -> int:
        given = ["--model", model, "--data", folder / "faces.npz", *options]
        return evaluate.main([str(option) for option in given])

    return run
