"""Viewers' places: one visitor may take all that nobody else wants, and gives some back when somebody does."""

from collections.abc import Iterator

import pytest

from common.errors import ViewersFull
from live.stream import LiveStream
from tests.served import ELSEWHERE, serving


@pytest.fixture
def serve() -> Iterator:
    yield from serving()


def ended(stream) -> bool:
    return next(iter(stream), None) is None


def taken(stream):
    next(stream)  # the head: it has begun
    return stream


@pytest.mark.parametrize("kind", ["mjpeg", "events"])
def test_who_has_most_places_gives_one_to_who_has_none(kind):
    live = LiveStream(viewer_limit=4)
    live.publish(b"<jpeg>", "{}")
    join = getattr(live, kind)
    theirs = [taken(join(viewer=1)) for _ in range(4)]
    with pytest.raises(ViewersFull):
        join(viewer=1)
    other = taken(join(viewer=2))
    assert ended(theirs[-1])
    assert not any(ended(stream) for stream in theirs[:-1])
    assert not ended(other)
    another = taken(join(viewer=2))
    assert ended(theirs[-2])
    with pytest.raises(ViewersFull):
        join(viewer=2)
    third = taken(join(viewer=3))
    assert sum(live.viewers_by_kind.values()) == 4
    for stream in (*theirs, other, another, third):
        stream.close()
    assert live.viewers_by_kind == {"picture": 0, "event": 0, "still": 0}


def test_a_place_that_was_lost_is_not_given_back_twice():
    live = LiveStream(viewer_limit=2)
    theirs = [taken(live.mjpeg(viewer=1)) for _ in range(2)]
    other = taken(live.mjpeg(viewer=2))
    theirs[-1].close()
    assert live.viewers == 2
    with pytest.raises(ViewersFull):
        live.mjpeg(viewer=3)
    for stream in (theirs[0], other):
        stream.close()
    assert live.viewers == 0


def test_one_address_does_not_keep_all_places_of_the_real_server(serve):
    served = serve(viewer_limit=3)
    request = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    theirs = [served.connect() for _ in range(4)]
    for connection in theirs[:3]:
        connection.sendall(request)
        assert b"200 OK" in connection.recv(1000)
    theirs[3].sendall(request)
    assert b"503" in theirs[3].recv(1000)
    with served.connect(ELSEWHERE) as newcomer:
        newcomer.sendall(request)
        assert b"200 OK" in newcomer.recv(1000)
    for connection in theirs:
        connection.close()
    assert served.refused["busy"] == 1
