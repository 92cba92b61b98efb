"""Measure in one run what a frame costs on this machine, how late it reaches its viewers, and what the running app takes.

    make bench                                     # every stage, a few minutes
    python -m benchmarks.bench --only one-face seed
    python -m benchmarks.bench --write-docs        # and docs/benchmarks.md with its plots
    python -m benchmarks.bench --short             # a smoke run: its figures mean nothing

Every stage except the last two reads one video of 640x480 and 30 frames a second, made from `--source`. Without that option
it is the video beside the project if there is one, else a slowly moving face from scikit-image (NASA's astronaut, public
domain).
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.actors.scenes import write_numbered_video
from benchmarks.reporting import document
from benchmarks.reporting.command import said_plainly
from benchmarks.reporting.figures import Report, conditions, print_header
from benchmarks.stages import analysis, correctness, seed_way, serving
from common.errors import SettingsError

DOCS = Path(__file__).parent.parent / "docs"
_VIEWERS = (1, 10, 50, 100)


@dataclass(frozen=True)
class Plan:
    """`video`: the video that was made, with `frames` frames; `source`: the one it was made from, or itself."""

    short: bool
    video: Path
    source: Path
    frames: int


@dataclass(frozen=True)
class Stage:
    title: str
    measure: Callable[[Report, Plan], None]


def _app(report: Report, plan: Plan) -> None:
    serving.measure_app(report, plan.video, starts=1 if plan.short else 3, seconds=1 if plan.short else 6)


def _viewers(report: Report, plan: Plan) -> None:
    counts = (1, 3) if plan.short else _VIEWERS
    serving.measure_viewers(report, plan.video, counts=counts, seconds=3 if plan.short else 15)


def _slow(report: Report, plan: Plan) -> None:
    serving.measure_slow_viewer(report, plan.video, frames_in_video=plan.frames, seconds=4 if plan.short else 12)


STAGES = {
    "one-face": Stage(
        analysis.ONE_FACE_TITLE, lambda r, plan: analysis.measure_one_face(r, plan.video, frames=15 if plan.short else 450)
    ),
    "seed": Stage(seed_way.TITLE, lambda r, plan: seed_way.measure(r, plan.video, frames=3 if plan.short else 40)),
    "growth": Stage(
        analysis.GROWTH_TITLE, lambda r, plan: analysis.measure_growth(r, frames=10 if plan.short else 240, short=plan.short)
    ),
    "app": Stage(serving.APP_TITLE, _app),
    "viewers": Stage(serving.VIEWERS_TITLE, _viewers),
    "slow-viewer": Stage(serving.SLOW_TITLE, _slow),
    "offline": Stage(
        analysis.OFFLINE_TITLE, lambda r, plan: analysis.measure_offline(r, plan.source, repeats=1 if plan.short else 5)
    ),
    "correctness": Stage(correctness.TITLE, lambda r, plan: correctness.measure(r)),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description="Measure the path from camera to viewer on this machine."
    )
    parser.add_argument("--source", type=Path, metavar="VIDEO", help="a video that shows one face")
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="STAGE", help=f"some of: {', '.join(STAGES)}")
    parser.add_argument("--short", action="store_true", help="a smoke run; its figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md and its plots")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="where to write them (default: docs)")
    return parser


def run(stages: list[str], *, source: Path | None, short: bool) -> tuple[Report, dict[str, str]]:
    """Measures and prints each row as it comes. Also returns the conditions of the run. Raises SmileError."""
    if source is None and correctness.VIDEO.is_file():
        source = correctness.VIDEO
    if source is not None and not source.is_file():
        raise SettingsError(f"There is no video {source}; check --source.")
    where = conditions(source.name if source else "the astronaut of scikit-image")
    print("\n".join(f"{name}: {text}" for name, text in where.items()) + "\n")
    print_header()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "face.avi"
        frames = write_numbered_video(video, source)
        plan = Plan(short, video, source or video, frames)
        for name in stages:
            report.begin(name, STAGES[name].title)
            STAGES[name].measure(report, plan)
    return report, where


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, whatever the figures are; 2 with one sentence if they can't be measured; 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(argv)
    stages = [name for name in STAGES if not options.only or name in options.only]
    if options.write_docs and (options.short or len(stages) < len(STAGES)):
        raise SettingsError("--write-docs needs a whole run; leave out --only and --short.")
    report, where = run(stages, source=options.source, short=options.short)
    missed = report.missed()
    print(f"\n{len(missed)} not reached{': ' if missed else '.'}" + "; ".join(figure.name for figure in missed))
    command = shlex.join(["python", "-m", "benchmarks.bench", *argv])
    if options.json:
        report.save(options.json, command=command, conditions=where)
    if options.write_docs:
        document.save(options.docs, report, "figures.json", command=command, conditions=where)
        print(f"Written: {document.write(options.docs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
