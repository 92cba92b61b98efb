"""Bodies that do not end, are too large, or come byte by byte or in odd chunks: no memory is filled, others are answered."""

import contextlib
import json
import select
import socket
from collections.abc import Iterator

import pytest
from waitress.buffers import OverflowableBuffer

from serving import bounded_requests, channels
from serving.bounded_requests import Bodies, Chunks
from tests.served import ELSEWHERE, HEAD, answer, serving
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def serve(monkeypatch) -> Iterator:
    monkeypatch.setattr(channels, "_LINGER_S", PATIENCE_S)  # what is still sent by a slow computer is read
    yield from serving()


def post(connection: socket.socket, size: int, sent: int) -> None:
    connection.sendall(f"{HEAD}Content-Length: {size}\r\n\r\n".encode())
    connection.sendall(bytes(sent))


# Bodies


def test_bodies_that_do_not_end_fill_no_memory_and_others_are_answered(serve):
    served = serve()
    served.keeper.bodies.most = 4 << 20
    with contextlib.ExitStack() as stack:
        with served.connect(ELSEWHERE) as modest:
            post(modest, 100_000, 50_000)
            eventually(lambda: served.keeper.bodies.held >= 50_000, "it has come")
            greedy = [stack.enter_context(served.connect()) for _ in range(12)]
            for connection in greedy:
                with contextlib.suppress(OSError):  # the answer may come before all is sent
                    post(connection, 1 << 20, (1 << 20) - 1)
            eventually(lambda: served.refused.get("bodies", 0) >= 8, "too many are sent away")
            eventually(lambda: served.keeper.bodies.held <= served.keeper.bodies.most)
            modest.sendall(bytes(50_000))
            status, _, body = answer(modest)
            assert (status, json.loads(body)["error"][:28]) == (400, "This is not a JPEG, PNG or W")
        sent_away, _, _ = select.select(greedy, [], [], PATIENCE_S)
        status, headers, body = answer(sent_away[0])
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "try again" in json.loads(body)["error"]
    eventually(lambda: served.keeper.bodies.held == 0, "what has ended is forgotten")


def test_a_body_that_comes_too_slowly_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(channels, "BODY_S", 0.3)
    served = serve()
    with served.connect() as connection:
        post(connection, 1000, 10)
        assert answer(connection)[0] == 408
    assert served.refused == {"slow_body": 1}
    eventually(lambda: served.keeper.bodies.held == 0, "and what came of it is forgotten")


@pytest.mark.parametrize("length", [14 << 20, 100 << 20])
def test_a_body_that_is_too_large_is_told_so_although_it_is_still_sent(serve, length):
    served = serve()
    with served.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: {length}\r\n\r\n".encode())
        for _ in range(14):
            connection.sendall(bytes(1 << 20))
        status, _, body = answer(connection)
    assert status == 413
    assert "12 MB" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_a_body_whose_end_is_told_in_two_ways_is_refused_and_its_connection_closed(serve, head):
    served = serve()
    with served.connect() as connection:
        connection.sendall(f"{HEAD}{head}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        status, headers, _ = answer(connection)
        assert status in (400, 501)
        assert headers["Connection"] == "close"
        assert connection.recv(1000) == b"", "what came after is not taken for a request"


def test_http_1_0_knows_no_chunks(serve):
    served = serve()
    with served.connect() as connection:
        head = HEAD.replace("1.1", "1.0")
        connection.sendall(f"{head}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
        assert answer(connection)[0] == 400


# Chunks


def chunked(data: bytes, size: int, extension: bytes = b"") -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n\r\n"


def taken(body: bytes, at_once: int) -> tuple[Chunks, bytes]:
    chunks = Chunks(OverflowableBuffer(1 << 20))
    while body and not chunks.completed and not chunks.error:
        body = body[:at_once][chunks.received(body[:at_once]) :] + body[at_once:]
    return chunks, body


@pytest.mark.parametrize("at_once", [1, 7, 100_000])
@pytest.mark.parametrize("extension", [b"", b';name="a;b"'])
def test_chunks_become_the_body_however_they_come(at_once, extension):
    data = bytes(range(256)) * 8
    chunks, rest = taken(chunked(data, 300, extension) + b"GET ", at_once)
    assert (chunks.completed, chunks.error, rest) == (True, None, b"GET ")
    assert chunks.getfile().read() == data
    assert len(chunks) == len(data)
    chunks, rest = taken(b"3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\nGET ", at_once)
    assert (chunks.completed, chunks.error, rest) == (True, None, b"GET ")


@pytest.mark.parametrize("at_once", [1, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        *(b"x\r\n", b"-1\r\n", b"0x1\r\n", b"\r\n", b"1;=\r\na\r\n", b"1\r\nab\r\n", b"1\na\n", b"1\r\na\n0\r\n\r\n"),
        *(b"1" * 5000, b"0\r\n" + b"a" * 5000, b"0\r\n" + b"a: b\r\n" * 5000, chunked(bytes(2000), 1)),
    ],
)
def test_chunks_that_are_none_or_cut_too_small_are_refused(body, at_once):
    chunks, _ = taken(body, at_once)
    assert chunks.error is not None
    assert chunks.error.code == 400


def test_the_work_on_tiny_chunks_does_not_grow_with_what_was_sent():
    from tests.test_hostile_pictures import lines_run

    body = chunked(bytes(20_000), 1)
    assert lines_run(Chunks(OverflowableBuffer(1 << 20)).received, body) < 20_000


def test_tiny_chunks_are_refused_by_the_real_server(serve):
    served = serve()
    with served.connect() as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunked(bytes(50_000), 1))
        assert answer(connection)[0] == 400
        assert connection.recv(1) == b""
    with served.connect() as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunked(bytes(50_000), 1000))
        status, headers, _ = answer(connection)
        assert (status, headers.get("Connection")) == (400, None), "no picture, but a request"


def test_bodies_are_counted_by_request():
    bodies = Bodies(100)
    request = bounded_requests.BoundedRequest(None, bodies, lambda request: True)
    bodies.hold(request, 60)
    bodies.hold(request, 70)
    assert bodies.held == 70
    bodies.release(request)
    bodies.release(request)
    assert bodies.held == 0
