"""Show the figures: tables for the model card, plots for the documents, sheets of the worst mistakes.

Tables and plots are functions of the JSON files alone. A sheet shows people who did not ask to be in this project, so it
goes to an ignored folder and is never committed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from common.whole_files import write_whole
from smile_recognition import LANDMARKS, SMILE_THRESHOLD
from training.data.faces import SPLITS, Faces
from training.data.sources import KNOWN, Source
from training.judging.scores import ANGLES, HARDSHIPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEET_FACES = 24
_SHEET_COLUMNS = 6
_TILE, _CAPTION = 128, 22  # pixels
_COLUMNS = 3

# --- tables ---


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def interval_text(f: Mapping[str, Any], name: str) -> str:
    low, high = f[f"{name}_low"], f[f"{name}_high"]
    return "-" if low is None else f"{percent(low)} to {percent(high)}"


def table(first: str, entries: Mapping[str, Any], columns: Mapping[str, Callable[[Any], str]]) -> str:
    """A Markdown table with a row for each entry: its name under `first`, and in every other column what that column's
    function says about it.
    """
    lines = [[first, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(say(entry) for say in columns.values())] for name, entry in entries.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sets_table(sets: Mapping[str, Any]) -> str:
    columns: dict[str, Callable[[Any], str]] = {
        "faces": lambda f: f"{f['faces']:,}",
        "accuracy": lambda f: percent(f["accuracy"]),
        "95 % by groups": lambda f: interval_text(f, "accuracy_grouped"),
        "95 % by faces": lambda f: interval_text(f, "accuracy"),
        "balanced": lambda f: percent(f["balanced_accuracy"]),
        "ROC AUC": lambda f: number(f["roc_auc"]),
        "calibration error": lambda f: percent(f["calibration_error"]),
        "by chance": lambda f: percent(f.get("calibration_error_by_chance")),
    }
    kinds = {
        "smile, read right": "smile_read_as_smile",
        "smile, missed": "smile_read_as_no_smile",
        "no smile, read right": "no_smile_read_as_no_smile",
        "no smile, taken for one": "no_smile_read_as_smile",
    }

    def count(kind: str) -> Callable[[Any], str]:
        return lambda f: f"{f['confusion'][kind]:,}"

    confusion = {title: count(kind) for title, kind in kinds.items()}
    return table("set", sets, columns) + "\n\n" + table("set", sets, confusion)


def landmark_table(figures: Mapping[str, Any]) -> str:
    columns: dict[str, Callable[[Any], str]] = {
        "mean error, in eye distances": lambda f: percent(f["mean"]),
        "mean square error, in crop sides": lambda f: f"{f['mse']:.6f}",
    }
    points = {name.replace("_", " "): figures["points"][name] for name in LANDMARKS}
    return table("point", {"all five": figures, **points}, columns)


def presence_table(presence: Mapping[str, Any]) -> str:
    columns: dict[str, Callable[[Any], str]] = {
        "faces": lambda f: f"{f['faces']:,}",
        "backgrounds": lambda f: f"{f['backgrounds']:,}",
        "accuracy": lambda f: percent(f["accuracy"]),
        "ROC AUC": lambda f: number(f["roc_auc"]),
        "backgrounds taken for a face": lambda f: percent(f["false_positive_share"]),
        "faces missed": lambda f: percent(f["missed_share"]),
    }
    return table("set", presence, columns)


def robustness_table(curves: Mapping[str, Any]) -> str:
    """A few points of the curves. All of them are in the figure and in metrics.json."""

    def at(kind: str, strength: float) -> Callable[[Any], str]:
        place = curves[kind]["strengths"].index(strength)
        return lambda name: percent(curves[kind]["accuracy"][name][place])

    def tilted(look: str, angle: int) -> Callable[[Any], str]:
        places = ANGLES.index(-angle), ANGLES.index(angle)
        return lambda name: percent(float(np.mean([curves["rotation"][look][name][place] for place in places])))

    columns = {
        "as they are": at("blur", 0),
        "blur 2 px": at("blur", 2),
        "a fifth of the light": at("darkness", 0.2),
        "noise 24": at("noise", 24),
        "24 px across": at("size", 24),
        **{f"{angle}° tilt": tilted("accuracy", angle) for angle in (15, 30, 45)},
        **{f"{angle}°, aligned": tilted("aligned", angle) for angle in (15, 30, 45)},
    }
    return table("set", {name: name for name in curves["faces"]}, columns)


def left_out_table(left_out: Mapping[str, Any], sets: Mapping[str, Any]) -> str:
    entries = {
        name: {**entry["figures"], "epochs": entry.get("epochs", "-"), "ours": sets.get(name, {}).get("accuracy")}
        for name, entry in left_out.items()
    }
    columns: dict[str, Callable[[Any], str]] = {
        "its faces": lambda f: f"{f['faces']:,}",
        "accuracy": lambda f: percent(f["accuracy"]),
        "95 % by groups": lambda f: interval_text(f, "accuracy_grouped"),
        "ROC AUC": lambda f: number(f["roc_auc"]),
        "epochs": lambda f: str(f["epochs"]),
        "this network, on the set's test part": lambda f: percent(f["ours"]),
    }
    return table("set left out", entries, columns)


def baselines_table(baselines: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Accuracy on the same test faces, one column for each network. `*`: sets that it was trained on."""
    ours = metrics["faces_digests"]
    theirs = {name: entry.get("faces_digests", {}) for name, entry in baselines.items()}
    same = {
        name: entry
        for name, entry in baselines.items()
        if (common := ours.keys() & theirs[name].keys()) and all(ours[s] == theirs[name][s] for s in common)
    }
    if not same:
        return "Recorded on other faces than these: run `python -m training.evaluate --baselines` again."

    def of(entry: Mapping[str, Any]) -> Callable[[Any], str]:
        def cell(name: str) -> str:
            if name == "landmark error":
                same_points = entry.get("landmarks") and entry["landmarks"]["faces"] == metrics["landmarks"]["faces"]
                return percent(entry["landmarks"]["mean"]) if same_points else "-"
            if name == "weights":
                return f"{entry['weights']:,}"
            mark = "*" if name in entry["trained_on"] else ""
            return percent(entry["sets"][name]["accuracy"]) + mark if name in entry["sets"] else "-"

        return cell

    rows = {name: name for name in (*metrics["sets"], "landmark error", "weights")}
    return table("", rows, {"this network": of(metrics), **{name: of(entry) for name, entry in same.items()}})


