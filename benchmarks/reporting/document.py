"""Write `docs/benchmarks.md` and its plots from the figures that `benchmarks.bench` and `benchmarks.soak` left beside
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.reporting.figures import COLUMNS, Curve, Figure, Report, load

FIGURES, SOAK = "figures.json", "soak.json"

_INTRO = """# What it costs, how late it is, and what limits it

Written by `{command}`; nothing here is typed by hand. "To reach" is what was asked for before it was measured.
"""
# Titles, and why the figures are as they are.
_SECTIONS = {
    "one-face": (
        "One frame with one followed face",
        "A picture of 640x480 with one face, 30 a second, while the search for further faces runs in its own thread as it "
        "does in the app. A frame waits for the network, which reads the face once (a second time where it moved far), "
        "and for turning the picture grey; the slowest frames are those that share the processor with a search. Without a "
        "pause the caches stay warm and the clock high, so a frame costs less. Finding the face, drawing and JPEG come "
        "beside that.",
    ),
    "seed": (
        "The way it began",
        "The same video in the same run: every frame searched by `face_recognition.face_locations` as it comes, every "
        "face through Keras' `model.predict`, in a process of its own. The search looks at twice the picture's size in "
        "both directions; a `predict` call costs mostly TensorFlow's own work round a network this small, and so does its "
        "start.",
    ),
    "growth": (
        "More faces, more pixels",
        "Each further face costs one more run of the network. The picture's size matters only for turning it grey and for "
        "cutting larger faces out, since no frame waits for a search. The app scales larger pictures down first, to the "
        "width that `--max-width` says.",
    ),
    "app": (
        "The running app",
        "The real process on loopback, its files in the disk cache; starts are medians. Loading OpenCV, dlib and their "
        "models takes most of the start, and most of the memory; then the first search has to find the face. Processor "
        "time is analysis, drawing, JPEG and decoding the video at 30 frames a second.",
    ),
    "viewers": (
        "More viewers",
        "From the app's own `/metrics`: the time from a frame's capture until its bytes are handed to a viewer's "
        "connection. A frame is analysed and encoded once, so viewers cost only their sending, which one thread for each "
        "does; Python lets one thread run at a time, and that is what grows. Viewers run on the same machine and take "
        "processor time too.",
    ),
    "slow-viewer": (
        "Slow viewers",
        "Two viewers read 100 kB a second while three read as fast as pictures come. Their lag is what has been sent and "
        "not yet read. It waits in the receive buffer of the reader's own computer: with the system's usual buffer the lag "
        "is that of a program that reads slowly, with a small one that of a slow line. On Linux TCP tells how much room is "
        "left there, and the app sends the newest frame once half of it is free. A fast viewer who gets no turn for up to "
        "half a second gets what it missed in order; the same is counted without slow viewers.",
    ),
    "offline": (
        "Videos from file to table",
        "Reading, decoding, following and searching, one after the other in one process. Faces are followed in every "
        "frame; the searches in between take the largest part.",
    ),
    "correctness": (
        "Smiles over time",
        "A video in which a face changes from neutral to a smile and back, its last frame held for a moment; frames "
        "nearer than 0.3 s to a change are not judged, since there an eye is in doubt too. Then a still picture of a "
        "smiling face, turned slowly to both sides. The label changes when there is enough evidence, log-odds times "
        "seconds, which for a clear smile takes about a tenth of a second; the evidence counts from the face's own neutral.",
    ),
    "soak": (
        "Viewers who come and go",
        "A run of its own: viewers join and leave at random, some of them slow. Memory is compared between a time when "
        "everything has been used once and the end; threads and connections between the rest before and the rest after.",
    ),
}


def save(docs: Path, report: Report, name: str, *, command: str, conditions: Mapping[str, str]) -> None:
    """Keeps the figures of one run as `docs/benchmarks/<name>`."""
    report.save(docs / "benchmarks" / name, command=command, conditions=conditions)


def write(docs: Path) -> Path:
    """Writes `docs/benchmarks.md` and its plots from the figures in `docs/benchmarks/`. Raises BenchmarkError."""
    report, command, conditions = load(docs / "benchmarks" / FIGURES)
    parts = [_INTRO.format(command=command), "\n".join(f"- {name}: {text}" for name, text in conditions.items())]
    for stage, figures in report.figures.items():
        parts += _section(docs, stage, figures, report.curves[stage])
    if (docs / "benchmarks" / SOAK).is_file():
        soak, command, conditions = load(docs / "benchmarks" / SOAK)
        for stage, figures in soak.figures.items():
            parts += [*_section(docs, stage, figures, soak.curves[stage]), f"`{command}` on {conditions['processor']}."]
    page = docs / "benchmarks.md"
    page.write_text("\n\n".join(part.strip() for part in parts) + "\n")
    return page


def _section(docs: Path, stage: str, figures: list[Figure], curves: list[Curve]) -> list[str]:
    title, text = _SECTIONS[stage]
    rows = [COLUMNS, ("---", "---:", "---", "---"), *(figure.texts for figure in figures)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    pictures = [f"![{curve.title}](benchmarks/{curve.key}.png)" for curve in curves if len(curve.x) > 1]
    for curve in curves:
        if len(curve.x) > 1:
            _plot(curve, docs / "benchmarks" / f"{curve.key}.png")
    return [f"## {title}", text, table, *pictures]


def _plot(curve: Curve, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(5.6, 3.2), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    few = len(curve.x) <= 10
    for name, values in curve.series.items():
        axes.plot(curve.x, values, marker="o" if few else None, label=name)
    axes.set(title=curve.title, xlabel=curve.x_label, ylabel=curve.y_label)
    if few:
        axes.set_xticks(list(curve.x), labels=list(curve.ticks) or [f"{x:g}" for x in curve.x])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if len(curve.series) > 1:
        axes.legend()
    canvas.savefig(path, dpi=110, metadata={"Software": None})
