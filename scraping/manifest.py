"""The table of everything that was found and fetched: a SQLite file for the program, a CSV file for people.

    >>> manifest = Manifest.open(Path("images"), {"source": "pages", "people": "one"})
    >>> manifest.add_page("smile", 1, page)          # all of the page or nothing
    >>> manifest.store("1199241887", fetched)
    >>> manifest.export()                            # images/manifest.csv

A kill at any moment leaves whole pages and whole pictures in the table. While it is open, no other run can open it.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from common.csv_lines import csv_writer, harmless
from common.errors import FetchError, OutputError, SettingsError
from scraping.asking.assets import Asset, Page
from scraping.checking import Checked
from scraping.gathered_files import save
from scraping.manifest_schema import FILE, GIVEN, INTERNAL, SCHEMA, TABLE, UPGRADE, VERSION


@dataclass(frozen=True)
class Fetched:
    """A picture that is on the disk. `fetched_at`: seconds since 1970."""

    checked: Checked
    fetched_at: float


@dataclass(frozen=True)
class Kept:
    """What finding copies needs to know about a fetched picture. `terms`: all terms under which it was found."""

    id: str
    folder: str
    suffix: str
    sha256: str
    phash: str
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What is known about a picture once all are compared; empty texts if there is nothing to say."""

    set_apart: str = ""
    copy_of: str = ""
    near_copy_of: str = ""


