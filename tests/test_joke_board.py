"""Which joke made people smile: what is stored, where, and what is no board."""

import os
import sqlite3
from pathlib import Path

import pytest

from common.errors import BoardError, SettingsError
from jokes import board as joke_board
from jokes.board import JokeBoard, default_file, open_board
from jokes.joke import Joke, Reaction
from jokes.ranking import Ranking
from tests.joke_boards import JOKE, python


@pytest.fixture
def board(tmp_path) -> JokeBoard:
    return JokeBoard(str(tmp_path / "folder" / "board.sqlite3"))


def test_a_reaction_is_stored_as_numbers_and_the_joke_once(board, tmp_path):
    board.add(JOKE, Reaction(before=0.1, peak=0.8, seconds=2.53))
    board.add(JOKE, Reaction(before=0.5, peak=0.3, seconds=0))
    (only,) = board.tallies()
    assert (only.joke, only.reactions, only.laughs) == (JOKE, 2, 1)
    assert (only.lifts, only.squares, only.seconds) == pytest.approx((0.5, 0.53, 1.25))
    with sqlite3.connect(tmp_path / "folder" / "board.sqlite3") as file:
        rows = file.execute("SELECT * FROM smile_reactions").fetchall()
        texts = file.execute("SELECT text FROM smile_jokes").fetchall()
        names = [row[1] for row in file.execute("PRAGMA table_info(smile_reactions)")]
    file.close()
    assert names == ["number", "joke", "smile_before", "smile_peak", "lift", "seconds", "day"], "nothing about who smiled"
    assert rows[0][2:6] == (0.1, 0.8, 0.7, 2.5)
    assert len(rows[0][6]) == len("2026-01-31"), "the day, not the hour"
    assert texts == [(JOKE.text,)]


def test_nothing_is_made_before_the_first_reaction(board, tmp_path):
    assert board.tallies() == []
    assert not board.exists()
    assert list(tmp_path.iterdir()) == []
    board.add(JOKE, Reaction(0, 1, 1))
    assert board.exists()


def test_the_same_id_from_two_services_is_two_jokes(board):
    board.add(JOKE, Reaction(0, 1, 1))
    board.add(Joke("a", "Another.", "icanhazdadjoke"), Reaction(0, 0.5, 1))
    assert {one.joke.source for one in board.tallies()} == {"house", "icanhazdadjoke"}


@pytest.mark.parametrize(
    "numbers",
    [(-0.1, 0, 0), (0, 1.1, 0), (0, 0, 61), (0, 0, -1), (float("nan"), 0, 0), (0, float("inf"), 0), (0, 10**400, 0)],
)
def test_a_reaction_out_of_range_is_none(numbers):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Reaction(*numbers)


@pytest.mark.parametrize(
    ("before", "peak", "laughed"),
    [
        (0.02, 0.97, True),
        (0.4, 0.5, True),
        (0.4, 0.499, False),
        (0.16, 0.32, False),
        (0.16, 0.08, False),
        (0.9, 0.95, False),
        (0.85, 0.95, True),
    ],
)
def test_a_laugh_is_a_smile_that_the_joke_has_lifted(board, before, peak, laughed):
    reaction = Reaction(before, peak, 1)
    assert reaction.laughed is laughed
    board.add(JOKE, reaction)
    (only,) = board.tallies()
    assert (only.laughs, only.lifts) == (int(laughed), reaction.lift), "the stored numbers say the same"
    (standing,) = Ranking([only]).standings
    assert (standing.laughs, standing.mean) == (int(laughed), reaction.lift)


def test_a_board_of_a_later_version_is_left_alone(board, tmp_path):
    board.add(JOKE, Reaction(0, 1, 1))
    with sqlite3.connect(tmp_path / "folder" / "board.sqlite3") as file:
        file.execute("UPDATE smile_board SET version = 99")
    file.close()
    for use in (board.tallies, lambda: board.add(JOKE, Reaction(0, 1, 1))):
        with pytest.raises(BoardError, match="update the app"):
            use()


def test_a_file_deleted_meanwhile_is_made_again(board, tmp_path):
    board.add(JOKE, Reaction(0, 1, 1))
    (tmp_path / "folder" / "board.sqlite3").unlink()
    assert board.tallies() == []
    board.add(JOKE, Reaction(0, 1, 1))
    assert len(board.tallies()) == 1


def test_none_keeps_no_board():
    assert open_board("none") is None
    assert open_board("None") is None


@pytest.mark.parametrize("url", ["mysql://host/x", "http://host", "sqlite:///x"])
def test_other_databases_are_refused_before_the_start(url):
    with pytest.raises(SettingsError, match="--board must be a file"):
        open_board(url)


def test_a_useless_postgresql_address_is_refused_without_showing_its_password(monkeypatch):
    monkeypatch.setattr(joke_board.importlib.util, "find_spec", lambda _: object())
    with pytest.raises(SettingsError, match="not a PostgreSQL URL") as error:
        open_board("postgresql://me:secret@host:port/x")
    assert "secret" not in str(error.value)


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr(joke_board.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install 'psycopg"):
        open_board("postgresql://me:secret@host/smiles")


@pytest.mark.skipif("JOKE_BOARD_TEST_URL" not in os.environ, reason="JOKE_BOARD_TEST_URL names no empty PostgreSQL database")
def test_postgresql_keeps_a_board_too():
    place = os.environ["JOKE_BOARD_TEST_URL"]
    board = JokeBoard(place)
    assert board.tallies() == []
    code = "for i in range(30): board.add(Joke(str(i % 7), 'ha', 'test'), Reaction(0.25, 0.75, 1))\n"
    for writer in [python(code, place) for _ in range(2)]:
        said, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    tallies = board.tallies()
    assert (len(tallies), sum(one.reactions for one in tallies), sum(one.lifts for one in tallies)) == (7, 60, 30)
    with pytest.raises(BoardError, match=r"in PostgreSQL can't be used"):
        JokeBoard("postgresql://nobody:secret@127.0.0.1:1/nothing").tallies()


def test_the_default_file_lies_in_the_users_data_folder(tmp_path):
    given = {"XDG_DATA_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    expected = tmp_path / "dad-jokes-for-smiles" / "joke_board.sqlite3"
    assert default_file(given, "linux") == default_file(given, "win32") == expected
    assert default_file({"XDG_DATA_HOME": "relative"}, "linux").is_relative_to(Path.home() / ".local" / "share")
    assert "Application Support" in str(default_file({}, "darwin"))
