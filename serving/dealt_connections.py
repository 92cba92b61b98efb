"""One process accepts connections and hands each to the worker that has the fewest.

If each worker accepted its own, the quickest would take the connection. On a busy machine one ends up with 26 visitors and
another with four; with SO_REUSEPORT chance decides. A browser keeps its connection while the page is open, so an uneven
start stays uneven.

A connection's file descriptor travels over a socket pair. Over the same pair a worker says how many have ended. Linux and
macOS only.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.event_log import log_event

_TOLD_EVERY_S = 0.2
_AFTER_FAILURE_S = 0.1
_COUNT = struct.Struct("!I")


class Taker:
    """A worker, as the dealer sees it at its end of `pair`."""

    def __init__(self, pair: socket.socket) -> None:
        self.pair = pair
        pair.setblocking(False)
        self.ready = False  # it has sent something
        self.dealt = 0
        self._ended = 0

    @property
    def connections(self) -> int:
        """How many connections it has, as far as the dealer knows."""
        return self.dealt - self._ended

    def listen(self) -> None:
        """Reads what the worker sent."""
        try:
            said = self.pair.recv(4096)
        except OSError:  # it sent nothing, or is gone
            return
        if len(said) >= _COUNT.size:
            self._ended = _COUNT.unpack(said[-_COUNT.size :])[0]
            self.ready = True

    def take(self, connection: socket.socket) -> bool:
        """Hands a connection over. Whether that worked."""
        try:
            socket.send_fds(self.pair, [b"c"], [connection.fileno()])
        except OSError:  # it is gone, or takes no more
            return False
        self.dealt += 1
        return True


def deal(listener: socket.socket, takers: list[Taker], *, most: int, timeout: float) -> None:
    """Waits up to `timeout` seconds for news and deals out the connections that came. One worker has at most `most`.

    While no worker is ready, or all are full, the system holds the connections.
    """
    free = [taker for taker in takers if taker.ready and taker.connections < most]
    poll = select.poll()
    if free:
        poll.register(listener, select.POLLIN)
    by_number = {taker.pair.fileno(): taker for taker in takers}
    for number in by_number:
        poll.register(number, select.POLLIN)
    for number, _ in poll.poll(1000 * timeout):
        if number in by_number:
            by_number[number].listen()
            continue
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError | ConnectionError):
                log_event("accept", level=logging.WARNING, status="failed", message=str(error))
                time.sleep(_AFTER_FAILURE_S)  # for example, no file descriptor is free; the connection still waits
            continue
        with connection:
            any(taker.take(connection) for taker in sorted(free, key=lambda taker: (taker.connections, taker.dealt)))


@contextmanager
def taking_connections(server: Any, pair: socket.socket, *, on_dealer_gone: Callable[[], None]) -> Iterator[None]:
    """Within the block, a thread hands the connections that come over `pair` to waitress's running `server`.

    That thread calls `on_dealer_gone` when the dealer has ended.
    """
    usual = server.readable

    def readable() -> bool:
        usual()  # closes idle connections
        return False  # but accepts none

    server.readable = readable
    ended = threading.Event()
    thread = threading.Thread(target=_take, args=(server, pair, ended, on_dealer_gone), name="connections", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(2 * _TOLD_EVERY_S)


def _take(server: Any, pair: socket.socket, ended: threading.Event, on_dealer_gone: Callable[[], None]) -> None:
    pair.settimeout(_TOLD_EVERY_S)
    told = -1
    handed: list[int] = [0]  # counted by waitress's thread
    while not ended.is_set():
        over = max(0, handed[0] - len(server.active_channels))
        try:
            if over != told:
                pair.sendall(_COUNT.pack(over))
                told = over
            said, numbers, _, _ = socket.recv_fds(pair, 1, 1)
        except TimeoutError:
            continue
        except OSError:
            said, numbers = b"", []
        if not said:
            if not ended.is_set():
                on_dealer_gone()
            return
        for number in numbers:
            connection = socket.socket(fileno=number)
            server.trigger.pull_trigger(lambda taken=connection: _hand_over(server, taken, handed))


def _hand_over(server: Any, connection: socket.socket, handed: list[int]) -> None:
    """Like waitress's own `handle_accept`; runs in its thread."""
    handed[0] += 1
    try:
        address = connection.getpeername()
        server.set_socket_options(connection)
    except OSError:  # the visitor has left already
        connection.close()
        return
    server.channel_class(server, connection, server.fix_addr(address), server.adj, map=server._map)
