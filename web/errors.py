"""How the app refuses requests: one JSON shape for all errors, a page for browsers, and a check for other sites."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

from flask import Response, current_app, jsonify, render_template, request

from common.event_log import log_event
from common.settings import Settings
from web.security import WATCHING, is_from_elsewhere, is_from_our_page, is_our_name

_NAME = re.compile(r"[a-z0-9.:-]{1,100}")
_MOST_NAMES_TOLD = 10
NO_STORE = {"Cache-Control": "no-store"}


def error_json(sentence: str, status: int, *, retry_after_s: int | None = None) -> Response:
    """`{"error": sentence}`, the shape of every error. 503 says when to come back: in a second by default."""
    response = jsonify({"error": sentence})
    response.status_code = status
    response.headers.update(NO_STORE)
    if status == 503 and retry_after_s is None:
        retry_after_s = 1
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def refusal(sentence: str, status: int, *, retry_after_s: int | None = None) -> Response:
    """An error of the whole app: JSON, or outside `/api/` a page for a browser that asks for one."""
    response = error_json(sentence, status, retry_after_s=retry_after_s)
    if not request.path.startswith("/api/"):
        response.vary.add("Accept")
        asked = request.accept_mimetypes
        if asked["text/html"] > asked["application/json"]:
            response.set_data(render_template("error.html", sentence=sentence, status=status))
            response.mimetype = "text/html"
    return response


def refused_stranger(settings: Settings) -> Response | None:
    """The answer to a request that another site's page makes in our name; None for all other requests."""
    # Such a page can point its own name at this computer, or have the browser show our picture in it.
    if not is_our_name(request.host, settings):
        return refusal("This name is not served; open the page by its IP address, or start with --allow-host NAME.", 400)
    if request.path in WATCHING and is_from_elsewhere(settings.allow_host):
        return refusal("Other sites may not show this camera.", 403)
    return None


def refuse_other_sites(what: str, allow_host: str = "") -> Response | None:
    """The answer to another site's page that sends `what` here; None for all other requests.

    A browser may vouch for one of our pages but give it another name. Then a proxy changes `Host`, and the visitor and the
    log are told so.
    """
    if is_from_our_page(allow_host):
        return None
    sentence = f"Other sites may not send {what} here"
    name = _unknown_name()
    if not name:
        return error_json(f"{sentence}.", 403)
    told: set[str] = current_app.extensions.setdefault("unknown_names", set())
    if name not in told and len(told) < _MOST_NAMES_TOLD:
        told.add(name)
        log_event(
            "unknown_name",
            level=logging.WARNING,
            message=f"A page of {name} sends {what}; if that is this app behind a proxy, start with --allow-host {name}.",
        )
    unknown = f"and the app does not know {name} as its own name; whoever runs it can start it with --allow-host {name}."
    return error_json(f"{sentence}, {unknown}", 403)


def _unknown_name() -> str:
    """The host name of the page that makes this request if it may be ours; empty if it can't be, or is not a proper name."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return ""
    try:
        parts = urlsplit(request.headers.get("Origin", ""))
        name = parts.hostname or ""
    except ValueError:
        return ""
    return name if parts.scheme in ("http", "https") and _NAME.fullmatch(name) else ""
