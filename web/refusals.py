"""How often visitors were refused, by reason, for `/metrics`. Safe to use from many threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping

REASONS = (
    "connections",  # a connection was closed to make room for a newcomer
    "slow_head",
    "slow_body",
    "bodies",  # unfinished bodies held too much memory
    "malformed",
    "too_large",
    "places",  # for viewers
    "rate",
    "busy",
    "foreign",  # another site's page
)
_BY_STATUS = {
    400: "malformed",
    403: "foreign",
    413: "too_large",
    429: "rate",
    431: "too_large",
    501: "malformed",
    503: "busy",
}


class Refusals:
    """One app's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(REASONS, 0)

    def count(self, reason: str) -> None:
        """`reason`: one of `REASONS`."""
        with self._lock:
            self._counts[reason] += 1

    def count_status(self, status: int) -> None:
        """Counts an answer by its status if that status is a refusal."""
        if reason := _BY_STATUS.get(status):
            self.count(reason)

    def counts(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)
