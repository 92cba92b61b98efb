"""The page /jokes: which jokes stand where on it, what it says of each, and that markup stays text."""

import re
from functools import partial
from html.parser import HTMLParser

import pytest

from jokes.board import JokeBoard
from jokes.joke import Reaction
from jokes.sources import house_jokes

BOARD = "/api/v1/jokes/board"


@pytest.fixture
def make_client(make_client, tmp_path):
    return partial(make_client, board=str(tmp_path / "board.sqlite3"), visitor_rate=0)


@pytest.fixture
def client(make_client):
    return make_client()


class Parts(HTMLParser):
    """The words of each part of the board that has an id, its items and its table's rows, and what a strict policy would
    refuse.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.items: dict[str, list[str]] = {}
        self.bars: list[dict] = []
        self.roles: list[str] = []
        self.refused: list[str] = []
        self.place = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        self.refused += [name for name in values if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not values.get("src", "").startswith("/static/")):
            self.refused.append(tag)
        if tag in ("table", "tr", "th", "td"):
            self.roles.append(values.get("role", ""))
        if values.get("id") in ("podium", "more", "warming-up", "unmoved", "how-sure"):
            self.place = values["id"]
            self.items[self.place] = []
        if tag in ("li", "tr") and self.place:
            self.items[self.place].append("")
        elif tag in ("rect",) and values.get("class") == "bar":
            self.bars.append(values)

    def handle_data(self, data) -> None:
        if self.items.get(self.place):
            self.items[self.place][-1] = " ".join(f"{self.items[self.place][-1]} {data}".split())


def words(joke) -> str:
    return " ".join(joke.text.split())


def test_the_board_is_a_podium_with_the_rest_below_it(client, tmp_path):
    board = JokeBoard(str(tmp_path / "board.sqlite3"))
    jokes = house_jokes()[:8]
    peaks = {0: [0.9] * 7 + [0.2] * 2, 1: [0.9] * 12, 2: [0.9, 0.1, 0.1], 3: [0.55, 0.1, 0.1, 0.1], 4: [1.0], 5: [0.05] * 5}
    for number, smiles in peaks.items():
        for peak in smiles:
            board.add(jokes[number], Reaction(before=0.1, peak=peak, seconds=1))
    response = client.get("/jokes")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    page = Parts(response.text)
    assert page.refused == []
    assert page.roles, "the table is there"
    assert all(page.roles), "roles are written out for every part of the table"
    first, second, third = page.items["podium"]
    for card, joke, said in (
        (first, jokes[1], "made 12 of 12 laugh +80 points on average"),
        (second, jokes[0], "made 7 of 9 laugh +64 points on average"),
        (third, jokes[2], "made 1 of 3 laugh +27 points on average"),
    ):
        assert words(joke) in card
        assert said in card
    assert [words(jokes[3]) in one and "made 1 of 4 laugh" in one for one in page.items["more"]] == [True]
    assert [words(jokes[4]) in one and "made 1 of 1 laugh +90 points" in one for one in page.items["warming-up"]] == [True]
    assert "average" not in page.items["warming-up"][0], "of one telling"
    assert [words(jokes[5]) in one and "made 0 of 5 laugh" in one for one in page.items["unmoved"]] == [True]
    _head, *rows = page.items["how-sure"]
    assert len(rows) == len(page.bars) == 4
    assert re.search(r"\+\d+ to \+\d+", rows[0])
    assert [float(bar["width"]) for bar in page.bars] == sorted((float(bar["width"]) for bar in page.bars), reverse=True)
    assert all(float(bar["x"]) >= 0 and float(bar["x"]) + float(bar["width"]) <= 200 for bar in page.bars)


def test_one_telling_is_shown_as_it_was_measured_and_what_nobody_laughed_at_is_not_among_the_funny_ones(client, tmp_path):
    board = JokeBoard(str(tmp_path / "board.sqlite3"))
    funny, flat = house_jokes()[:2]
    board.add(funny, Reaction(before=0.02, peak=0.97, seconds=3))
    for _ in range(3):
        board.add(flat, Reaction(before=0.16, peak=0.08, seconds=0))
    (first, second) = client.get(BOARD).json["jokes"]
    assert (first["id"], first["mean"], first["laughs"]) == (funny.id, 0.95, 1)
    assert (second["id"], second["mean"], second["laughs"]) == (flat.id, -0.08, 0)
    text = client.get("/jokes").text
    page = Parts(text)
    assert "made 1 of 1 laugh +95 points" in page.items["warming-up"][0]
    assert not re.search(r"[+\N{MINUS SIGN}]0\b", text)
    assert page.items.get("podium", []) == []
    assert words(flat) in page.items["unmoved"][0]


def test_an_empty_board_invites(make_client):
    client = make_client()
    page = client.get("/jokes").text
    assert "Be the first" in page
    assert re.search(r'<a class="go" href="/">', page)
    assert not Parts(page).items


def test_a_joke_that_holds_markup_stays_text(make_client, tmp_path):
    from jokes.joke import Joke

    board = JokeBoard(str(tmp_path / "board.sqlite3"))
    board.add(Joke("x", "<script>alert('ha')</script>", "icanhazdadjoke"), Reaction(0, 1, 1))
    page = Parts(make_client().get("/jokes").text)
    assert page.refused == []
    assert "<script>alert('ha')</script>" in page.items["warming-up"][0]
