"""What this computer's camera sees, and how the app is doing: `/video_feed /events /snapshot.jpg /healthz /metrics`."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from common.errors import ViewersFull
from common.visitor_limits import network_number
from live.metrics import METRICS_MIMETYPE
from live.stream import MJPEG_MIMETYPE
from live.watch import SmileWatch
from web.errors import refusal

_FOR_IMG, _RAW = "multipart/x-mixed-replace", "multipart/mixed"  # browsers may take the first apart before a script gets it
_SNAPSHOT_WAIT_S = 10.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def live_routes(watch: SmileWatch, worker: int = 0, *, reading: Callable[[], str] = lambda: "app") -> Blueprint:
    """The routes. A stream that opens starts the camera. `worker`: as for `create_app`.

    `reading`: where pages read visitors' own cameras, `device` or `app`.
    """
    live = Blueprint("live", __name__)

    @live.get("/video_feed")
    def video_feed() -> Response:
        boxes = request.args.get("boxes", "1")
        if boxes not in ("0", "1"):
            return refusal("boxes must be 0 or 1.", 400)
        watch.start()
        has_room = request.environ.get("smile.has_room", lambda: True)  # from serving.channels
        visitor = network_number(request.remote_addr)
        pictures = watch.stream.mjpeg(boxes=boxes == "1", viewer=visitor, has_room=has_room)
        raw = request.accept_mimetypes.best_match([_FOR_IMG, _RAW], default=_FOR_IMG) == _RAW
        mimetype = MJPEG_MIMETYPE.replace(_FOR_IMG, _RAW) if raw else MJPEG_MIMETYPE
        return Response(pictures, mimetype=mimetype, headers=_HEADERS)

    @live.get("/events")
    def events() -> Response:
        watch.start()
        told = watch.stream.events(viewer=network_number(request.remote_addr))
        return Response(told, mimetype="text/event-stream", headers=_HEADERS)

    @live.get("/snapshot.jpg")
    def snapshot() -> Response:
        watch.start()
        picture = watch.stream.snapshot(_SNAPSHOT_WAIT_S, viewer=network_number(request.remote_addr))
        if picture is None or picture.jpeg is None:
            return refusal("The camera gave no picture in time; try again.", 503)
        return Response(picture.jpeg, mimetype="image/jpeg", headers=_HEADERS)

    @live.get("/healthz")
    def healthz() -> Response:
        # 503 asks for a restart. A fault that a restart can't mend, such as a lost camera, is `degraded` and 200.
        health = watch.health() | {"reading": reading()}
        response = jsonify(health | {"worker": worker} if worker else health)
        response.status_code = 503 if health["status"] == "failed" else 200
        response.headers.update(_HEADERS)
        return response

    @live.get("/metrics")
    def metrics() -> Response:
        return Response(watch.metrics.text(worker=worker), content_type=METRICS_MIMETYPE, headers=_HEADERS)

    @live.app_errorhandler(ViewersFull)
    def viewers_full(error: ViewersFull) -> Response:
        return refusal(str(error), 503, retry_after_s=5)

    return live
