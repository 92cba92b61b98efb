"""Tell whether a viewer's computer has read what it was sent. On Linux, TCP says how much more that computer would take.

A slow program lets pictures pile up in its receive buffer, where they grow old. While more than half of that buffer is
unread, nothing more is sent.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

# In `struct tcp_info` of linux/tcp.h: bytes that wait here, and the window that the other side offers (Linux 6.2).
_NOT_SENT_AT, _WINDOW_AT = 144, 228
_NUMBER = struct.Struct("=I")


class Receiver:
    """The other side of `connection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._largest = 0

    def has_room(self) -> bool:
        """False while it has much to read. True if nothing can be known."""
        if not sys.platform.startswith("linux"):
            return True
        try:
            told = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WINDOW_AT + _NUMBER.size)
        except (OSError, AttributeError):  # it is gone, or this is not TCP
            return True
        if len(told) < _WINDOW_AT + _NUMBER.size:
            return True
        (waiting,), (window,) = _NUMBER.unpack_from(told, _NOT_SENT_AT), _NUMBER.unpack_from(told, _WINDOW_AT)
        self._largest = max(self._largest, window)
        # A larger share would wait for ever: TCP tells of a larger window only once it has doubled.
        return not self._largest or (not waiting and 2 * window >= self._largest)
