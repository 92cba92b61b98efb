"""Addresses, and addresses without their passwords."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit


def is_url(source: str) -> bool:
    try:
        parts = urlsplit(source)
        return parts.scheme.lower() in ("rtsp", "rtsps", "http", "https") and bool(parts.hostname)
    except ValueError:  # misplaced brackets
        return False


def without_password(source: str) -> str:
    """`source` as a page may show it: a URL is cut to scheme and host, because any other part may hold a camera's
    password.
    """
    scheme, separator, rest = source.partition("://")
    if not separator:
        return Path(source).name
    return f"{scheme}://{re.split('[/?#]', rest.rpartition('@')[2])[0]}"
