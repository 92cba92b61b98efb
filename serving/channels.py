"""Connections: how long a request may take to come in, and which connection closes when there are too many.

All of this happens in waitress's main thread, before the app sees a request. Visitors who send nothing, or one byte at a
time, take neither everybody's places nor all the memory:

- a head has `HEAD_S` seconds, counted from the connection or from its first byte; a body has a little longer, and more the
  more of it has come;
- where all connections are taken, the visitor with the most loses one, an idle one first;
- where unfinished bodies fill their memory, the visitor who holds the most loses the largest.

A visitor is an address; of an IPv6 address the first 48 bits count. Behind `trusted_proxies` proxies it is the address that
they name, once a request's head is there.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, defaultdict
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import WSGITask
from waitress.utilities import Error

from common.visitor_limits import network_number
from serving.bounded_requests import Bodies, BoundedRequest, Overloaded, TooSlow
from serving.json_refusals import JsonErrorTask
from serving.receiver import Receiver
from web.refusals import Refusals

HAS_ROOM = "smile.has_room"  # the key in a request's environment; see `serving.receiver`
HEAD_S = 10.0
BODY_S, BODY_BYTES_PER_S = 15.0, 16_384  # even a slow phone sends more
_LINGER_S, _LINGER_BYTES = 3.0, 64 << 20


class Doorkeeper:
    """What the connections of one server share. `most_connections`: the limit for all; `proxies`: how many are trusted."""

    def __init__(self, most_connections: int, refusals: Refusals, *, proxies: int = 0, bodies: Bodies | None = None) -> None:
        self.most_connections = most_connections
        self.refusals = refusals
        self.proxies = proxies
        self.bodies = bodies or Bodies()
        self.accepted = self.received = 0  # connections, and bytes

    def channel(self, server: Any, connection: socket.socket, address: Any, adj: Any, map: Any = None) -> GuardedChannel:
        """The connection as waitress's `channel_class` expects it."""
        self.accepted += 1
        channel = GuardedChannel(self, server, connection, address, adj, map=map)
        self._make_room(server, channel)
        return channel

    def maintain(self, server: Any) -> None:
        """Call it about once a second."""
        now = time.monotonic()
        for channel in list(server.active_channels.values()):
            channel.look_at_the_clock(now)

    def make_room_for_body(self, request: BoundedRequest, channel: GuardedChannel) -> bool:
        """Takes the largest unfinished body from the visitor who holds most. False if that is `request` itself."""
        unfinished: dict[int, list[GuardedChannel]] = defaultdict(list)
        for other in channel.server.active_channels.values():
            if other.held:
                unfinished[other.visitor].append(other)
        most = max(unfinished.values(), key=lambda channels: sum(one.held for one in channels), default=[channel])
        largest = max(most, key=lambda one: one.held)
        self.refusals.count("bodies")
        if largest is channel:
            return False
        largest.refuse(Overloaded("too many bodies"))
        return True

    def _make_room(self, server: Any, newcomer: GuardedChannel) -> None:
        """If there is one connection too many, closes one of the visitor with most, an idle one if possible."""
        channels = [channel for channel in server.active_channels.values() if not channel.will_close]
        if len(channels) <= self.most_connections:
            return
        counts = Counter(channel.visitor for channel in channels)
        visitor, most = counts.most_common(1)[0]
        given_up = min((one for one in channels if one.visitor == visitor), key=_use)
        if given_up.requests and most <= counts[newcomer.visitor]:  # nobody has too many of them
            given_up = min(channels, key=_use)
        given_up.will_close = True
        self.refusals.count("connections")


def _use(channel: GuardedChannel) -> tuple[bool, float]:
    """The sort key by which connections close: first those that are idle, for the longest time."""
    return bool(channel.requests), channel.last_activity


class _Task(WSGITask):
    """One request on its way through the app. It tells the app how far the visitor's computer has read."""

    def get_environment(self) -> dict[str, Any]:
        environ = super().get_environment()
        environ[HAS_ROOM] = Receiver(self.channel.socket).has_room
        return environ


class GuardedChannel(HTTPChannel):
    """One connection."""

    task_class = _Task
    error_task_class = JsonErrorTask
    lingers = False  # its last answer is a refusal
    request: BoundedRequest | None

    def __init__(self, keeper: Doorkeeper, server: Any, connection: Any, address: Any, adj: Any, map: Any = None) -> None:
        self.keeper = keeper
        self._begun_at: float | None = time.monotonic()  # when the incoming request began; None: there is none
        self._linger_until = 0.0
        self._drained = 0
        self._peer = network_number(address[0]) if isinstance(address, tuple) and not keeper.proxies else 0
        self._said = 0
        super().__init__(server, connection, address, adj, map=map)

    @property
    def visitor(self) -> int:
        """Whose connection it is; 0 until a proxy has said."""
        return self._said or self._peer

    @property
    def held(self) -> int:
        """How many bytes of an unfinished body are in memory."""
        return self.request.held if self.request is not None else 0

    def parser_class(self, adj: Any) -> BoundedRequest:
        return BoundedRequest(adj, self.keeper.bodies, lambda request: self.keeper.make_room_for_body(request, self))

    def received(self, data: bytes) -> bool:
        self.keeper.received += len(data)
        if self.request is None and self._begun_at is None:
            self._begun_at = time.monotonic()
        going_on = super().received(data)
        request = self.request
        if request is None:
            self._begun_at = None
        elif request.headers_finished and self.keeper.proxies:
            hops = request.headers.get("X_FORWARDED_FOR", "").split(",")[-self.keeper.proxies :]
            self._said = network_number(hops[0].strip())
        return going_on

    def refuse(self, error: Error) -> None:
        """Answers the incoming request without waiting for the rest of it. Called in waitress's main thread."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is None:
                return
            request.refuse(error)
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)
        self._begun_at = None

    def look_at_the_clock(self, now: float) -> None:
        """Ends a request that takes too long."""
        if self._linger_until:
            if now > self._linger_until:
                self.handle_close()
            return
        if self._begun_at is None or self.will_close:
            return
        if self.requests:  # the next one waits for its turn
            self._begun_at = now
            return
        request, waited = self.request, now - self._begun_at
        if request is None or not request.headers_finished:
            if waited > HEAD_S:
                self.keeper.refusals.count("slow_head")
                if request is None:
                    self.handle_close()
                else:
                    self.refuse(TooSlow("head"))
        elif waited > BODY_S + request.body_bytes_received / BODY_BYTES_PER_S:
            self.keeper.refusals.count("slow_body")
            self.refuse(TooSlow("body"))

    # A refusal must arrive even while the visitor still sends. Closing a socket with unread data in it takes back what was
    # sent. So our half is closed, and what still comes is thrown away for a moment.

    def readable(self) -> bool:
        return bool(self._linger_until) or super().readable()

    def writable(self) -> bool:
        return False if self._linger_until and not self.will_close else super().writable()

    def handle_write(self) -> None:
        if not (self.lingers and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif not self.total_outbufs_len:
            self._linger()

    def handle_read(self) -> None:
        if not self._linger_until:
            super().handle_read()
            return
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._drained += len(data)
        if not data or self._drained > _LINGER_BYTES:
            self.handle_close()

    def _linger(self) -> None:
        self._linger_until = time.monotonic() + _LINGER_S
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def handle_close(self) -> None:
        if self.request is not None:
            self.request.close()  # its memory is free again
        super().handle_close()
