"""Ask politely: only what robots.txt allows, one request at a time, with growing pauses between tries, and not for ever.

client = PoliteClient("https://www.gettyimages.com", Pace(2.0, 2))
client.get("https://www.gettyimages.com/photos/smile").body
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

from common.errors import FetchError, ScrapingStopped
from scraping.asking.assets import clean_url
from scraping.asking.exchange import PRODUCT, Answer, close_session, exchange, host_of, open_session
from scraping.asking.pace import Pace
from scraping.asking.robots import ALLOW_ALL, Robots

MAX_PAGE_BYTES = 16 << 20
_MAX_ROBOTS_BYTES = 512 << 10  # RFC 9309 asks for at least 500 KiB
_MAX_REDIRECTS = 5
_GOOD_FOR_S = 24 * 3600.0  # after that robots.txt is read again
_MOST_REFUSALS = 20  # in a row: the site wants no more requests from us
_MOST_IN_A_ROW = 5  # addresses in a row that failed for a passing reason: the site is in trouble


class PoliteClient:
    """A polite client for one site. Safe to use from many threads. Close it at the end.

    It asks the host of `site`, hosts below the same domain, and `allow_hosts`, but nobody else. Each address gets `tries`;
    the pauses between them begin with `retry_pause_s` and double. If the site asks to be left alone for more than
    `longest_wait_s`, the run ends.
    """

    def __init__(
        self,
        site: str,
        pace: Pace,
        *,
        allow_hosts: tuple[str, ...] = (),
        timeout_s: float = 20.0,
        tries: int = 5,
        retry_pause_s: float = 5.0,
        longest_wait_s: float = 900.0,
        connections: int = 4,
    ) -> None:
        host = (urlsplit(site).hostname or "").lower()
        self._domains = (host.removeprefix("www.").removeprefix("api."), *(name.lower() for name in allow_hosts))
        self._pace = pace
        self._timeout_s = timeout_s
        self._tries = tries
        self._retry_pause_s = retry_pause_s
        self._longest_wait_s = longest_wait_s
        self._session = open_session(connections)
        self._robots: dict[str, tuple[float, Robots]] = {}
        self._reading_robots = threading.Lock()
        self._in_a_row: Counter[str] = Counter()  # failures of each host
        self._refusals: Counter[str] = Counter()

    def close(self) -> None:
        close_session(self._session)

    def is_ours(self, url: str) -> bool:
        """Whether the address is on the site, or on a host that the user named."""
        host = (urlsplit(url).hostname or "").lower()
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains if domain)

    def robots_allow(self, url: str) -> bool:
        """Whether robots.txt of its host lets us ask for `url`. That file is read when it is first needed."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self._robots_of(f"{parts.scheme}://{parts.netloc}").allows(path)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_PAGE_BYTES,
        robots: bool = True,
        redirects: bool = True,
        check: Callable[[Answer], None] = lambda answer: None,
        patient: bool = True,
    ) -> Answer:
        """The whole answer from `url`, or from where it leads. `check` may raise FetchError for an answer that is not good
        enough. `patient`: also one that comes cut off is asked for again, after a pause for everybody.

        Raises FetchError if there is none after all tries, ScrapingStopped if it is no use to go on.
        """
        for i in range(self._tries):
            try:
                answer = self._follow(url, headers or {}, max_bytes, robots=robots, redirects=redirects)
                check(answer)
            except FetchError as error:
                if not error.passing or (error.kind == "truncated" and not patient):
                    self._in_a_row[host_of(url)] = 0
                    self._count_refusal(error, url)
                    raise
                if i + 1 == self._tries:
                    self._count_failure(error, url)
                    raise
                self._wait(error, self._retry_pause_s * 2**i, url)
            else:
                self._in_a_row[host_of(url)] = self._refusals[host_of(url)] = 0
                return answer
        raise AssertionError("unreachable")

    def _follow(self, url: str, headers: Mapping[str, str], max_bytes: int, *, robots: bool, redirects: bool) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            if not self.is_ours(url):
                raise FetchError("other_host", f"it is on {host_of(url)}")
            if robots and not self.robots_allow(url):
                raise FetchError("robots", f"robots.txt of {host_of(url)} does not allow {urlsplit(url).path}")
            answer = self._exchange(url, headers, max_bytes)
            if answer.status == 200:
                return answer
            if not redirects:
                raise FetchError("refused", f"HTTP {answer.status}, which leads elsewhere")
            followed = clean_url(answer.location)
            if followed is None:
                raise FetchError("bad_url", "it leads to an address that can't be used")
            url = followed
        raise FetchError("redirects", f"more than {_MAX_REDIRECTS} redirects")

    def _exchange(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Answer:
        clock = self._pace.clock
        with self._pace.turn(host_of(url)):
            return exchange(
                self._session,
                url,
                max_bytes=max_bytes,
                timeout_s=self._timeout_s,
                headers=headers,
                wall=clock.wall,
                stopping=clock.stopping,
            )

    def _wait(self, error: FetchError, pause_s: float, url: str) -> None:
        wait_s = self._pace.jittered(pause_s)
        if error.wait_s is not None:
            if error.wait_s > self._longest_wait_s:
                raise ScrapingStopped(
                    f"{host_of(url)} asks to be left alone for {_minutes(error.wait_s)}; "
                    f"run the same command again after that."
                ) from error
            wait_s = max(wait_s, error.wait_s)
        self._pace.hold(wait_s)

    def _count_failure(self, error: FetchError, url: str) -> None:
        self._in_a_row[host_of(url)] += 1
        if error.kind == "rate_limited" or self._in_a_row[host_of(url)] >= _MOST_IN_A_ROW:
            what = "asks for fewer requests" if error.kind == "rate_limited" else "is in trouble"
            raise ScrapingStopped(
                f"{host_of(url)} {what} ({error}, after {self._tries} tries with growing pauses); "
                f"run the same command again later."
            ) from error

    def _count_refusal(self, error: FetchError, url: str) -> None:
        if error.kind not in ("refused", "not_a_picture", "truncated"):
            return
        self._refusals[host_of(url)] += 1
        if self._refusals[host_of(url)] >= _MOST_REFUSALS:
            if error.kind == "truncated":
                what, then = "sent {} damaged pictures", "run the same command again later"
            else:
                what, then = "refused {} pictures", "find out why, and run the same command with --retry-failed then"
            raise ScrapingStopped(f"{host_of(url)} has {what.format(_MOST_REFUSALS)} in a row ({error}); {then}.") from error

    def _robots_of(self, origin: str) -> Robots:
        with self._reading_robots:
            read_at, rules = self._robots.get(origin, (0.0, None))
            now = self._pace.clock.now()
            if rules is None or now - read_at > _GOOD_FOR_S:
                rules = self._read_robots(origin)
                self._robots[origin] = (now, rules)
                self._pace.set_delay(host_of(origin), rules.crawl_delay_s)
            return rules

    def _read_robots(self, origin: str) -> Robots:
        """RFC 9309, 2.3.1: a missing file (4xx) allows everything; a server out of reach (5xx, no answer) forbids
        everything.
        """
        url = urljoin(origin, "/robots.txt")
        for i in range(self._tries):
            try:
                answer = self._follow(url, {}, _MAX_ROBOTS_BYTES, robots=False, redirects=True)
                return Robots.parse(answer.body.decode("utf-8", "replace"), PRODUCT)
            except FetchError as error:
                if error.kind in ("gone", "refused", "redirects"):
                    return ALLOW_ALL
                if not error.passing or i + 1 == self._tries:
                    raise ScrapingStopped(
                        f"{url} can't be read ({error}), so nothing may be fetched; check the address, or run it "
                        f"again later."
                    ) from error
                self._wait(error, self._retry_pause_s * 2**i, url)
        raise AssertionError("unreachable")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
