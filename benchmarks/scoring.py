"""Measure the scoring of folders: photos a second, memory, and whether a killed run ends with the same table.

    python -m benchmarks.scoring                             # every stage, some minutes
    python -m benchmarks.scoring --only speed                # photos of about 180x192, with one process and with two
    python -m benchmarks.scoring --only memory               # 1,000 against 100,000 files
    python -m benchmarks.scoring --only kills --seed 7       # killed at 20 random moments, and run again
    python -m benchmarks.scoring --short                     # a smoke run: its figures mean nothing

Every run is the real command in processes of its own. The photos come from GENKI-4K beside the project (`--photos`), or are
cut from a face of scikit-image (NASA's astronaut, public domain).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.actors.scenes import astronaut
from benchmarks.reporting.command import said_plainly
from benchmarks.reporting.figures import Report, conditions, print_header
from common.errors import BenchmarkError, SettingsError

_ROOT = Path(__file__).parent.parent
_GENKI = _ROOT.parent / "shared" / "data" / "genki.zip"
_RATE = 100.0  # photos a second
_SCALING = 170.0  # %
_GROWTH = 10.0  # %
_LONGEST_S = 7200.0
_LINKS = 50_000  # to one file; some file systems refuse more than 65,000

# The command, and then the most memory that it took, in kilobytes: itself, and its largest worker.
WITH_PEAKS = """if True:
    import pathlib, resource, sys
    import inference
    code = inference.main(sys.argv[1:])
    own, largest = (resource.getrusage(of).ru_maxrss for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    status = pathlib.Path("/proc/self/status")
    if status.is_file():  # Linux counts what the process was before it became this program, too
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    print(own, largest)
    sys.exit(code)"""


@dataclass(frozen=True)
class Plan:
    """`folder`: the photos; `made`: where tables may be written; the others: how much to do."""

    folder: Path
    made: Path
    photos: int
    repeats: int
    few: int
    many: int
    kills: int
    seed: int


@dataclass(frozen=True)
class Ran:
    seconds: float
    processor_s: float  # of all its processes
    output: str


def _run(*arguments: object, code: str = "import sys, inference; sys.exit(inference.main(sys.argv[1:]))") -> Ran:
    """Runs `python inference.py arguments`. Raises BenchmarkError if it fails."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=_ROOT, capture_output=True, text=True, timeout=_LONGEST_S
    )
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise BenchmarkError(f"The scoring failed: {done.stderr.strip()}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Ran(seconds, used, done.stdout)


def measure_speed(report: Report, plan: Plan) -> None:
    """The whole command, including its start, with one process and with two, in turns."""
    ran: dict[int, list[Ran]] = {1: [], 2: []}
    for _ in range(plan.repeats):
        for workers, runs in ran.items():
            runs.append(_run(plan.folder, "--workers", workers, "--out", plan.made / f"{workers}.csv"))
    rates = {workers: plan.photos / statistics.median(run.seconds for run in runs) for workers, runs in ran.items()}
    ratios = [one.seconds / two.seconds for one, two in zip(ran[1], ran[2], strict=True)]
    report.add("scoring_one", "photos a second, one process", rates[1])
    report.add("scoring_two", "photos a second, two processes", rates[2], bar=_RATE, at_least=True)
    report.add(
        "scoring_scaling",
        "speed of two processes against one",
        100 * statistics.median(ratios),
        "%",
        bar=_SCALING,
        at_least=True,
    )
    for workers, runs in ran.items():
        used = 1e3 * statistics.median(run.processor_s for run in runs) / plan.photos
        report.add(f"scoring_cpu_{workers}", f"processor time a photo, processes: {workers}", used, "ms")
    one, two = ((plan.made / f"{workers}.csv").read_text().splitlines() for workers in ran)
    differ = sum(a != b for a, b in zip(one, two, strict=False)) + abs(len(one) - len(two))
    report.add("scoring_differ", "rows that differ between one and two processes", differ, bar=0)


def measure_memory(report: Report, plan: Plan) -> None:
    """Links to a few small crops, with two workers."""
    peaks: dict[int, list[float]] = {}
    for count in (plan.few, plan.many):
        links = plan.made / f"links{count}"
        links.mkdir()
        originals = max(10, math.ceil(count / _LINKS))
        for number in range(originals):
            side = 40 + number % 50
            crop = cv2.resize(astronaut()[60:190, 160:290], (side, side), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(links / f"{number:07}.png"), crop)
        for number in range(originals, count):
            os.link(links / f"{number % originals:07}.png", links / f"{number:07}.png")
        ran = _run(links, "--cropped", "--workers", 2, "--out", plan.made / "links.csv", code=WITH_PEAKS)
        peaks[count] = [int(text) / 1000 for text in ran.output.split()]
        for name, peak in zip(("first process", "largest worker"), peaks[count], strict=True):
            report.add(f"scoring_memory_{count}_{name.split()[0]}", f"memory with {count} files, {name}", peak, "MB")
    for i, name in enumerate(("first process", "largest worker")):
        growth = 100 * (peaks[plan.many][i] / peaks[plan.few][i] - 1)
        report.add(f"scoring_growth_{name.split()[0]}", f"growth of it, {name}", growth, "%", bar=_GROWTH)


def measure_kills(report: Report, plan: Plan) -> None:
    """Kills (-9) the first process at random moments of a run, then lets the run go on to its end."""
    undisturbed = plan.made / "undisturbed.csv"
    seconds = _run(plan.folder, "--workers", 2, "--out", undisturbed).seconds
    rng = random.Random(plan.seed)
    differ = half_way = scored_again = 0
    for number in range(plan.kills):
        table = plan.made / f"killed{number}.csv"
        command = [sys.executable, "inference.py", str(plan.folder), "--workers", "2", "--out", str(table)]
        process = subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        part, progress = table.with_name(f"{table.name}.part"), table.with_name(f"{table.name}.progress")
        if part.is_file() and part.stat().st_size:
            half_way += 1
            scored_again += part.read_text().count("\n") - 1 - json.loads(progress.read_text())["tally"]["files"]
        _run(plan.folder, "--workers", 2, "--out", table)
        left = [path for path in (part, progress) if path.exists()]
        differ += table.read_bytes() != undisturbed.read_bytes() or bool(left)
        table.unlink()
    report.add("scoring_kills", f"tables that differ after {plan.kills} kills (seed {plan.seed})", differ, bar=0)
    report.add("scoring_half_way", "kills that left a table half-done", half_way)
    report.add("scoring_again", "photos that were read again after each of these", scored_again / max(1, half_way))


@dataclass(frozen=True)
class Stage:
    title: str
    measure: Callable[[Report, Plan], None]


STAGES = {
    "speed": Stage("Photos of about 180x192 into a table", measure_speed),
    "memory": Stage("Memory, few files against many", measure_memory),
    "kills": Stage("Killed at random moments", measure_kills),
}


def _make_photos(folder: Path, source: Path | None, count: int) -> str:
    """Puts `count` photos into `folder` and returns where they come from. Raises SettingsError."""
    if source is None and _GENKI.is_file():
        source = _GENKI
    if source is None:
        rng = np.random.default_rng(0)
        for number in range(count):
            x, y = rng.integers(100, 140), rng.integers(0, 40)
            crop = cv2.resize(astronaut()[y : y + 220, x : x + 206], (180, 192), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / f"{number:05}.jpg"), crop)
        return "the astronaut of scikit-image"
    try:
        with zipfile.ZipFile(source) as photos:
            names = sorted(name for name in photos.namelist() if name.endswith(".jpg"))
            if len(names) < count:
                raise SettingsError(f"{source} holds {len(names)} photos, and {count} are needed; lower --count.")
            for number, name in enumerate(names[:: len(names) // count][:count]):
                (folder / f"{number:05}.jpg").write_bytes(photos.read(name))
    except (OSError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{source} is not a readable zip of photos; check --photos.") from error
    return source.name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description="Score folders of photos.")
    parser.add_argument("--photos", type=Path, metavar="ZIP", help="a zip of photos (default: GENKI-4K, if it is there)")
    parser.add_argument("--count", type=int, default=1000, help="photos to score (default: 1000)")
    parser.add_argument("--many", type=int, default=100_000, help="files of the memory stage (default: 100,000)")
    parser.add_argument("--kills", type=int, default=20, help="kills (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of their moments")
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="STAGE", help=f"some of: {', '.join(STAGES)}")
    parser.add_argument("--short", action="store_true", help="a smoke run; its figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, whatever the figures are; 2 with one sentence if they can't be measured; 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(argv)
    if min(options.count, options.many, options.kills) < 1:
        raise SettingsError("--count, --many and --kills must be at least 1.")
    with tempfile.TemporaryDirectory() as temporary:
        folder, made = Path(temporary, "photos"), Path(temporary, "made")
        folder.mkdir()
        made.mkdir()
        count = min(options.count, 20) if options.short else options.count
        where = conditions(_make_photos(folder, options.photos, count))
        where["photos"] = where.pop("video")
        print("\n".join(f"{name}: {text}" for name, text in where.items()) + "\n")
        plan = Plan(folder, made, count, 3, 1000, options.many, options.kills, options.seed)
        if options.short:
            plan = Plan(folder, made, count, 1, 20, 60, 1, options.seed)
        print_header()
        report = Report()
        for name, stage in STAGES.items():
            if not options.only or name in options.only:
                report.begin(name, stage.title)
                stage.measure(report, plan)
    missed = report.missed()
    print(f"\n{len(missed)} not reached{': ' if missed else '.'}" + "; ".join(figure.name for figure in missed))
    if options.json:
        report.save(options.json, command=shlex.join(["python", "-m", "benchmarks.scoring", *argv]), conditions=where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
