"""`/` and `/play`: the page, and the game."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template

from jokes.joke import Joke
from live.watch import SmileWatch


def camera_kind(source: str) -> str:
    """What the page is told of `Settings.source`: `auto`, `none` or `given`."""
    return source if source in ("auto", "none") else "given"


def page_routes(
    tell_joke: Callable[[], Joke], watch: SmileWatch, source: str, *, keeps: Callable[[], bool] = lambda: False
) -> Blueprint:
    """The page, which opens with a joke, and the game.

    `source`: as `Settings.source`. `keeps`: whether browsers shall keep the pages.
    """
    page = Blueprint("page", __name__)
    kind = camera_kind(source)

    def mode() -> str:
        # Without a camera here a page opens with the visitor's own. Whether `auto` finds one may turn out later.
        missing = kind == "none" or (kind == "auto" and watch.camera.state.status == "lost")
        return "mine" if missing else "server"

    @page.get("/")
    def index() -> str:
        return render_template("index.html", joke=tell_joke(), source=kind, mode=mode(), keeps=keeps())

    @page.get("/play")
    def play() -> str:
        return render_template("play.html", source=kind, mode=mode(), keeps=keeps())

    return page
