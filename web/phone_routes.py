"""`/qr.svg`: the page's own address as a QR code, so that phones come in; and what the page says about it."""

from __future__ import annotations

import io
import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from flask import Blueprint, Response, request

from web.security import host_name

_KEPT_S = 3600


@dataclass(frozen=True)
class WayIn:
    """How phones reach the page that was asked for: its `address`, and whether that is https (`secure`)."""

    address: str
    secure: bool


def own_address() -> str:
    """The page's address as the visitor's browser has it; its host is one of the app's names, or the request was refused."""
    return f"{request.scheme}://{request.host}{request.script_root}/"


def way_in() -> WayIn | None:
    """None where nobody but this computer reaches the address."""
    return None if _is_this_computer(request.host) else WayIn(own_address(), request.is_secure)


def phone_routes() -> Blueprint:
    """The code's route."""
    phone = Blueprint("phone", __name__)

    @phone.get("/qr.svg")
    def code() -> Response:
        response = Response(qr_code(own_address()), mimetype="image/svg+xml")
        response.headers["Cache-Control"] = f"private, max-age={_KEPT_S}"
        return response

    return phone


@lru_cache(maxsize=64)
def qr_code(text: str) -> str:
    """An SVG picture, dark on light with its quiet zone, in whatever colours the page is."""
    import segno  # not before somebody asks

    file = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(file, kind="svg", border=4, dark="#000", light="#fff", xmldecl=False, omitsize=True)
    return file.getvalue().decode()


def _is_this_computer(host: str) -> bool:
    name = host_name(host)
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return name == "localhost"