class Manifest:
    """One folder's table. Use it in one thread. Raises OutputError if it can't be read or written."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, str], *, dry: bool = False) -> Manifest:
        """The table in `folder`, which must exist. A missing table is made. `dry`: a copy in memory; nothing is written.

        Raises SettingsError if another run has it open, or if it was gathered with other `settings`.
        """
        file = folder / FILE
        with _guarded(folder):
            if dry:
                connection = sqlite3.connect(":memory:", isolation_level=None)
                if file.is_file():
                    original = sqlite3.connect(file, timeout=0, isolation_level=None)
                    try:
                        # Refused at once while another run has it; `backup` would wait for that run without end.
                        original.execute("BEGIN").execute("SELECT count(*) FROM sqlite_master")
                        original.backup(connection)
                    finally:
                        original.close()
            else:
                connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        try:
            with _guarded(folder):
                if not dry:
                    # Held until the process ends, however it ends. This keeps a second run out.
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN EXCLUSIVE")
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in SCHEMA.split(";\n"):
                        connection.execute(statement)
                    given = [("version", VERSION), *settings.items()]
                    connection.executemany("INSERT INTO settings VALUES (?, ?)", given)
                elif "promised" not in {row[1] for row in connection.execute("PRAGMA table_info(terms)")}:
                    for statement in UPGRADE:
                        connection.execute(statement)
                connection.execute("COMMIT")
                known = dict(connection.execute("SELECT name, value FROM settings"))
            _check_settings(folder, known, settings)
        except BaseException:
            connection.close()
            raise
        return cls(connection, folder)

    def close(self) -> None:
        self._connection.close()

    def add_term(self, term: str, folder: str) -> None:
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO terms (term, folder) VALUES (?, ?)", (term, folder))
        if (term,) not in self._rows("SELECT term FROM terms WHERE folder = ?", folder):
            raise SettingsError(f"Another term than {term!r} has the folder {folder} already; give --out another folder.")

    def last_page(self, term: str) -> int | None:
        """The last page of the term's results, if their end was seen."""
        return self._rows("SELECT last_page FROM terms WHERE term = ?", term)[0][0]

    def promised(self, term: str) -> int | None:
        """How many pages of results there are, as the site said last."""
        return self._rows("SELECT promised FROM terms WHERE term = ?", term)[0][0]

    def end_term(self, term: str, last_page: int) -> None:
        with self._writing() as connection:
            connection.execute("UPDATE terms SET last_page = ? WHERE term = ?", (last_page, term))

    def has_page(self, term: str, number: int) -> bool:
        return bool(self._rows("SELECT 1 FROM pages WHERE term = ? AND page = ?", term, number))

    def add_page(self, term: str, number: int, page: Page) -> None:
        """Stores what a page lists. It is the term's last page if it says so, or if all of it was on earlier pages and no
        page promised more: past the end of the results a site may show the last page again.
        """
        now = _timestamp(datetime.now(UTC).timestamp())
        with self._writing() as connection:
            known = {row[0] for row in connection.execute("SELECT asset_id FROM listings WHERE term = ?", (term,))}
            connection.execute("INSERT INTO pages VALUES (?, ?, ?, ?, ?)", (term, number, page.layout, page.unusable, now))
            for position, asset in enumerate(page.assets, 1):
                connection.execute("INSERT INTO listings VALUES (?, ?, ?, ?)", (term, number, position, asset.id))
                connection.execute(
                    f"INSERT OR IGNORE INTO assets (term, page, position, {GIVEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (term, number, position, *astuple(asset)),
                )
            if page.last_page is not None:
                connection.execute("UPDATE terms SET promised = ? WHERE term = ?", (page.last_page, term))
            promised = connection.execute("SELECT promised FROM terms WHERE term = ?", (term,)).fetchone()[0]
            repeated = known.issuperset(asset.id for asset in page.assets)
            if (promised is None and repeated) or (promised is not None and promised <= number):
                connection.execute("UPDATE terms SET last_page = ? WHERE term = ?", (number, term))

    def to_fetch(self, term: str, number: int) -> list[Asset]:
        """The assets first found on this page and not fetched yet, in the page's order."""
        return [
            Asset(*row)
            for row in self._rows(
                f"SELECT {GIVEN} FROM assets WHERE status = 'listed' AND term = ? AND page = ? ORDER BY position",
                term,
                number,
            )
        ]

    def counts(self, term: str) -> dict[str, int]:
        """How many assets first found under the term are `listed`, `fetched` and `failed`."""
        rows = self._rows("SELECT status, count(*) FROM assets WHERE term = ? GROUP BY status", term)
        return {"listed": 0, "fetched": 0, "failed": 0} | dict(rows)

    def store(self, asset_id: str, fetched: Fetched) -> None:
        checked = fetched.checked
        with self._writing() as connection:
            connection.execute(
                "UPDATE assets SET status = 'fetched', reason = '', message = '', suffix = ?, width = ?, height = ?, "
                "bytes = ?, sha256 = ?, phash = ?, fetched_at = ? WHERE asset_id = ?",
                (*astuple(checked), _timestamp(fetched.fetched_at), asset_id),
            )

    def fail(self, asset_id: str, error: FetchError) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE assets SET status = 'failed', reason = ?, message = ? WHERE asset_id = ?",
                (error.kind, str(error), asset_id),
            )

    def forget_failures(self, *, all_kinds: bool = False) -> None:
        """What failed for a passing reason, or all that failed, is to be fetched again."""
        kinds = ", ".join(f"'{kind}'" for kind in sorted(FetchError.PASSING))
        with self._writing() as connection:
            connection.execute(
                "UPDATE assets SET status = 'listed', reason = '', message = '' WHERE status = 'failed'"
                + ("" if all_kinds else f" AND reason IN ({kinds})")
            )

    def kept(self) -> list[Kept]:
        """All fetched pictures, in the order in which they were first found."""
        terms: dict[str, list[str]] = {}
        for asset_id, term in self._rows(
            "SELECT DISTINCT l.asset_id, l.term FROM listings l JOIN terms t ON t.term = l.term ORDER BY t.place"
        ):
            terms.setdefault(asset_id, []).append(term)
        rows = self._rows(
            "SELECT asset_id, folder, suffix, sha256, phash, term FROM pictures WHERE status = 'fetched' "
            "ORDER BY place, page, position"
        )
        return [Kept(row[0], row[1], row[2], row[3], row[4], tuple(terms[row[0]])) for row in rows]

    def judge(self, verdicts: Mapping[str, Verdict]) -> None:
        with self._writing() as connection:
            connection.executemany(
                "UPDATE assets SET set_apart = ?, copy_of = ?, near_copy_of = ? WHERE asset_id = ?",
                [(verdict.set_apart, verdict.copy_of, verdict.near_copy_of, key) for key, verdict in verdicts.items()],
            )

    def rows(self, query: str, *values: object) -> list[tuple]:
        """For reports and tests."""
        return self._rows(query, *values)

    def export(self) -> Path:
        """Writes `manifest.csv`, in UTF-8, whole or not at all: the first finding of each asset, in the order of finding."""
        with _guarded(self._folder):
            cursor = self._connection.execute("SELECT * FROM pictures ORDER BY place, page, position")
            names = [column[0] for column in cursor.description][: -len(INTERNAL)]
            text = io.StringIO(newline="")
            table = csv_writer(text)
            table.writerow(names)
            table.writerows([harmless(value) for value in row[: len(names)]] for row in cursor)
            path = self._folder / TABLE
            save(path, text.getvalue().encode())
        return path

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with _guarded(self._folder):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _guarded(self._folder):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    file = folder / FILE
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            raise SettingsError(
                f"Another run is gathering pictures into {folder}; wait until it ends, or choose another --out."
            ) from error
        raise OutputError(f"{file} can't be written ({text}); free some space, or choose another --out.") from error
    except sqlite3.DatabaseError as error:
        raise OutputError(f"{file} is damaged ({error}); move it away, or choose another --out.") from error


def _check_settings(folder: Path, known: Mapping[str, str], given: Mapping[str, str]) -> None:
    if known.get("version") != VERSION:
        raise SettingsError(f"{folder / FILE} is from another version of this program; choose another --out.")
    changed = [f"{name} {known.get(name, 'unknown')}" for name, value in given.items() if known.get(name) != value]
    if changed:
        raise SettingsError(
            f"{folder} was gathered with {', '.join(changed)}; a table holds one kind of search, "
            f"so use the same options again or choose another --out."
        )


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
