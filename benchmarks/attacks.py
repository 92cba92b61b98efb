"""Attack the app without end, for `benchmarks.hostile`: `python -m benchmarks.attacks NAME PORT`."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

_HEAD = "POST /api/v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_PADDING = (b"\xff\xd8" + b"\xff" * (2 << 20), b"\xff\xd8" + b"\xff\x01" * (1 << 20))


def _connect(port: int) -> socket.socket:
    """Connects from another address of this computer if it has one, as Linux does."""
    with suppress(OSError):
        return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.0.2", 0))
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _at_once(count: int, act: Callable[[int], None]) -> None:
    """Runs `act` again and again in so many threads, whatever happens, for as long as the process lives."""

    def work(number: int) -> None:
        while True:
            with suppress(OSError, http.client.HTTPException):
                act(number)
            time.sleep(0.01)  # the app may be gone

    for number in range(1, count):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    work(0)


def padding(port: int) -> None:
    """JPEGs that begin and never become a picture, 2 MB each, 16 at once."""

    def act(number: int) -> None:
        with _connect(port) as connection:
            data = _PADDING[number % 2]
            connection.sendall(f"{_HEAD}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            http.client.HTTPResponse(connection).begin()

    _at_once(16, act)


def unfinished_bodies(port: int) -> None:
    """80 uploads of 12.9 MB that stop one byte short and stay open. A refused one comes again."""
    size, piece = 12_900_000, bytes(1 << 16)

    def act(_: int) -> None:
        with _connect(port) as connection:
            connection.sendall(f"{_HEAD}Content-Length: {size}\r\n\r\n".encode())
            left = size - 1
            while left:
                left -= connection.send(piece[:left])
            connection.settimeout(None)
            connection.recv(1000)

    _at_once(80, act)


def half_open(port: int) -> None:
    """400 connections that send one byte in five seconds."""
    connections: list[socket.socket] = []
    while True:
        with suppress(OSError):
            while len(connections) < 400:
                connections.append(_connect(port))
        kept = []
        for connection in connections:
            try:
                connection.send(b"G")
                kept.append(connection)
            except OSError:
                connection.close()
        connections = kept
        time.sleep(5.0)


def tiny_chunks(port: int) -> None:
    """Bodies in chunks of one byte, and bodies sent one byte at a time, eight at once each."""
    chunks = b"1\r\nx\r\n" * 20_000

    def act(number: int) -> None:
        with _connect(port) as connection:
            if number % 2:
                connection.sendall(f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
                http.client.HTTPResponse(connection).begin()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(f"{_HEAD}Content-Length: 1000000\r\n\r\n".encode())
            while True:
                connection.sendall(b"x")
                time.sleep(0.0005)  # if sent faster, the system would join the bytes

    _at_once(16, act)


ATTACKS = {"padding": padding, "bodies": unfinished_bodies, "half_open": half_open, "chunks": tiny_chunks}

if __name__ == "__main__":
    print("begun", flush=True)
    with suppress(KeyboardInterrupt):
        ATTACKS[sys.argv[1]](int(sys.argv[2]))
