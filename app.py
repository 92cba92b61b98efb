"""Dad Jokes for Smiles: the web app.

python app.py                          # the page on http://127.0.0.1:5000, with this computer's camera
python app.py --source video.mp4       # a file, picture or rtsp/http stream instead
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, render_template

from errors import SmileError
from generate_joke import JokeBox
from live_stream import MJPEG_MIMETYPE, ViewersFull
from settings import Settings, parse_settings

if TYPE_CHECKING:
    from smile_watch import SmileWatch

_SNAPSHOT_WAIT_S = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site may show this camera in its own page
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LIVE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def create_app(settings: Settings | None = None, *, watch: SmileWatch | None = None) -> Flask:
    """The Flask app. Nothing is opened or loaded until a request asks for it; `close_app(app)` ends what was started."""
    from smile_watch import SmileWatch

    settings = settings or Settings()
    app = Flask(__name__)
    if settings.host in _LOOPBACK:
        # A web page elsewhere can point its own name at 127.0.0.1; it must not be served this camera.
        app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost", "[::1]"]
    watch = watch or SmileWatch(settings)
    jokes = JokeBox(settings.joke_url)
    app.extensions["smile_watch"], app.extensions["joke_box"] = watch, jokes

    @app.get("/")
    def index() -> str:
        return render_template("index.html", joke=jokes.get_joke(), source=settings.source)

    @app.get("/video_feed")
    def video_feed() -> Response:
        watch.start()
        return Response(watch.stream.mjpeg(), mimetype=MJPEG_MIMETYPE, headers=_LIVE)

    @app.get("/events")
    def events() -> Response:
        watch.start()
        return Response(watch.stream.events(), mimetype="text/event-stream", headers=_LIVE)

    @app.get("/snapshot.jpg")
    def snapshot() -> Response:
        watch.start()
        picture = watch.stream.snapshot(_SNAPSHOT_WAIT_S)
        if picture is None:
            return Response("The camera gave no picture in time; try again.\n", 503, mimetype="text/plain")
        return Response(picture.jpeg, mimetype="image/jpeg", headers=_LIVE)

    @app.get("/api/v1/jokes/random")
    def random_joke() -> Response:
        response = jsonify(asdict(jokes.get_joke()))
        response.headers.update(_LIVE)
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        response = jsonify(watch.health())
        response.headers.update(_LIVE)
        return response

    @app.errorhandler(ViewersFull)
    def viewers_full(error: ViewersFull) -> Response:
        return Response(f"{error}\n", 503, mimetype="text/plain", headers={"Retry-After": "5"})

    @app.errorhandler(400)
    @app.errorhandler(404)
    @app.errorhandler(405)
    @app.errorhandler(500)
    def not_served(error) -> Response:
        sentence = {
            404: "There is nothing at this address; the page is at /.",
            405: "This address only answers GET.",
            500: "Something went wrong in the app; its log says what.",
        }.get(error.code, "This request can't be answered; open the page at http://127.0.0.1 or http://localhost.")
        return Response(f"{sentence}\n", error.code, mimetype="text/plain")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def close_app(app: Flask) -> None:
    """Ends every stream and thread of `app` and releases the camera."""
    app.extensions["smile_watch"].close()
    app.extensions["joke_box"].close()


def main(argv: list[str] | None = None) -> int:
    """Start the app. Exit code 0 after Ctrl-C or SIGTERM, 2 when an option can't be used or the port is taken."""
    # FFmpeg, inside OpenCV, writes to the terminal what the page says in words.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = parse_settings(argv)
        from server import serve

        return serve(settings)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
