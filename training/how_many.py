"""How many photos of your own are worth what: a table for the guide, made by fitting to ever more of them.

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb}.zip --split models/split.csv.gz
    python -m training.dataset ../shared/data/affect.zip --out datasets/affect
    python -m training.how_many --model runs/without_affect --write-docs
    python -m training.how_many --model runs/without_affect --part val --strengths 1 2 4 6 10       # for choosing a strength

It stands in for a user twice. One has a definition of her own: of GENKI's smiles, only wide ones with an open mouth count.
The other has faces of another kind: those of `--others`, of which the network must have seen none. (The shipped one has seen
affect; `--model` names one of a training `--without affect`.) From the training part of each, 20, 60, 150 and 1,000 faces of
each class are drawn, three times each, and the network's smile output is fitted to them (`training/fitting/tune.py`). The
table says how many test faces are then read right: of that kind, and of the network's own sets, as they were labelled.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from common.commands import said_plainly
from common.errors import DatasetError
from common.places import MODELS, ROOT
from common.whole_files import write_whole
from training.data.faces import Faces
from training.fitting.hold import features_of, load_hold, read_features, smile_weights, with_bias
from training.fitting.lineage import what_was_trained
from training.fitting.tune import VIEWS, fit_smile_output, whole_network
from training.quiet import tensorflow_quiet

SIZES, DRAWS = (20, 60, 150, 1000), 3
OWN_SETS = ("genki", "smiles", "getty_faces", "rafdb")  # of the shipped network, with labels by people or terms
_MARK = "<!-- made by `python -m training.how_many` -->"
# The lips are this far apart, in distances between the eyes, in a wide smile: dlib's points 62 and 66.
_WIDE = 0.13


@dataclass(frozen=True)
class Kind:
    """A user's faces: features `(n, views, d)` of those to learn from, and one plain look `(n, d)` at those to judge by."""

    title: str
    known: Faces
    read: np.ndarray
    unseen: Faces
    plain: np.ndarray


class Shipped:
    """The shipped network, taken apart for fitting."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._model, self._scaler = whole_network(folder)
        self._trunk, self._seed = features_of(self._model), seed
        self.weights = smile_weights(self._model, float(what_was_trained(folder)["temperature"]))
        self.hold = load_hold(folder, len(self.weights))

    def look(self, faces: Faces, views: int) -> np.ndarray:
        return read_features(self._trunk, self._scaler, faces, views=views, seed=self._seed)

    def kind(self, title: str, known: Faces, unseen: Faces) -> Kind:
        return Kind(title, known, self.look(known, VIEWS), unseen, self.look(unseen, 0)[:, 0])


def wide_smiles(faces: Faces) -> Faces:
    """The same labelled faces, of whose smiles only those with an open mouth still count."""
    points = faces.shape68
    eyes = np.linalg.norm(points[:, 36:42].mean(axis=1) - points[:, 42:48].mean(axis=1), axis=1)
    lips = np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
    return replace(faces, smile=((faces.smile == 1) & (lips > _WIDE * eyes)).astype(np.int8))


def right(weights: np.ndarray, plain: np.ndarray, faces: Faces) -> float:
    """The share of faces whose label the sign of the logit tells."""
    return float((((with_bias(plain) @ weights) > 0) == (faces.smile > 0)).mean())


def draw(kind: Kind, size: int, seed: int) -> np.ndarray:
    """Rows of `size` faces of each class, or of all there are."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(kind.known.smile == label))[:size] for label in (0, 1)])


