"""`/video_feed`, `/events`, `/snapshot.jpg` and `/metrics` in `/api/openapi.json`: what the app's own camera sees."""

from __future__ import annotations

from live.metrics import METRICS_MIMETYPE
from live.stream import MJPEG_MIMETYPE
from web.openapi_schemas import Schema, operation, ref


def live_paths() -> dict[str, Schema]:
    """The four paths."""
    return {
        "/video_feed": {"get": _video_feed()},
        "/events": {"get": _events()},
        "/snapshot.jpg": {"get": _snapshot()},
        "/metrics": {"get": _metrics()},
    }


def _video_feed() -> Schema:
    stream = {"type": "string", "format": "binary", "description": "A JPEG in each part, for as long as you watch."}
    boxes = {
        "name": "boxes",
        "in": "query",
        "schema": {"enum": [1, 0], "default": 1},
        "description": (
            "0: pictures with nothing drawn on them. Each part's head then has Content-Length, and in X-Event the event of "
            "just that picture."
        ),
    }
    watching = _watching(
        "videoFeed",
        "The camera's live picture with boxes, as MJPEG",
        "For an <img>. A slow viewer skips pictures. While nothing new comes, the last picture is repeated every second. "
        "With Accept: multipart/mixed it comes as that type, which browsers leave to scripts.",
        {kind: {"schema": stream} for kind in (_kind(MJPEG_MIMETYPE), "multipart/mixed")},
        400,
    )
    return watching | {"parameters": [boxes]}


def _events() -> Schema:
    event = {
        "type": "string",
        "description": "Server-sent events; the data of each is JSON, ten times a second at most.",
        "contentMediaType": "application/json",
        "contentSchema": ref("Event"),
    }
    return _watching(
        "events",
        "The faces in the camera's picture, as server-sent events",
        "For an EventSource.",
        {"text/event-stream": {"schema": event}},
    )


def _snapshot() -> Schema:
    picture = {"type": "string", "format": "binary"}
    return _watching(
        "snapshot",
        "The camera's picture of this moment, with boxes",
        "Switches the camera on if it is off.",
        {"image/jpeg": {"schema": picture}},
    )


def _watching(identity: str, summary: str, description: str, content: Schema, *errors: int) -> Schema:
    right: Schema = {"description": "As long as it is open, the camera is on.", "content": content}
    return operation("camera", identity, summary, right, *errors, 403, 503, description=description)


def _metrics() -> Schema:
    right: Schema = {
        "description": "Frames, the time of each stage, viewers, refusals, and the state of the camera.",
        "content": {_kind(METRICS_MIMETYPE): {"schema": {"type": "string"}}},
    }
    return operation("app", "metrics", "Metrics for Prometheus", right)


def _kind(mimetype: str) -> str:
    return mimetype.partition(";")[0]
