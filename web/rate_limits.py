"""How much one visitor may ask for, so that nobody crowds out the others.

A visitor is an address; of an IPv6 address the first 64 bits count. All addresses with the same first 48 bits together may
ask for four times as much. A page sends at most 20 pictures a second, so a home or a class behind one address fits.
`--visitor-rate` allows more or less. Pictures from this computer itself count only if that option is given. Each worker
process counts by itself.

What is kept about a visitor (`common.visitor_limits`) goes at one of the next requests, whoever makes it, once that visitor
may send at full rate again. That takes seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from flask import Blueprint, Response, request

from common.errors import TooManyRequests
from common.visitor_limits import RateLimit, network_number, visitor_number
from web.errors import refusal

PICTURES_PER_SECOND = 150
PICTURE_S = 0.01  # of work; a picture that takes longer counts as more than one
REQUESTS_SHARE = 6  # the other requests may come at a sixth of the pictures' rate
PICTURES_BURST_S = 2.0  # how much a pause saves up
REQUESTS_BURST_S = 10.0

_NETWORK_SHARE = 4

_ANALYZE = "/api/v1/analyze"
_LIMITED = "/api/v1/"


class _Limit:
    """The limit for one kind of request: `per_second` from one visitor, four times as many from one network."""

    def __init__(self, per_second: float, burst_s: float, what: str, clock: Callable[[], float]) -> None:
        burst = max(1.0, burst_s * per_second)
        self.visitors = RateLimit(per_second, burst, clock=clock)
        self.networks = RateLimit(_NETWORK_SHARE * per_second, _NETWORK_SHARE * burst, clock=clock)
        self._what = what

    def take(self, address: str | None) -> None:
        """Raises TooManyRequests."""
        wait = self.visitors.take(visitor_number(address)) or self.networks.take(network_number(address))
        if wait > 0:
            seconds = math.ceil(wait)
            sentence = f"Too many {self._what} from your address; try again in {seconds} second{'s' if seconds > 1 else ''}."
            raise TooManyRequests(sentence, seconds)

    def charge(self, address: str | None, cost: float) -> None:
        self.visitors.charge(visitor_number(address), cost)
        self.networks.charge(network_number(address), cost)


class VisitorLimits:
    """What each visitor may send: `pictures_per_second` pictures, as many requests for pages and their parts, and a sixth as
    many other requests to the API.

    0: no limits. None: the usual limits, but no limit for pictures from this computer itself.
    """

    def __init__(self, pictures_per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        rate = PICTURES_PER_SECOND if pictures_per_second is None else pictures_per_second
        self._spare_this_computer = pictures_per_second is None
        self._limited = bool(rate)
        if rate:
            self._pictures = _Limit(rate, PICTURES_BURST_S, "pictures", clock)
            self._requests = _Limit(rate / REQUESTS_SHARE, REQUESTS_BURST_S, "requests", clock)
            self._pages = _Limit(rate, REQUESTS_BURST_S, "requests", clock)

    def take_picture(self, address: str | None) -> None:
        """Counts a picture. Raises TooManyRequests."""
        if self._limited and not self._spared(address):
            self._pictures.take(address)

    def worked(self, address: str | None, seconds: float) -> None:
        """Counts the work that a picture took beyond `PICTURE_S` seconds."""
        if self._limited and seconds > PICTURE_S and not self._spared(address):
            self._pictures.charge(address, seconds / PICTURE_S - 1)

    def take_request(self, address: str | None) -> None:
        """Counts any other request to the API. Raises TooManyRequests."""
        if self._limited:
            self._requests.take(address)

    def take_page(self, address: str | None) -> None:
        """Counts a page, or a part of one. Raises TooManyRequests."""
        if self._limited:
            self._pages.take(address)

    def _spared(self, address: str | None) -> bool:
        return self._spare_this_computer and address in ("127.0.0.1", "::1")


def rate_limits(limits: VisitorLimits) -> Blueprint:
    """Counts every request before it is answered. Over the limit the answer is 429."""
    api = Blueprint("rate_limits", __name__)

    @api.before_app_request
    def count() -> Response | None:
        try:
            if request.path == _ANALYZE:
                limits.take_picture(request.remote_addr)
            elif request.path.startswith(_LIMITED):
                limits.take_request(request.remote_addr)
            else:
                limits.take_page(request.remote_addr)
        except TooManyRequests as error:
            return refusal(str(error), 429, retry_after_s=error.retry_after_s)
        return None

    return api
