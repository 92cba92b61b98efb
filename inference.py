"""Score photos, folders and videos: one table row for every face.

python inference.py holiday/ --out faces.csv                     # all pictures and videos below holiday/
python inference.py a.jpg b.png party.mp4 --out faces.jsonl      # JSON Lines instead of CSV
python inference.py crops/ --cropped                             # each picture is one tight face crop; CSV on the screen
python inference.py holiday/ --out faces.csv --annotate marked --landmarks
python inference.py party.mp4 --out faces.csv --plot plots       # plots/party.mp4.png: who smiled when
python inference.py party/ --out faces.csv --best 20 --copy-smiles best --report best.html

Killed half-way, by Ctrl-C or a power cut? The same command goes on where it stopped. A table is CSV, JSON Lines (.jsonl) or
Parquet (.parquet) by its name.

Columns, always all of them, in this order:

    file                    the path as given, or as found below a given folder; bytes that are not UTF-8 become \\xe9, and
                            with --spreadsheet what begins with = + - @ ' or a tab gets an apostrophe before it
    frame, time_s           video: number of the frame from 0, and its time in seconds; picture: 0, and empty
    face                    1, 2, ... in its picture or frame, largest first; empty: no face there
    track                   video: the same number for the same face from frame to frame; picture: empty
    top, right, bottom, left                  the face's box in pixels, of the picture as it is shown (upright, pixels
                            square); it may reach past the edge
    smile, label            P(smile) from 0 to 1, in videos smoothed over time; "smile" from 0.5 on, else "no_smile"
    left_eye_x ... mouth_right_y              landmarks in pixels; "left" is the image's left
    raw_smile               P(smile) of this picture or frame alone; in pictures and --cropped the same as smile
    error                   one sentence on a file that can't be read, which then has a row of its own; else empty

Exit code: 0 all is well (what can't be read inside folders is only counted); 1 a file that was given by its own name can't
be read, or the network says of itself that nothing can be expected of it; 2 nothing was done, and one sentence says why; 130
Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from common.errors import SettingsError, SmileError
from common.judged import read_judged
from common.native_output import native_output_dropped
from common.settings import DEFAULT_DETECTOR
from pictures.finding import PHOTO_SUFFIXES, VIDEO_SUFFIXES, scan_media, suffix_of
from scoring.contact_sheet import MOST_PHOTOS
from scoring.left_out import LeftOut
from scoring.resume import ScoringProgress
from scoring.run import kept, score_all
from scoring.smile_copies import SmileSelection
from scoring.table_writer import Table, kind_of, open_table, part_of
from scoring.work import Scorer as Scorer
from scoring.work import Work, model_digest
from scoring.workers import MOST_WORKERS
from smile_recognition import DEFAULT_MODEL


def _check_paths(options: argparse.Namespace) -> None:
    """Raises SettingsError if a path is missing or holds nothing to read, or if there is no video to plot."""
    for path in options.paths:
        if next(scan_media([path]), None) is None:
            raise SettingsError(f"There is no picture or video in {path}; check the folder.")
    if options.plot and not any(file.is_video for file in scan_media(options.paths)):
        raise SettingsError("--plot draws videos, but none of the files is a video; leave it out, or name a video.")


def _check_out(out: str, paths: Sequence[str]) -> None:
    if out == "-":
        return
    if suffix_of(out) in PHOTO_SUFFIXES | VIDEO_SUFFIXES:
        raise SettingsError(f"--out {out} is the name of a picture or video; give it a name such as table.csv.")
    for written in (Path(out), part_of(Path(os.path.realpath(out)))):
        if written.exists() and any(os.path.samefile(written, path) for path in paths):
            raise SettingsError(f"--out {out} would overwrite a file that is to be read; choose another name.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python inference.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog=(__doc__ or "").partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="pictures, videos, and folders of these (hidden files are skipped)")
    add("--out", default="-", metavar="FILE", help="table.csv, .jsonl or .parquet, or - for CSV on the screen (default: -)")
    add(
        "--spreadsheet",
        action="store_true",
        help="CSV for Excel and the like: marked as UTF-8, and no name is taken for a formula",
    )
    add("--restart", action="store_true", help="start over, without the rows of an unfinished table")
    add("--cropped", action="store_true", help="each picture is one tight face crop, so search for no faces")
    add("--annotate", metavar="DIR", help="write copies with boxes and percentages into this folder (videos as MP4)")
    add("--landmarks", action="store_true", help="mark eyes, nose and mouth corners in these copies")
    add("--plot", metavar="DIR", help="write a plot of each video's smiles over time into this folder (PNG)")
    add("--copy-smiles", metavar="DIR", help="copy the photos with a smile into this folder, unchanged")
    add("--best", type=int, metavar="N", help="keep only the N best of these, one of each burst of photos that look alike")
    add("--report", metavar="FILE", help=f"write a page with small pictures of these (HTML, at most {MOST_PHOTOS})")
    add("--workers", type=int, metavar="N", help="processes that read files (default: one for each core; 1: only this one)")
    add("--dask", metavar="ADDRESS", help="score on a Dask cluster such as tcp://10.0.0.1:8786; it needs the same paths")
    add("--detector", default=DEFAULT_DETECTOR, help="finder, face_recognition, haar or yunet (default: %(default)s)")
    add("--detector-model", type=Path, metavar="FILE", help="network file for yunet, or another one for finder")
    add("--model", type=Path, metavar="FILE", help="smile network (default: models/smile.tflite)")
    return parser


def _check_options(options: argparse.Namespace) -> None:
    """Raises SettingsError for options that don't go together."""
    if options.landmarks and not options.annotate:
        raise SettingsError("--landmarks marks the annotated copies; give --annotate DIR too.")
    if options.best is not None and options.best < 1:
        raise SettingsError("--best must be at least 1.")
    if options.best is not None and not (options.copy_smiles or options.report):
        raise SettingsError("--best chooses what is copied or shown; give --copy-smiles DIR or --report FILE too.")
    if options.workers is not None and not 1 <= options.workers <= MOST_WORKERS:
        raise SettingsError(f"--workers must be from 1 to {MOST_WORKERS}.")
    if options.workers is not None and options.dask:
        raise SettingsError("--dask has workers of its own; leave --workers out.")
    if options.workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        options.workers = min(cores, MOST_WORKERS)


