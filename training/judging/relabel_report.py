"""What relabelling did to accuracy: two trainings side by side, on faces that neither was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.errors import DatasetError
from smile_recognition import SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.fitting.lineage import check_start, what_was_trained
from training.judging.judge import read_crops
from training.judging.scores import grouped_interval


def compare(before: Path, after: Path, faces: Faces, touched: set[str]) -> str:
    """The accuracy of the networks in two folders on each set's validation part, whose labels nobody changed, as a table.

    `touched`: sets whose labels were changed or dropped by decisions. All others, and sets that neither network was trained
    on, are "another set": there a gain can't come from having learnt a set's own idea of a smile. The difference is for the
    same faces; its 95 % interval comes from drawing whole groups. Raises DatasetError, ModelError.
    """
    validation = faces.part("val").labelled()
    if not len(validation):
        raise DatasetError("The dataset's validation part has no face with a smile label to compare on.")
    right, trained = [], []
    for folder in (before, after):
        check_start(folder, validation)
        trained.append(set(what_was_trained(folder)["trained_on"]))
        smile = read_crops(SmileRecognizer(folder / "smile.tflite"), validation.gray).smile
        right.append((smile >= SMILE_THRESHOLD) == (validation.smile == 1))
    another = np.array([name not in touched or name not in trained[0] | trained[1] for name in validation.source])
    rows = []
    for name in np.unique(validation.source):
        here = validation.source == name
        rows.append(_row(str(name), _kind(str(name), touched, trained), right, here, validation.group))
    for title, here in (("relabelled, in all", ~another), ("another set, in all", another)):
        if here.any():
            rows.append(_row("", title, right, here, validation.group))
    head = ("set", "what it is here", "faces", "before", "after", "difference (95 %)")
    return "\n".join([f"{before} and {after}, on the validation part:", "", _aligned([head, *rows])])


def _kind(name: str, touched: set[str], trained: list[set[str]]) -> str:
    if name not in trained[0] | trained[1]:
        return "another set: not trained on"
    return "relabelled" if name in touched else "another set: no label changed"


def _row(name: str, kind: str, right: list[np.ndarray], here: np.ndarray, group: np.ndarray) -> tuple[str, ...]:
    before, after = (one[here].astype(float) for one in right)
    low, high = (100 * limit for limit in grouped_interval(after - before, group[here]))
    return (
        name,
        kind,
        f"{here.sum():,}",
        f"{before.mean():.2%}",
        f"{after.mean():.2%}",
        f"{100 * (after - before).mean():+.2f} points ({low:+.2f} to {high:+.2f})",
    )


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = (0, 1)
    return "\n".join(
        "  ".join(
            f"{cell:<{w}}" if i in left else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
