"""Serve the app under a path of a host, such as `/smile`, that a trusted proxy names in X-Forwarded-Prefix.

app.wsgi_app = SubPath(app.wsgi_app, proxies=1)

The proxy may strip the path from the requests that it passes on, or leave it there. Flask puts the path before all its
addresses (WSGI's SCRIPT_NAME), and scripts work theirs out from their own address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_HEADER = "HTTP_X_FORWARDED_PREFIX"
_LONGEST = 200
# An empty part would turn the path into another host; parts of dots alone would leave it.
_PATH = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+")


class SubPath:
    """A WSGI app in front of another one."""

    def __init__(self, app: Any, *, proxies: int) -> None:
        """`proxies`: how many are trusted. With 0 the header is ignored."""
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
        """The path that the outermost trusted proxy names; empty if it names none."""
        if not self._proxies or not told:
            return ""
        values = told.split(",")
        prefix = values[-min(self._proxies, len(values))].strip().rstrip("/")
        return prefix if len(prefix) <= _LONGEST and _PATH.fullmatch(prefix) else ""