def _settings(options: argparse.Namespace, work: Work) -> dict[str, str]:
    """What the rows depend on, with names that tell a user what differs."""
    relative = any(not os.path.isabs(path) for path in options.paths)
    return {
        "list of paths": "\0".join(options.paths).encode("utf-8", "backslashreplace").decode(),
        "current folder": os.fsencode(os.getcwd()).decode("utf-8", "backslashreplace") if relative else "",
        "kind of table": kind_of(options.out) + (" for spreadsheets" if options.spreadsheet else ""),
        "--cropped": str(options.cropped),
        "--detector": work.detector or "",
        "--detector-model": model_digest(work.detector_model) if work.detector_model else "",
        "--model": work.digest,
        "--annotate": os.path.abspath(options.annotate) if options.annotate else "",
        "--landmarks": str(options.landmarks),
        "--plot": os.path.abspath(options.plot) if options.plot else "",
    }


@native_output_dropped()  # libpng and others write to the terminal what the table's error column says in plain words
def main(argv: list[str] | None = None) -> int:
    """Score what the command line names; the exit code is explained above."""
    options = _parser().parse_args(argv)
    # OpenCV and FFmpeg write to the terminal what the table's error column says in plain words.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    table: Table | None = None
    progress: ScoringProgress | None = None
    started = time.monotonic()
    try:
        _check_options(options)
        _check_paths(options)
        _check_out(options.out, options.paths)
        work = _work(options)
        judged = read_judged(options.model or DEFAULT_MODEL)
        if judged and judged.problem():
            print(f"{options.model}: {judged.problem()}", file=sys.stderr)
        selection = SmileSelection(options.paths, best=options.best, copies=options.copy_smiles, report=options.report)
        table = open_table(options.out, spreadsheet=options.spreadsheet)
        if table.part is not None:
            progress = ScoringProgress(table, _settings(options, work), restart=options.restart)
        elif options.copy_smiles or options.report:
            raise SettingsError("--copy-smiles and --report choose from the whole table; give it a file with --out FILE.")
        left_out = LeftOut(options.out)
        tally = score_all(options, work, table, progress, left_out)
        said = selection.write(table) if progress else []
        table.finish()
        if progress:
            progress.remove()
    except SmileError as error:
        print(f"{error}{kept(table, progress)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `... | head` has seen enough
        if table is not None:
            table.abandon()
        return 0
    except KeyboardInterrupt:
        saved = kept(table, progress)
        print(f"Stopped.{saved}{' Run the same command again to go on.' if saved else ''}", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    for sentence in said:
        print(sentence, file=sys.stderr)
    print(
        f"files: {tally.files}, faces: {tally.faces}, smiles: {tally.smiles}, unreadable: {tally.unreadable}, "
        f"seconds: {seconds:.1f}{left_out}",
        file=sys.stderr,
    )
    return 1 if tally.named_unreadable or (judged and judged.hopeless) else 0


def _work(options: argparse.Namespace) -> Work:
    """The work to do. Raises SmileError at once for what would stop every worker later."""
    paths = (os.path.abspath(path) for path in options.paths) if options.dask else options.paths
    inside = os.path.abspath if options.dask else str  # a cluster's workers run elsewhere
    work = Work(
        detector=None if options.cropped else options.detector,
        detector_model=options.detector_model and Path(inside(options.detector_model)),
        model=options.model and Path(inside(options.model)),
        digest=model_digest(options.model or DEFAULT_MODEL),
        paths=tuple(paths),
        annotate=options.annotate and inside(options.annotate),
        landmarks=options.landmarks,
        plot=options.plot and inside(options.plot),
    )
    work.check()
    return work


if __name__ == "__main__":
    sys.exit(main())
