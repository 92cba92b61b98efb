"""What goes wrong with one address while pictures are gathered, by the kinds of `common.errors.FetchError`."""

from __future__ import annotations

# Why a picture was not fetched, in the words of the last lines of a run.
REASONS = {
    "gone": "gone from the site (404 or 410)",
    "refused": "refused by the site (401, 403 or another 4xx)",
    "rate_limited": "put off by the site (429), again and again",
    "server_error": "answered with an error of the site (5xx), again and again",
    "timeout": "too slow, again and again",
    "connection": "lost with the connection, again and again",
    "truncated": "cut off on the way or damaged, twice",
    "not_a_picture": "no pictures but something else, such as a web page",
    "too_small": "too small to show a face",
    "too_large": "too large for a picture",
    "other_host": "on a host that is not part of the site (--allow-host lets it in)",
    "robots": "closed to robots (robots.txt)",
    "redirects": "redirected without end",
    "bad_url": "without a usable address",
}
