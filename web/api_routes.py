"""`/api`, a page about the API for people, and `/api/openapi.json`, its description for programs."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Blueprint, Response, render_template, request

from faces.tracking import MAX_FACES
from jokes.joke import Joke
from visitors.analysis import MAX_BYTES, MAX_PIXELS
from web.joke_routes import MAX_BYTES as MAX_REACTION_BYTES
from web.openapi import describe, rates


def api_pages(tell_joke: Callable[[], Joke], visitor_rate: int | None = None) -> Blueprint:
    """The two addresses. `visitor_rate`: as `Settings.visitor_rate`, which they tell."""
    api = Blueprint("api_pages", __name__)

    @api.get("/api", strict_slashes=False)
    def page() -> str:
        return render_template(
            "api.html",
            joke=tell_joke(),
            root=request.url_root.rstrip("/"),
            megabytes=MAX_BYTES >> 20,
            megapixels=MAX_PIXELS // 10**6,
            faces=MAX_FACES,
            reaction_bytes=MAX_REACTION_BYTES,
            rates=rates(visitor_rate),
            operations=_operations(),
        )

    @api.get("/api/openapi.json")
    def description() -> Response:
        return Response(
            json.dumps(describe(visitor_rate, root=request.script_root), indent=1) + "\n", mimetype="application/json"
        )

    return api


def _operations() -> list[tuple[str, str, str]]:
    """Method, address and summary of everything that is described."""
    paths = describe()["paths"]
    return [(method.upper(), path, told["summary"]) for path, methods in paths.items() for method, told in methods.items()]
