"""Say in words what a run found and everything that went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scraping.asking.assets import SET_APART
from scraping.asking.problems import REASONS
from scraping.duplicates import CONTESTED, COPY
from scraping.manifest import Manifest
from scraping.manifest_schema import TABLE

_MOST_GONE = 0.1  # a stock site loses pictures all the time; if a larger share is gone, something else is wrong


@dataclass
class Report:
    """`lines` for the user; `problems`: why the exit code is 1, if it is."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def make_report(manifest: Manifest, folder: Path) -> Report:
    """A report on everything in the table, including earlier runs."""
    report = Report()
    _add_terms(report, manifest)
    _add_copies(report, manifest)
    _add_failures(report, manifest)
    report.lines.append(f"Table: {folder / TABLE} (licence page and credit of each picture are in it)")
    return report


def _add_terms(report: Report, manifest: Manifest) -> None:
    for term, folder, last_page in manifest.rows("SELECT term, folder, last_page FROM terms ORDER BY place"):
        pages, unusable = manifest.rows("SELECT count(*), coalesce(sum(unusable), 0) FROM pages WHERE term = ?", term)[0]
        if not pages and last_page is None:
            report.lines.append(f"{term}: no page of results read yet")
            continue
        counts = manifest.counts(term)
        apart = manifest.rows("SELECT count(*) FROM pictures WHERE term = ? AND set_apart <> ''", term)[0][0]
        listed = manifest.rows("SELECT count(DISTINCT asset_id) FROM listings WHERE term = ?", term)[0][0]
        elsewhere = listed - sum(counts.values())  # first found under another term, and counted there
        words = [f"{pages} pages", f"{sum(counts.values())} found", f"{counts['fetched'] - apart} pictures in {folder}/"]
        words += [f"{elsewhere} found under another term before"] if elsewhere else []
        words += [f"{apart} set apart"] if apart else []
        words += [f"{counts['failed']} failed"] if counts["failed"] else []
        words += [f"{counts['listed']} not fetched yet"] if counts["listed"] else []
        words += [f"{unusable} without a usable id or address"] if unusable else []
        words += [f"the results end after page {last_page}"] if last_page is not None else []
        report.lines.append(f"{term}: {', '.join(words)}")
        if not listed:
            report.problems.append(f"nothing was found for {term!r}; try other words, or --people any")


def _add_copies(report: Report, manifest: Manifest) -> None:
    def count(query: str, *values: object) -> int:
        return manifest.rows(query, *values)[0][0]

    again = count("SELECT count(*) - count(DISTINCT term || ' ' || asset_id) FROM listings")
    both = count("SELECT count(*) FROM pictures WHERE other_terms <> ''")
    contested = count("SELECT count(*) FROM pictures WHERE set_apart = ?", CONTESTED)
    exact = count("SELECT count(*) FROM pictures WHERE copy_of <> ''")
    spare = count("SELECT count(*) FROM pictures WHERE set_apart = ?", COPY)
    near = count("SELECT count(*) FROM pictures WHERE near_copy_of <> ''")
    report.lines.append(
        f"Copies: {again} listed on several pages, {both} under several terms; {exact} exact copies under another id, "
        f"{near} near copies"
    )
    if contested or spare:
        report.lines.append(
            f"Set apart, in {SET_APART}/: {contested} whose class is contested (they or a copy came under several terms), "
            f"{spare} that are copies within their term"
        )


def _add_failures(report: Report, manifest: Manifest) -> None:
    rows = manifest.rows("SELECT reason, count(*) FROM assets WHERE status = 'failed' GROUP BY reason ORDER BY 2 DESC, 1")
    if not rows:
        return
    report.lines.append(f"Not fetched: {_listed(rows)}; the table's columns reason and message say which and why")
    found = manifest.rows("SELECT count(*) FROM assets")[0][0]
    matter = [(reason, number) for reason, number in rows if reason != "gone" or number > _MOST_GONE * found]
    if matter:
        report.problems.append(_listed(matter))


def _listed(rows: list[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {REASONS.get(reason, reason)}" for reason, number in rows)
