"""The real server in this process, for tests of connections that misbehave: its limits can be changed."""

import contextlib
import errno
import http.client
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from common.settings import Settings
from serving.server import make_server
from tests.waiting import PATIENCE_S
from web.application import close_app, create_app

ELSEWHERE = "127.0.0.2"  # another address of this computer: Linux has all of 127.0.0.0/8
HEAD = "POST /api/v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Served:
    """The real server in this process, whose limits a test can change."""

    def __init__(self, **options) -> None:
        settings = Settings(**{"source": "none", "joke_url": "", "board": "none", "viewer_limit": 1, **options})
        self.app = create_app(settings)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = make_server(self.app, self.listener, settings)
        self.keeper = self.server.channel_class.__self__
        self.port = self.listener.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="served")
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.server.asyncore.loop(timeout=0.05, map=self.server._map, use_poll=True, count=1)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(120)
        close_app(self.app)
        for channel in list(self.server.active_channels.values()):
            channel.handle_close()
        self.server.task_dispatcher.shutdown(timeout=5)
        self.server.close()
        self.listener.close()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S, source_address=(source, 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                pytest.skip("needs all of 127.0.0.0/8 for addresses of this computer")
            raise

    def get(self, path: str, source: str = "127.0.0.1", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S, source_address=(source, 0))
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    @property
    def refused(self) -> dict[str, int]:
        return {reason: count for reason, count in self.app.extensions["refusals"].counts().items() if count}


def serving() -> Iterator[Callable[..., Served]]:
    """For a fixture: a function that starts servers, which end after the test."""
    running = []

    def start(**options) -> Served:
        running.append(Served(**options))
        return running[-1]

    yield start
    for served in running:
        served.close()


def answer(connection: socket.socket) -> tuple[int, dict, bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, dict(response.headers), response.read()
