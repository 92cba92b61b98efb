"""Dad Jokes for Smiles: the web app.

python app.py                          # the page on http://127.0.0.1:5000, with this computer's camera
python app.py --source video.mp4       # a file, picture or rtsp/http stream instead
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import mimetypes
import os
import socket
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

from flask import Flask, Response, jsonify, render_template, request

from errors import SmileError
from event_log import log_event, set_up_logging
from generate_joke import Joke, JokeBox
from live_stream import MJPEG_MIMETYPE, ViewersFull
from metrics import METRICS_MIMETYPE
from serving.api_errors import is_from_elsewhere, refusal
from settings import Settings, parse_settings, visible_passwords
from visitors import network_number

if TYPE_CHECKING:
    from smile_watch import SmileWatch

_SNAPSHOT_WAIT_S = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WATCHING = ("/video_feed", "/events", "/snapshot.jpg")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site may show this camera in its own page
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LIVE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def create_app(settings: Settings | None = None, *, watch: SmileWatch | None = None, worker: int = 0) -> Flask:
    """The Flask app. Nothing is opened or loaded until a request asks for it; `close_app(app)` ends what was started.

    `worker`: this process's number among several that serve one address; 0 when it is the only one.
    """
    from joke_board import open_board
    from jokes.quotas import Quotas
    from jokes.shared_tellings import choose_tellings
    from serving.api_pages import api_pages
    from serving.board_api import board_api
    from serving.rate_limits import VisitorLimits, rate_limits
    from serving.refusals import Refusals
    from serving.sub_path import SubPath
    from serving.visitor_analysis import VisitorAnalysis
    from serving.visitor_api import InMemoryRequest, visitor_api
    from smile_watch import SmileWatch

    settings = settings or Settings()
    for suffix, kind in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
        mimetypes.add_type(kind, suffix)  # some Windows registries say otherwise
    app = Flask(__name__)
    app.wsgi_app = SubPath(app.wsgi_app, proxies=settings.trusted_proxies)  # type: ignore[method-assign]
    app.request_class = InMemoryRequest
    limits, refusals = VisitorLimits(settings.visitor_rate), Refusals()
    analysis = VisitorAnalysis(settings)
    app.register_blueprint(rate_limits(limits))
    app.register_blueprint(visitor_api(analysis, limits, allow_host=settings.allow_host))
    app.register_blueprint(api_pages(settings.visitor_rate))
    watch = watch or SmileWatch(settings)
    watch.metrics.refusals = refusals.counts
    board = open_board(settings.board)
    jokes = JokeBox(settings.joke_url, board=board, tellings=choose_tellings(board, several=settings.workers > 1))
    quotas = Quotas()
    app.register_blueprint(board_api(board, jokes.tellings, quotas, allow_host=settings.allow_host))
    app.extensions |= {"smile_watch": watch, "joke_box": jokes, "refusals": refusals, "visitor_analysis": analysis}

    @app.before_request
    def refuse_strangers() -> Response | None:
        # A web page elsewhere can point its own name at this computer, or ask the browser for our picture in its name.
        if not _is_our_name(request.host, settings):
            return refusal("This name is not served; open the page by its IP address, or start with --allow-host NAME.", 400)
        if request.path in _WATCHING and is_from_elsewhere(settings.allow_host):
            return Response("Other sites may not show this camera.\n", 403, mimetype="text/plain")
        return None

    def tell_joke() -> Joke:
        visitor = network_number(request.remote_addr)
        return jokes.get_joke(visitor=visitor, noted=quotas.may_be_told(visitor))

    app.extensions["tell_joke"] = tell_joke

    @app.get("/")
    def index() -> str:
        source = settings.source if settings.source in ("auto", "none") else "given"
        # Without a camera here the page opens with the visitor's own; whether `auto` finds one may only turn out later.
        missing = source == "none" or (source == "auto" and watch.camera.state.status == "lost")
        return render_template("index.html", joke=tell_joke(), source=source, mode="mine" if missing else "server")

    @app.get("/video_feed")
    def video_feed() -> Response:
        watch.start()
        return Response(
            watch.stream.mjpeg(viewer=network_number(request.remote_addr)), mimetype=MJPEG_MIMETYPE, headers=_LIVE
        )

    @app.get("/events")
    def events() -> Response:
        watch.start()
        return Response(
            watch.stream.events(viewer=network_number(request.remote_addr)), mimetype="text/event-stream", headers=_LIVE
        )

    @app.get("/snapshot.jpg")
    def snapshot() -> Response:
        watch.start()
        picture = watch.stream.snapshot(_SNAPSHOT_WAIT_S, viewer=network_number(request.remote_addr))
        if picture is None:
            return Response("The camera gave no picture in time; try again.\n", 503, mimetype="text/plain")
        return Response(picture.jpeg, mimetype="image/jpeg", headers=_LIVE)

    @app.get("/api/v1/jokes/random")
    def random_joke() -> Response:
        response = jsonify(asdict(tell_joke()))
        response.headers.update(_LIVE)
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        # 503 asks for a restart; what a restart can't mend, such as a lost camera, is `degraded` and 200.
        health = watch.health()
        response = jsonify(health | {"worker": worker} if worker else health)
        response.status_code = 503 if health["status"] == "failed" else 200
        response.headers.update(_LIVE)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(watch.metrics.text(worker=worker), content_type=METRICS_MIMETYPE, headers=_LIVE)

    @app.errorhandler(ViewersFull)
    def viewers_full(error: ViewersFull) -> Response:
        return Response(f"{error}\n", 503, mimetype="text/plain", headers={"Retry-After": "5"})

    @app.errorhandler(400)
    @app.errorhandler(404)
    @app.errorhandler(405)
    @app.errorhandler(500)
    def not_served(error) -> Response:
        methods = getattr(error, "valid_methods", None) or ["GET"]
        sentence = {
            404: f"There is nothing at this address; the page is at {request.script_root}/.",
            405: f"This address only answers {' and '.join(sorted({*methods} - {'HEAD', 'OPTIONS'}))}.",
            500: "Something went wrong in the app; its log says what.",
        }.get(error.code, f"This request can't be understood; the page is at {request.script_root}/.")
        response = refusal(sentence, error.code)
        if error.code == 405:
            response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    @app.after_request
    def add_headers(response: Response) -> Response:
        refusals.count_status(response.status_code)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def _is_our_name(host: str, settings: Settings) -> bool:
    """Whether the Host header names this computer: by an address, or by a name that no stranger can give himself."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.rpartition(":")[0] or host
    name = name.lower().rstrip(".")
    if name in _LOOPBACK or name == settings.host.lower() or name in settings.allow_host.lower().replace(",", " ").split():
        return True
    if settings.host in _LOOPBACK:
        return False
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        ours = socket.gethostname().lower()
        return name in (ours, f"{ours}.local")


