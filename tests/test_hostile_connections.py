"""Visitors who send nothing and do not let go: the others are served all the same, and each is who it says."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from serving import channels
from serving.server import LoopPace
from tests.served import ELSEWHERE, HEAD, answer, serving
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def serve() -> Iterator:
    yield from serving()


# Heads


def test_a_head_that_does_not_come_is_not_waited_for(serve, monkeypatch):
    served = serve()
    with served.connect() as silent, served.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        eventually(lambda: [bool(one.request) for one in served.server.active_channels.values()].count(True) == 1)
        monkeypatch.setattr(channels, "HEAD_S", 0.3)
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
