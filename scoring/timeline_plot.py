"""Plot how each person of a video smiles over time: one PNG for each video, and in it one strip for each track.

plots = TimelinePlots("plots", ["party.mp4"])
for frame in read_video("party.mp4"):
    plots.add_frame("party.mp4", frame, tracker.update(frame.image, frame.time_s))
plots.end_video(whole=True)                                  # plots/party.mp4.png

Matplotlib is loaded when the first TimelinePlots is made, and is no requirement of the app.
"""

from __future__ import annotations

import io
import math
import os
import sys
import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from common.errors import SettingsError
from common.face import Face
from pictures.reading import VideoFrame
from scoring.output_folder import OutputFolder
from smile_recognition import SMILE_THRESHOLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_STRIPS = 8
_COLUMNS = 1000  # of the plot, about as many as it has pixels; what is finer is drawn as its mean, or its extremes
_BLUE, _GRAY = "#0072B2", "#444444"  # which any colour vision can tell from white, and by brightness from each other
_WIDTH, _DPI = 6.0, 180  # inches: on a phone 1080 pixels of 12-point letters can still be read
_STRIP, _ONLY_STRIP, _FRAME = 1.15, 2.6, 1.4  # inches of height: each strip, one alone, and all round them
_STYLE = {"font.size": 12, "axes.spines.top": False, "axes.spines.right": False}
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 7


@dataclass
class TrackTimeline:
    """What was read of one track, 16 bytes for each frame that shows it. Where it was out of view stands one NaN."""

    id: int
    times: array[float] = field(default_factory=lambda: array("d"))  # seconds
    smile: array[float] = field(default_factory=lambda: array("f"))
    raw_smile: array[float] = field(default_factory=lambda: array("f"))
    last_frame: int = -1

    def add(self, frame: int, time_s: float, face: Face) -> None:
        if self.times and frame != self.last_frame + 1:
            self._append(time_s, float("nan"), float("nan"))
        self._append(time_s, face.smile, face.raw_smile)
        self.last_frame = frame

    def _append(self, time_s: float, smile: float, raw_smile: float) -> None:
        self.times.append(time_s)
        self.smile.append(smile)
        self.raw_smile.append(raw_smile)


class Timeline:
    """All tracks of one video."""

    def __init__(self) -> None:
        self.tracks: dict[int, TrackTimeline] = {}
        self.end_s = 0.0
        self._frame_s = 0.04

    def add(self, frame: int, time_s: float, faces: Sequence[Face], rate: float) -> None:
        """Frames come one after the other: number from 0, seconds, and the video's frames per second."""
        self._frame_s = 1 / rate
        self.end_s = time_s + self._frame_s
        for face in faces:
            if math.isfinite(face.smile) and math.isfinite(face.raw_smile):
                self.tracks.setdefault(face.id, TrackTimeline(face.id)).add(frame, time_s, face)

    def seen_and_smiling_s(self, track: TrackTimeline) -> tuple[float, float]:
        """For how many seconds the track was in view, and for how many of these it smiled; a frame lasts until the next."""
        times, smile = np.array(track.times), np.array(track.smile)
        lasted = np.diff(times, append=self.end_s)
        shown = ~np.isnan(smile)
        last = shown & np.append(~shown[1:], True)  # before the track goes out of view
        lasted[last] = np.minimum(lasted[last], self._frame_s)
        return float(lasted[shown].sum()), float(lasted[shown & (smile >= SMILE_THRESHOLD)].sum())


class TimelinePlots:
    """Writes a plot of every video into `folder`, never over a file that is read."""

    def __init__(self, folder: str, paths: Sequence[str]) -> None:
        """`paths`: all that is read.

        Raises SettingsError when Matplotlib is missing or plots could fall among `paths`, OutputError when the folder can't
        be made.
        """
        try:
            import matplotlib.figure  # noqa: F401 - now rather than after an hour's work
        except ImportError as error:
            raise SettingsError(
                f"--plot needs Matplotlib; install it with: {sys.executable} -m pip install -r requirements/plot.txt"
            ) from error
        self._folder = OutputFolder(folder, paths, option="--plot", holds="plots")
        self._file = ""
        self._timeline: Timeline | None = None

    def add_frame(self, file: str, frame: VideoFrame, faces: Sequence[Face]) -> None:
        """The next frame of `file`, and its faces."""
        if self._timeline is None:
            self._file, self._timeline = file, Timeline()
        self._timeline.add(frame.number, frame.time_s, faces, frame.rate)

    def end_video(self, *, whole: bool) -> None:
        """The video is over; one that is not `whole` gets no plot. Raises OutputError, SettingsError."""
        timeline, self._timeline = self._timeline, None
        if whole and timeline is not None:
            target = self._folder.target(self._file, ".png")
            self._folder.write(target, timeline_png(timeline, os.path.basename(self._file)))


