"""Somebody's own jokes: reading the file, and telling them."""

import itertools
import json
from pathlib import Path

import pytest

import app
from common.errors import SettingsError
from common.settings import JOKE_URL, Settings, parse_settings
from jokes.box import JokeBox
from jokes.joke import Joke, Tally
from jokes.own_file import read_jokes
from jokes.ranking import Ranking
from web.application import close_app, create_app


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "jokes.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_lines_and_json_are_jokes(write):
    lines = [
        "# for grandma",
        "One line is one joke.",
        "",
        json.dumps({"setup": "Grandma's favourite key?", "punchline": "The  coo-key."}),
        json.dumps({"setup": "No punchline."}),
        "  Salt &amp; pepper\u202e  ",
        "One line is one joke.",
    ]
    jokes = read_jokes(write("\ufeff" + "\r\n".join(lines)))
    assert [joke.text for joke in jokes] == [
        "One line is one joke.",
        "Grandma's favourite key?\nThe coo-key.",
        "No punchline.",
        "Salt & pepper",
    ]
    assert {joke.source for joke in jokes} == {"file"}
    assert len({joke.id for joke in jokes}) == 4
    assert read_jokes(write("Another first.\nOne line is one joke."))[1] == jokes[0], "the board knows it again"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no joke in --jokes"),
        ("# nothing\n\n", "There is no joke in --jokes"),
        (b"caf\xe9", "is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\0", "is not UTF-8 text"),
        ("fine\n{broken", "Line 2 of --jokes"),
        ('{"punchline": "no set-up"}', "Line 1 of --jokes"),
        ('{"setup": 3}', "has a setup or punchline that is not text"),
        ('{"setup": "", "punchline": "x"}', "has nothing to read"),
        ("\u2800\u2800", "has nothing to read"),
        ("{" * 100_000, "Line 1 of --jokes"),
        ("x" * 601, "has 601 letters; a joke may have 600"),
        (b"a\n" * (5 << 20), "is larger than 4 MB"),
    ],
)
def test_what_is_no_file_of_jokes_is_one_sentence(write, capsys, text, sentence):
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        read_jokes(path)
    assert sentence in str(caught.value)
    assert app.main(["--jokes", str(path)]) == 2
    error = capsys.readouterr().err
    assert error == f"{caught.value}\n"
    assert error.count("\n") == 1


@pytest.mark.parametrize("path", ["missing.txt", "."])
def test_a_file_that_can_not_be_read_is_one_sentence(path):
    with pytest.raises(SettingsError, match=r"--jokes .* can't be read"):
        read_jokes(Path(path))


def test_who_brings_jokes_hears_those_unless_the_service_is_named():
    assert parse_settings([], {}).joke_url == JOKE_URL
    assert parse_settings(["--jokes", "a.txt"], {}).joke_url == ""
    settings = parse_settings(["--joke-url", "http://127.0.0.1:1/"], {"SMILE_JOKES": "a.txt"})
    assert (settings.jokes, settings.joke_url) == (Path("a.txt"), "http://127.0.0.1:1/")
    for one in (settings, parse_settings(["--jokes", "a.txt"], {})):
        assert parse_settings([], one.as_environment()) == one, "another process is told the same"


OWN = [Joke(f"file-{n}", f"Joke {n}.", "file") for n in range(3)]


def test_they_are_told_alone_and_none_twice_in_a_row():
    box = JokeBox("", own=OWN, seed=1)
    known = [Joke("a", "Of the service.", "icanhazdadjoke"), Joke("house-1", "Of the house.", "house"), OWN[0]]
    known.append(Joke("file-9", "No longer in the file.", "file"))
    box.rank(Ranking([Tally(joke, 50, 45, 40.0, 35.0, 5.0) for joke in known]))
    told = [box.get_joke() for _ in range(30)]
    assert set(told) == set(OWN)
    assert all(one != other for one, other in itertools.pairwise(told))


def test_with_the_service_both_are_told():
    box = JokeBox("http://127.0.0.1:1/", own=OWN, remembered=1, pauses_s=(600,), seed=1)
    fetched = Joke("a", "Of the service.", "icanhazdadjoke")
    told = set()
    try:
        for _ in range(40):
            box._ready.append(fetched)
            told.add(box.get_joke())
    finally:
        box.close()
    assert told == {*OWN, fetched}


def test_the_app_tells_them(write):
    path = write(json.dumps({"setup": "Grandma's favourite key?", "punchline": "The coo-key."}))
    flask_app = create_app(Settings(source="none", board="none", joke_url="", jokes=path))
    try:
        answer = flask_app.test_client().get("/api/v1/jokes/random").get_json()
    finally:
        close_app(flask_app)
    assert (answer["source"], answer["text"]) == ("file", "Grandma's favourite key?\nThe coo-key.")
