"""What the API takes and answers, as OpenAPI 3.1. Its limits are the constants that the code itself uses.

>>> describe(visitor_rate=None)["paths"]["/api/v1/analyze"]["post"]["summary"]
'Faces and smiles in a picture'
"""

from __future__ import annotations

from typing import Any

from common.version import VERSION
from jokes.quotas import COUNTED_PER_MINUTE, OF_A_JOKE_PER_DAY
from visitors.analysis import MAX_BYTES, MAX_PIXELS
from web.joke_routes import MAX_BYTES as MAX_REACTION_BYTES
from web.joke_routes import MOST_SHOWN
from web.openapi_live import live_paths
from web.openapi_schemas import Schema, answer, operation, ref, schemas
from web.rate_limits import PICTURES_PER_SECOND, REQUESTS_SHARE

PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")
_DESCRIPTION = (
    "Send a picture, get its faces, each with the probability that it smiles; or hear a joke. No key, no account, no "
    "cookie. Pictures are analysed in memory and forgotten at once; none is stored. Every error is one sentence in one "
    'shape, {"error": "..."}; outside /api/ a browser that asks for HTML gets a page instead. Requests that another '
    "site's page makes are refused."
)


def describe(visitor_rate: int | None = None, *, root: str = "") -> dict[str, Any]:
    """The whole description, in JSON types only.

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
        "tags": [{"name": "smiles"}, {"name": "jokes"}, {"name": "camera"}, {"name": "app"}],
        "paths": {
            "/api/v1/analyze": {"post": _analyze()},
            "/api/v1/jokes/random": {"get": _random_joke()},
            "/api/v1/jokes/own": {"get": _own_jokes()},
            "/api/v1/jokes/board": {"get": _board()},
            "/api/v1/reactions": {"post": _reactions()},
            "/api/openapi.json": {"get": _openapi()},
            "/healthz": {"get": _healthz()},
            **live_paths(),
        },
        "components": {"schemas": schemas(), "headers": _headers(), "responses": _errors()},
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
            "previous": ref("Previous"),
        },
    }
    analyze = operation(
        "smiles",
        "analyze",
        "Faces and smiles in a picture",
        answer("The faces, the largest first.", {"anyOf": [ref("Still"), ref("Stream")]}),
        *(400, 403, 413, 500, 503),
        description=(
            f"A JPEG, PNG or WebP of at most {MAX_BYTES >> 20} MB and {MAX_PIXELS // 10**6} megapixels, as the body or as a "
            "form's field `image`. Its bytes say what it is, not its Content-Type. It is turned upright as its "
            "EXIF data says, and all places in the answer are in pixels of the upright picture. A picture alone is searched "
            "thoroughly. For a stream, such as a webcam's, send the field `previous` too: `{}` with the first picture, then "
            "each time the answer to the previous picture. Faces are then followed from picture to picture, which is much "
            "quicker, and keep their ids."
        ),
    )
    content = {kind: {"schema": picture} for kind in (*PICTURE_TYPES, "application/octet-stream")}
    content |= {"multipart/form-data": {"schema": form, "encoding": {"previous": {"contentType": "application/json"}}}}
    return analyze | {"requestBody": {"required": True, "content": content}}


def _random_joke() -> Schema:
    how = "The joke counts as told to your address. Send a reaction from there within ten minutes."
    return operation("jokes", "randomJoke", "A joke", answer("A joke.", ref("Joke")), description=how)


def _own_jokes() -> Schema:
    jokes = {"type": "array", "items": ref("Joke"), "minItems": 1}
    shape: Schema = {"type": "object", "required": ["jokes"], "properties": {"jokes": jokes}, "additionalProperties": False}
    why = "For when there is no network. None of them counts as told."
    right = answer("The jokes.", shape)
    return operation("jokes", "ownJokes", "The app's own jokes, all of them", right, description=why)


def _board() -> Schema:
    right = answer("The board; `kept` is false when this app keeps none.", ref("Board"))
    order = f"The funniest first, {MOST_SHOWN} at most."
    return operation("jokes", "jokeBoard", "The jokes that made people smile", right, 503, description=order)


def _reactions() -> Schema:
    react = operation(
        "jokes",
        "react",
        "Count how much a joke lifted a smile",
        {},
        *(400, 403, 404, 409, 413, 503),
        description=(
            "Only with the person's consent, and once for each time that the joke was told. Stored: the joke, these three "
            f"numbers and the day; no picture, no name, no address. At most {MAX_REACTION_BYTES} bytes. From one address "
            f"{COUNTED_PER_MINUTE} a minute are counted, and {OF_A_JOKE_PER_DAY} a day for one joke."
        ),
    )
    react["responses"].pop("200")
    react["responses"]["204"] = {"description": "Counted."}
    return react | {"requestBody": {"required": True, "content": {"application/json": {"schema": ref("Reaction")}}}}


def _openapi() -> Schema:
    right = answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]})
    return operation("app", "openapi", "This description", right)


def _healthz() -> Schema:
    right = answer("`ok`, or `degraded` for a reason that no restart mends.", ref("Health"))
    health = operation("app", "health", "Whether the app and its own camera work", right)
    health["responses"]["503"] = answer("`failed`: restart the app.", ref("Health"))
    return health


def _headers() -> dict[str, Schema]:
    return {
        "RetryAfter": {
            "description": "Whole seconds to wait before trying again.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    }


def _errors() -> dict[str, Schema]:
    limits = (
        f"{MAX_BYTES >> 20} MB or {MAX_PIXELS // 10**6} megapixels for a picture, {MAX_REACTION_BYTES} bytes for a reaction"
    )
    wait = {"headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}}
    wrong = ref("Error")
    return {
        "NotUnderstood": answer("The request can't be understood.", wrong),
        "OtherSite": answer("Another site's page makes the request, or the person did not agree.", wrong),
        "NoBoard": answer("This app keeps no joke board.", wrong),
        "Counted": answer(
            "A smile at this telling is counted already, it is too long ago, or the address has sent enough for today.",
            wrong,
        ),
        "TooLarge": answer(f"More than {limits}.", wrong),
        "TooMany": answer("Too many requests from one address, or too many smiles at once.", wrong) | wait,
        "Failed": answer("The app can't analyse pictures at all: its network or detector is missing.", wrong),
        "Busy": answer("All places are taken, or the joke board can't be used just now.", wrong) | wait,
    }
