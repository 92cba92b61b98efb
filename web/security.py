"""Who may ask: this app's names, its own pages, and the headers that keep a browser to them."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from flask import request

from common.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
WATCHING = ("/video_feed", "/events", "/snapshot.jpg")
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# For the worker in which LiteRT's WebAssembly runs. A worker has the policy that came with its own file; pages have theirs.
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site may show this camera in its own page
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def host_name(host: str) -> str:
    """A Host header without its port and brackets."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.rpartition(":")[0] or host
    return name.lower().rstrip(".")


def is_our_name(host: str, settings: Settings) -> bool:
    """Whether the Host header names this computer: by an address, or by a name that no stranger can claim."""
    name = host_name(host)
    if name in _LOOPBACK or name == settings.host.lower() or name in settings.allow_host.lower().replace(",", " ").split():
        return True
    if settings.host in _LOOPBACK:
        return False
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        ours = socket.gethostname().lower()
        return name in (ours, f"{ours}.local")


def is_from_our_page(allow_host: str = "") -> bool:
    """Whether a page of this app makes this request, as far as the browser says. Programs other than browsers say nothing
    and may ask.

    `allow_host`: as `Settings.allow_host`. Sandboxed frames and files send `Origin: null`; they are not pages of this app.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or _is_ours(origin, allow_host)


def is_from_elsewhere(allow_host: str = "") -> bool:
    """Whether anything about this request says that another site's page makes it. An address typed into the browser does
    not.

    Over plain http to an address in a LAN browsers send no `Sec-Fetch-Site`, so `Origin` and `Referer` count too.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return True
    named = (request.headers.get("Origin"), request.headers.get("Referer"))
    return any(address is not None and not _is_ours(address, allow_host) for address in named)


def _is_ours(address: str, allow_host: str) -> bool:
    try:
        parts = urlsplit(address)
        names = allow_host.lower().replace(",", " ").split()
        # A proxy may have changed `Host`, so the names it serves count too.
        return parts.scheme in ("http", "https") and (
            parts.netloc.lower() == request.host.lower() or parts.hostname in names
        )
    except ValueError:
        return False
