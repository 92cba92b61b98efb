"""The shapes of requests and answers in `/api/openapi.json`."""

from __future__ import annotations

from typing import Any

from faces.tracking import MAX_FACES
from jokes.joke import MAX_SECONDS
from smile_recognition import LANDMARKS
from visitors.carried import MAX_NUMBER
from web.joke_routes import MOST_SHOWN

Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
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
    answer: dict[str, Schema] = {
        "width": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "elapsed_ms": {"type": "number", "minimum": 0},
    }
    state = text | {"contentEncoding": "base64", "description": "What is known of the faces, for the next picture only."}
    faces = {"type": "array", "items": ref("Face")}
    joke: dict[str, Schema] = {"id": text, "source": {"enum": ["icanhazdadjoke", "house"]}}
    told: dict[str, Schema] = {"id": text, "source": {"type": "string"}, "text": text}
    return {
        "Error": _object({"error": text}, description="One sentence: what is wrong, and what to do."),
        "Face": _object(face),
        "Still": _object(answer | {"faces": faces}, description="The answer to a picture without `previous`."),
        "Stream": _object(
            answer | {"faces": faces | {"maxItems": MAX_FACES}, "state": state},
            description="The answer to a picture with `previous`, and the next picture's `previous`.",
        ),
        "Previous": {
            "type": "object",
            "description": "The answer to the picture before, or {} with the first. Only `state` is read.",
            "properties": {"state": state},
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
                "jokes": {"type": "array", "maxItems": MOST_SHOWN, "items": ref("Standing")},
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


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Schema], *, description: str = "") -> Schema:
    """An object with exactly these properties."""
    schema: Schema = {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"description": description} if description else {})
