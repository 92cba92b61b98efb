"""The joke board: which joke made people smile, in a SQLite file or in PostgreSQL. It holds nothing about who smiled.

    >>> board = JokeBoard("board.sqlite3")
    >>> board.add(joke, Reaction(before=0.1, peak=0.8, seconds=2.5))
    >>> board.tallies()
    [Tally(joke=Joke(id='...', text='...', source='house'), reactions=1, laughs=1, lifts=0.7, squares=0.49, seconds=2.5)]

The first reaction makes the file and its folder. Until then the board reads as empty. Each call opens and closes its own
connection, so nothing is held open between two reactions, and the file may be moved away meanwhile.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import BoardError, SettingsError
from common.face import SMILE_THRESHOLD
from jokes.joke import LEAST_LIFT, Joke, Reaction, Tally

if TYPE_CHECKING:
    import sqlalchemy as sa


_FILE_NAME = "joke_board.sqlite3"
_WAIT_S = 5  # for another process that is writing, or for the database server


class JokeBoard:
    """A board at `place`: a file, a `postgresql://` URL, or empty for `default_file()`. Safe to use from many threads.

    Raises SettingsError for a URL that can never work. PostgreSQL needs the package psycopg.
    """

    def __init__(self, place: str = "") -> None:
        self._opening = threading.Lock()
        self._opened: sa.Engine | None = None
        self._url: sa.URL | None = None
        self._file: Path | None = None
        if "://" not in place:
            self._file = Path(os.path.abspath(os.path.expanduser(place))) if place else default_file()
            return
        kind, _, rest = place.partition("://")
        if kind not in ("postgresql", "postgres", "postgresql+psycopg"):
            raise SettingsError("--board must be a file, a postgresql:// URL or none.")
        if importlib.util.find_spec("psycopg") is None:
            raise SettingsError(
                "A board in PostgreSQL needs one more package; install it with pip install 'psycopg[binary]'."
            )
        import sqlalchemy as sa

        try:
            self._url = sa.make_url(f"postgresql+psycopg://{rest}")
        except (sa.exc.ArgumentError, ValueError):
            raise SettingsError("--board is not a PostgreSQL URL; write postgresql://NAME:PASSWORD@HOST/DATABASE.") from None

    @property
    def on_server(self) -> bool:
        """Whether other computers may share it. A database server allows that; a file belongs to this computer."""
        return self._file is None

    def exists(self) -> bool:
        """Whether there may be something to read. Opens nothing."""
        return self._file is None or os.path.exists(self._file)  # unlike Path.exists(), never raises

    def add(self, joke: Joke, reaction: Reaction) -> None:
        """Stores one reaction, whole or not at all, and with a joke's first reaction its text. Raises BoardError."""
        with self.connection(create=True) as connection:
            import sqlalchemy as sa

            from jokes import board_tables as tables

            known = sa.select(tables.jokes.c.number).filter_by(source=joke.source, id=joke.id)
            _insert_new(connection, tables.jokes, source=joke.source, id=joke.id, text=joke.text)
            connection.execute(
                tables.reactions.insert().values(
                    joke=known.scalar_subquery(),
                    smile_before=round(reaction.before, 3),
                    smile_peak=round(reaction.peak, 3),
                    lift=reaction.lift,
                    seconds=round(reaction.seconds, 1),
                    day=datetime.now(UTC).date(),
                )
            )

    def tallies(self) -> list[Tally]:
        """One tally for each joke that anybody reacted to, in no order; none if there is no board yet. Raises BoardError."""
        if not self.exists():
            return []
        with self.connection(create=False) as connection:
            import sqlalchemy as sa

            from jokes import board_tables as tables

            if not sa.inspect(connection).has_table(tables.board.name):
                return []  # a database that was never written to
            lift = tables.reactions.c.lift
            laughed = (tables.reactions.c.smile_peak >= SMILE_THRESHOLD) & (lift >= LEAST_LIFT)
            counts = (sa.func.count(), sa.func.sum(sa.case((laughed, 1), else_=0)))
            sums = (sa.func.sum(lift), sa.func.sum(lift * lift), sa.func.avg(tables.reactions.c.seconds))
            of_joke = (tables.jokes.c.id, tables.jokes.c.text, tables.jokes.c.source)
            query = sa.select(*of_joke, *counts, *sums).select_from(tables.reactions.join(tables.jokes)).group_by(*of_joke)
            return [_tally(*row) for row in connection.execute(query)]

    @contextmanager
    def connection(self, *, create: bool) -> Iterator[sa.Connection]:
        """A transaction that ends with the block. `create`: make the board first if it is not there.

        Whatever goes wrong with the database comes out as BoardError.
        """
        import sqlalchemy.exc

        try:
            if create and self._file is not None:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._engine().begin() as connection:
                _prepare(connection, create=create)
                yield connection
        except (sqlalchemy.exc.SQLAlchemyError, OSError, ValueError, TypeError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            place = str(self._file) if self._file is not None else "in PostgreSQL"
            raise BoardError(
                f"The joke board {place} can't be used ({reason}); fix it, or start with another --board."
            ) from error

    def _engine(self) -> sa.Engine:
        import sqlalchemy as sa

        with self._opening:
            if self._opened is None:
                if self._url is not None:
                    options = {"connect_timeout": _WAIT_S}
                    self._opened = sa.create_engine(self._url, poolclass=sa.NullPool, connect_args=options)
                else:
                    url = sa.URL.create("sqlite", database=str(self._file))
                    self._opened = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": _WAIT_S})
                    sa.event.listen(self._opened, "connect", _set_up_sqlite)
            return self._opened


def open_board(place: str) -> JokeBoard | None:
    """The board that `--board` names; None for `none`. Raises SettingsError."""
    return None if place.lower() == "none" else JokeBoard(place)


def default_file(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The board's file in the user's data folder.

    The data folder outlives a new copy of the project, and the project's own folder may be read-only.
    """
    try:
        home = Path.home()
    except RuntimeError:  # a container without users
        return Path(_FILE_NAME)
    if platform == "win32":
        named, usual = environ.get("LOCALAPPDATA", ""), home / "AppData" / "Local"
    elif platform == "darwin":
        named, usual = "", home / "Library" / "Application Support"
    else:
        named, usual = environ.get("XDG_DATA_HOME", ""), home / ".local" / "share"
    folder = Path(named) if os.path.isabs(named) else usual
    return folder / "dad-jokes-for-smiles" / _FILE_NAME


def _prepare(connection: sa.Connection, *, create: bool) -> None:
    """Makes missing tables if `create`, and refuses tables of a later version of the app."""
    import sqlalchemy as sa

    from jokes import board_tables as tables

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL statement_timeout = '{_WAIT_S}s'"))
    if not sa.inspect(connection).has_table(tables.board.name):
        if not create:
            return
        if connection.dialect.name == "postgresql":  # two processes at once would trip over each other
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x5311E)))
        else:  # all tables or none: Python's SQLite does not begin a transaction for them by itself
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
        _insert_new(connection, tables.board, version=tables.VERSION)
    version = connection.scalar(sa.select(sa.func.max(tables.board.c.version)))
    if version is not None and not isinstance(version, int):
        raise TypeError("its version is not a number")
    if version is not None and version > tables.VERSION:
        raise BoardError("The joke board was written by a later version of this app; update the app.")


def _insert_new(connection: sa.Connection, table: sa.Table, **values: object) -> None:
    """Inserts a row unless it would break a unique constraint."""
    from sqlalchemy.dialects import postgresql, sqlite

    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(**values).on_conflict_do_nothing())


def _set_up_sqlite(connection, _record) -> None:
    # WAL: readers and one writer don't wait for each other, and a process that dies while writing leaves the file whole.
    _begin_wal(connection)
    for setting in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin_wal(connection: sqlite3.Connection) -> None:
    """For a change of the journal SQLite does not wait by itself while another process makes the same change."""
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.02)


def _tally(identity: object, text: object, source: object, count: int, laughs: int, *numbers: object) -> Tally:
    """Raises TypeError or ValueError for values that this app did not write. SQLite keeps values of any type."""
    if not (isinstance(identity, str) and isinstance(text, str) and isinstance(source, str)):
        raise TypeError("a joke in it is not text")
    return Tally(Joke(identity, text, source), count, int(laughs), *map(_finite, numbers))


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else 0.0
