"""Look at the labels that are probably wrong, and decide about them.

    python -m training.relabel                      # prints the address of a page: smile, no smile, drop, skip, undo
    python -m training.relabel --sources genki fer --limit 100
    python -m training.relabel --automatic          # without looking: drop the faces that confident learning calls wrong
    python -m training.relabel --report             # how many labels change
    python -m training.relabel --report --before runs/smile --after runs/relabelled

Only doubtful labels are shown: near-copies with opposite labels first, then labels that are contradicted by networks which
never saw the face (from `python -m training.out_of_fold`), that is, with a P(label) under one half or called wrong by
confident learning. `--all` shows the other faces after them. Each decision goes to --out at once, one line each, so stop
whenever you like and go on later. `python -m training.dataset --decisions FILE` follows them. Only the training part is
shown and changed: if a network's opinion changed the validation or test part, that would flatter the next network.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.commands import said_plainly
from common.errors import DatasetError
from training.data.faces import Faces
from training.data.predictions import read_predictions
from training.labels.contested import contested_file, without_contested
from training.labels.decisions import AUTOMATIC, Decision, Journal, Key, count_decisions, digest_of, in_words, read_decisions
from training.labels.relabel_queue import Opinions, judge_training_part, make_queue
from training.labels.relabel_server import RelabelServer

_USUAL_PREDICTIONS = Path("runs/out_of_fold/out_of_fold.csv.gz")


def wrong_labels(faces: Faces, judged: Opinions, below: float = 1.0) -> dict[Key, str]:
    """`drop` for each judged face whose label confident learning calls wrong and whose P(label) is under `below`."""
    said_of_label = [p if faces.smile[row] else 1 - p for row, p in zip(judged.rows, judged.probability, strict=True)]
    return {
        (str(faces.source[row]), str(faces.name[row])): "drop"
        for row, wrong, said in zip(judged.rows, judged.suspicion.wrong, said_of_label, strict=True)
        if wrong and said < below
    }


def _show(options: argparse.Namespace) -> None:
    predictions = read_predictions(options.predictions)
    path = contested_file(options.data)
    queue = make_queue(
        Faces.load(options.data),
        predictions,
        Faces.load(path) if path.is_file() else None,
        limit=options.limit,
        sources=options.sources or (),
        everything=options.all,
    )
    with (
        Journal(options.out) as journal,
        RelabelServer(queue, journal, by=options.by, port=options.port) as server,
        _stop_signal() as stopped,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="relabel")
        thread.start()
        copies = sum(len(cluster) for cluster in queue if len(cluster) > 1)
        print(f"{_what(options, len(server.doubts))}; {copies} are near-copies with opposite labels. Open {server.address}")
        print(f"Decisions go to {options.out}. Stop with Ctrl+C; the next run goes on from there.", flush=True)
        try:
            while not stopped.wait(1):  # on Windows, an endless wait would not notice Ctrl+C
                pass
        finally:
            server.shutdown()
            thread.join()
        decided = sum(choice != AUTOMATIC for choice in server.decided().values())
        print(f"{decided} of {len(server.doubts)} faces are decided.")


def _what(options: argparse.Namespace, count: int) -> str:
    if options.all:
        return f"{count} faces"
    most = f" (at most --limit {options.limit})" if count >= options.limit else ""
    return f"{count} faces whose label is doubtful{most}, and --all shows the others too"


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that Ctrl+C or SIGTERM sets."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _decide_automatically(options: argparse.Namespace) -> None:
    faces, predictions = Faces.load(options.data), read_predictions(options.predictions)
    judged = judge_training_part(faces, predictions, options.sources or ())
    wrong = wrong_labels(faces, judged, options.below)
    asked = Counter(faces.source[judged.rows].tolist())
    with Journal(options.out) as journal:
        journal.replace_automatic(wrong, asked)
        standing = journal.standing()
    dropped = Counter(key[0] for key in wrong if standing[key].automatic)
    for name, count in sorted(asked.items()):
        print(f"{name}: {dropped[name]} of {count} training faces dropped ({dropped[name] / count:.1%})")
    people = sum(not standing[key].automatic for key in wrong)
    if people:
        print(f"{people} more were decided by a person and left alone.")
    print(f"Wrote {options.out}.")


def _report(options: argparse.Namespace) -> None:
    decisions = read_decisions(options.out)
    faces = Faces.load(options.data)
    built = _as_built(options.data)
    counts = built or _count(faces, decisions, contested_file(options.data))
    deciders = Counter(decision.by for decision in decisions.values())
    print(", ".join(f"{count} decisions by {by}" for by, count in deciders.most_common()) or "No decisions yet.")
    if built and built.get("sha256") != digest_of(options.out):
        print(f"{options.data} was built with an earlier table; build it again with --decisions to count all of these:")
    for line in in_words(counts):
        print(line)
    if options.before:
        from training.judging.relabel_report import compare

        touched = {name for name, one in counts["sets"].items() if one["changed"] + one["dropped"]}
        print()
        print(compare(options.before, options.after, faces, touched))


def _count(faces: Faces, decisions: dict[Key, Decision], aside: Path) -> dict[str, Any]:
    others = without_contested(decisions, Faces.load(aside)) if aside.is_file() else decisions
    return {**count_decisions(faces, others), "near_copies_left_out": len(decisions) - len(others)}


def _as_built(data: Path) -> dict[str, Any] | None:
    """What decisions did to this dataset when it was built. Its labels no longer tell."""
    from training.judging.records import read_json

    report = data.with_suffix(".json")
    return read_json(report).get("decisions") if report.is_file() else None


@said_plainly("The decisions could not be read or written", "Stopped; no decision was lost.")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.relabel", description="Look at the labels that are probably wrong, and decide about them."
    )
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument(
        "--predictions", type=Path, default=_USUAL_PREDICTIONS, help=f"from `training.out_of_fold` ({_USUAL_PREDICTIONS})"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("datasets/decisions.csv"),
        help="table of decisions (default datasets/decisions.csv)",
    )
    parser.add_argument("--sources", nargs="+", metavar="SET", help="look only at these sets of the dataset")
    parser.add_argument("--limit", type=int, default=500, help="how many faces to look at (default 500)")
    parser.add_argument(
        "--all", action="store_true", help="look at all faces, the most doubtful first, and not only at doubtful labels"
    )
    parser.add_argument(
        "--port", type=int, default=5002, help="port of the page, on this machine only (default 5002; 0: a free one)"
    )
    parser.add_argument("--by", default="person", metavar="NAME", help="your name, for the table")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--automatic", action="store_true", help="drop, without looking, the faces that confident learning calls wrong"
    )
    mode.add_argument("--report", action="store_true", help="say how many labels the decisions change")
    parser.add_argument(
        "--below", type=float, default=1.0, metavar="P", help="with --automatic: only if P(label) is below P (default 1)"
    )
    parser.add_argument("--before", type=Path, metavar="DIR", help="with --report: a training without the decisions")
    parser.add_argument("--after", type=Path, metavar="DIR", help="with --report: a training with them")
    options = parser.parse_args(argv)
    _check(options)
    (_report if options.report else _decide_automatically if options.automatic else _show)(options)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.limit < 1:
        raise DatasetError("--limit must be 1 or more.")
    if not 0 < options.below <= 1:
        raise DatasetError("--below must be over 0 and at most 1.")
    if not options.by.strip() or not options.by.isprintable() or options.by == AUTOMATIC:
        raise DatasetError(f"--by must be a name in plain letters, but not {AUTOMATIC}, which means that nobody looked.")
    if (options.before is None) != (options.after is None) or (options.before and not options.report):
        raise DatasetError("--before and --after go together, with --report.")
    if options.out.exists():
        read_decisions(options.out)  # checked before reading the dataset, which takes long


if __name__ == "__main__":
    sys.exit(main())
