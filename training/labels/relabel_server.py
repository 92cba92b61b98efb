"""The relabelling page, for this machine's browser only.

Other websites in the same browser must not read faces or write decisions. So the address holds a secret, the Host header
must name this machine (a rebound name does not), and requests that write must come from the page itself (Origin).
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2

from common.errors import DatasetError
from common.places import STATIC
from training.labels.decisions import CHOICES, LABELS, Journal
from training.labels.relabel_queue import Doubt

ADDRESS = "127.0.0.1"
_PAGE = Path(__file__).parent / "relabel_page"
_FILES = {
    "": (_PAGE / "index.html", "text/html; charset=utf-8"),
    "page.css": (_PAGE / "page.css", "text/css; charset=utf-8"),
    "page.js": (_PAGE / "page.js", "text/javascript; charset=utf-8"),
    "icon.svg": (STATIC / "icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST_REQUEST = 1000  # bytes of a decision
_LABEL_WORDS = {value: key for key, value in LABELS.items()}


class RelabelServer(ThreadingHTTPServer):
    """Shows `queue` and writes a person's decisions into `journal`, under the name `by`.

    `port` 0 takes a free one. `address` is the address to open. Raises DatasetError if the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # on Windows it would share a port with another program

    def __init__(self, queue: list[list[Doubt]], journal: Journal, *, by: str, port: int = 0) -> None:
        self.secret = secrets.token_urlsafe(16)
        self.clusters, self.journal, self.by = queue, journal, by
        self.doubts = [doubt for cluster in queue for doubt in cluster]
        self.numbers = {doubt.key: i for i, doubt in enumerate(self.doubts)}
        self.lock = threading.Lock()  # one decision after another, so that each answer describes one state
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"can't be used ({error})"
            raise DatasetError(f"Port {port} {why}; choose another one with --port.") from error
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    @property
    def address(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/{self.secret}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # it is not worth a line when a browser leaves
            print(f"A request failed: {type(error).__name__}: {error}.", file=sys.stderr, flush=True)

    def state(self) -> dict[str, Any]:
        """What the page shows: clusters of faces, and the decision on each by its number, from a person or `automatic`."""
        numbers = iter(range(len(self.doubts)))
        return {
            "clusters": [[self._described(next(numbers), doubt) for doubt in cluster] for cluster in self.clusters],
            "decided": self.decided(),
        }

    def decided(self) -> dict[int, str]:
        standing = self.journal.standing()
        return {
            self.numbers[key]: "automatic" if one.automatic else one.choice
            for key, one in standing.items()
            if key in self.numbers
        }

    @staticmethod
    def _described(number: int, doubt: Doubt) -> dict[str, Any]:
        return {
            "number": number,
            "set": doubt.key[0],
            "name": doubt.key[1],
            "label": _LABEL_WORDS[doubt.label],
            "smile": None if doubt.probability is None else round(doubt.probability, 4),
            "why": doubt.why,
        }


class _Handler(BaseHTTPRequestHandler):
    server: RelabelServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "relabel", ""
    timeout = 60  # seconds for a client that says nothing

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path in _FILES:
            file, kind = _FILES[path]
            self._answer(200, file.read_bytes(), kind)
        elif path == "queue":
            self._answer_json(200, self.server.state())
        elif path.startswith("faces/") and (face := self._face(path.removeprefix("faces/"))) is not None:
            self._answer(200, cv2.imencode(".png", self.server.doubts[face].wide)[1].tobytes(), "image/png")
        else:
            self._refuse(404, "There is nothing here.")

    def do_POST(self) -> None:
        body, path = self._body(), self._path()  # read even if it is refused: closing early may lose the answer
        if path is None:
            return
        if self.headers.get("Origin", "") not in {f"http://{host}" for host in self.server.hosts}:
            self._refuse(403, "Decisions are taken from the relabelling page only.")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(415, "Decisions come as JSON.")
        elif path == "decide":
            self._decide(body)
        elif path == "undo":
            self._undo()
        else:
            self._refuse(404, "There is nothing here.")

    def _decide(self, body: Any) -> None:
        face, choice = (body.get("face"), body.get("choice")) if isinstance(body, dict) else (None, None)
        if not (type(face) is int and 0 <= face < len(self.server.doubts) and choice in CHOICES):
            self._refuse(400, "That is not a decision on one of these faces.")
            return

        def decide() -> int:
            self.server.journal.add([(self.server.doubts[face].key, choice)], self.server.by)
            return face

        self._write(decide)

    def _undo(self) -> None:
        def undo() -> int | None:
            key = self.server.journal.undo(self.server.numbers)
            return None if key is None else self.server.numbers[key]

        self._write(undo)

    def _write(self, change: Callable[[], int | None]) -> None:
        with self.server.lock:
            try:
                face = change()
            except OSError as error:
                print(f"A decision could not be written: {error}.", file=sys.stderr, flush=True)
                self._refuse(507, f"The decision could not be written: {error.strerror or error}.")
                return
            decided = self.server.decided()
        self._answer_json(200, {"face": face, "decision": decided.get(face) if face is not None else None})

    def _face(self, text: str) -> int | None:
        number = text.removesuffix(".png")
        inside = number.isascii() and number.isdigit() and len(number) < 9 and int(number) < len(self.server.doubts)
        return int(number) if inside else None

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= _LONGEST_REQUEST):
            self.close_connection = True  # unread data must not be taken for the next request
            return None
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None

    def _path(self) -> str | None:
        """The path after the secret; None if the request has been refused."""
        if self.headers.get("Host", "") not in self.server.hosts:
            self._refuse(403, "This page only answers at its own address.")
            return None
        secret, slash, rest = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(secret.encode(), self.server.secret.encode()):
            self._refuse(404, "Open the address that `python -m training.relabel` printed; it changes with each start.")
            return None
        return rest

    def _refuse(self, status: int, sentence: str) -> None:
        self._answer(status, (sentence + "\n").encode(), "text/plain; charset=utf-8")

    def _answer_json(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing, so that pictures don't fill the terminal."""