def timeline_png(timeline: Timeline, title: str) -> bytes:
    """The plot as a PNG file's bytes, 1080 pixels wide."""
    import matplotlib.style

    file = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter of the title that the font lacks becomes a box
        timeline_figure(timeline, title).savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def timeline_figure(timeline: Timeline, title: str) -> Figure:
    """The plot as a Matplotlib figure of its own, which pyplot does not know.

    A strip for each track, the eight that were in view longest, in the order of their numbers. In each: P(smile) thick as
    smoothed and thin frame by frame, interrupted where the face was out of view, and shaded where its label is `smile`.
    """
    from matplotlib.figure import Figure

    seconds = {id: timeline.seen_and_smiling_s(track) for id, track in timeline.tracks.items()}
    longest = sorted(sorted(seconds, key=lambda id: (-seconds[id][0], id))[:_MOST_STRIPS])
    strips = max(1, len(longest))
    height = _FRAME + (_ONLY_STRIP if strips == 1 else _STRIP * strips)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    all_axes = figure.subplots(strips, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes in all_axes:
        axes.axhline(SMILE_THRESHOLD, color=_GRAY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for axes, id in zip(all_axes, longest, strict=False):
        _draw_track(axes, timeline.tracks[id], timeline.end_s)
        seen_s, smiling_s = seconds[id]
        share = 100 * smiling_s / seen_s if seen_s else 0.0
        axes.set_title(f"face {id}: smiling {share:.0f} % of {_duration(seen_s)} in view", loc="left", fontsize=11)
    all_axes[0].set(ylim=(-0.06, 1.06), yticks=(0, 0.5, 1), xlim=(0, timeline.end_s or 1))
    _label_times(all_axes[-1], timeline.end_s)
    figure.suptitle(_shown(title), parse_math=False, fontsize=13)
    figure.supylabel("P(smile)", fontsize=12)
    notes = ["thick: smoothed; thin: frame by frame; shaded: smile"] if longest else ["No face was seen."]
    if left_out := len(seconds) - len(longest):
        notes.append(f"left out: {left_out} {'face' if left_out == 1 else 'faces'} in view for less time")
    figure.supxlabel("\n".join(notes), fontsize=10.5)
    return figure


def _draw_track(axes: Axes, track: TrackTimeline, end_s: float) -> None:
    times = np.array(track.times)
    if track.raw_smile != track.smile:
        line = thinned(times, np.array(track.raw_smile, float), end_s, extremes=True)
        axes.plot(*line, color=_BLUE, alpha=0.4, linewidth=0.8, solid_capstyle="round", zorder=2)
    x, smile = thinned(times, np.array(track.smile, float), end_s)
    axes.plot(x, smile, color=_BLUE, linewidth=2.2, solid_capstyle="round", zorder=3)
    axes.fill_between(
        x, SMILE_THRESHOLD, smile, where=smile >= SMILE_THRESHOLD, color=_BLUE, alpha=0.18, linewidth=0, interpolate=True
    )


def thinned(times: np.ndarray, values: np.ndarray, span: float, *, extremes: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A line that looks the same with few points: for each of 1000 columns of `span` its mean, or lowest and highest value.

    `times` seconds in order and `values`, both float `(n,)`, NaN where the line is interrupted. So are the two results, of
    at most about 4000 points; a line of up to 1000 points keeps them all. Every point stands twice, so that the round end
    of a line shows one that stands alone.
    """
    shown = ~np.isnan(values)
    gap = np.append(False, ~shown[:-1])[shown]  # before this value
    times, values = times[shown], values[shown]
    if not len(times):
        return times, values
    column = np.arange(len(times))
    if len(times) > _COLUMNS:
        column = np.floor(times / (span / _COLUMNS)).astype(int)
        gap &= np.diff(times, prepend=times[0]) > span / _COLUMNS  # no eye sees a shorter interruption
    starts = np.flatnonzero((np.diff(column, prepend=-1) != 0) | gap)
    counts = np.diff(starts, append=len(times))
    if extremes:
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    else:
        low = high = np.add.reduceat(values, starts) / counts
    x, y = np.repeat(times[starts], 2), np.stack([low, high], axis=1).ravel()
    gaps = 2 * np.flatnonzero(gap[starts])
    return np.insert(x, gaps, x[gaps]), np.insert(y, gaps, np.nan)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    return f"{whole // 60}:{whole % 60:02} min" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02} h"


def _label_times(axes: Axes, end_s: float) -> None:
    step = next((step for step in _TICKS_S if end_s / step <= _MOST_TICKS), max(1, int(end_s / _MOST_TICKS)))
    if end_s < 2:  # Matplotlib's own choice of parts of a second
        axes.set_xlabel("time in seconds")
        return
    ticks = range(0, int(end_s) + 1, step)
    if end_s < 120:
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xlabel("time in seconds")
    elif end_s < 3600:
        axes.set_xticks(ticks, [f"{tick // 60}:{tick % 60:02}" for tick in ticks])
        axes.set_xlabel("time in minutes:seconds")
    else:
        axes.set_xticks(ticks, [f"{tick // 3600}:{tick // 60 % 60:02}" for tick in ticks])
        axes.set_xlabel("time in hours:minutes")


def _shown(title: str, longest: int = 44) -> str:
    """`title` short enough for one line, and without what is no text."""
    text = title.encode("utf-8", "replace").decode()
    return text if len(text) <= longest else f"{text[: longest - 15]}...{text[-12:]}"
