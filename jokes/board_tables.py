"""The tables of the joke board, for SQLite and PostgreSQL. This module is loaded when a board is first opened.

`smile_board` has one row, the version of the tables. Raise VERSION with every change to a table, and bring older boards up
to date in `jokes.board._prepare`.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 1

metadata = sa.MetaData()

board = sa.Table("smile_board", metadata, sa.Column("version", sa.Integer, primary_key=True))

jokes = sa.Table(
    "smile_jokes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("source", sa.String(32), nullable=False),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.UniqueConstraint("source", "id"),
)

reactions = sa.Table(
    "smile_reactions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("joke", sa.ForeignKey(jokes.c.number, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("smile_before", sa.Double, nullable=False),
    sa.Column("smile_peak", sa.Double, nullable=False),
    sa.Column("lift", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("day", sa.Date, nullable=False),  # UTC; an hour would tell when somebody sat here
    sa.CheckConstraint("smile_before BETWEEN 0 AND 1"),
    sa.CheckConstraint("smile_peak BETWEEN 0 AND 1"),
    sa.CheckConstraint("lift BETWEEN -1 AND 1"),
    sa.CheckConstraint("seconds BETWEEN 0 AND 60"),
)

# Not one of the board's own tables: its rows live for minutes, and only boards that several processes share have it.
tellings = sa.Table(
    "smile_tellings",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("source", sa.String(32), nullable=False),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("told_at", sa.Double, nullable=False),  # seconds since 1970
    sa.Column("taken_at", sa.Double),  # when its reaction came
    sa.Index("smile_tellings_joke", "source", "id"),
)