def dataset_table(sets: Mapping[str, Any]) -> str:
    keys = {"pictures": "pictures", "no face found": "no_face", "copies": "exact_copies"}
    keys |= {"contested": "near_copies_with_opposite_labels", **{side: side for side in SPLITS}}

    def count(key: str) -> Callable[[Any], str]:
        # With an earlier split nobody looks for copies.
        unknown = "-" if key in ("exact_copies", "near_copies_with_opposite_labels") else "0"
        return lambda name: f"{sets[name][key]:,}" if key in sets[name] else unknown

    columns = {title: count(key) for title, key in keys.items()}
    columns["smiling"] = lambda name: percent(sets[name].get("smiling"))
    columns["pictures of a person told by"] = lambda name: _persons(KNOWN.get(name, Source(name)))
    return table("set", {name: name for name in sets}, columns)


def _persons(source: Source) -> str:
    if source.points_file:
        return "the file's name"
    return f"descriptors nearer than {source.person_distance:.2f}" if source.person_distance else "nothing"


# --- plots and sheets ---


def plot_reliability(sets: dict[str, Any], path: Path) -> None:
    """How often faces really smile at each P(smile), one panel for each set in `metrics.json`'s `sets`."""
    rows = -(-len(sets) // _COLUMNS)
    figure = _figure(3.3 * _COLUMNS, 3.2 * rows)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(sets) :]:
        panel.set_axis_off()
    for panel, (name, figures) in zip(panels, sets.items(), strict=False):
        table = figures["reliability"]
        count = np.array(table["count"])
        predicted, observed = (np.array(table[key], float) for key in ("predicted", "observed"))  # None becomes NaN
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        panel.bar((np.arange(len(count)) + 0.5) / len(count), count / count.sum(), 1 / len(count), color="#d8e3ef")
        panel.plot(predicted[count > 0], observed[count > 0], color="#1f5a99", marker="o", markersize=3.5, linewidth=1.2)
        panel.set_title(f"{name}: {figures['faces']:,} faces, error {figures['calibration_error']:.1%}", fontsize=9)
        panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="P(smile), mean of bin", ylabel="share smiling; bars: of faces")
    _save(figure, path)


