"""Which smiles count: one for each telling of a joke, in one process and over several on one board."""

import os
import threading

import pytest

from common.errors import AlreadyCounted, BoardError, TooManyCounted, UnknownJoke
from jokes.board import JokeBoard
from jokes.joke import Joke, Reaction
from jokes.shared_tellings import SharedTellings, choose_tellings
from jokes.tellings import GOOD_FOR_S, Tellings
from tests.joke_boards import JOKE, joke
from tests.waiting import PATIENCE_S


def test_a_reaction_counts_once_for_each_telling_within_ten_minutes():
    now = [0.0]
    tellings = Tellings(clock=lambda: now[0])
    with pytest.raises(UnknownJoke):
        tellings.take("house", "a")
    tellings.note(JOKE)
    tellings.note(JOKE)
    assert tellings.take("house", "a") == tellings.take("house", "a") == JOKE
    with pytest.raises(AlreadyCounted, match="counted already"):
        tellings.take("house", "a")
    with pytest.raises(UnknownJoke):
        tellings.take("icanhazdadjoke", "a")
    tellings.note(JOKE)
    now[0] += GOOD_FOR_S + 1
    with pytest.raises(AlreadyCounted):
        tellings.take("house", "a")


def test_a_flood_is_stopped_for_a_minute_and_memory_is_bounded():
    now = [0.0]
    tellings = Tellings(clock=lambda: now[0], per_minute=60)
    for i in range(20_000):
        tellings.note(joke(i))
        tellings.note(JOKE)
    assert len(tellings._jokes) <= 10_000
    for _ in range(60):
        tellings.take("house", "a")
    with pytest.raises(TooManyCounted, match="in a minute"):
        tellings.take("house", "a")
    now[0] += 61
    assert tellings.take("house", "a") == JOKE


@pytest.fixture
def board(tmp_path) -> JokeBoard:
    return JokeBoard(str(tmp_path / "board.sqlite3"))


PER_MINUTE = 60


@pytest.fixture
def two(board):
    """Tellings of two processes on one board, and their common clock."""
    now = [1000.0]
    both = [SharedTellings(board, clock=lambda: now[0], per_minute=PER_MINUTE) for _ in range(2)]
    yield *both, now
    for tellings in both:
        tellings.close()


def note(tellings: SharedTellings, *jokes: Joke) -> None:
    """Notes the jokes and waits until they are written, as another process sees them."""
    for one in jokes:
        tellings.note(one)
    with tellings._changed:
        assert tellings._changed.wait_for(lambda: not (tellings._waiting or tellings._writing), PATIENCE_S)


def test_a_telling_is_taken_once_by_whichever_process_within_ten_minutes(two):
    one, other, now = two
    with pytest.raises(UnknownJoke):
        other.take("house", "a")
    note(one, JOKE, JOKE)
    assert one.take("house", "a") == other.take("house", "a") == JOKE
    for tellings in (one, other):
        with pytest.raises(AlreadyCounted):
            tellings.take("house", "a")
    note(other, JOKE)
    now[0] += GOOD_FOR_S + 1
    with pytest.raises(AlreadyCounted):
        other.take("house", "a")


def test_processes_take_at_once_and_none_takes_another_ones(two):
    one, other, _ = two
    note(one, *[JOKE] * 10)
    one.take("house", "a")
    taken, refused = [], []

    def take(tellings: SharedTellings) -> None:
        for _ in range(7):
            try:
                taken.append(tellings.take("house", "a"))
            except AlreadyCounted:
                refused.append(1)

    threads = [threading.Thread(target=take, args=(tellings,)) for tellings in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(taken), len(refused)) == (9, 5)


def test_a_flood_is_stopped_over_all_processes_and_uses_nothing_up(two):
    one, other, now = two
    note(one, *(Joke(str(i), "ha", "test") for i in range(PER_MINUTE + 1)))
    for i in range(PER_MINUTE):
        (one, other)[i % 2].take("test", str(i))
    with pytest.raises(TooManyCounted):
        other.take("test", str(PER_MINUTE))
    now[0] += 61
    assert other.take("test", str(PER_MINUTE)).id == str(PER_MINUTE)


def test_old_tellings_are_deleted(two, board):
    import sqlalchemy as sa

    from jokes import board_tables as joke_tables

    one, _, now = two
    note(one, JOKE)
    one.take("house", "a")
    one._tidy()

    def rows() -> int:
        with board.connection(create=False) as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(joke_tables.tellings))

    assert rows() == 1
    now[0] += GOOD_FOR_S + 61
    one._tidy()
    assert rows() == 0


@pytest.mark.parametrize("identity", ["\ud800", "a\0b", "x" * 1000, ""])
def test_what_can_be_no_joke_was_not_told(two, identity):
    with pytest.raises(UnknownJoke):
        two[0].take("house", identity)


def test_a_board_that_fails_is_said_and_jokes_are_told_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    tellings = SharedTellings(JokeBoard(str(tmp_path / "file" / "board.sqlite3")))
    tellings.note(JOKE)
    with pytest.raises(BoardError):
        tellings.take("house", "a")
    tellings.close()


def test_an_older_board_is_read_as_before_once_tellings_are_shared(board, two):
    board.add(JOKE, Reaction(0, 1, 1))
    note(two[0], JOKE)
    two[1].take("house", "a")
    board.add(JOKE, Reaction(0, 1, 1))
    assert [tally.reactions for tally in board.tallies()] == [2]


def test_tellings_are_shared_where_another_process_may_answer(board, monkeypatch):
    assert choose_tellings(board, several=False) is None
    assert choose_tellings(None, several=True) is None
    assert isinstance(choose_tellings(board, several=True), SharedTellings)
    monkeypatch.setattr("jokes.board.importlib.util.find_spec", lambda _: True)
    assert isinstance(choose_tellings(JokeBoard("postgresql://me@db/x"), several=False), SharedTellings)
    assert {name for name in dir(Tellings) if name[0] != "_"} == {name for name in dir(SharedTellings) if name[0] != "_"}


@pytest.mark.skipif("JOKE_BOARD_TEST_URL" not in os.environ, reason="JOKE_BOARD_TEST_URL names no empty PostgreSQL database")
def test_postgresql_shares_tellings_too():
    board = JokeBoard(os.environ["JOKE_BOARD_TEST_URL"])
    one, other = SharedTellings(board), SharedTellings(board)
    joke = Joke(os.urandom(8).hex(), "ha", "test")
    try:
        note(one, joke, joke)
        assert other.take("test", joke.id) == one.take("test", joke.id) == joke
        with pytest.raises(AlreadyCounted):
            other.take("test", joke.id)
        one._tidy()
    finally:
        one.close()
        other.close()
