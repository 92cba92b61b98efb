"""What the API takes and answers, as OpenAPI 3.1. Every limit in it is the constant that the code obeys.

>>> describe(visitor_rate=None)["paths"]["/api/v1/analyze"]["post"]["summary"]
'Faces and smiles in a picture'
"""

from __future__ import annotations

from typing import Any

from joke_board import MAX_SECONDS
from jokes.quotas import COUNTED_PER_MINUTE, OF_A_JOKE_PER_DAY
from serving.board_api import MAX_BYTES as MAX_REACTION_BYTES
from serving.board_api import MOST_SHOWN
from serving.rate_limits import PICTURES_PER_SECOND, REQUESTS_SHARE
from serving.visitor_analysis import MAX_BYTES, MAX_FACES, MAX_NUMBER, MAX_PIXELS
from smile_recognition import LANDMARKS

VERSION = "1.0.0"
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")

Schema = dict[str, Any]

_DESCRIPTION = (
    "Send a picture, get its faces, each with the probability that it smiles; or hear a joke. No key, no account, no "
    "cookie. Pictures are analysed in memory and forgotten at once; none is stored. Every error is one sentence in one "
    'shape, {"error": "..."}. Requests that another site\'s page makes are refused.'
)


def describe(visitor_rate: int | None = None, *, root: str = "") -> dict[str, Any]:
    """The whole description, JSON types only.

    `visitor_rate`: as `Settings.visitor_rate`. `root`: the path under which a proxy serves the app.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dad Jokes for Smiles",
            "version": VERSION,
            "description": f"{_DESCRIPTION} {rates(visitor_rate)}",
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": "smiles"}, {"name": "jokes"}, {"name": "app"}],
        "paths": {
            "/api/v1/analyze": {"post": _analyze()},
            "/api/v1/jokes/random": {"get": _random_joke()},
            "/api/v1/jokes/board": {"get": _board()},
            "/api/v1/reactions": {"post": _reactions()},
            "/api/openapi.json": {"get": _openapi()},
            "/healthz": {"get": _healthz()},
        },
        "components": {"schemas": _schemas(), "headers": _headers(), "responses": _errors()},
    }


def rates(visitor_rate: int | None) -> str:
    """A sentence or two on how much a visitor may send."""
    if visitor_rate == 0:
        return "This server sets no limit on how much one address may send."
    pictures = PICTURES_PER_SECOND if visitor_rate is None else visitor_rate
    free = " Pictures from the computer that runs the app are not counted." if visitor_rate is None else ""
    return (
        f"One address may send {pictures} pictures and {max(1, round(pictures / REQUESTS_SHARE))} other requests a second; "
        "a picture that takes long to analyse counts as several. Over that the answer is 429, while the app is busy it is "
        f"503; both say in Retry-After how many seconds to wait.{free}"
    )


def _analyze() -> Schema:
    picture = {"type": "string", "contentMediaType": "application/octet-stream", "maxLength": MAX_BYTES}
    form: Schema = {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "format": "binary", "description": "The picture, as a file."},
            "previous": _ref("Previous"),
        },
    }
    return {
        "operationId": "analyze",
        "tags": ["smiles"],
        "summary": "Faces and smiles in a picture",
        "description": (
            f"A JPEG, PNG or WebP of at most {MAX_BYTES >> 20} MB and {MAX_PIXELS // 10**6} megapixels, as the body or as a "
            "form's field `image`. What it is is told by its bytes, not by its Content-Type. It is turned upright as its "
            "EXIF data says, and all places in the answer are in pixels of the upright picture. A picture alone is searched "
            "thoroughly. For a stream, such as a webcam's, send the field `previous` too: `{}` with the first picture, then "
            "each time the answer to the picture before. Faces are then followed from picture to picture, which is much "
            "quicker, and keep their ids."
        ),
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": picture} for kind in (*PICTURE_TYPES, "application/octet-stream")}
            | {"multipart/form-data": {"schema": form, "encoding": {"previous": {"contentType": "application/json"}}}},
        },
        "responses": {
            "200": _json("The faces, the largest first.", {"anyOf": [_ref("Still"), _ref("Stream")]}),
            "400": _error("NotUnderstood"),
            "403": _error("OtherSite"),
            "413": _error("TooLarge"),
            "429": _error("TooMany"),
            "500": _error("Failed"),
            "503": _error("Busy"),
        },
    }


def _random_joke() -> Schema:
    return {
        "operationId": "randomJoke",
        "tags": ["jokes"],
        "summary": "A joke",
        "description": "It counts as told to your address: a reaction to it may follow from there within ten minutes.",
        "responses": {"200": _json("A joke.", _ref("Joke")), "429": _error("TooMany")},
    }


def _board() -> Schema:
    return {
        "operationId": "jokeBoard",
        "tags": ["jokes"],
        "summary": "The jokes that made people smile",
        "description": f"The funniest first, {MOST_SHOWN} at most.",
        "responses": {
            "200": _json("The board; `kept` is false when this app keeps none.", _ref("Board")),
            "429": _error("TooMany"),
            "503": _error("Busy"),
        },
    }


def _reactions() -> Schema:
    return {
        "operationId": "react",
        "tags": ["jokes"],
        "summary": "Count how much a joke lifted a smile",
        "description": (
            "Only with the person's consent, and once for each time that the joke was told. Stored: the joke, these three "
            f"numbers and the day; no picture, no name, no address. At most {MAX_REACTION_BYTES} bytes. From one address "
            f"{COUNTED_PER_MINUTE} a minute are counted, and {OF_A_JOKE_PER_DAY} a day for one joke."
        ),
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Reaction")}}},
        "responses": {
            "204": {"description": "Counted."},
            "400": _error("NotUnderstood"),
            "403": _error("OtherSite"),
            "404": _error("NoBoard"),
            "409": _error("Counted"),
            "413": _error("TooLarge"),
            "429": _error("TooMany"),
            "503": _error("Busy"),
        },
    }


def _openapi() -> Schema:
    return {
        "operationId": "openapi",
        "tags": ["app"],
        "summary": "This description",
        "responses": {
            "200": _json("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]}),
            "429": _error("TooMany"),
        },
    }


def _healthz() -> Schema:
    return {
        "operationId": "health",
        "tags": ["app"],
        "summary": "Whether the app and its own camera work",
        "responses": {
            "200": _json("`ok`, or `degraded` for a reason that no restart mends.", _ref("Health")),
            "429": _error("TooMany"),
            "503": _json("`failed`: restart the app.", _ref("Health")),
        },
    }


def _schemas() -> dict[str, Schema]:
    pixels = {"type": "number"}
    count = {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER - 1}
    ratio = {"type": "number", "minimum": 0, "maximum": 1}
    lift = {"type": "number", "minimum": -1, "maximum": 1}
    text = {"type": "string", "minLength": 1}
    points = {
        name: {"type": "array", "items": pixels, "minItems": 2, "maxItems": 2, "description": "x, y"} for name in LANDMARKS
    }
    landmarks = _object(points, description="In pixels; left and right are the picture's. They may lie past its edge.")
    sides = _object({side: {"type": "integer"} for side in ("top", "right", "bottom", "left")})
    box = sides | {"description": "In pixels; it may reach past the edge."}
    face: dict[str, Schema] = {
        "id": count | {"description": "In a stream the same for the same face; else 1, 2, ..."},
        "box": box,
        "smile": ratio | {"description": "Probability that the face smiles; in a stream smoothed over time."},
        "raw_smile": ratio | {"description": "The same, of this picture alone."},
        "label": {"enum": ["smile", "no_smile"], "description": "`smile` from 0.5 on."},
        "landmarks": landmarks,
    }
    unseen: dict[str, Schema] = {"unseen": count | {"description": "Searches in a row that did not find this face."}}
    answer: dict[str, Schema] = {
        "width": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "elapsed_ms": {"type": "number", "minimum": 0},
    }
    memory: dict[str, Schema] = {
        "followed": count | {"description": "Pictures since the last search for new faces."},
        "next_id": count,
        "time": {"type": "number", "description": "When it was answered, in seconds since 1970."},
    }
    faces = {"type": "array", "items": _ref("Face")}
    known: dict[str, Schema] = {
        "id": count,
        "smile": {"type": "number"},
        "landmarks": landmarks | {"additionalProperties": True},
    }
    joke: dict[str, Schema] = {"id": text, "source": {"enum": ["icanhazdadjoke", "house"]}}
    told: dict[str, Schema] = {"id": text, "source": {"type": "string"}, "text": text}
    return {
        "Error": _object({"error": text}, description="One sentence: what is wrong, and what to do."),
        "Face": _object(face),
        "StreamFace": _object(face | unseen),
        "Still": _object(answer | {"faces": faces}, description="The answer to a picture without `previous`."),
        "Stream": _object(
            answer | {"faces": {"type": "array", "items": _ref("StreamFace"), "maxItems": MAX_FACES}} | memory,
            description="The answer to a picture with `previous`, and the next picture's `previous`.",
        ),
        "Previous": {
            "type": "object",
            "description": "The answer to the picture before, or {} with the first. Only these properties are read.",
            "properties": memory
            | {
                "faces": {
                    "type": "array",
                    "maxItems": MAX_FACES,
                    "description": "No two with the same id.",
                    "items": {"type": "object", "required": list(known), "properties": known | unseen},
                }
            },
        },
        "Joke": _object(joke | {"text": text}),
        "Reaction": {
            "type": "object",
            "required": ["agreed", "joke", "before", "peak", "seconds"],
            "properties": {
                "agreed": {"const": True, "description": "The person agreed to have the smile counted."},
                "joke": {
                    "type": "object",
                    "required": ["id", "source"],
                    "properties": {"id": {"type": "string"}, "source": {"type": "string"}},
                    "description": "One that the app has told.",
                },
                "before": ratio | {"description": "P(smile) as the joke came."},
                "peak": ratio | {"description": "P(smile) at its highest after it."},
                "seconds": {"type": "number", "minimum": 0, "maximum": MAX_SECONDS, "description": "How long it smiled."},
            },
        },
        "Board": _object(
            {
                "kept": {"type": "boolean"},
                "interval": ratio | {"description": "How sure `low` and `high` are."},
                "typical": lift | {"description": "The lift to expect of a joke that nobody has heard."},
                "jokes": {"type": "array", "maxItems": MOST_SHOWN, "items": _ref("Standing")},
            }
        ),
        "Standing": _object(
            told
            | {
                "reactions": {"type": "integer", "minimum": 1},
                "seconds": {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
                "mean": lift,
                "estimate": lift,
                "low": lift,
                "high": lift,
            },
            description="A lift is the highest smile after a joke less the smile before it.",
        ),
        "Health": _health(),
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
        "viewers": whole,
        "frames": _object({"captured": whole, "analysed": whole}),
        "fps": seconds,
        "milliseconds": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    schema = _object(health)
    schema["properties"] |= {"worker": whole | {"description": "Which of several processes answered."}}
    return schema


def _headers() -> dict[str, Schema]:
    return {
        "RetryAfter": {
            "description": "Whole seconds until another try makes sense.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    }


def _errors() -> dict[str, Schema]:
    limits = (
        f"{MAX_BYTES >> 20} MB or {MAX_PIXELS // 10**6} megapixels for a picture, {MAX_REACTION_BYTES} bytes for a reaction"
    )
    wait = {"headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}}
    error = _ref("Error")
    return {
        "NotUnderstood": _json("What was sent can't be read as what is expected here.", error),
        "OtherSite": _json("Another site's page asks, or the person did not agree.", error),
        "NoBoard": _json("This app keeps no joke board.", error),
        "Counted": _json(
            "This telling of the joke was counted already, or is long ago, or that was enough from one address today.", error
        ),
        "TooLarge": _json(f"More than {limits}.", error),
        "TooMany": _json("Too many requests from one address, or too many smiles at once.", error) | wait,
        "Failed": _json("The app can't analyse pictures at all: its network or detector is missing.", error),
        "Busy": _json("All places are taken, or the joke board can't be used just now.", error) | wait,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _error(name: str) -> Schema:
    return {"$ref": f"#/components/responses/{name}"}


def _json(text: str, schema: Schema) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Schema], *, description: str = "") -> Schema:
    """An object with exactly these properties."""
    schema: Schema = {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"description": description} if description else {})
