"""What this computer's camera sees, and how the app is doing: `/video_feed /events /snapshot.jpg /healthz /metrics`."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from common.errors import ViewersFull
from common.visitor_limits import network_number
from live.metrics import METRICS_MIMETYPE
from live.stream import MJPEG_MIMETYPE
from live.watch import SmileWatch

_SNAPSHOT_WAIT_S = 10.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def live_routes(watch: SmileWatch, worker: int = 0, *, reading: Callable[[], str] = lambda: "app") -> Blueprint:
    """The routes. A stream that opens starts the camera. `worker`: as for `create_app`.

    `reading`: where pages read visitors' own cameras, `device` or `app`.
    """
    live = Blueprint("live", __name__)

    @live.get("/video_feed")
    def video_feed() -> Response:
        watch.start()
        has_room = request.environ.get("smile.has_room", lambda: True)  # from serving.channels
        pictures = watch.stream.mjpeg(viewer=network_number(request.remote_addr), has_room=has_room)
        return Response(pictures, mimetype=MJPEG_MIMETYPE, headers=_HEADERS)

    @live.get("/events")
    def events() -> Response:
        watch.start()
        told = watch.stream.events(viewer=network_number(request.remote_addr))
        return Response(told, mimetype="text/event-stream", headers=_HEADERS)

    @live.get("/snapshot.jpg")
    def snapshot() -> Response:
        watch.start()
        picture = watch.stream.snapshot(_SNAPSHOT_WAIT_S, viewer=network_number(request.remote_addr))
        if picture is None:
            return Response("The camera gave no picture in time; try again.\n", 503, mimetype="text/plain")
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
        return Response(f"{error}\n", 503, mimetype="text/plain", headers={"Retry-After": "5"})

    return live