def rows_of(
    shipped: Shipped, kind: Kind, own: dict[str, tuple[np.ndarray, Faces]], strengths: Sequence[float | None]
) -> list[str]:
    """A line of the table for the shipped network, and one for each size and strength: means over the draws, and the worst
    one.
    """

    def cells(all_weights: list[np.ndarray]) -> str:
        of_kind = [right(weights, kind.plain, kind.unseen) for weights in all_weights]
        of_sets = [np.mean([right(weights, plain, faces) for weights in all_weights]) for plain, faces in own.values()]
        lowest = f" ({min(of_kind):.1%})" if len(of_kind) > 1 else ""
        return " | ".join([f"{np.mean(of_kind):.1%}{lowest}", *(f"{share:.1%}" for share in of_sets)])

    lines = [f"| {kind.title} | 0 | {cells([shipped.weights])} |"]
    for size, strength in product(SIZES, strengths):
        fitted = []
        for seed in range(DRAWS):
            rows = draw(kind, size, seed)
            known, read = kind.known.where(rows), kind.read[rows]
            fitted.append(fit_smile_output(known, read, shipped.weights, shipped.hold, strength))
        held = f", strength {strength:g}" if strength else ""
        lines.append(f"| | {len(rows) // 2:,}{held} | {cells(fitted)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def table(options: argparse.Namespace) -> str:
    """The Markdown table. Raises DatasetError."""
    shipped, part = Shipped(options.model, options.seed), options.part
    sets = (Faces.load(path) for path in (options.data, options.others))
    faces, strangers = (known.where(known.face == 1).labelled() for known in sets)
    lacking = [name for name in OWN_SETS if not len(faces.part(part, name))]
    if lacking:
        data = options.data
        raise DatasetError(f"{data} has no {', '.join(lacking)}; build it with these sets and --split models/split.csv.gz.")
    if any(len(np.unique(strangers.part(side).smile)) < 2 for side in ("train", part)):
        raise DatasetError(f"{options.others} needs both smiling and other faces in the parts train and {part}.")
    if seen := sorted(set(strangers.source.tolist()) & what_was_trained(options.model)["trained_on"].keys()):
        raise DatasetError(
            f"The network in {options.model} was trained on {', '.join(seen)}; give --others that it has never seen, or the "
            "--model of a training --without them."
        )
    genki = wide_smiles(faces.where(faces.source == "genki"))
    own = {name: faces.part(part, name) for name in OWN_SETS}
    read = {name: (shipped.look(some, 0)[:, 0], some) for name, some in own.items()}
    other = f"faces of another kind ({strangers.source[0]})"
    kinds = [
        shipped.kind("only wide, open smiles (GENKI)", genki.part("train"), genki.part(part)),
        shipped.kind(other, _some(strangers.part("train")), strangers.part(part)),
    ]
    head = ["your faces", "of each class", "right of this kind (worst draw)", *OWN_SETS]
    lines = [" | ".join(head).join(("| ", " |")), "|" + "---|" * len(head)]
    for kind in kinds:
        lines += rows_of(shipped, kind, read, options.strengths or [None])
    return "\n".join(lines)


def _some(faces: Faces) -> Faces:
    """As many faces of each class as are ever drawn, twice over: features of all would take minutes."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(faces.smile == label))[: 2 * max(SIZES)] for label in (0, 1)]
    return faces.where(np.sort(np.concatenate(rows)))


@tensorflow_quiet()
@said_plainly("The table could not be made")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.how_many", description="What photos of your own are worth.")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="the shipped network's sets")
    parser.add_argument("--others", type=Path, default=Path("datasets/affect.npz"), help="faces that it has never seen")
    parser.add_argument("--model", type=Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("val", "test"), default="test", help="val: for choosing")
    parser.add_argument("--strengths", type=float, nargs="+", help="how firmly old weights are held (default: by the size)")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/training.md")
    options = parser.parse_args(argv)
    if options.strengths and not all(strength > 0 for strength in options.strengths):
        raise DatasetError("--strengths must be more than 0.")
    if options.write_docs and (options.part != "test" or options.strengths):
        raise DatasetError("--write-docs is for the table as it is; leave --part and --strengths out.")
    made = table(options)
    print(made)
    if options.write_docs:
        _write_into(ROOT / "docs" / "training.md", made)
    return 0


def _write_into(guide: Path, made: str) -> None:
    """Puts the table after its mark, in place of the one that is there. Raises DatasetError and OSError."""
    before, mark, after = guide.read_text(encoding="utf-8").partition(_MARK)
    if not mark:
        raise DatasetError(f"{guide} has no line {_MARK} after which the table could stand; put it back.")
    rest = re.sub(r"\A\n*(\|.*\n)*\n*", "", after)
    write_whole(guide, f"{before}{mark}\n\n{made}\n\n{rest}".encode())


if __name__ == "__main__":
    sys.exit(main())
