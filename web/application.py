"""`create_app`: the routes, the security around them, and what they share."""

from __future__ import annotations

import mimetypes
import time

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from common.places import ROOT
from common.settings import Settings
from common.visitor_limits import network_number
from jokes.board import open_board
from jokes.box import JokeBox
from jokes.joke import Joke
from jokes.own_file import read_jokes
from jokes.quotas import Quotas
from jokes.shared_tellings import choose_tellings
from jokes.sources import house_jokes
from live.watch import SmileWatch
from visitors.analysis import VisitorAnalysis
from web.analyze_routes import InMemoryRequest, visitor_api
from web.api_routes import api_pages
from web.board_page import board_page
from web.device_routes import WORKER, DeviceFiles, device_routes
from web.errors import refusal, refused_stranger
from web.joke_routes import joke_api
from web.live_routes import live_routes
from web.offline_routes import offline_routes
from web.page_routes import camera_kind, page_routes
from web.phone_routes import phone_routes
from web.rate_limits import VisitorLimits, rate_limits
from web.refusals import Refusals
from web.security import HEADERS, WORKER_POLICY
from web.sub_path import SubPath


def create_app(settings: Settings | None = None, *, watch: SmileWatch | None = None, worker: int = 0) -> Flask:
    """The Flask app. It opens and loads nothing until a request needs it. `close_app(app)` ends what was started.

    `worker`: this process's number among those that serve one address; 0 if it is the only one.
    """
    settings = settings or Settings()
    for suffix, kind in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
        mimetypes.add_type(kind, suffix)  # some Windows registries say otherwise
    app = Flask("app", root_path=str(ROOT))
    app.wsgi_app = SubPath(app.wsgi_app, proxies=settings.trusted_proxies)  # type: ignore[method-assign]
    app.request_class = InMemoryRequest
    limits, refusals, quotas = VisitorLimits(settings.visitor_rate), Refusals(), Quotas()
    analysis = VisitorAnalysis(settings)
    files = DeviceFiles(settings.model)
    watch = watch or SmileWatch(settings)
    watch.metrics.refusals = refusals.counts
    board = open_board(settings.board)
    own = read_jokes(settings.jokes) if settings.jokes else None
    tellings = choose_tellings(board, several=settings.workers > 1)
    jokes = JokeBox(settings.joke_url, board=board, tellings=tellings, own=own)

    def tell_joke() -> Joke:
        visitor = network_number(request.remote_addr)
        return jokes.get_joke(visitor=visitor, noted=quotas.may_be_told(visitor))

    for routes in (
        rate_limits(limits),
        visitor_api(analysis, limits, allow_host=settings.allow_host),
        api_pages(tell_joke, settings.visitor_rate),
        joke_api(tell_joke, board, jokes.tellings, quotas, allow_host=settings.allow_host),
        board_page(board),
        page_routes(tell_joke, watch, settings.source, keeps=lambda: files.complete),
        live_routes(watch, worker, reading=lambda: "device" if files.complete else "app"),
        device_routes(files),
        phone_routes(),
        offline_routes(files, lambda: own or house_jokes(), f"{camera_kind(settings.source)} {board is not None}"),
    ):
        app.register_blueprint(routes)
    app.extensions |= {"smile_watch": watch, "joke_box": jokes, "refusals": refusals, "visitor_analysis": analysis}
    app.before_request(lambda: refused_stranger(settings))
    app.register_error_handler(HTTPException, _not_served)

    @app.after_request
    def add_headers(response: Response) -> Response:
        refusals.count_status(response.status_code)
        if request.path == f"/static/{WORKER}" and files.complete:
            response.headers["Content-Security-Policy"] = WORKER_POLICY
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def close_app(app: Flask, timeout: float = 2.0) -> None:
    """Ends every stream and thread of `app` and releases the camera. Waits `timeout` seconds at most."""
    deadline = time.monotonic() + timeout
    parts = (app.extensions["smile_watch"], app.extensions["joke_box"], app.extensions["joke_box"].tellings)
    for part in parts:
        part.close(0)  # tell all of them to end before waiting for one
    for part in parts:
        part.close(max(0.0, deadline - time.monotonic()))


def _not_served(error: HTTPException) -> Response:
    methods = getattr(error, "valid_methods", None) or ["GET"]
    status = error.code or 500
    sentence = {
        404: f"There is nothing at this address; the page is at {request.script_root}/.",
        405: f"This address only answers {' and '.join(sorted({*methods} - {'HEAD', 'OPTIONS'}))}.",
        500: "Something went wrong in the app; its log says what.",
    }.get(status, f"This request can't be understood; the page is at {request.script_root}/.")
    response = refusal(sentence, status)
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response
