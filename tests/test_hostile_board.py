"""One visitor who wants a joke to win, on the joke board: nobody else loses anything by it, and the joke does not win."""

import sqlite3
from contextlib import closing

import pytest

from common.errors import AlreadyCounted, TooManyCounted, TooManyRequests, UnknownJoke
from jokes.board import JokeBoard
from jokes.box import JokeBox
from jokes.joke import Reaction
from jokes.quotas import COUNTED_PER_MINUTE, OF_A_JOKE_PER_DAY, TOLD_PER_MINUTE, Quotas
from jokes.sources import house_jokes
from jokes.tellings import PER_MINUTE, Tellings
from tests.test_rate_limits import Clock
from web.rate_limits import VisitorLimits

BOARD, REACTIONS, JOKE = "/api/v1/jokes/board", "/api/v1/reactions", "/api/v1/jokes/random"
FORGER, SOMEBODY = {"REMOTE_ADDR": "203.0.113.7"}, {"REMOTE_ADDR": "203.0.113.8"}


def send(client, joke: dict, who: dict) -> int:
    body = {"joke": joke, "before": 0, "peak": 1, "seconds": 60, "agreed": True}
    return client.post(REACTIONS, json=body, environ_base=who).status_code


def told(client, who: dict) -> dict:
    joke = client.get(JOKE, environ_base=who).json
    return {"id": joke["id"], "source": joke["source"]}


@pytest.mark.usefixtures("no_second_passes")
def test_a_forger_moves_the_board_little_and_takes_nothing_from_others(make_client, tmp_path):
    file = str(tmp_path / "board.sqlite3")
    board = JokeBoard(file)
    good, bad = house_jokes()[:2]
    for _ in range(10):
        board.add(good, Reaction(0, 1, 5))
    client = make_client(board=file, visitor_rate=0)
    wanted = {"id": bad.id, "source": bad.source}
    mine = told(client, SOMEBODY)
    statuses = []
    for _ in range(400):  # until the joke is told again, and again
        client.get("/", environ_base=FORGER)
        statuses.append(send(client, wanted, FORGER))
    assert statuses.count(204) <= OF_A_JOKE_PER_DAY
    others = [send(client, told(client, FORGER), FORGER) for _ in range(100)]
    assert others.count(204) <= COUNTED_PER_MINUTE
    jokes = client.get(BOARD).json["jokes"]
    assert jokes[0]["id"] == good.id
    assert send(client, mine, SOMEBODY) == 204
    assert send(client, told(client, SOMEBODY), SOMEBODY) == 204


def test_nobody_uses_up_what_was_told_to_somebody_else():
    tellings = Tellings()
    joke = house_jokes()[0]
    tellings.note(joke, 1)
    with pytest.raises(UnknownJoke):
        tellings.take(joke.source, joke.id, 2)
    assert tellings.take(joke.source, joke.id, 1) == joke


@pytest.mark.usefixtures("no_second_passes")
def test_asking_again_and_again_stops_counting_but_not_telling(make_client, tmp_path):
    client = make_client(board=str(tmp_path / "board.sqlite3"), visitor_rate=0)
    jokes = [told(client, FORGER) for _ in range(TOLD_PER_MINUTE + 20)]
    assert all(jokes)
    tellings = client.application.extensions["joke_box"].tellings
    assert sum(len(times) for _, times in tellings._jokes.values()) == TOLD_PER_MINUTE
    assert send(client, told(client, SOMEBODY), SOMEBODY) == 204


def test_quotas_come_back():
    clock = Clock()
    quotas = Quotas(clock=clock)
    joke = ("house", "a")
    for _ in range(OF_A_JOKE_PER_DAY):
        quotas.count(1, joke)
    with pytest.raises(AlreadyCounted, match="today"):
        quotas.count(1, joke)
    quotas.count(2, joke)
    clock.now += 86_400 / OF_A_JOKE_PER_DAY
    quotas.count(1, joke)
    for i in range(COUNTED_PER_MINUTE - 1):
        quotas.count(1, ("house", str(i)))
    with pytest.raises(TooManyCounted, match="from your address"):
        quotas.count(1, ("house", "another"))
    quotas.give_back(1, ("house", "0"))
    quotas.count(1, ("house", "another"))
    clock.now += 60
    quotas.count(1, ("house", "a third"))


