"""Where jokes come from: the service, and this project's own collection."""

from __future__ import annotations

import hashlib
import json
import time
from email.utils import parsedate_to_datetime
from functools import cache

from common.errors import JokeUnavailable
from common.places import HOUSE_JOKES
from common.settings import JOKE_URL
from common.version import HOME, VERSION
from jokes.joke import Joke
from jokes.readable_text import readable

USER_AGENT = f"Dad Jokes for Smiles/{VERSION} ({HOME})"
TIMEOUT_S = 2.0
_MAX_BYTES = 16_384
_MAX_LETTERS = 600
_LONGEST_PAUSE_S = 86_400.0


def fetch_joke(url: str = JOKE_URL, *, timeout: float = TIMEOUT_S) -> Joke:
    """Asks the service for one joke. `timeout` seconds to connect, for each pause, and for the whole text.

    Raises JokeUnavailable.
    """
    import requests  # here, because it would cost 0.1 s of every start
    import urllib3

    deadline = time.monotonic() + timeout
    try:
        with requests.get(
            url,
            headers={"Accept": "application/json", "User-Agent": USER_AGENT},
            timeout=timeout,
            allow_redirects=False,
            stream=True,  # so that a slow trickle can be left at the deadline
        ) as response:
            if response.status_code in (429, 503):
                raise JokeUnavailable(
                    f"HTTP {response.status_code}", _retry_after_s(response.headers.get("Retry-After", ""))
                )
            response.raise_for_status()
            body = b""
            while chunk := response.raw.read1(1024, decode_content=True):  # what has come, even if less
                body += chunk
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                    raise JokeUnavailable("the answer was too long or too slow")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise JokeUnavailable(type(error).__name__) from error
    try:
        answer = json.loads(body)
        identity, text = answer["id"], answer["joke"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JokeUnavailable("the answer was not a joke") from error
    if not isinstance(identity, str) or not isinstance(text, str) or len(text.strip()) > _MAX_LETTERS:
        raise JokeUnavailable("the answer was not a joke")
    try:
        (identity + text).encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which a page can't hold
        raise JokeUnavailable("the answer was not text") from error
    text = readable(text)
    if not text:
        raise JokeUnavailable("the answer was not a joke")
    return Joke(identity[:64], text, "icanhazdadjoke")


def _retry_after_s(value: str) -> float:
    """Seconds to wait, from a number of seconds or a date; a day at most. 0 if the value can't be read."""
    try:
        if value.strip().isdecimal():
            return min(float(value), _LONGEST_PAUSE_S)
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - time.time()), _LONGEST_PAUSE_S)
    except (ValueError, TypeError, OverflowError):
        return 0.0


@cache
def house_jokes() -> tuple[Joke, ...]:
    """The jokes written for this project, one a line in `house_jokes.txt`: set-up, a bar, punchline.

    In a joke's text a line break stands for the bar. Each id is made from the joke's words, so the board keeps its jokes
    however the file is changed.
    """
    lines = [line.strip() for line in HOUSE_JOKES.read_text(encoding="utf-8").splitlines()]
    told = [line.partition(" | ") for line in lines if line and not line.startswith("#")]
    return tuple(
        Joke(_house_id(f"{set_up} {punchline}"), f"{set_up}\n{punchline}", "house") for set_up, _, punchline in told
    )


def _house_id(words: str) -> str:
    return f"house-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
