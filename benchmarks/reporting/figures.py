"""The figures of a benchmark, the bar for each, and the table that is printed."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from common.errors import BenchmarkError

_PLACES = {"ms": 2, "s": 2, "MB": 1, "%": 1, "fps": 1, "times": 0, "": 0}
COLUMNS = ("measure", "figure", "to reach", "reached")
_WIDTHS = (62, 12, 20)  # of the table's columns


@dataclass(frozen=True)
class Figure:
    """One measured value. `value` None: it could not be measured, and `note` says why.

    `bar`: the value to reach, if any. `at_least`: the figure must be at least so large; otherwise at most.
    """

    key: str
    name: str
    value: float | None
    unit: str = ""
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it reaches its bar; None if it has none. A value that could not be measured does not."""
        if self.bar is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """The columns of every table: measure, figure, to reach, reached."""
        limit = "at least" if self.at_least else "at most"
        bar = "" if self.bar is None else f"{limit} {with_unit(self.bar, self.unit, 'g')}"
        found = "-" if self.value is None else with_unit(self.value, self.unit)
        name = f"{self.name} ({self.note})" if self.note else self.name
        return name, found, bar, {None: "", True: "yes", False: "no"}[self.reached]


@dataclass(frozen=True)
class Curve:
    """How costs grow: `series` has one list of values for each line, as long as `x`."""

    key: str
    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float]]
    ticks: Sequence[str] = ()


@dataclass
class Report:
    """Figures and curves of one run, by stage. Each row is printed as it comes."""

    figures: dict[str, list[Figure]] = field(default_factory=dict)
    curves: dict[str, list[Curve]] = field(default_factory=dict)
    _stage: str = ""

    def begin(self, stage: str, title: str) -> None:
        self._stage = stage
        self.figures[stage], self.curves[stage] = [], []
        print(f"\n{title}", flush=True)

    def add(self, key: str, name: str, value: float | None, unit: str = "", **bar: Any) -> None:
        """Adds a row. `bar`: the fields `bar`, `at_least` and `note` of `Figure`."""
        figure = Figure(key, name, None if value is None else float(value), unit, **bar)
        self.figures[self._stage].append(figure)
        print(_row(figure.texts), flush=True)

    def add_curve(self, curve: Curve) -> None:
        self.curves[self._stage].append(curve)

    def value(self, key: str) -> float | None:
        """The figure with this `key`, if there is one."""
        return next((f.value for figures in self.figures.values() for f in figures if f.key == key), None)

    def missed(self) -> list[Figure]:
        """The figures that missed their bar."""
        return [figure for figures in self.figures.values() for figure in figures if figure.reached is False]

    def save(self, path: Path, *, command: str, conditions: Mapping[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        stages = {
            name: {
                "figures": [asdict(figure) for figure in self.figures[name]],
                "curves": [asdict(curve) for curve in self.curves[name]],
            }
            for name in self.figures
        }
        content = {"command": command, "conditions": dict(conditions), "stages": stages}
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def load(path: Path) -> tuple[Report, str, dict[str, str]]:
    """Reads what `Report.save` wrote: the report, the command and the conditions. Raises BenchmarkError."""
    try:
        content = json.loads(path.read_text())
        report = Report(
            {name: [Figure(**figure) for figure in stage["figures"]] for name, stage in content["stages"].items()},
            {name: [Curve(**curve) for curve in stage["curves"]] for name, stage in content["stages"].items()},
        )
        return report, content["command"], content["conditions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} holds no figures; `python -m benchmarks.bench --write-docs` writes them.") from error


def print_header() -> None:
    print(_row(COLUMNS))


def _row(texts: Sequence[str]) -> str:
    name, found, bar, reached = texts
    return f"{name:<{_WIDTHS[0]}}{found:>{_WIDTHS[1]}}  {bar:<{_WIDTHS[2]}}{reached}".rstrip()


def with_unit(value: float, unit: str, form: str = "") -> str:
    """`2.31 ms`, `99.0 %`, `83 times`."""
    return f"{value:{form or f'.{_PLACES[unit]}f'}} {unit}".strip()


def median_and_p95(values: Sequence[float]) -> tuple[float, float]:
    return float(np.median(values)), float(np.percentile(values, 95))


def conditions(video: str) -> dict[str, str]:
    """The machine and the programs for which figures hold, in words."""
    memory = psutil.virtual_memory().total / 2**30
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}",
        "video": video,
        "other programs before the run": load,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
