"""Any number of viewers of `/video_feed`: plain sockets that one thread reads, each as fast as data come or slower."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field

_PART = b"\r\n--frame"
_CHUNK = 1 << 18
_SLOW_CHUNK = 4096


@dataclass(eq=False)
class Viewer:
    """One open stream. `bytes_per_second` 0: as fast as data come. `arrivals`: time and JPEG of every picture, if `keep`."""

    connection: socket.socket
    bytes_per_second: float
    keep: bool
    joined_at: float
    received: int = 0
    pictures: int = 0
    ended: bool = False  # by the app
    arrivals: list[tuple[float, bytes]] = field(default_factory=list)
    rest: bytes = b""  # the first part of a picture or a mark

    def due_at(self) -> float:
        """The time at which it may read on."""
        return self.joined_at + self.received / self.bytes_per_second if self.bytes_per_second else 0.0


class Audience:
    """Viewers that one thread reads while `watch` runs. `close` ends them all."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._pausing: list[Viewer] = []
        self._jpegs: dict[bytes, bytes] = {}  # one copy of each, however many viewers keep it
        self.viewers: list[Viewer] = []

    def __enter__(self) -> Audience:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def join(self, *, bytes_per_second: float = 0.0, keep: bool = False, receive_buffer: int = 0) -> Viewer:
        """`receive_buffer`: how many bytes its own computer takes before the viewer reads them; 0: the system's default."""
        connection = socket.socket()
        connection.settimeout(10)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", self._port))
        connection.sendall(f"GET /video_feed HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        connection.setblocking(False)
        viewer = Viewer(connection, bytes_per_second, keep, time.monotonic())
        self.viewers.append(viewer)
        self._selector.register(connection, selectors.EVENT_READ, viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._put_aside(viewer)
        if viewer in self.viewers:
            self.viewers.remove(viewer)
        viewer.connection.close()

    def close(self) -> None:
        for viewer in list(self.viewers):
            self.leave(viewer)
        self._selector.close()

    def watch(self, seconds: float) -> None:
        """Reads for so long."""
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            for viewer in [viewer for viewer in self._pausing if viewer.due_at() <= now]:
                self._pausing.remove(viewer)
                self._selector.register(viewer.connection, selectors.EVENT_READ, viewer)
            wake = min([deadline, *(viewer.due_at() for viewer in self._pausing)])
            for key, _ in self._selector.select(max(0.0, wake - now)):
                self._read(key.data)

    def _read(self, viewer: Viewer) -> None:
        try:
            data = viewer.connection.recv(_SLOW_CHUNK if viewer.bytes_per_second else _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            viewer.ended = True
            self._put_aside(viewer)
            return
        viewer.received += len(data)
        self._take(viewer, data)
        if viewer.due_at() > time.monotonic():
            self._put_aside(viewer)
            self._pausing.append(viewer)

    def _take(self, viewer: Viewer, data: bytes) -> None:
        data = viewer.rest + data
        if not viewer.keep:
            viewer.pictures += data.count(_PART)
            viewer.rest = data[-len(_PART) + 1 :]
            return
        begin = 0
        while (end := data.find(_PART, begin)) >= 0:
            jpeg = data.find(b"\xff\xd8", begin, end)
            if jpeg >= 0:
                picture = data[jpeg:end]
                viewer.arrivals.append((time.monotonic(), self._jpegs.setdefault(picture, picture)))
                viewer.pictures += 1
            begin = end + len(_PART)
        viewer.rest = data[begin:]

    def _put_aside(self, viewer: Viewer) -> None:
        if viewer in self._pausing:
            self._pausing.remove(viewer)
        elif viewer.connection.fileno() in self._selector.get_map():
            self._selector.unregister(viewer.connection)
