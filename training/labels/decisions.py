"""Decisions about labels: a table that only grows, and its effect on a dataset.

A row says `source,name,decision,by,time`. `decision` is `smile`, `no_smile`, `drop`, `skip` (seen, left as it is) or `undo`.
`undo` takes back that face's last decision, by a person or by `automatic`, whichever wrote the row. The last decision that
was not taken back holds. A line that a kill cut off is not a decision, and the next run removes it.

Only labels of the training part are ever changed. A network's opinion led people to these faces. If hard faces of the
validation or test part were relabelled or dropped, that part would flatter the next network.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from common.csv_lines import csv_writer
from common.errors import DatasetError
from training.data.faces import Faces

COLUMNS = ("source", "name", "decision", "by", "time")
LABELS = {"smile": 1, "no_smile": 0}
CHOICES = (*LABELS, "drop", "skip")
AUTOMATIC = "automatic"  # in the column `by`: nobody looked
_UNDO = "undo"
_COUNTED = ("changed", "dropped", "confirmed", "skipped", "automatic")
_HEADER = (",".join(COLUMNS) + "\n").encode()
_WHOLE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

Key = tuple[str, str]  # a face's source and name


@dataclass(frozen=True)
class Decision:
    """One row; `choice` is one of `CHOICES`, or `undo`."""

    source: str
    name: str
    choice: str
    by: str
    time: str

    @property
    def key(self) -> Key:
        return self.source, self.name

    @property
    def automatic(self) -> bool:
        return self.by == AUTOMATIC


def read_decisions(path: Path) -> dict[Key, Decision]:
    """The decision that holds for each face. Raises DatasetError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} can't be read; `python -m training.relabel` makes such a file.") from error
    return {decision.key: decision for decision in _parse(path, data)[0]}


def digest_of(path: Path) -> str:
    """The SHA-256 of the table, by which to recognise it. Raises DatasetError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(f"{path} can't be read; `python -m training.relabel` makes such a file.") from error


class Journal:
    """The table as a file that grows: each decision is on the disk before `add` returns. Safe to use from many threads.

    Opening removes a last line that was cut off. Raises DatasetError for a file of another kind and OSError for one that
    can't be written.
    """

    def __init__(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        self._entries, whole = _parse(path, data)
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)  # rows that the disk refused must not wait in memory for the next one
        if whole < len(data):
            self._file.truncate(whole)
        if not whole:
            self._write(_HEADER)
        elif not data[:whole].endswith(b"\n"):
            self._write(b"\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def standing(self) -> dict[Key, Decision]:
        """The decision that holds for each face."""
        with self._lock:
            return {decision.key: decision for decision in self._entries}

    def add(self, choices: Iterable[tuple[Key, str]], by: str) -> None:
        """Adds decisions. If it raises OSError, none of them is in the table."""
        with self._lock:
            self._append([Decision(*key, choice, by, _now()) for key, choice in choices])

    def undo(self, among: Collection[Key]) -> Key | None:
        """Takes back a person's last decision on one of these faces. None if there is none left."""
        with self._lock:
            last = next((one for one in reversed(self._entries) if not one.automatic and one.key in among), None)
            if last is None:
                return None
            self._append([Decision(*last.key, _UNDO, last.by, _now())])
            return last.key

    def replace_automatic(self, choices: Mapping[Key, str], sources: Collection[str]) -> None:
        """Makes these the automatic decisions on these sets, and takes back earlier ones that are not among them.

        A face on which a person decided anything, even to skip it, is left alone.
        """
        with self._lock:
            people = {one.key for one in self._entries if not one.automatic}
            before = {one.key: one.choice for one in self._entries if one.automatic and one.source in sources}
            wanted = {key: choice for key, choice in choices.items() if key not in people}
            gone = [key for key, choice in before.items() if wanted.get(key) != choice]
            new = [(key, choice) for key, choice in wanted.items() if before.get(key) != choice]
            rows = [(key, _UNDO) for key in gone] + new
            self._append([Decision(*key, choice, AUTOMATIC, _now()) for key, choice in rows])

    def _append(self, rows: list[Decision]) -> None:
        text = io.StringIO()
        csv_writer(text).writerows((r.source, r.name, r.choice, r.by, r.time) for r in rows)
        self._write(text.getvalue().encode())
        for row in rows:
            _take_in(self._entries, row)

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(data)
            while rest:  # a disk that fills up may take a part
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:  # a full disk: better nothing than half a line in the middle
            self._file.truncate(size)
            raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _take_in(entries: list[Decision], row: Decision) -> None:
    if row.choice != _UNDO:
        entries.append(row)
        return
    for i in range(len(entries) - 1, -1, -1):
        if entries[i].key == row.key and entries[i].automatic == row.automatic:
            del entries[i]
            return


