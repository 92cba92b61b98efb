"""`/`: the page."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template

from jokes.joke import Joke
from live.watch import SmileWatch


def page_routes(tell_joke: Callable[[], Joke], watch: SmileWatch, source: str) -> Blueprint:
    """The page, which opens with a joke. `source`: as `Settings.source`."""
    page = Blueprint("page", __name__)
    kind = source if source in ("auto", "none") else "given"

    @page.get("/")
    def index() -> str:
        # Without a camera here the page opens with the visitor's own. Whether `auto` finds one may turn out later.
        missing = kind == "none" or (kind == "auto" and watch.camera.state.status == "lost")
        return render_template("index.html", joke=tell_joke(), source=kind, mode="mine" if missing else "server")

    return page
