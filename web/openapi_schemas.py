"""The shapes of requests and answers in `/api/openapi.json`."""

from __future__ import annotations

from typing import Any

from common.face import FIELDS, LANDMARKS
from faces.tracking import MAX_FACES
from jokes.joke import MAX_SECONDS
from visitors.carried import MAX_NUMBER
from web.joke_routes import MOST_SHOWN

Schema = dict[str, Any]


# The names of the description's errors, by status.
ERRORS = {
    400: "NotUnderstood",
    403: "OtherSite",
    404: "NoBoard",
    409: "Counted",
    413: "TooLarge",
    429: "TooMany",
    500: "Failed",
    503: "Busy",
}
_RATIO = {"type": "number", "minimum": 0, "maximum": 1}
_TEXT = {"type": "string", "minLength": 1}


def schemas() -> dict[str, Schema]:
    wrong = _object({"error": _TEXT}, description="One sentence: what is wrong, and what to do.")
    return {"Error": wrong, **_pictures(), **_event(), **_jokes(), **_board(), "Health": _health()}


def _pictures() -> dict[str, Schema]:
    pixels = {"type": "number"}
    count = {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER - 1}
    points = {
        name: {"type": "array", "items": pixels, "minItems": 2, "maxItems": 2, "description": "x, y"} for name in LANDMARKS
    }
    landmarks = _object(points, description="In pixels. Left and right are the picture's. Points may lie past its edge.")
    sides = _object({side: {"type": "integer"} for side in ("top", "right", "bottom", "left")})
    box = sides | {"description": "In pixels. The box may reach past the edge."}
    face: dict[str, Schema] = {
        "id": count | {"description": "The same for the same face throughout a stream; for a single picture 1, 2, ..."},
        "box": box,
        **FIELDS,
    }
    picture: dict[str, Schema] = {
        "width": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "elapsed_ms": {"type": "number", "minimum": 0},
    }
    state = _TEXT | {"contentEncoding": "base64", "description": "What is known about the faces, for the next picture only."}
    faces = {"type": "array", "items": ref("Face")}
    return {
        "Face": _object(face | {"landmarks": landmarks}),
        "LiveFace": _object(face),
        "Still": _object(picture | {"faces": faces}, description="The answer to a picture without `previous`."),
        "Stream": _object(
            picture | {"faces": faces | {"maxItems": MAX_FACES}, "state": state},
            description="The answer to a picture with `previous`, and the next picture's `previous`.",
        ),
        "Previous": {
            "type": "object",
            "description": "The answer to the previous picture, or {} with the first. Only `state` is read.",
            "properties": {"state": state},
        },
    }


def _jokes() -> dict[str, Schema]:
    source = {"enum": ["icanhazdadjoke", "house", "file"]}
    parted = "A line break, if there is one, comes before the punchline."
    return {
        "Joke": _object({"id": _TEXT, "source": source, "text": _TEXT | {"description": parted}}),
        "Reaction": {
            "type": "object",
            "required": ["agreed", "joke", "before", "peak", "seconds"],
            "properties": {
                "agreed": {"const": True, "description": "The person agreed to have the smile counted."},
                "joke": {
                    "type": "object",
                    "required": ["id", "source"],
                    "properties": {"id": {"type": "string"}, "source": {"type": "string"}},
                    "description": "A joke that the app has told.",
                },
                "before": _RATIO | {"description": "P(smile) when the joke began."},
                "peak": _RATIO | {"description": "The highest P(smile) after it."},
                "seconds": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": MAX_SECONDS,
                    "description": "How long it lasted.",
                },
            },
        },
    }


def _board() -> dict[str, Schema]:
    lift = {"type": "number", "minimum": -1, "maximum": 1}
    told: dict[str, Schema] = {"id": _TEXT, "source": {"type": "string"}, "text": _TEXT}
    return {
        "Board": _object(
            {
                "kept": {"type": "boolean"},
                "interval": _RATIO | {"description": "How sure `low` and `high` are."},
                "typical": lift | {"description": "The lift to expect of a joke that nobody has heard yet."},
                "jokes": {"type": "array", "maxItems": MOST_SHOWN, "items": ref("Standing")},
            }
        ),
        "Standing": _object(
            told
            | {
                "reactions": {"type": "integer", "minimum": 1},
                "laughs": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Reactions whose highest smile was at least 0.5 and at least 0.1 above the one before.",
                },
                "seconds": {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
                "mean": lift | {"description": "As measured, on average."},
                "estimate": lift | {"description": "To expect of further tellings, between `low` and `high`."},
                "low": lift,
                "high": lift,
            },
            description="A lift is the highest smile after a joke minus the smile before it.",
        ),
    }


def _health() -> Schema:
    whole = {"type": "integer", "minimum": 0}
    seconds = {"type": "number", "minimum": 0}
    states = ["idle", "opening", "live", "lost", "ended", "none"]
    health: dict[str, Schema] = {
        "status": {"enum": ["ok", "degraded", "failed"]},
        "message": {"type": "string", "description": "A sentence, empty while all is well."},
        "uptime_s": seconds,
        "seconds_since_frame": seconds | {"type": ["number", "null"]},
        "camera": _object({"status": {"enum": states}, "message": {"type": "string"}}),
        "detector": {"type": "string"},
        "reading": {"enum": ["device", "app"], "description": "Where pages read visitors' own cameras if they can."},
        "viewers": whole,
        "frames": _object({"captured": whole, "analysed": whole}),
        "fps": seconds,
        "milliseconds": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    schema = _object(health)
    schema["properties"] |= {"worker": whole | {"description": "Which of several processes answered."}}
    return schema


def _event() -> dict[str, Schema]:
    pixels = {"type": "integer", "minimum": 1}
    event: dict[str, Schema] = {
        "time": {"type": "number", "description": "Seconds since 1970."},
        "frame": {"type": "integer", "minimum": 0, "description": "The camera's frame; 0 for a card with a message."},
        "fps": {"type": "number", "minimum": 0, "description": "Analysed frames a second, lately."},
        "width": pixels,
        "height": pixels,
        "message": {"type": "string", "description": "Why there is no picture; empty if there is one."},
        "faces": {"type": "array", "items": ref("LiveFace"), "description": "The largest first."},
    }
    return {"Event": _object(event)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def answer(text: str, schema: Schema) -> Schema:
    """An answer in JSON."""
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def operation(tag: str, identity: str, summary: str, right: Schema, *errors: int, description: str = "") -> Schema:
    """One operation. `right`: the answer 200; `errors`: the statuses of `ERRORS` that it also has, beside 429."""
    return {
        "operationId": identity,
        "tags": [tag],
        "summary": summary,
        **({"description": description} if description else {}),
        "responses": {"200": right}
        | {str(status): {"$ref": f"#/components/responses/{ERRORS[status]}"} for status in sorted({*errors, 429})},
    }


def _object(properties: dict[str, Schema], *, description: str = "") -> Schema:
    """An object with exactly these properties."""
    schema: Schema = {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"description": description} if description else {})
