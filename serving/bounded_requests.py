"""Limits on incoming requests: on the memory that all bodies take together, and on chunks that are too small.

waitress gathers a request in its main thread, before the app sees it, so these limits hold before any work is done.
`serving.channels` limits how long a request may take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.rfc7230 import CHUNK_EXT_RE, ONLY_HEXDIG_RE
from waitress.utilities import BadRequest, Error

BODIES_BYTES = 48 << 20  # of all bodies in memory: unfinished ones, and those of requests being answered
MOST_HEAD_BYTES = 32_768
_LONGEST_LINE = 1024  # of a chunk's size line, or of a trailer
_FEW_CHUNKS = 256
_CHUNK_BYTES = 256  # on average, once there are more chunks than that: each costs as much as a few thousand bytes


class TooSlow(Error):
    """The request was not complete in time."""

    code = 408
    reason = "Request Timeout"


class Overloaded(Error):
    """Other requests take all the memory there is."""

    code = 503
    reason = "Service Unavailable"


class Bodies:
    """How many bytes the bodies of all requests take. `most`: the limit. waitress's threads use it."""

    def __init__(self, most: int = BODIES_BYTES) -> None:
        self.most = most
        self._held: dict[int, int] = {}

    @property
    def held(self) -> int:
        return sum(self._held.copy().values())

    def hold(self, request: BoundedRequest, size: int) -> None:
        """Notes that the body of `request` takes so many bytes now."""
        self._held[id(request)] = size

    def release(self, request: BoundedRequest) -> None:
        self._held.pop(id(request), None)


class BoundedRequest(HTTPRequestParser):
    """One request. `make_room` is called when the bodies of all requests take too much; it says whether this one may go
    on.
    """

    error: Error | None
    body_rcv: Any

    def __init__(self, adj: Any, bodies: Bodies, make_room: Callable[[BoundedRequest], bool]) -> None:
        super().__init__(adj)
        self._bodies = bodies
        self._make_room = make_room

    @property
    def held(self) -> int:
        """How many bytes of its body are in memory."""
        return len(self.body_rcv) if self.body_rcv is not None else 0

    def received(self, data: bytes) -> int:
        consumed = super().received(data)
        if self.body_rcv is not None and self.error is None:
            self._bodies.hold(self, self.held)
            if self._bodies.held > self._bodies.most and not self._make_room(self):
                self.refuse(Overloaded("too many bodies"))
        return consumed

    def refuse(self, error: Error) -> None:
        """Answers the request with `error` and forgets its body."""
        if not self.headers_finished:
            super().parse_header(b"GET / HTTP/1.0\r\n")  # the answer needs a request that it answers
        self.error = error
        self.completed = True
        self.close()

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        # A proxy in between may go by the other header and take part of the body for a request.
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Content-Length and Transfer-Encoding do not go together")
        if self.chunked:
            self.body_rcv = Chunks(self.body_rcv.getbuf())

    def close(self) -> None:
        self._bodies.release(self)
        super().close()


class Chunks(ChunkedReceiver):
    """A body in chunks. Reading takes time in proportion to its bytes. Many tiny chunks are refused."""

    error: Error | None
    chunk_remainder: int

    def __init__(self, buf: Any) -> None:
        super().__init__(buf)
        self._line = b""
        self._take_line = self._size
        self._chunks = 0
        self._bytes = 0

    def received(self, data: bytes) -> int:
        """How many bytes of `data` belonged to the body. `completed` and `error` say whether more may follow."""
        at, end = 0, len(data)
        while at < end and not self.completed and self.error is None:
            if self.chunk_remainder:
                part = data[at : at + self.chunk_remainder]
                self.buf.append(part)
                at += len(part)
                self._bytes += len(part)
                self.chunk_remainder -= len(part)
                continue
            cut = data.find(b"\n", at, at + _LONGEST_LINE)
            stop = cut + 1 if cut >= 0 else min(end, at + _LONGEST_LINE)
            self._line += data[at:stop]
            at = stop
            if len(self._line) > _LONGEST_LINE:
                self.error = BadRequest("Chunk line too long")
            elif cut >= 0:
                line, self._line = self._line, b""
                if line.endswith(b"\r\n"):
                    self._take_line(line[:-2])
                else:
                    self.error = BadRequest("Bare LF in chunked body")
        return at

    def _size(self, line: bytes) -> None:
        size, semicolon, extension = line.partition(b";")
        if not ONLY_HEXDIG_RE.match(size) or (semicolon and not CHUNK_EXT_RE.match(semicolon + extension)):
            self.error = BadRequest("Invalid chunk size")
            return
        self.chunk_remainder = int(size, 16)
        self._chunks += 1
        if self._chunks > _FEW_CHUNKS + self._bytes // _CHUNK_BYTES:
            self.error = BadRequest("Chunks too small")
        self._take_line = self._end if self.chunk_remainder else self._trailer

    def _end(self, line: bytes) -> None:
        self._take_line = self._size
        if line:
            self.error = BadRequest("Chunk not properly terminated")

    def _trailer(self, line: bytes) -> None:
        self._chunks += 1
        if not line:
            self.completed = True
        elif self._chunks > _FEW_CHUNKS + self._bytes // _CHUNK_BYTES:
            self.error = BadRequest("Trailer too long")
