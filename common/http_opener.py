"""Requests over http and https, with the user name and password from the address (Basic or Digest)."""

from __future__ import annotations

import ssl
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit


class _Closing(urllib.request.BaseHandler):
    """Closes the answer that asked for a password once the next one is there. urllib leaves that to the garbage
    collector.
    """

    def http_error_401(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            answer = super().http_error_401(req, fp, code, msg, headers)  # type: ignore[misc]
        except Exception:
            fp.close()
            raise
        if answer is not None:
            fp.close()
        return answer


class _Basic(_Closing, urllib.request.HTTPBasicAuthHandler): ...


class _Digest(_Closing, urllib.request.HTTPDigestAuthHandler): ...


def opener_for(url: str) -> urllib.request.OpenerDirector:
    """An opener for http and https only, with the user name and password in `url`. Certificates are not checked, because
    cameras sign their own.
    """
    parts = urlsplit(url)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    if parts.username is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, without_user(url), unquote(parts.username), unquote(parts.password or ""))
        opener.add_handler(_Basic(passwords))
        opener.add_handler(_Digest(passwords))
    return opener


def without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
