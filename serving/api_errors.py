"""How the API refuses: one JSON shape for every error, and no request that another site's page makes."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, jsonify, request

NO_STORE = {"Cache-Control": "no-store"}


def error_json(sentence: str, status: int, *, retry_after_s: int | None = None) -> Response:
    """`{"error": sentence}`: how every error under `/api/` looks. 503 says when to come back: in a second, unless told."""
    response = jsonify({"error": sentence})
    response.status_code = status
    response.headers.update(NO_STORE)
    if status == 503 and retry_after_s is None:
        retry_after_s = 1
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def refusal(sentence: str, status: int) -> Response:
    """An error of the whole app: JSON under `/api/`, a line of text elsewhere."""
    if request.path.startswith("/api/"):
        return error_json(sentence, status)
    return Response(f"{sentence}\n", status, mimetype="text/plain")


def is_from_our_page(allow_host: str = "") -> bool:
    """Whether a browser says that a page of this app makes this request. What is no browser says nothing, and may.

    `allow_host`: names of this server behind a proxy, as `Settings.allow_host`. `Origin: null`, which sandboxed frames and
    files send, is no page of this app.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or _is_ours(origin, allow_host)


def is_from_elsewhere(allow_host: str = "") -> bool:
    """Whether anything about this request says that another site's page makes it; an address that was typed in is none.

    Over plain http to an address in a LAN browsers send no `Sec-Fetch-Site`; what else they say is looked at too.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return True
    named = (request.headers.get("Origin"), request.headers.get("Referer"))
    return any(address is not None and not _is_ours(address, allow_host) for address in named)


def _is_ours(address: str, allow_host: str) -> bool:
    try:
        parts = urlsplit(address)
        names = allow_host.lower().replace(",", " ").split()
        # A proxy may have changed `Host`, so the names that it serves count too.
        return parts.scheme in ("http", "https") and (
            parts.netloc.lower() == request.host.lower() or parts.hostname in names
        )
    except ValueError:
        return False
