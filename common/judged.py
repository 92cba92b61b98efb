"""What a smile network's file says of itself: how good it was when it was made.

The record is in a zip archive that is appended to the network. LiteRT's own metadata keeps a model's files in the same way
(https://ai.google.dev/edge/litert/models/metadata), and interpreters ignore it.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = "judged.json"
_FEW, _HARDLY_ANY = 0.9, 0.5  # shares of the faces that a network takes for faces
_CHANCE = 0.6  # balanced accuracy that nobody wants to use
_ENOUGH = 30  # faces of a class, below which a figure is mostly luck


@dataclass(frozen=True)
class Judged:
    """`how`: by "cross-validation", or by a part of the dataset; always by faces that the network had not learned from.

    `faces`: how many they were, `found` the share of them that it takes for faces, 0 to 1. `smiling`, `serious`: how many of
    them had which label, `balanced` the mean of both classes' accuracies, 0 to 1, and `low` the lower end of its 95 %
    interval.
    """

    how: str
    faces: int
    found: float
    smiling: int
    serious: int
    balanced: float
    low: float

    @property
    def hopeless(self) -> bool:
        """Whether nothing can be expected to work."""
        return self.found < _HARDLY_ANY or self._guesses()

    def _guesses(self) -> bool:
        return self.smiling + self.serious > 0 and self.balanced < _CHANCE and self.low <= 0.5

    def problem(self) -> str:
        """What is wrong with the network, and what to do about it, in one sentence; empty for a good one."""
        if self.found < _FEW:
            return (
                f"This network sees a face in only {self.found:.0%} of the {self.faces} faces that it was judged on; "
                "train it again without --from-scratch, or with thousands of photos."
            )
        if self._guesses():
            return (
                f"This network tells smiles from other faces hardly better than a coin ({self.balanced:.0%} of "
                f"{self.smiling + self.serious} faces right); check that the photos are in the right folders, or add some."
            )
        return ""

    def caution(self) -> str:
        """What to bear in mind when reading the figures, in one sentence, or nothing."""
        if min(self.smiling, self.serious) < _ENOUGH:
            return (
                f"These figures come from {self.smiling} smiling and {self.serious} other faces and are mostly luck; "
                f"they mean something with {_ENOUGH} or more of each."
            )
        return ""


def attach(network: bytes, judged: Judged) -> bytes:
    """The bytes of a network's file that carries the record, instead of one that it carried before."""
    file = io.BytesIO(network)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            begins = {info.filename: info.header_offset for info in archive.infolist()}
        if list(begins) == [_NAME]:
            file = io.BytesIO(network[: begins[_NAME]])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_NAME), json.dumps(asdict(judged)))  # without a time: same record, same bytes
    return file.getvalue()


def read_judged(path: Path) -> Judged | None:
    """The record that the file carries; None without one, as in networks from before there were records."""
    try:
        with zipfile.ZipFile(path) as archive:
            said = json.loads(archive.read(_NAME))
        return Judged(**{name: kind(said[name]) for name, kind in _KINDS.items()})
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, RuntimeError):
        return None


_KINDS = {
    **dict.fromkeys(("faces", "smiling", "serious"), int),
    **dict.fromkeys(("found", "balanced", "low"), float),
    "how": str,
}