def plot_robustness(curves: dict[str, Any], path: Path) -> None:
    """Accuracy over each hardship, one line for each set in `metrics.json`'s `robustness`."""
    figure = _figure(3.3 * _COLUMNS, 6.4)
    panels = figure.subplots(2, _COLUMNS).ravel()
    names = sorted(curves["faces"])
    lowest = min(min(shares) for kind in (*HARDSHIPS, "rotation") for shares in curves[kind]["accuracy"].values())
    for panel, kind in zip(panels, (*HARDSHIPS, "rotation"), strict=False):
        for i, name in enumerate(names):
            strengths = curves[kind]["strengths"]
            # In equal steps: the strengths themselves would crowd at one end.
            panel.plot(range(len(strengths)), curves[kind]["accuracy"][name], color=f"C{i}", marker="o", markersize=3)
            if kind == "rotation":
                panel.plot(range(len(strengths)), curves[kind]["aligned"][name], color=f"C{i}", linestyle="--")
        panel.set_xticks(range(len(curves[kind]["strengths"])), [f"{value:g}" for value in curves[kind]["strengths"]])
        title = HARDSHIPS[kind].title if kind in HARDSHIPS else "Rotation: degrees clockwise; dashed: aligned"
        panel.set_title(title, fontsize=9)
        panel.set(ylim=(min(0.45, lowest - 0.05), 1.02), ylabel="accuracy")
        panel.grid(color="0.9")
    panels[-1].set_axis_off()
    lines = panels[0].get_lines()
    labels = [f"{name} ({curves['faces'][name]} faces)" for name in names]
    panels[-1].legend(lines, labels, loc="center", frameon=False, fontsize=9)
    _save(figure, path)


def mistakes_sheets(faces: Faces, probability: np.ndarray, folder: Path, prefix: str) -> int:
    """Writes a `mistakes_sheet` called `PREFIX_SET.png` for each set of labelled faces. Returns how many mistakes they
    show.
    """
    shown = 0
    for name in np.unique(faces.labelled().source):
        here = (faces.smile >= 0) & (faces.source == name)
        shown += mistakes_sheet(faces.where(here), probability[here], folder / f"{prefix}_{name}.png")
    return shown


def mistakes_sheet(faces: Faces, probability: np.ndarray, path: Path) -> int:
    """Writes the most confident errors among labelled faces, the worst first, with P(smile) `(n,)` and label. Returns how
    many.

    Without an error there is no sheet, and an older one is removed.
    """
    wrong = np.flatnonzero((probability >= SMILE_THRESHOLD) != (faces.smile > 0))
    worst = wrong[np.argsort(-np.abs(probability[wrong] - SMILE_THRESHOLD), kind="stable")][:SHEET_FACES]
    if not len(worst):
        path.unlink(missing_ok=True)
        return 0
    rows = -(-len(worst) // _SHEET_COLUMNS)
    sheet = np.full((rows * (_TILE + _CAPTION), _SHEET_COLUMNS * _TILE), 255, np.uint8)
    for i, index in enumerate(worst):
        y, x = (i // _SHEET_COLUMNS) * (_TILE + _CAPTION), (i % _SHEET_COLUMNS) * _TILE
        sheet[y : y + _TILE, x : x + _TILE] = cv2.resize(faces.gray[index], (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
        label = "smile" if faces.smile[index] > 0 else "no smile"
        place = (x + 4, y + _TILE + 15)
        cv2.putText(sheet, f"{probability[index]:.2f} {label}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA)
    write_whole(path, cv2.imencode(".png", sheet)[1].tobytes())
    return len(worst)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # here, because a help text should not cost half a second

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    # Without the drawing program's version, the same figures give the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_whole(path, buffer.getvalue())
