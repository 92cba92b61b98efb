"""Serving under a path of a host, such as `/smile`, as a trusted proxy names it in X-Forwarded-Prefix.

app.wsgi_app = SubPath(app.wsgi_app, proxies=1)

The proxy may take the path off what it passes on, or leave it there. Flask then makes all its addresses with it (WSGI's
SCRIPT_NAME), and scripts find theirs from their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_HEADER = "HTTP_X_FORWARDED_PREFIX"
_LONGEST = 200
# No empty part, which would make another host of it, and none of dots alone.
_PATH = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+")


class SubPath:
    """A WSGI app before another one."""

    def __init__(self, app: Any, *, proxies: int) -> None:
        """`proxies`: how many are trusted; of none nothing is believed."""
        self._app = app
        self._proxies = proxies

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        prefix = self._prefix(environ.pop(_HEADER, ""))
        if prefix:
            environ["SCRIPT_NAME"] = prefix
            path = environ.get("PATH_INFO", "")
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return self._app(environ, start_response)

    def _prefix(self, told: str) -> str:
        """What the outermost trusted proxy says; empty when it says no path."""
        if not self._proxies or not told:
            return ""
        values = told.split(",")
        prefix = values[-min(self._proxies, len(values))].strip().rstrip("/")
        return prefix if len(prefix) <= _LONGEST and _PATH.fullmatch(prefix) else ""
