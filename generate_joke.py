"""Dad jokes: from icanhazdadjoke when it answers, from this project's own collection when it does not.

    >>> get_joke()
    Joke(id='house-f3a0b8d1', text='...', source='house')

Nobody ever waits for the service: a background thread fetches jokes ahead, and if none is ready the app tells one of its
own. With a joke board, jokes that made people smile come again, the funniest most often (`jokes.ranking`). The same thread
reads the board, so nobody waits for that either.
"""

from __future__ import annotations

from functools import cache

from jokes.box import JokeBox
from jokes.joke import Joke


@cache
def _shared_box() -> JokeBox:
    return JokeBox()


def get_joke() -> Joke:
    """A joke at once, from a box shared by the whole program."""
    return _shared_box().get_joke()
