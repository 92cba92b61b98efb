"""Who counts as one visitor, and how much each may ask for: one token bucket for each.

    >>> limit = RateLimit(150, burst=300)     # 150 a second, and 300 at once after a pause
    >>> limit.take(visitor_number("203.0.113.7"))
    0.0

Addresses are not kept, only numbers made from them with a key that lives as long as the process.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_VISITORS = 10_000  # about a megabyte; beyond that, whoever has been quiet for longest is forgotten

_MOST_DEBT_S = 5.0
_NOTHING_S = 1e-6  # allowed for rounding
_FORGOTTEN_AT_ONCE = 4
_KEY = secrets.token_bytes(16)


class RateLimit:
    """A token bucket for each visitor, for `most_visitors` at most. Safe to use from many threads.

    `per_second`: tokens that come back each second; `burst`: tokens in a full bucket; `clock`: seconds.
    """

    def __init__(
        self,
        per_second: float,
        burst: float,
        *,
        most_visitors: int = MOST_VISITORS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst_s = burst / per_second
        self._most_visitors = most_visitors
        self._clock = clock
        self._lock = threading.Lock()
        # When each visitor's bucket will be full again: all that a bucket needs (the "virtual scheduling" form of the
        # generic cell rate algorithm, ITU-T I.371). Who asked last comes last.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        """How many visitors are remembered."""
        return len(self._full_at)

    def take(self, visitor: Hashable, cost: float = 1.0) -> float:
        """Takes `cost` tokens and returns 0.0, or takes nothing and returns the seconds until there are enough."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            full_at = max(self._full_at.pop(visitor, now), now)
            wait = full_at + cost / self._per_second - (now + self._burst_s)
            allowed = wait < _NOTHING_S
            if allowed:
                full_at += cost / self._per_second
            self._remember(visitor, full_at)
        return 0.0 if allowed else wait

    def charge(self, visitor: Hashable, cost: float) -> None:
        """Takes `cost` tokens for work already done, even if there are fewer. A visitor owes at most five seconds' worth."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(visitor, now), now) + cost / self._per_second
            self._remember(visitor, min(full_at, now + self._burst_s + _MOST_DEBT_S))

    def _remember(self, visitor: Hashable, full_at: float) -> None:
        self._full_at[visitor] = full_at
        if len(self._full_at) > self._most_visitors:
            self._full_at.popitem(last=False)

    def _forget(self, now: float) -> None:
        """Drops a few visitors whose bucket is full, more than one request can add."""
        for _ in range(_FORGOTTEN_AT_ONCE):
            visitor = next(iter(self._full_at), None)
            if visitor is None or self._full_at[visitor] > now:
                return
            del self._full_at[visitor]


def visitor_number(address: str | None) -> int:
    """The number that stands for a visitor: 64 bits that can't be turned back into the address once the process has ended.

    One IPv6 connection owns 64 bits, so all addresses that share the first 64 are one visitor.
    """
    return _number(address, 8)


def network_number(address: str | None) -> int:
    """The same for the first 48 bits of an IPv6 address, which one site may own. For IPv4 it is the visitor's number."""
    return _number(address, 6)


def _number(address: str | None, size: int) -> int:
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:  # a socket file has no address
        place = b""
    else:
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        place = ip.packed if ip.version == 4 else ip.packed[:size]
    return int.from_bytes(hashlib.blake2b(place, digest_size=8, key=_KEY).digest(), "big")
