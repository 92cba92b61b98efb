"""How much one visitor may ask for, so that nobody takes the places of all others.

    >>> limit = RateLimit(150, burst=300)     # 150 a second, and 300 at once after a pause
    >>> limit.take(visitor_number("203.0.113.7"))
    0.0

A visitor is an address, an IPv6 one by its first 64 bits, which one connection owns whole. A page sends 20 pictures a
second, fewer while it is told to wait, so a home or a class behind one address fits; `--visitor-rate` allows more or less.
Pictures from this computer itself count only if that option is given. Each worker process counts for itself.

Only a number made from the address is kept, with a key that lives as long as the process. It is dropped at one of the next
requests of anybody, once the visitor may send at full rate again, which takes seconds.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from flask import Blueprint, Response, request

from errors import SmileError
from serving.api_errors import error_json

PICTURES_PER_SECOND = 150
PICTURE_S = 0.01  # of work; a picture that takes longer counts as several
MOST_VISITORS = 10_000  # about a megabyte; of more, those that have not asked for longest are forgotten
REQUESTS_SHARE = 6  # the other requests may come at a sixth of the pictures' rate
PICTURES_BURST_S = 2.0  # what a pause saves up
REQUESTS_BURST_S = 10.0

_MOST_DEBT_S = 5.0
_NOTHING_S = 1e-6  # what rounding may be off by
_ANALYZE = "/api/v1/analyze"
_LIMITED = "/api/v1/"
_FORGOTTEN_AT_ONCE = 4
_KEY = secrets.token_bytes(16)


class TooManyRequests(SmileError):
    """A visitor asked for more than its share. `retry_after_s`: whole seconds until it may ask again."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class RateLimit:
    """A token bucket for each visitor. Safe to use from many threads; holds one number for each of `most_visitors` at most.

    `per_second`: tokens that come back; `burst`: tokens of a full bucket; `clock`: seconds.
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
        self._full_at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        """Visitors that are remembered."""
        return len(self._full_at)

    def take(self, visitor: int, cost: float = 1.0) -> float:
        """Takes `cost` tokens and returns 0.0, or takes nothing and returns the seconds until there are as many."""
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

    def charge(self, visitor: int, cost: float) -> None:
        """Takes `cost` tokens that were used already, even if there are fewer; up to five seconds' worth are owed."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(visitor, now), now) + cost / self._per_second
            self._remember(visitor, min(full_at, now + self._burst_s + _MOST_DEBT_S))

    def _remember(self, visitor: int, full_at: float) -> None:
        self._full_at[visitor] = full_at
        if len(self._full_at) > self._most_visitors:
            self._full_at.popitem(last=False)

    def _forget(self, now: float) -> None:
        """Drops a few of those whose bucket is full; more than one request can add."""
        for _ in range(_FORGOTTEN_AT_ONCE):
            visitor = next(iter(self._full_at), None)
            if visitor is None or self._full_at[visitor] > now:
                return
            del self._full_at[visitor]


class VisitorLimits:
    """What each visitor may send: `pictures_per_second` pictures and a sixth as many other requests.

    0: no limits. None: the usual limits, and none for pictures from this computer itself.
    """

    def __init__(self, pictures_per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        rate = PICTURES_PER_SECOND if pictures_per_second is None else pictures_per_second
        self._spare_this_computer = pictures_per_second is None
        self._pictures = RateLimit(rate, max(1.0, PICTURES_BURST_S * rate), clock=clock) if rate else None
        others = rate / REQUESTS_SHARE
        self._requests = RateLimit(others, max(1.0, REQUESTS_BURST_S * others), clock=clock) if rate else None

    def take_picture(self, address: str | None) -> None:
        """Counts a picture. Raises TooManyRequests."""
        if self._pictures is not None and not self._spared(address):
            _take(self._pictures, address, "Too many pictures from your address")

    def worked(self, address: str | None, seconds: float) -> None:
        """Counts what a picture took beyond `PICTURE_S` seconds of work."""
        if self._pictures is not None and seconds > PICTURE_S and not self._spared(address):
            self._pictures.charge(visitor_number(address), seconds / PICTURE_S - 1)

    def take_request(self, address: str | None) -> None:
        """Counts any other request. Raises TooManyRequests."""
        if self._requests is not None:
            _take(self._requests, address, "Too many requests from your address")

    def _spared(self, address: str | None) -> bool:
        return self._spare_this_computer and address in ("127.0.0.1", "::1")


def visitor_number(address: str | None) -> int:
    """What a visitor is known by: 64 bits that can't be turned back into the address once the process has ended."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:  # a socket file has no address
        place = b""
    else:
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        place = ip.packed if ip.version == 4 else ip.packed[:8]
    return int.from_bytes(hashlib.blake2b(place, digest_size=8, key=_KEY).digest(), "big")


def rate_limits(limits: VisitorLimits) -> Blueprint:
    """Counts every request under `/api/v1/` before it is answered; over the limit it is answered with 429."""
    api = Blueprint("rate_limits", __name__)

    @api.before_app_request
    def count() -> Response | None:
        try:
            if request.path == _ANALYZE:
                limits.take_picture(request.remote_addr)
            elif request.path.startswith(_LIMITED):
                limits.take_request(request.remote_addr)
        except TooManyRequests as error:
            return error_json(str(error), 429, retry_after_s=error.retry_after_s)
        return None

    return api


def _take(limit: RateLimit, address: str | None, what: str) -> None:
    wait = limit.take(visitor_number(address))
    if wait > 0:
        seconds = math.ceil(wait)
        raise TooManyRequests(f"{what}; try again in {seconds} second{'s' if seconds > 1 else ''}.", seconds)
