"""What the tests of joke boards share: jokes, tallies, and other processes that write to a board."""

import subprocess
import sys

from jokes.joke import Joke, Tally
from tests.project import ROOT, clean_environment

JOKE = Joke("a", "Why? Because.", "house")


def tally(joke: Joke, *lifts: float) -> Tally:
    laughs = sum(lift >= 0.5 for lift in lifts)
    return Tally(joke, len(lifts), laughs, sum(lifts), sum(lift * lift for lift in lifts), 2.0)


def joke(name: object) -> Joke:
    return Joke(str(name), f"Joke {name}.", "test")


def python(code: str, *arguments: str) -> subprocess.Popen:
    head = "import sys\nfrom jokes.joke import *\nfrom jokes.board import *\nboard = JokeBoard(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    )