def test_a_reaction_that_could_not_be_stored_may_be_sent_again(make_client, tmp_path):
    damaged = tmp_path / "board.sqlite3"
    damaged.write_bytes(b"no database, but long enough to be looked at " * 200)
    client = make_client(board=str(damaged), visitor_rate=0)
    joke = told(client, SOMEBODY)
    assert [send(client, joke, SOMEBODY) for _ in range(OF_A_JOKE_PER_DAY + 2)] == [503] * (OF_A_JOKE_PER_DAY + 2)
    damaged.unlink()
    assert send(client, joke, SOMEBODY) == 204


def test_all_visitors_together_are_still_limited():
    clock = Clock()
    tellings = Tellings(clock=clock)
    joke = house_jokes()[0]
    for visitor in range(PER_MINUTE + 1):
        tellings.note(joke, visitor)
    for visitor in range(PER_MINUTE):
        tellings.take(joke.source, joke.id, visitor)
    with pytest.raises(TooManyCounted):
        tellings.take(joke.source, joke.id, PER_MINUTE)


def test_a_box_notes_for_whom_it_told():
    box = JokeBox(url="")
    joke = box.get_joke(visitor=5)
    silent = box.get_joke(visitor=5, noted=False)
    assert box.tellings.take(joke.source, joke.id, 5) == joke
    with pytest.raises(UnknownJoke):
        box.tellings.take(silent.source, silent.id, 5)


# Requests of every kind, and networks


@pytest.mark.usefixtures("no_second_passes")
def test_pages_too_are_limited_and_say_when_to_come_back(make_client):
    client = make_client(visitor_rate=1)
    answers = [client.get("/", environ_base=FORGER) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 10
    assert "try again in" in refused[0].text
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert client.get("/static/style.css", environ_base=FORGER).status_code == 429
    assert client.get("/", environ_base=SOMEBODY).status_code == 200
    assert client.application.extensions["refusals"].counts()["rate"] == len(refused) + 1


def test_a_class_that_opens_the_page_at_once_is_let_in():
    limits = VisitorLimits(clock=Clock())
    for _ in range(30 * 40):  # files of the page
        limits.take_page("203.0.113.7")


def test_many_networks_of_one_site_are_not_so_many_visitors():
    limits = VisitorLimits(10, clock=Clock())
    passed = 0
    for network in range(20):
        for _ in range(30):
            try:
                limits.take_picture(f"2001:db8:1:{network:x}::1")
                passed += 1
            except TooManyRequests:
                break
    assert passed == 4 * 20
    limits.take_picture("2001:db8:2::1")


# A board file that somebody changed by hand


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE smile_jokes SET text = x'ff00'",
        "UPDATE smile_jokes SET id = x'ff'",
        "UPDATE smile_jokes SET source = 5, text = 7",
        "UPDATE smile_board SET version = 'one'",
        "UPDATE smile_board SET version = x'01'",
        "UPDATE smile_reactions SET lift = 'high', seconds = x'00', smile_peak = 'x'",
        "UPDATE smile_reactions SET lift = 9e999",
    ],
)
def test_a_board_with_wrong_types_is_told_of_in_words(make_client, tmp_path, change):
    file = tmp_path / "board.sqlite3"
    JokeBoard(str(file)).add(house_jokes()[0], Reaction(0, 1, 5))
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        for table in ("smile_jokes", "smile_board", "smile_reactions"):
            # Without declared types SQLite keeps whatever is put in.
            rows = database.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            values = rows.fetchall()
            database.execute(f"DROP TABLE {table}")
            database.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", values)
        database.execute(change)
    client = make_client(board=str(file))
    client.application.testing = False
    for path in (BOARD, "/jokes", "/", JOKE):
        assert client.get(path).status_code in (200, 503), path
    assert send(client, told(client, SOMEBODY), SOMEBODY) in (204, 503)
