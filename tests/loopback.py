"""Servers on loopback that answer as a test wants, and an HTTP camera that can die, hang and return."""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from tests.numbered_pictures import number_picture


@contextmanager
def http_server(handler: Callable[[http.server.BaseHTTPRequestHandler], None], port: int = 0) -> Iterator[int]:
    """A server on loopback that answers every GET with `handler`; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):  # the other side left
                handler(self)
            self.close_connection = True

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="test-server")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)


@dataclass
class NetworkCamera:
    """An HTTP camera (MJPEG) that can die, hang and return.

    `mode`: `live`, `silent` (hangs), `closes` (each connection after a second), `dead`, `garbage`, or `damaged` (every third
    picture is cut short and full of noise). `image` can be changed at any time.
    """

    image: np.ndarray
    mode: str = "live"
    sent: int = 0

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if self.mode == "dead":
            request.send_error(503)
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=camera")
        request.end_headers()
        opened = time.monotonic()
        deadline = opened + 120
        while time.monotonic() < deadline:
            mode = self.mode
            if mode == "dead" or (mode == "closes" and time.monotonic() > opened + 1):
                return
            if mode == "garbage":
                request.wfile.write(os.urandom(20_000))
            if mode in ("live", "closes", "damaged"):
                image = self.image.copy()
                number_picture(image, self.sent % 4096)
                self.sent += 1
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                if mode == "damaged" and self.sent % 3 == 0:
                    jpeg = jpeg[:700] + os.urandom(3000)
                head = f"--camera\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                request.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(1 / 25)
