import socket
import sys
import threading

import pytest

from live import stream as live_stream
from live.stream import LiveStream
from serving.receiver import Receiver
from tests.test_live_stream import publish, shown, take
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reading = socket.create_connection(listener.getsockname())
        sending, _ = listener.accept()
    with reading, sending:
        yield sending, reading


def fill(connection: socket.socket) -> int:
    """Sends until nothing more is taken; how much that was."""
    sent = 0
    try:
        while True:
            sent += connection.send(bytes(65_536))
    except BlockingIOError:
        return sent


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_receiver_that_does_not_read_has_no_room_until_it_does(pair):
    sending, reading = pair
    receiver = Receiver(sending)
    assert receiver.has_room()
    if not receiver._largest:
        pytest.skip("this kernel does not tell the window")
    sending.setblocking(False)
    sent = fill(sending)
    assert not receiver.has_room()
    reading.settimeout(PATIENCE_S)
    received = 0
    while received < sent:
        received += len(reading.recv(65_536))
    eventually(receiver.has_room)


def test_what_can_not_be_told_is_room(pair):
    sending, _ = pair
    receiver = Receiver(sending)
    sending.close()
    assert receiver.has_room()
    assert Receiver(None).has_room()


def test_a_slow_viewer_gets_the_next_picture_once_it_has_read_the_last():
    live = LiveStream()
    room = threading.Event()
    room.set()
    asked = threading.Event()

    def has_room() -> bool:
        asked.set()
        return room.is_set()

    publish(live, 1)
    stream = live.mjpeg(has_room=has_room)
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, *range(2, 42))
    assert shown(stream, 1) == [41]
    room.clear()
    asked.clear()
    publish(live, 42, 43, 44)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(shown(stream, 1)))
    thread.start()
    assert asked.wait(PATIENCE_S)
    publish(live, 45, 46, 47)
    assert got == []
    room.set()
    thread.join(PATIENCE_S)
    assert got == [47], "the newest then"
    stream.close()


def test_a_receiver_of_whom_nothing_is_heard_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(live_stream, "_WAIT_FOR_ROOM_S", 0.05)
    live = LiveStream()
    publish(live, 1)
    stream = live.mjpeg(has_room=lambda: False)
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, *range(2, 42))
    assert shown(stream, 1) == [41]
    publish(live, 42, 43, 44)
    assert shown(stream, 1) == [44]
    stream.close()
