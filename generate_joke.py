"""Dad jokes: from icanhazdadjoke when it answers, from this project's own collection when it does not.

    >>> get_joke()
    Joke(id='house-7', text='...', source='house')

Nobody ever waits for the service: jokes are fetched ahead by a background thread, and when none is ready one of our own is
told.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

JOKE_URL = "https://icanhazdadjoke.com/"
USER_AGENT = "Dad Jokes for Smiles/0.1 (https://github.com/dad-jokes-for-smiles/dad-jokes-for-smiles)"
HOUSE_JOKES = Path(__file__).parent / "house_jokes.txt"

_TIMEOUT_S = 2.0
_AHEAD = 5
_REMEMBERED = 30  # jokes that are not told again for now
_MAX_BYTES = 16_384
_MAX_LETTERS = 600
_PAUSES_S = (5.0, 30.0, 120.0, 600.0)
_POLITE_PAUSE_S = 0.5

log = logging.getLogger("smile")


@dataclass(frozen=True)
class Joke:
    """`id` is unique within `source`, which is `icanhazdadjoke` or `house`."""

    id: str
    text: str
    source: str


class JokeUnavailable(Exception):
    """The service gave no usable joke; the message says why."""


def fetch_joke(url: str = JOKE_URL, *, timeout: float = _TIMEOUT_S) -> Joke:
    """Asks the service for one joke. `timeout` seconds to connect, for each pause, and for the whole text.

    Raises JokeUnavailable.
    """
    import requests  # not at import: 0.1 s of start-up that the page does not need
    import urllib3

    deadline = time.monotonic() + timeout
    try:
        with requests.get(
            url,
            headers={"Accept": "application/json", "User-Agent": USER_AGENT},
            timeout=timeout,
            allow_redirects=False,
            stream=True,  # so that a service that trickles can be left at the deadline
        ) as response:
            response.raise_for_status()
            body = b""
            while chunk := response.raw.read1(1024, decode_content=True):  # as it comes, not once 1024 bytes are there
                body += chunk
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                    raise JokeUnavailable("the answer was too long or too slow")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise JokeUnavailable(type(error).__name__) from error
    try:
        answer = json.loads(body)
        identity, text = answer["id"], answer["joke"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JokeUnavailable("the answer was no joke") from error
    if not isinstance(identity, str) or not isinstance(text, str) or not 0 < len(text.strip()) <= _MAX_LETTERS:
        raise JokeUnavailable("the answer was no joke")
    try:
        (identity + text).encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which no page can be written with
        raise JokeUnavailable("the answer was no text") from error
    return Joke(identity[:64], " ".join(text.split()), "icanhazdadjoke")


@cache
def house_jokes() -> tuple[Joke, ...]:
    """The jokes written for this project, one a line in `house_jokes.txt`."""
    lines = [line.strip() for line in HOUSE_JOKES.read_text(encoding="utf-8").splitlines()]
    texts = [line for line in lines if line and not line.startswith("#")]
    return tuple(Joke(f"house-{i}", text, "house") for i, text in enumerate(texts, start=1))


class JokeBox:
    """Jokes at once. `url` empty: house jokes only. The thread starts with the first joke and ends in `close()`."""

    def __init__(self, url: str = JOKE_URL, *, pauses_s: tuple[float, ...] = _PAUSES_S, seed: int | None = None) -> None:
        self._url = url
        self._pauses_s = pauses_s
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._ready: deque[Joke] = deque()
        self._told: deque[str] = deque(maxlen=_REMEMBERED)
        self._closed = False
        self._thread: threading.Thread | None = None

    def get_joke(self) -> Joke:
        """A joke that was not told lately, without waiting."""
        with self._changed:
            if self._thread is None and self._url and not self._closed:
                self._thread = threading.Thread(target=self._fetch_ahead, name="jokes", daemon=True)
                self._thread.start()
            joke = self._ready.popleft() if self._ready else self._house_joke()
            self._told.append(joke.id)
            self._changed.notify_all()
            return joke

    def close(self, timeout: float = _TIMEOUT_S + 0.5) -> None:
        """Ends the thread, waiting up to `timeout` seconds; a fetch under way ends within its own limit."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _house_joke(self) -> Joke:
        fresh = [joke for joke in house_jokes() if joke.id not in self._told]
        return self._random.choice(fresh or house_jokes())

    def _fetch_ahead(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._ready) < _AHEAD, 60)
                if self._closed:
                    return
                if len(self._ready) >= _AHEAD:
                    continue
            try:
                joke = fetch_joke(self._url)
                with self._changed:
                    if joke.id in self._told or any(joke.id == other.id for other in self._ready):
                        raise JokeUnavailable("it repeats itself")
                    self._ready.append(joke)
                failures = 0
                pause = _POLITE_PAUSE_S
            except Exception as error:  # JokeUnavailable, or something that must not end the fetching for good
                if not failures:
                    log.info("No jokes from %s (%s); telling our own.", self._url, error)
                pause = self._pauses_s[min(failures, len(self._pauses_s) - 1)]
                failures += 1
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause)


@cache
def _shared_box() -> JokeBox:
    return JokeBox()


def get_joke() -> Joke:
    """A joke at once, from a box shared by the whole program."""
    return _shared_box().get_joke()
