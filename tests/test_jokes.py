import json
import re
import socket
import threading

import pytest

from common.errors import JokeUnavailable
from jokes.box import JokeBox
from jokes.joke import Joke
from jokes.sources import fetch_joke, house_jokes
from tests.loopback import http_server
from tests.waiting import PATIENCE_S, always, eventually


class JokeService:
    """icanhazdadjoke, as far as its documentation goes, and its bad days."""

    def __init__(self, mode: str = "good") -> None:
        self.mode = mode
        self.count = 0
        self.headers: dict[str, str] = {}
        self.end = threading.Event()
        self.answered = False  # a slow answer came to its end

    def __call__(self, request) -> None:
        self.count += 1
        self.headers = dict(request.headers)
        if self.mode == "refuses":
            request.send_error(429)
            return
        if self.mode == "redirect":
            request.send_response(302)
            request.send_header("Location", "/elsewhere")
            request.end_headers()
            return
        if self.mode == "hangs":
            self.end.wait(60)
            self.answered = not self.end.is_set()
            return
        answers = {
            "good": json.dumps({"id": f"j{self.count}", "joke": f"Joke  number\n{self.count}", "status": 200}),
            "html": "<!doctype html><p>Welcome to our captive portal</p>",
            "list": "[1, 2, 3]",
            "empty": json.dumps({"id": "x", "joke": "  ", "status": 200}),
            "number": json.dumps({"id": "x", "joke": 7, "status": 200}),
            "huge": json.dumps({"id": "x", "joke": "ha" * 100_000, "status": 200}),
            "trickle": " " * 10_000,
            "same": json.dumps({"id": "again", "joke": "The same joke.", "status": 200}),
            "deep": "[" * 16_000,
            "surrogate": '{"id": "x", "joke": "ha \\ud800", "status": 200}',
        }
        body = answers[self.mode].encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.end_headers()
        if self.mode == "trickle":
            for i in range(600):
                request.wfile.write(body[i : i + 1])
                request.wfile.flush()
                if self.end.wait(0.1):
                    return
            self.answered = True
        request.wfile.write(body)


@pytest.fixture
def service():
    joke_service = JokeService()
    with http_server(joke_service) as port:
        joke_service.url = f"http://127.0.0.1:{port}/"
        yield joke_service
        joke_service.end.set()


def test_a_joke_is_fetched_as_the_service_asks(service):
    assert fetch_joke(service.url, timeout=PATIENCE_S) == Joke("j1", "Joke number 1", "icanhazdadjoke")
    assert service.headers["Accept"] == "application/json"
    assert service.headers["User-Agent"].startswith("Dad Jokes for Smiles")
    assert "https://" in service.headers["User-Agent"]


@pytest.mark.parametrize("mode", ["html", "list", "empty", "number", "huge", "deep", "surrogate", "redirect", "refuses"])
def test_nonsense_is_no_joke(service, mode):
    service.mode = mode
    with pytest.raises(JokeUnavailable):
        fetch_joke(service.url, timeout=PATIENCE_S)


@pytest.mark.parametrize("mode", ["hangs", "trickle"])
def test_a_slow_service_is_left_at_the_limit(service, mode):
    service.mode = mode
    with pytest.raises(JokeUnavailable):
        fetch_joke(service.url, timeout=0.5)
    assert not service.answered, "the limit is for the whole answer, not for each byte"


def test_there_are_at_least_150_house_jokes_no_two_alike_each_with_its_punchline_apart():
    texts = [joke.text for joke in house_jokes()]
    assert len(set(texts)) == len(texts) >= 150
    assert len({joke.id for joke in house_jokes()}) == len(texts)
    assert all(10 < len(text) < 200 for text in texts)
    parts = [text.split("\n") for text in texts]
    assert {len(part) for part in parts} == {2}
    set_ups, punchlines = zip(*parts, strict=True)
    assert all(re.search(r"\w+\s+\w+", set_up) for set_up in set_ups)
    assert all(re.search(r"\w.*[.!?]\"?$", punchline) for punchline in punchlines)
    assert len(set(set_ups)) == len(texts)
    about_computers = re.compile(
        r"comput|pixel|webcam|internet|neural|network|keyboard|batch|gradient|spreadsheet|robot", re.I
    )
    assert sum(bool(about_computers.search(text)) for text in texts) < 10


def test_no_joke_comes_again_within_sixty_tellings():
    box = JokeBox("", seed=5)
    told = [box.get_joke().id for _ in range(300)]
    assert all(len(set(told[i : i + 60])) == 60 for i in range(len(told) - 59))


def test_few_jokes_of_ones_own_come_round_in_the_order_in_which_they_were_told():
    own = [Joke(str(i), f"Joke {i}.", "test") for i in range(3)]
    box = JokeBox("", own=own, seed=5)
    told = [box.get_joke().id for _ in range(30)]
    assert all(len(set(told[i : i + 3])) == 3 for i in range(28))


def test_jokes_are_fetched_ahead_and_not_repeated(service):
    box = JokeBox(service.url)
    try:
        assert box.get_joke().source == "house", "the first answer does not wait for the service"
        told = []

        def tell() -> bool:
            joke = box.get_joke()
            if joke.source == "icanhazdadjoke":
                told.append(joke.id)
            return len(told) == 4

        eventually(tell)
        assert len(set(told)) == 4
    finally:
        box.close()


@pytest.mark.parametrize("mode", ["hangs", "html", "refuses"])
def test_nobody_waits_for_a_bad_service(service, mode):
    service.mode = mode
    box = JokeBox(service.url, pauses_s=(0.05,))
    try:
        jokes = [box.get_joke() for _ in range(20)]
        assert not service.answered, "nobody waited for it"
        assert {joke.source for joke in jokes} == {"house"}
        assert len({joke.id for joke in jokes}) == 20, "no joke twice in a row of twenty"
    finally:
        service.end.set()
        box.close()


def test_the_service_is_used_again_once_it_is_back(service):
    service.mode = "refuses"
    box = JokeBox(service.url, pauses_s=(0.05,))
    try:
        box.get_joke()
        eventually(lambda: service.count >= 2)
        service.mode = "good"
        eventually(lambda: box.get_joke().source == "icanhazdadjoke")
    finally:
        box.close()


@pytest.mark.parametrize("mode", ["refuses", "same"])
def test_a_useless_service_is_asked_less_and_less(service, mode):
    service.mode = mode
    box = JokeBox(service.url, pauses_s=(0.05, 600))
    try:
        box.get_joke()
        asked = 2 if mode == "refuses" else 3  # the first time, the same joke is new
        eventually(lambda: service.count == asked)
        always(lambda: service.count == asked)
    finally:
        box.close()


def test_without_a_network_there_are_house_jokes():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        box = JokeBox(f"http://127.0.0.1:{unused.getsockname()[1]}/")
        try:
            assert {box.get_joke().source for _ in range(20)} == {"house"}
        finally:
            box.close()


def test_without_an_address_nothing_is_asked_and_no_thread_runs():
    box = JokeBox("")
    before = threading.active_count()
    assert box.get_joke().source == "house"
    assert threading.active_count() == before
    box.close()
