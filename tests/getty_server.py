"""A site like Getty Images on loopback, for tests: every known layout, the API, real JPEGs, and bad manners on request.

    with GettyServer({"smile": pages_of("smile", 3, 20)}) as server:
        server.faults["pic1007"] = Fault("truncate", times=1)
        main(["smile", "--site", server.url, ...])
        server.requests                                     # what was asked, when, and of whom

Pages and API are on one port, pictures on another: two hosts. Written from what is known of the site; nothing is copied.
"""

from __future__ import annotations

import contextlib
import html
import http.server
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

from tests.getty_pages import Card, GettyPages, jpeg


@dataclass
class Fault:
    """`kind`: status, html, no_cards (of a page), to_html, to_stranger, loop, truncate, cut, garbage, empty, tiny, endless,
    silent, trickle, reset, wrong_type, png. It lasts for so many requests; None: for all.
    """

    kind: str
    code: int = 500
    times: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    began: float
    ended: float
    port: int
    path: str
    headers: Mapping[str, str]


class GettyServer(GettyPages):
    """`results`: the pages of each term. `layout` one of LAYOUTS, or anything else for a page without a card."""

    def __init__(self, results: Mapping[str, Sequence[Sequence[Card]]], *, layout: str = "microdata") -> None:
        self.results = dict(results)
        self.layout = layout
        self.robots = "User-agent: *\nDisallow: /private\n"
        self.past_the_end = "empty"  # or: again, gone
        self.says_last_page = True  # in a pager, and as the API's count of results
        self.picture_host = ""  # another name for where the pictures are
        self.key = ""  # if set, the API wants it
        self.slowness_s = 0.0  # of each picture
        self.faults: dict[str, Fault] = {}  # by pic<id>, page<number>, robots, media_robots or api
        self.requests: list[Request] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._servers: list[http.server.ThreadingHTTPServer] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> GettyServer:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):  # the other side left
                    outer._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        for name in ("getty-site", "getty-media"):
            server = _Server(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name=name)
            thread.start()
            self._servers.append(server)
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def media_url(self) -> str:
        host = self.picture_host or "127.0.0.1"
        return f"http://{host}:{self._servers[1].server_port}"

    def paths(self, part: str = "") -> list[str]:
        """What was asked for, in order of the answers' ends, if `part` is in it."""
        with self._lock:
            return [request.path for request in self.requests if part in request.path]

    def pictures(self) -> Counter[str]:
        """How often each picture was asked for, by id."""
        return Counter(path.partition("/id/")[2].partition("/")[0] for path in self.paths("/id/"))

    def pages(self) -> Counter[tuple[str, int]]:
        """How often each page of results was asked for."""
        asked = (parse_qs(urlsplit(path).query) for path in self.paths("phrase="))
        return Counter((query["phrase"][0], int(query["page"][0])) for query in asked)

    # --- answering ---

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        began = time.monotonic()
        port = request.connection.getsockname()[1]
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        noted = False

        def note() -> None:  # just before the last byte: whoever has the answer finds it noted
            nonlocal noted
            if noted:
                return
            noted = True
            with self._lock:
                self.at_once -= 1
                seen = Request(began, time.monotonic(), port, request.path, dict(request.headers))
                self.requests.append(seen)

        try:
            self._route(request, port, note)
        finally:
            note()

    def _route(self, request: http.server.BaseHTTPRequestHandler, port: int, note: Callable[[], None]) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        send = _Sender(request, note)
        if parts.path == "/robots.txt":
            fault = self._fault("robots" if port == self._servers[0].server_port else "media_robots")
            return self._misbehave(fault, send, b"") if fault else send(self.robots.encode(), "text/plain")
        if parts.path == "/sign-in":
            return send(b"<html><body>Please sign in.</body></html>", "text/html; charset=utf-8")
        if parts.path.startswith("/loop"):
            return send(b"", "", 302, {"Location": f"/loop{len(parts.path)}{parts.path[5:]}"})
        if parts.path.startswith("/v3/search/images/"):
            fault = self._fault("api")
            return self._misbehave(fault, send, b"") if fault else self._api(request, query, send)
        if parts.path.startswith(("/search/2/image", "/photos/")):
            fault = self._fault(f"page{query.get('page', 1)}")
            return self._misbehave(fault, send, b"") if fault else self._search(query, send)
        if parts.path.startswith("/id/"):
            identity = parts.path.split("/")[2]
            data = self._bytes_of(identity)
            self._leaving.wait(self.slowness_s)
            fault = self._fault(f"pic{identity}")
            return self._misbehave(fault, send, data) if fault else send(data, "image/jpeg")
        return send(b"not here", "text/plain", 404)

    def _fault(self, name: str) -> Fault | None:
        with self._lock:
            fault = self.faults.get(name)
            if fault is None or fault.times == 0:
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault

    def _cards(self, term: str, number: int) -> Sequence[Card] | None:
        pages = self.results.get(term, [])
        if 1 <= number <= len(pages):
            return pages[number - 1]
        if self.past_the_end == "again" and pages:
            return pages[-1]
        return None if self.past_the_end == "gone" else ()

    def _bytes_of(self, identity: str) -> bytes:
        for pages in self.results.values():
            for page in pages:
                for card in page:
                    if card.id == identity:
                        return jpeg(card.picture, card.quality)
        return b""

    def _search(self, query: Mapping[str, str], send: _Sender) -> None:
        term, number = query.get("phrase", ""), int(query.get("page", 1))
        cards = self._cards(term, number)
        if cards is None:
            return send(b"<html><h1>Oops! This page is not here.</h1></html>", "text/html", 404)
        write = {"microdata": self._microdata, "module": self._module, "gallery": self._gallery}.get(self.layout)
        body = "".join(write(card) for card in cards) if write else "<div class='new-thing'>" * 3
        pages = len(self.results.get(term, []))
        if pages and self.says_last_page:
            body += self._pager(number, pages)
        elif write and not cards:
            body += f"<h2>We couldn\u2019t find any matches for {html.escape(term)}</h2>"
        page = f"<!doctype html><html><head><title>Photos</title></head><body><main>{body}</main></body></html>"
        return send(page.encode(), "text/html; charset=utf-8")

    def _api(self, request: http.server.BaseHTTPRequestHandler, query: Mapping[str, str], send: _Sender) -> None:
        if self.key and request.headers.get("Api-Key") != self.key:
            return send(b'{"ErrorCode": "AuthorizationFailed"}', "application/json", 403)
        cards = self._cards(query["phrase"], int(query["page"])) or ()
        pages = len(self.results.get(query["phrase"], []))
        count = {"result_count": pages * 100} if self.says_last_page else {}
        images = [self._in_api(card) for card in cards]
        return send(json.dumps({**count, "images": images}).encode(), "application/json; charset=utf-8")

    def _misbehave(self, fault: Fault, send: _Sender, data: bytes) -> None:
        kind = fault.kind
        if kind == "status":
            return send(b"no", "text/plain", fault.code, fault.headers)
        if kind in ("html", "wrong_type"):
            return send(b"<html><body>Are you a robot?</body></html>", "text/html" if kind == "html" else "image/jpeg")
        if kind == "no_cards":  # a page of results in a layout of next year
            body = "<main><div class='new-thing'></div></main><script>let a = 'no results';</script>"
            return send(f"<html><body>{body}</body></html>".encode(), "text/html; charset=utf-8")
        if kind == "to_html":
            return send(b"", "", 302, {"Location": f"{self.url}/sign-in"})
        if kind == "to_stranger":
            return send(b"", "", 302, {"Location": f"http://localhost:{self._servers[1].server_port}/id/1/x.jpg"})
        if kind == "loop":
            return send(b"", "", 302, {"Location": "/loop"})
        if kind == "cut":  # the server itself has no more than this
            return send(data[: len(data) * 2 // 3], "image/jpeg")
        if kind == "garbage":
            return send(data[:200] + np.random.default_rng(1).bytes(len(data)) + b"\xff\xd9", "image/jpeg")
        if kind == "empty":
            return send(b"", "image/jpeg")
        if kind == "tiny":
            return send(jpeg(1, size=(24, 16)), "image/jpeg")
        if kind == "png":
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            return send(cv2.imencode(".png", image)[1].tobytes(), "image/png")
        if kind == "reset":
            send.request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            send.request.close_connection = True
            return None
        if kind == "truncate":
            send.begin(200, "image/jpeg", {"Content-Length": str(len(data))})
            send.request.wfile.write(data[: len(data) // 2])
        elif kind == "silent":
            self._leaving.wait(20)
        else:  # trickle, endless: the answer has no end
            send.begin(200, "image/jpeg", {})
            while not self._leaving.wait(0.01 if kind == "trickle" else 0):
                send.request.wfile.write(data[:1] if kind == "trickle" else jpeg(1) * 20)
        send.request.close_connection = True
        return None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The other side was killed, or left: no news here."""


class _Sender:
    def __init__(self, request: http.server.BaseHTTPRequestHandler, note: Callable[[], None]) -> None:
        self.request = request
        self._note = note

    def begin(self, code: int, kind: str, headers: Mapping[str, str]) -> None:
        self.request.send_response(code)
        if kind:
            self.request.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.request.send_header(name, value)
        if "Content-Length" not in headers:
            self.request.send_header("Connection", "close")
            self.request.close_connection = True
        self.request.end_headers()

    def __call__(self, body: bytes, kind: str, code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.begin(code, kind, {"Content-Length": str(len(body)), **(headers or {})})
        self._note()
        self.request.wfile.write(body)
