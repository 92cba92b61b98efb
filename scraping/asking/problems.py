"""What goes wrong while pictures are gathered: at one address (FetchError), or for the whole run (ScrapingStopped)."""

from __future__ import annotations

from common.errors import SmileError

# Why a picture was not fetched, in the words of the last lines of a run.
REASONS = {
    "gone": "gone from the site (404 or 410)",
    "refused": "refused by the site (401, 403 or another 4xx)",
    "rate_limited": "put off by the site (429), again and again",
    "server_error": "met by an error of the site (5xx), again and again",
    "timeout": "too slow, again and again",
    "connection": "lost with the connection, again and again",
    "truncated": "cut off on the way or damaged, again and again",
    "not_a_picture": "no pictures but something else, such as a web page",
    "too_small": "too small to show a face",
    "too_large": "too large for a picture",
    "other_host": "on a host that is not part of the site (--allow-host lets it in)",
    "robots": "closed to robots (robots.txt)",
    "redirects": "redirected without end",
    "bad_url": "without a usable address",
}
# Reasons that may pass: these are tried again with growing pauses, and once more by the next run.
PASSING = frozenset({"rate_limited", "server_error", "timeout", "connection", "truncated"})


class FetchError(Exception):
    """One address gave nothing. `kind` is a key of REASONS; `wait_s`: for how many seconds the site wants to be left
    alone.
    """

    def __init__(self, kind: str, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.wait_s = wait_s

    @property
    def passing(self) -> bool:
        return self.kind in PASSING


class ScrapingStopped(SmileError):
    """Going on would be useless or impolite. What was gathered is kept, and the same command goes on from there."""
