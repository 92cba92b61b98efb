"""Check that a scraper that is killed again and again ends like one that is left alone.

    python -m benchmarks.scraper_kills                     # 20 kills (-9) at random moments of one run
    python -m benchmarks.scraper_kills --kills 100 --seed 7

Both gather the same 200 results from a page server on loopback. That server loses some pictures, cuts some off, and is
sometimes overloaded. Every file and the table, except its times, must be the same. Nothing that was on the disk or in the
table when a run was killed may be asked for again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.getty_pages import Card, pages_of
from tests.getty_server import Fault, GettyServer

ROOT = Path(__file__).parent.parent
TERMS = ("smile", "no smile")


@dataclass
class Outcome:
    """What is compared: rows without their times, files by name with their SHA-256, and which requests came how often."""

    rows: list[dict[str, str]]
    files: dict[str, str]
    requests: int
    again: list[str] = field(default_factory=list)  # asked for although it was there
    kills: list[int] = field(default_factory=list)  # after how many requests


def make_server(pages: int = 5, size: int = 20) -> GettyServer:
    """Two terms with common results, exact and near copies, and faults that are always the same."""
    smile, neutral = pages_of("smile", pages, size), pages_of("no smile", pages, size, first=5000)
    neutral[0][3] = smile[0][2]  # under both terms
    smile[1][0] = smile[0][0]  # on two pages
    smile[1][4] = Card("900001", int(smile[0][5].id))  # an exact copy under another id
    smile[1][5] = Card("900002", int(smile[0][6].id), quality=60)  # a near copy
    neutral[1][5] = Card("900003", int(smile[0][7].id), quality=60)  # a near copy under the other term
    server = GettyServer({TERMS[0]: smile, TERMS[1]: neutral})
    server.faults |= {
        f"pic{smile[0][9].id}": Fault("status", 404),
        f"pic{smile[1][9].id}": Fault("html"),
        f"pic{smile[2][9].id}": Fault("cut", times=1),
        f"pic{neutral[0][9].id}": Fault("status", 503, times=1, headers={"Retry-After": "0"}),
        f"pic{neutral[1][9].id}": Fault("truncate", times=1),
        f"pic{neutral[2][9].id}": Fault("status", 429, times=1),
    }
    return server


def command(server: GettyServer, out: Path, *more: str) -> list[str]:
    options = ["--pages", "9", "--out", str(out), "--site", server.url, "--i-have-permission", "--workers", "3"]
    return [sys.executable, "getty_scraper.py", *TERMS, *options, "--pause", "0.004", "--retry-pause", "0.02", *more]


def undisturbed(server: GettyServer, folder: Path) -> Outcome:
    process = subprocess.run(command(server, folder), cwd=ROOT, capture_output=True, text=True, timeout=300)
    if process.returncode != 1 or "no pictures but something else" not in process.stderr:
        raise SystemExit(f"The undisturbed run failed: {process.stderr}")
    return Outcome(*read_outcome(folder), requests=len(server.requests))


def killed(server: GettyServer, folder: Path, kills: int, seed: int, requests: int) -> Outcome:
    """A run that is killed `kills` times, a random while after random requests, and begun again each time.

    `requests`: how many the undisturbed run made. Some kills come after the last one, while the table is being finished.
    """
    rng = random.Random(seed)
    moments = sorted((rng.uniform(0, 1.05 * requests), rng.uniform(0, 0.05)) for _ in range(kills))
    there: set[str] = set()
    again: list[str] = []
    kills_at: list[int] = []
    for at, later_s in moments:
        already = len(server.requests)
        process = subprocess.Popen(command(server, folder), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # If the last run already came as far as this one should, this one is killed early.
        _wait_for(server, max(already, min(at, requests - 1)), process, 60.0 if at > already else rng.uniform(0.5, 1.5))
        time.sleep(later_s)
        process.kill()
        process.wait(30)
        time.sleep(0.05)  # answers that were under way are noted
        again += [name for name in asked_for(server, already) if name in there]
        there |= what_is_there(folder)
        kills_at.append(len(server.requests))
    already = len(server.requests)
    last = subprocess.run(command(server, folder), cwd=ROOT, capture_output=True, text=True, timeout=300)
    if last.returncode != 1:
        raise SystemExit(f"The last run failed: {last.stderr}")
    again += [name for name in asked_for(server, already) if name in there]
    return Outcome(*read_outcome(folder), requests=len(server.requests), again=again, kills=kills_at)


def _wait_for(server: GettyServer, requests: float, process: subprocess.Popen, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while len(server.requests) <= requests and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def asked_for(server: GettyServer, since: int) -> list[str]:
    """Pictures and pages, by name, from request number `since` on. A run may look at the first page again to see whether a
    term's results are at an end; that does not count.
    """
    names = []
    for request in server.requests[since:]:
        parts = urlsplit(request.path)
        if parts.path.startswith("/id/"):
            names.append(parts.path.split("/")[2])
        elif "phrase" in (query := parse_qs(parts.query)) and query["page"] != ["1"]:
            names.append(f"page {query['page'][0]} of {query['phrase'][0]}")
    return names


def what_is_there(folder: Path) -> set[str]:
    """Pictures on the disk, failures that must not be tried again, and pages in the table."""
    names = {path.stem for path in folder.rglob("*.jpg")}
    with tempfile.TemporaryDirectory() as copy:  # reading a killed run's table would repair it: the next run's task
        for part in folder.glob("manifest.sqlite3*"):
            shutil.copy(part, copy)
        with closing(sqlite3.connect(Path(copy, "manifest.sqlite3"))) as table, suppress(sqlite3.OperationalError):
            rows = table.execute(
                "SELECT asset_id FROM assets WHERE status = 'fetched' OR reason IN ('gone', 'not_a_picture') "
                "UNION SELECT 'page ' || page || ' of ' || term FROM pages"
            )
            names |= {row[0] for row in rows}
    return names


def read_outcome(folder: Path) -> tuple[list[dict[str, str]], dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["fetched_at"]
        for name in ("url", "licence_page"):  # two servers, two pairs of ports
            row[name] = urlsplit(row[name]).path
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("manifest.")
    }
    return rows, files


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scraper_kills", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        with make_server() as server:
            whole = undisturbed(server, Path(name, "undisturbed"))
        with make_server() as server:
            broken = killed(server, Path(name, "killed"), options.kills, options.seed, whole.requests)
    same_rows, same_files = whole.rows == broken.rows, whole.files == broken.files
    print(f"kills (-9): {options.kills} at random moments, seed {options.seed}")
    print(f"table: {len(whole.rows)} rows undisturbed, {len(broken.rows)} after the kills: {_verdict(same_rows)}")
    print(f"files: {len(whole.files)} undisturbed, {len(broken.files)} after the kills: {_verdict(same_files)}")
    print(f"killed after so many requests: {', '.join(map(str, broken.kills))}")
    print(f"requests: {whole.requests} undisturbed, {broken.requests} with the kills")
    print(f"asked for again although it was there: {len(broken.again)}")
    return 0 if same_rows and same_files and not broken.again else 1


def _verdict(same: bool) -> str:
    return "the same" if same else "DIFFERENT"


if __name__ == "__main__":
    sys.exit(main())
