"""Addresses, and addresses without their passwords."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit


def is_url(source: str) -> bool:
    try:
        parts = urlsplit(source)
        return parts.scheme.lower() in ("rtsp", "rtsps", "http", "https") and bool(parts.hostname)
    except ValueError:  # brackets where none belong
        return False


def without_password(source: str) -> str:
    """`source` as it may be shown on a page: of a URL only scheme and host, since cameras take passwords in every part."""
    scheme, separator, rest = source.partition("://")
    if not separator:
        return Path(source).name
    return f"{scheme}://{re.split('[/?#]', rest.rpartition('@')[2])[0]}"
