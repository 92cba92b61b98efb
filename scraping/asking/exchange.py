"""One HTTP request and its answer, with limits on time, size and addresses.

Redirects are not followed here, because the next address must be allowed and wait its turn like any other.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from common.errors import FetchError
from common.version import HOME, VERSION

USER_AGENT = f"DadJokesForSmiles/{VERSION} (+{HOME})"
PRODUCT = USER_AGENT.partition("/")[0]  # our name in robots.txt

_REDIRECTS = (301, 302, 303, 307, 308)
_SLOWEST = 3  # a whole answer may take so many times the limit of one wait


@dataclass(frozen=True)
class Answer:
    """`status` is 200 with a `body`, or a redirect with a `location`. `kind`: the media type, in small letters."""

    url: str
    status: int
    kind: str
    charset: str | None = None
    body: bytes = b""
    location: str = ""


def open_session(connections: int) -> requests.Session:
    """A session that keeps no cookies, names itself, sends no password, and never repeats a request by itself."""
    session = requests.Session()
    session.auth = _no_password
    session.headers["User-Agent"] = USER_AGENT
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))
    return session


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from sending what ~/.netrc holds for the host."""
    return request


def close_session(session: requests.Session) -> None:
    """Closes its connections now and does not leave that to the garbage collector."""
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            pools = adapter.poolmanager.pools
            for key in pools.keys():  # noqa: SIM118 (it can't be iterated over)
                pools[key].close()
    session.close()


def exchange(
    session: requests.Session,
    url: str,
    *,
    max_bytes: int,
    timeout_s: float,
    headers: Mapping[str, str],
    wall: Callable[[], float] = time.time,
    stopping: Callable[[], bool] = lambda: False,
) -> Answer:
    """GET `url` once. `timeout_s`: to connect and for each pause; three times that for the whole answer. `wall`: seconds
    since 1970.

    Raises FetchError for everything but a whole answer with status 200 and a redirect.
    """
    deadline = time.monotonic() + _SLOWEST * timeout_s
    try:
        with session.get(url, headers=dict(headers), timeout=timeout_s, allow_redirects=False, stream=True) as response:
            if response.status_code in _REDIRECTS:
                return Answer(url, response.status_code, "", location=_location(response, url))
            if response.status_code != 200:
                raise _refusal(response, wall)
            body = bytearray()
            while chunk := response.raw.read1(65536, decode_content=True):
                body += chunk
                if len(body) > max_bytes:
                    raise FetchError("too_large", f"more than {max_bytes >> 20} MB")
                if time.monotonic() > deadline or stopping():
                    raise FetchError("timeout", f"not complete after {_SLOWEST * timeout_s:g} s")
            return Answer(url, 200, *_media_type(response), bytes(body))
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise FetchError("timeout", f"no answer within {timeout_s:g} s") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
        raise FetchError("bad_url", "no usable address") from error
    except requests.exceptions.SSLError as error:
        raise FetchError("connection", "the connection is not safe (its certificate is not valid)") from error
    except urllib3.exceptions.DecodeError as error:
        raise FetchError("truncated", "damaged on the way") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        if any(isinstance(cause, http.client.IncompleteRead) for cause in (error, *error.args)):
            raise FetchError("truncated", "cut off on the way") from error
        raise FetchError("connection", "no connection, or it was lost") from error


def host_of(url: str) -> str:
    """The host of `url`: `www.gettyimages.com` or `127.0.0.1:8080`."""
    return urlsplit(url).netloc.lower()


def _location(response: requests.Response, url: str) -> str:
    with contextlib.suppress(ValueError):
        # Servers write UTF-8 where HTTP says Latin-1.
        return urljoin(url, response.headers.get("Location", "").encode("latin-1", "replace").decode("utf-8", "replace"))
    return ""


def _media_type(response: requests.Response) -> tuple[str, str | None]:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind, requests.utils.get_encoding_from_headers(response.headers) if "charset" in str(
        response.headers.get("Content-Type", "")
    ) else None


def _refusal(response: requests.Response, wall: Callable[[], float]) -> FetchError:
    status = response.status_code
    wait_s = _wait_s(response.headers.get("Retry-After", ""), wall())
    if status in (404, 410):
        return FetchError("gone", f"HTTP {status}")
    if status == 429:
        return FetchError("rate_limited", "HTTP 429", wait_s=wait_s)
    if status >= 500:
        return FetchError("server_error", f"HTTP {status}", wait_s=wait_s)
    if status in (408, 425):
        return FetchError("timeout", f"HTTP {status}", wait_s=wait_s)
    return FetchError("refused", f"HTTP {status}")


def _wait_s(text: str, wall_s: float) -> float | None:
    """Retry-After in seconds, from a whole number or a date. None if there is none that can be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - wall_s)
    except (ValueError, TypeError, OverflowError):
        return None