def _parse(path: Path, data: bytes) -> tuple[list[Decision], int]:
    """The decisions that hold, oldest first, and how many bytes of `data` are whole rows."""
    end = data.rfind(b"\n") + 1
    if not end and _HEADER.startswith(data):
        return [], 0
    entries: list[Decision] = []
    try:
        lines = csv.reader(io.StringIO(data[:end].decode("utf-8-sig"), newline=""), strict=True)
        if tuple(next(lines, ())) != COLUMNS:
            raise DatasetError(f"{path} is not a table of {', '.join(COLUMNS)}; give another file.")
        for row in lines:
            if len(row) != len(COLUMNS) or not row[1] or row[2] not in (*CHOICES, _UNDO):
                raise DatasetError(f"Line {lines.line_num} of {path} is not a decision; mend it or take it out.")
            _take_in(entries, Decision(*row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is damaged; restore it or give another file.") from error
    last = _whole_row(data[end:])
    if last is not None:
        _take_in(entries, last)
        end = len(data)
    return entries, end


def _whole_row(line: bytes) -> Decision | None:
    """The decision in a last line without a line end. Some editors leave that out, and so does a kill."""
    try:
        row = next(csv.reader([line.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return None
    whole = len(row) == len(COLUMNS) and row[2] in (*CHOICES, _UNDO) and _WHOLE_TIME.fullmatch(row[4])
    return Decision(*row) if whole else None


# --- what it does to a dataset ---


def apply_decisions(faces: Faces, decisions: Mapping[Key, Decision]) -> Faces:
    """The faces, with labels changed and faces dropped in the training part as decided. All others stay as they were."""
    rows, found = _training_rows(faces, decisions)
    smile, keep = faces.smile.copy(), np.ones(len(faces), bool)
    for row, decision in zip(rows, found, strict=True):
        keep[row] = decision.choice != "drop"
        smile[row] = LABELS.get(decision.choice, smile[row])
    faces = Faces(**{**faces.fields(), "smile": smile})
    return faces if keep.all() else faces.where(keep)


def count_decisions(faces: Faces, decisions: Mapping[Key, Decision]) -> dict[str, Any]:
    """What `apply_decisions` would do to these faces.

    `sets`: for each set, how many labels are `changed`, `confirmed` and `skipped`, and how many faces `dropped`; `automatic`
    counts those at which nobody looked. `outside_training`: decisions on validation and test faces, which are not followed.
    `unknown`: decisions on faces that are not in the dataset.
    """
    rows, found = _training_rows(faces, decisions)
    sets: dict[str, dict[str, int]] = {}
    for row, decision in zip(rows, found, strict=True):
        counts = sets.setdefault(decision.source, dict.fromkeys(_COUNTED, 0))
        counts[effect(decision.choice, int(faces.smile[row]))] += 1
        counts["automatic"] += decision.automatic
    known = {key for key, face in zip(_keys(faces), faces.face.tolist(), strict=True) if face}
    unknown = sum(key not in known for key in decisions)
    return {
        "sets": dict(sorted(sets.items())),
        "outside_training": len(decisions) - len(rows) - unknown,
        "unknown": unknown,
    }


def effect(choice: str, label: int) -> str:
    """`changed`, `confirmed`, `dropped` or `skipped`: what a choice does to a face with this label."""
    if choice in LABELS:
        return "confirmed" if LABELS[choice] == label else "changed"
    return "dropped" if choice == "drop" else "skipped"


def in_words(counts: Mapping[str, Any]) -> list[str]:
    """What `count_decisions` found, as lines for people."""
    lines = [
        f"{name}: {one['changed']} labels changed, {one['dropped']} faces dropped, {one['confirmed']} confirmed, "
        f"{one['skipped']} skipped" + (f" ({one['automatic']} of these automatically)" if one["automatic"] else "")
        for name, one in counts["sets"].items()
    ]
    if counts["outside_training"]:
        lines.append(
            f"{counts['outside_training']} decisions are on validation or test faces, whose labels stay as they were."
        )
    if counts.get("near_copies"):
        lines.append(f"{counts['near_copies']} decisions settle near-copies with opposite labels.")
    if counts.get("near_copies_left_out"):
        lines.append(
            f"{counts['near_copies_left_out']} decisions are on near-copies with opposite labels that were left out; build "
            "the dataset with --decisions and without --split to take them in."
        )
    if counts["unknown"]:
        lines.append(f"{counts['unknown']} decisions are on faces that are not in the dataset; they change nothing.")
    return lines


def _training_rows(faces: Faces, decisions: Mapping[Key, Decision]) -> tuple[list[int], list[Decision]]:
    usable = ((faces.split == "train") & (faces.face == 1)).tolist()
    pairs = [(i, decisions[key]) for i, key in enumerate(_keys(faces)) if usable[i] and key in decisions]
    return [i for i, _ in pairs], [decision for _, decision in pairs]


def _keys(faces: Faces) -> list[Key]:
    return list(zip(faces.source.tolist(), faces.name.tolist(), strict=True))
