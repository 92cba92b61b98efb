"""Dad jokes: from icanhazdadjoke when it answers, from this project's own collection when it does not.

    >>> get_joke()
    Joke(id='house-f3a0b8d1', text='...', source='house')

Nobody ever waits for the service: jokes are fetched ahead by a background thread, and when none is ready one of our own is
told. With a joke board, jokes that made people smile are told again, more often the funnier they are (`jokes.ranking`); the
board too is read by that thread, never by who asks for a joke.
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
