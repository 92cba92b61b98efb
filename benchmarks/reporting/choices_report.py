"""The tables of `benchmarks.reading_choices`, as Markdown from its figures alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from smile_recognition import PRESENCE_THRESHOLD, SMILE_THRESHOLD
from training.data.sources import KNOWN
from training.judging.plots import table

MEAN = "mean of the sets"
_NO_SETS = {"epoch", "loss", "val", "spoilt", "point_error", "presence"}  # of what training says of an epoch
Figures = dict[str, dict[str, Any]]  # by set, then by what was measured


def markdown(figures: Mapping[str, Any]) -> str:
    """Everything that `reading_choices.measure` returns, with a section for each choice."""
    sections = (
        "Network: `{network}`, sha256 sum {sha256}. Faces of the validation part: {faces:,},\n"
        "{labelled:,} of them with a smile label. Seed {seed}.".format_map(figures),
        _as_trained(figures["training"]),
        _ways(figures["ways"]),
        _presence(figures["presence"], figures),
        _trained(figures["trained"]),
        _thresholds(figures["thresholds"]),
        _leans(figures["leans"]),
        _landmarks(figures["points"]),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _as_trained(training: Mapping[str, Any]) -> str:
    if not training.get("history"):
        return ""
    chosen = training.get("chosen_epoch", len(training["history"]))
    entry = training["history"][chosen - 1]
    others = sorted(set(entry) - set(KNOWN) - _NO_SETS)
    titles = {**{name: name for name in [*KNOWN, *others]}, MEAN: "val", "point error": "point_error"}
    columns = {title: _share(key) for title, key in titles.items() if key in entry}
    return _section(
        "What training printed for the chosen epoch",
        "Of the network before export, its landmarks not yet moved.",
        table("epoch", {f"{chosen} of {len(training['history'])}": entry}, columns),
    )


def _ways(figures: Figures) -> str:
    def told(way: str) -> Callable[[Any], str]:
        return lambda f: _percent(f[way]) + (f" (+{f[f'{way}_won']} -{f[f'{way}_lost']})" if f"{way}_won" in f else "")

    columns = {
        "faces": lambda f: f"{f['faces']:,}" if "faces" in f else "",
        "as it is": _share("plain"),
        "mean with its mirror image": told("mirror"),
        "upright by its own landmarks": told("upright"),
    }
    return _section(
        "A tight crop, read in three ways",
        "In brackets: faces that only this way reads right, and only the plain one. Where the two are near, it is chance.",
        table("set", _with_mean(figures, ("plain", "mirror", "upright")), columns),
    )


def _presence(figures: Figures, counts: Mapping[str, Any]) -> str:
    columns = {"faces kept": _share("kept", 2), "backgrounds refused": _share("refused", 2)}
    return _section(
        "Where to draw the line for presence",
        f"{counts['faces']:,} faces and {counts['backgrounds']:,} backgrounds. The app draws it at {PRESENCE_THRESHOLD:g}.",
        table("P(face) at least", figures, columns),
    )


def _trained(figures: Figures) -> str:
    columns = {
        "faces trained on": lambda f: f"{f['trained_faces']:,}" if "trained_faces" in f else "",
        "accuracy on these": _share("trained"),
        "on validation faces": _share("unseen"),
    }
    return _section(
        "Faces that were trained on",
        "A sample of each set's training part, every face read once and as it comes.",
        table("set", _with_mean(figures, ("trained", "unseen")), columns),
    )


def _thresholds(figures: Figures) -> str:
    columns = {
        f"at {SMILE_THRESHOLD:g}": _share("usual"),
        "at the set's own": _share("own"),
        "chosen": lambda f: ", ".join(f"{threshold:.2f}" for threshold in f.get("thresholds", [])),
    }
    return _section(
        "A threshold of its own for each set",
        "Chosen on one half of the set's validation faces and judged on the other, both ways round.",
        table("set", _with_mean(figures, ("usual", "own")), columns),
    )


def _leans(figures: Mapping[str, Mapping[int, tuple[float, float]]]) -> str:
    def told(lean: int) -> Callable[[Any], str]:
        return lambda f: f"{f[lean][0]:.1%}, {f[lean][1]:.1%}"

    leans = sorted(next(iter(figures.values())))
    means = {lean: tuple(np.mean([f[lean] for f in figures.values()], axis=0).tolist()) for lean in leans}
    least = pays_from(means)
    pays = "By the mean, reading upright pays " + ("at none of these leans." if least is None else f"from {least}° on.")
    return _section(
        "Faces that lean",
        f"Turned in the plane to one side; the box as it is, then upright by its own landmarks.\n{pays}",
        table("set", {**figures, MEAN: means}, {f"{lean}°": told(lean) for lean in leans}),
    )


def pays_from(means: Mapping[int, Sequence[float]]) -> int | None:
    """The smallest lean from which on reading upright is right more often; None if there is none."""
    from_here = None
    for lean in sorted(means, reverse=True):
        plain, upright = means[lean]
        if upright <= plain:
            break
        from_here = lean
    return from_here


def _landmarks(points: Mapping[str, Any]) -> str:
    if not points["faces"]:
        return ""
    said = f"Mean error on {points['faces']:,} faces with measured points, in distances between the eyes"
    return _section("Landmarks", f"{said}: {_percent(points['error'])}.")


def _section(title: str, *paragraphs: str) -> str:
    return "\n\n".join((f"### {title}", *paragraphs))


def _share(key: str, places: int = 1) -> Callable[[Any], str]:
    return lambda figures: _percent(figures[key], places)


def _percent(value: float, places: int = 1) -> str:
    return "-" if math.isnan(value) else f"{value:.{places}%}"


def _with_mean(figures: Figures, keys: Sequence[str]) -> Figures:
    return figures | {MEAN: {key: float(np.mean([f[key] for f in figures.values()])) for key in keys}}