def close_app(app: Flask, timeout: float = 2.0) -> None:
    """Ends every stream and thread of `app` and releases the camera, waiting up to `timeout` seconds in all."""
    deadline = time.monotonic() + timeout
    parts = (app.extensions["smile_watch"], app.extensions["joke_box"], app.extensions["joke_box"].tellings)
    for part in parts:
        part.close(0)  # all are told to end before any is waited for
    for part in parts:
        part.close(max(0.0, deadline - time.monotonic()))


def main(argv: list[str] | None = None) -> int:
    """Start the app. Exit code 0 after Ctrl-C or SIGTERM, 2 when an option can't be used or the port is taken."""
    # FFmpeg, inside OpenCV, writes to the terminal what the page says in words.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # The same of OpenCV itself, and of broken pictures: who sent one is told.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
    # macOS: OpenCV may ask for the camera on the main thread only; without its asking, the system asks by itself.
    os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")
    # Windows: without this some webcams take half a minute to open.
    os.environ.setdefault("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
    try:
        settings = parse_settings(argv)
        set_up_logging(settings.log_format)
        for option in visible_passwords(argv):
            sentence = f"Everybody on this computer can read a command line; put the address in a file: {option} @FILE."
            log_event("password", level=logging.WARNING, message=sentence)
        from serving.server import serve

        return serve(settings)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def end_now(code: int) -> NoReturn:
    """Ends the process without waiting for threads: a camera's driver may keep one for longer than anybody waits."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    end_now(main())
