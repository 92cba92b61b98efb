"""Tellings that several processes share through the joke board's database. One tells a joke, another takes the reaction.

The rules are those of `jokes.tellings`, over all processes together, with one difference: a telling says which joke and
when, but not to whom, because that would stand in a database. Its row is deleted some eleven minutes later. A thread does
the writing, so nobody who hears a joke waits for the database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.errors import AlreadyCounted, SmileError, TooManyCounted, UnknownJoke
from common.event_log import log_event
from jokes.joke import Joke
from jokes.tellings import GOOD_FOR_S, PER_MINUTE, TOO_MANY_FOR_S

if TYPE_CHECKING:
    import sqlalchemy as sa

    from jokes.board import JokeBoard

_MOST_ROWS = 20_000
_MOST_WAITING = 1000  # waiting to be written; older ones are forgotten
_TIDY_EVERY_S = 30.0
_FORGET_AFTER_S = GOOD_FOR_S + 60.0
_LATE_S = 0.3  # for another process that is still writing


class SharedTellings:
    """Like `jokes.tellings.Tellings`, in `board`'s database. Safe to use from many threads. `clock`: seconds since 1970."""

    def __init__(self, board: JokeBoard, *, clock: Callable[[], float] = time.time, per_minute: int = PER_MINUTE) -> None:
        self._board = board
        self._per_minute = per_minute
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Joke, float]] = deque(maxlen=_MOST_WAITING)
        self._writing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def note(self, joke: Joke, visitor: int = 0) -> None:
        """Notes that `joke` is told now. The row is written a moment later, without the visitor."""
        with self._changed:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tellings", daemon=True)
                self._thread.start()
            self._waiting.append((joke, self._clock()))
            self._changed.notify_all()

    def take(self, source: str, identity: str, visitor: int = 0) -> Joke:
        """Uses up one telling of the joke and returns it.

        Raises UnknownJoke, AlreadyCounted, TooManyCounted or BoardError.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not (self._waiting or self._writing), _LATE_S)
        try:
            return self._take(source, identity)
        except UnknownJoke:
            time.sleep(_LATE_S)
            return self._take(source, identity)

    def close(self, timeout: float = 2.0) -> None:
        """Writes what is left, ends the thread, and waits up to `timeout` seconds for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _take(self, source: str, identity: str) -> Joke:
        import sqlalchemy as sa

        from jokes import board_tables as tables

        unknown = UnknownJoke("This app has not told this joke; send the id and source of one that it has.")
        if not _storable(source, identity):
            raise unknown
        row, now = tables.tellings.c, self._clock()
        of_joke = sa.and_(row.source == source, row.id == identity)
        free = sa.and_(of_joke, row.taken_at.is_(None), row.told_at >= now - GOOD_FOR_S)
        with self._board.connection(create=True) as connection:
            _make_table(connection)
            text = connection.scalar(sa.select(row.text).where(of_joke).limit(1))
            if text is None:
                raise unknown
            # Two processes never take the same row: PostgreSQL skips a row that another takes, and SQLite has one writer.
            first = sa.select(row.number).where(free).order_by(row.number).limit(1).with_for_update(skip_locked=True)
            taken = sa.update(tables.tellings).where(row.number == first.scalar_subquery(), row.taken_at.is_(None))
            if connection.execute(taken.values(taken_at=now)).rowcount != 1:
                raise AlreadyCounted(
                    "A smile at this joke has been counted already, or it was told too long ago; ask for another joke."
                )
            recent = sa.select(sa.func.count()).select_from(tables.tellings).where(row.taken_at > now - TOO_MANY_FOR_S)
            if (connection.scalar(recent) or 0) > self._per_minute:
                raise TooManyCounted("Too many smiles at once; try again in a minute.")  # and the row is free again
        return Joke(identity, text, source)

    def _work(self) -> None:
        tidied_at = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting, _TIDY_EVERY_S)
                batch, closed = list(self._waiting), self._closed
                self._waiting.clear()
                self._writing = bool(batch)
            try:
                if batch:
                    self._write(batch)
                if time.monotonic() - tidied_at >= _TIDY_EVERY_S:
                    tidied_at = time.monotonic()
                    self._tidy()
            except Exception as error:  # a BoardError, or an error that must not stop the writing for good
                known = isinstance(error, SmileError)
                log_event(
                    "board", level=logging.WARNING, status="failed", message=str(error), error=None if known else error
                )
            finally:
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()
            if closed:
                return

    def _write(self, batch: list[tuple[Joke, float]]) -> None:
        from jokes import board_tables as tables

        rows = [{"source": joke.source, "id": joke.id, "text": joke.text, "told_at": told_at} for joke, told_at in batch]
        with self._board.connection(create=True) as connection:
            _make_table(connection)
            connection.execute(tables.tellings.insert(), rows)

    def _tidy(self) -> None:
        import sqlalchemy as sa

        from jokes import board_tables as tables

        row = tables.tellings.c
        newest = sa.select(sa.func.max(row.number)).scalar_subquery()
        with self._board.connection(create=True) as connection:
            _make_table(connection)
            old = sa.or_(row.told_at < self._clock() - _FORGET_AFTER_S, row.number <= newest - _MOST_ROWS)
            connection.execute(sa.delete(tables.tellings).where(old))


def choose_tellings(board: JokeBoard | None, *, several: bool) -> SharedTellings | None:
    """Shared tellings if another process may get the reaction: with `several` processes, or with a board on a server."""
    return SharedTellings(board) if board is not None and (several or board.on_server) else None


def _storable(source: str, identity: str) -> bool:
    try:
        (source + identity).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return len(source) <= 32 and len(identity) <= 64 and "\0" not in source + identity


def _make_table(connection: sa.Connection) -> None:
    """Makes the table if it is not there. It is not one of the board's own tables, so the board's version says nothing about
    it.
    """
    import sqlalchemy as sa

    from jokes import board_tables as tables

    if sa.inspect(connection).has_table(tables.tellings.name):
        return
    if connection.dialect.name == "postgresql":  # two processes at once would trip over each other
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x5311E)))
    connection.execute(sa.schema.CreateTable(tables.tellings, if_not_exists=True))
    for index in tables.tellings.indexes:
        connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
