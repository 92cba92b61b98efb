"""Visitors who send nothing, or too much, or byte by byte, and do not let go: the others are served all the same."""

import contextlib
import errno
import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator

import pytest
from waitress.buffers import OverflowableBuffer

from common.settings import Settings
from serving import bounded_requests, channels
from serving.bounded_requests import Bodies, Chunks
from serving.server import LoopPace, make_server
from tests.waiting import PATIENCE_S, eventually
from web.application import close_app, create_app

pytestmark = pytest.mark.slow

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


@pytest.fixture
def serve() -> Iterator:
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


def post(connection: socket.socket, size: int, sent: int) -> None:
    connection.sendall(f"{HEAD}Content-Length: {size}\r\n\r\n".encode())
    connection.sendall(bytes(sent))


# Heads


def test_a_head_that_does_not_come_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(channels, "HEAD_S", 0.3)
    served = serve()
    with served.connect() as silent, served.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert silent.recv(100) == b""
        status, _, body = answer(slow)
        assert status == 408
        assert "too slow" in json.loads(body)["error"]
    assert served.refused == {"slow_head": 2}
    monkeypatch.undo()
    text = served.get("/metrics")[1].decode()
    assert 'smile_refusals_total{reason="slow_head"} 2.0' in text


def test_a_connection_may_rest_between_two_requests(serve, monkeypatch):
    served = serve()
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(request)
        assert answer(connection)[0] == 200
        monkeypatch.setattr(channels, "HEAD_S", 0.3)
        before = served.server.next_channel_cleanup
        eventually(lambda: served.server.next_channel_cleanup > before + 2, "the server looks at its clock")
        monkeypatch.undo()
        connection.sendall(request)
        assert answer(connection)[0] == 200
    assert served.refused == {}


@pytest.mark.parametrize("newcomer", ["127.0.0.1", ELSEWHERE])
def test_who_comes_new_is_served_however_many_half_open_connections_there_are(serve, newcomer):
    served = serve()  # 104 connections
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(served.connect())
            with contextlib.suppress(OSError):  # its place may be somebody else's already
                connection.sendall(b"G")
        assert served.get("/", newcomer)[0] == 200
        assert len(served.server.active_channels) <= served.keeper.most_connections + 2
        assert served.refused["connections"] >= 40


def test_who_has_most_connections_loses_one_and_an_idle_one_first(serve):
    served = serve()
    served.keeper.most_connections = 3
    with served.connect(ELSEWHERE) as alone, served.connect() as busy, served.connect() as idle:
        busy.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in busy.recv(1000)
        eventually(lambda: len(served.server.active_channels) == 3, "all are there")
        assert served.get("/healthz", "127.0.0.3")[0] == 200
        assert idle.recv(100) == b""
        alone.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert answer(alone)[0] == 200


def test_a_place_taken_by_each_visitor_is_taken_from_nobody(serve):
    served = serve(viewer_limit=5)
    served.keeper.most_connections = 2
    with served.connect() as one, served.connect(ELSEWHERE) as other:
        for watching in (one, other):
            watching.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"200 OK" in watching.recv(1000)
        with served.connect("127.0.0.3") as third:
            assert third.recv(100) == b""
        assert one.recv(1000)
        assert other.recv(1000)


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
            assert served.keeper.bodies.held <= served.keeper.bodies.most
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


# Who is who


def test_behind_a_proxy_a_visitor_is_who_it_says(serve):
    served = serve(trusted_proxies=1)
    for name in ("203.0.113.7", "203.0.113.8"):
        connection = served.connect()
        head = HEAD + f"X-Forwarded-For: 10.0.0.1, {name}\r\nContent-Length: 5\r\n\r\n"
        connection.sendall(head.encode() + b"12")
        eventually(lambda: served.keeper.bodies.held, "it has come")
        (channel,) = [one for one in served.server.active_channels.values() if one.held]
        assert channel.visitor == channels.network_number(name)
        connection.close()
        eventually(lambda: not served.keeper.bodies.held, "it has gone")


def test_a_loop_that_is_woken_all_the_time_leaves_time_to_others(monkeypatch):
    wall = cpu = 0.0

    def sleep(seconds: float) -> None:
        nonlocal wall
        wall += seconds

    monkeypatch.setattr("serving.server.time.monotonic", lambda: wall)
    monkeypatch.setattr("serving.server.time.thread_time", lambda: cpu)
    monkeypatch.setattr("serving.server.time.sleep", sleep)
    pace = LoopPace()
    for _ in range(1000):
        wall, cpu = wall + 0.002, cpu + 0.002
        pace.rest()
    assert 0.2 < cpu / wall < 0.3
    wall += 10.0  # nothing came
    before = wall
    for _ in range(5):
        wall, cpu = wall + 0.002, cpu + 0.002
        pace.rest()
    assert wall - before == pytest.approx(0.01), "a little is done at once"
    before, received = wall, 0
    for _ in range(200):
        wall, received = wall + 0.001, received + 2_000_000
        pace.rest(received)
    assert 0.2 < 0.4 / (wall - before) < 0.3, "what bodies will cost other threads counts too"


def test_bodies_are_counted_by_request():
    bodies = Bodies(100)
    request = bounded_requests.BoundedRequest(None, bodies, lambda request: True)
    bodies.hold(request, 60)
    bodies.hold(request, 70)
    assert bodies.held == 70
    bodies.release(request)
    bodies.release(request)
    assert bodies.held == 0
