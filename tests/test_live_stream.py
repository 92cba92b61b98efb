import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from common.errors import ViewersFull
from live import stream as live_stream
from live.stream import LiveStream
from tests.waiting import PATIENCE_S, eventually


def take(stream, n=1):
    """The next `n` parts that hold something."""
    parts = (part for part in stream if part)
    return [next(parts) for _ in range(n)]


def test_a_part_head_goes_ahead_of_its_picture():
    live = LiveStream()
    stream = live.mjpeg()
    assert take(stream) == [b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"]
    live.publish(b"<jpeg>", "{}")
    assert take(stream) == [b"<jpeg>\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"]
    stream.close()


def test_a_slow_viewer_gets_the_newest_picture_and_no_queue():
    live = LiveStream()
    stream = live.mjpeg()
    take(stream)
    for i in range(100):
        live.publish(f"<{i}>".encode(), "{}")
    assert take(stream)[0].startswith(b"<99>")
    stream.close()


def test_every_viewer_gets_every_picture_that_it_waits_for(monkeypatch):
    monkeypatch.setattr(live_stream, "_REPEAT_S", PATIENCE_S)
    live = LiveStream()
    got: dict[int, list[bytes]] = {i: [] for i in range(10)}
    ready = threading.Barrier(11, timeout=PATIENCE_S)

    def watch(viewer: int) -> None:
        stream = live.mjpeg()
        take(stream)
        ready.wait()
        for part in stream:
            if part:
                got[viewer].append(part.split(b"\r\n")[0])

    threads = [threading.Thread(target=watch, args=(i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    ready.wait()
    for i in range(20):
        live.publish(str(i).encode(), "{}")
        eventually(lambda i=i: all(len(pictures) == i + 1 for pictures in got.values()))
    live.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert all(pictures == [str(i).encode() for i in range(20)] for pictures in got.values())


def test_the_last_picture_is_repeated_so_that_a_left_viewer_is_noticed():
    live = LiveStream()
    live.publish(b"still", "{}")
    stream = live.mjpeg()
    started = time.monotonic()
    assert all(part.startswith(b"still") for part in take(stream, 3)[1:])
    assert time.monotonic() - started > 0.5, "no faster than is needed for that"
    stream.close()


def test_places_are_limited_and_given_back():
    live = LiveStream(viewer_limit=2)
    streams = [live.mjpeg(), live.mjpeg()]
    assert live.viewers == 2
    with pytest.raises(ViewersFull, match="All 2 places are taken"):
        live.mjpeg()
    events = live.events()  # events have places of their own
    streams[0].close()
    live.mjpeg().close()
    for stream in (*streams, events):
        stream.close()
    assert live.viewers == 0
    assert not live.watched


def test_events_are_server_sent_and_not_more_often_than_asked():
    live = LiveStream()
    stream = live.events(interval=0.2)
    assert take(stream) == [b"retry: 2000\n\n"]
    stopping = threading.Event()

    def publish() -> None:
        for i in range(200):
            live.publish(b"x", f'{{"i": {i}}}')
            if stopping.wait(0.01):
                return

    thread = threading.Thread(target=publish)
    thread.start()
    started = time.monotonic()
    events = take(stream, 4)
    elapsed = time.monotonic() - started
    stopping.set()
    thread.join()
    stream.close()
    assert all(event.startswith(b'data: {"i": ') and event.endswith(b"}\n\n") for event in events)
    assert elapsed > 0.5


def test_closing_ends_streams_at_once():
    live = LiveStream()
    stream = live.mjpeg()
    ended = threading.Event()

    def watch() -> None:
        list(stream)
        ended.set()

    thread = threading.Thread(target=watch)
    thread.start()
    live.close()
    assert ended.wait(PATIENCE_S)
    thread.join()
    assert live.snapshot(5) is None


@contextmanager
def published_for_a_snapshot(live: LiveStream, jpeg: bytes) -> Iterator[None]:
    """Publishes that picture again and again once a snapshot is waited for."""
    over = threading.Event()

    def publish() -> None:
        while not over.wait(0.05):
            if live.wanted == {"boxed"}:
                live.publish(jpeg, "{}")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)


def test_a_snapshot_is_fresh():
    live = LiveStream()
    assert live.snapshot(0.05) is None
    live.publish(b"old", "{}")
    assert live.snapshot(0.05, max_age=PATIENCE_S).jpeg == b"old"
    assert live.snapshot(0.05, max_age=-1) is None, "an old picture does not pass for a new one"
    with published_for_a_snapshot(live, b"new"):
        assert live.snapshot(PATIENCE_S, max_age=-1).jpeg == b"new"


def test_a_snapshot_waits_for_a_real_picture_rather_than_the_card_before_it():
    live = LiveStream()
    live.publish(b"opening...", "{}", passing=True)
    assert live.snapshot(0.05, max_age=PATIENCE_S).jpeg == b"opening...", "better than nothing"
    with published_for_a_snapshot(live, b"picture"):
        assert live.snapshot(PATIENCE_S).jpeg == b"picture"


def publish(live: LiveStream, *numbers: int) -> None:
    for number in numbers:
        live.publish(f"<{number}>".encode(), f'{{"n": {number}}}')


def shown(stream, n: int) -> list[int]:
    return [int(part[1 : part.index(b">")]) for part in take(stream, n)]


def test_a_viewer_who_keeps_up_gets_every_picture_however_late_its_turn_comes():
    live = LiveStream()
    publish(live, 1)
    stream = live.mjpeg()
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, *range(2, 14))  # no turn for a while: the computer is busy
    assert shown(stream, 12) == list(range(2, 14))
    stream.close()


def test_a_viewer_who_does_not_keep_up_is_never_far_behind():
    live = LiveStream()
    publish(live, 1)
    stream = live.mjpeg()
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, *range(2, 42))
    assert shown(stream, 1) == [41]
    for newest in range(44, 60, 3):  # always three more while one is sent
        publish(live, newest - 2, newest - 1, newest)
        assert shown(stream, 1) == [newest]
    publish(live, 60, 61)
    assert shown(stream, 2) == [60, 61], "one that missed its turn for a moment only"
    stream.close()


def test_a_viewer_who_keeps_up_again_is_treated_as_such(monkeypatch):
    live = LiveStream()
    publish(live, 1)
    stream = live.mjpeg()
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, *range(2, 42))
    assert shown(stream, 1) == [41]
    wait_newer, coming = live.wait_newer, iter(range(42, 80))

    def wait_for_one(after: int, timeout: float, **options):
        if not live._newer(after, "boxed"):
            publish(live, next(coming))
        return wait_newer(after, timeout, **options)

    monkeypatch.setattr(live, "wait_newer", wait_for_one)
    assert shown(stream, 38) == list(range(42, 80)), "it waits for each"
    monkeypatch.undo()
    publish(live, 80, 81, 82, 83)
    assert shown(stream, 4) == [80, 81, 82, 83]
    stream.close()


def test_pictures_that_are_old_are_not_shown_in_turn(monkeypatch):
    monkeypatch.setattr(live_stream, "_CATCH_UP_S", 0.0)
    live = LiveStream()
    publish(live, 1)
    stream = live.mjpeg()
    take(stream)
    assert shown(stream, 1) == [1]
    publish(live, 2, 3, 4)
    assert shown(stream, 1) == [4]
    stream.close()


def test_events_tell_only_what_is_so_now():
    live = LiveStream()
    events = live.events(interval=0.0)
    next(events)
    publish(live, 7, 8)
    assert b'{"n": 8}' in next(event for event in events if b"data" in event), "what is known is never old"
    events.close()


def test_a_stream_without_boxes_tells_with_each_picture_what_was_read_in_it():
    live = LiveStream()
    stream = live.mjpeg(boxes=False)
    live.publish(b"<boxed 1>", '{"frame": 1}')  # it had been begun before anybody asked for one without boxes
    live.publish(b"<boxed 2>", '{"frame": 2}', clean=b"<clean 2>")
    assert take(stream) == [
        b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\nX-Event: {"frame": 2}\r\n\r\n<clean 2>\r\n'
    ]
    stream.close()


def test_a_slow_viewer_without_boxes_skips_pictures_too():
    live = LiveStream()
    stream, boxed = live.mjpeg(boxes=False), live.mjpeg()
    take(boxed)
    for i in range(100):
        live.publish(b"<boxed>", f'{{"frame": {i}}}', clean=b"<clean>")
    assert b'{"frame": 99}' in take(stream)[0]
    assert take(boxed)[0].startswith(b"<boxed>")
    stream.close()
    boxed.close()


def test_only_what_somebody_watches_is_wanted():
    live = LiveStream(viewer_limit=2)
    assert live.wanted == set()
    events = live.events()
    assert live.wanted == set()
    clean = live.mjpeg(boxes=False)
    assert live.wanted == {"clean"}
    boxed = live.mjpeg()
    assert live.wanted == {"clean", "boxed"}
    with pytest.raises(ViewersFull):
        live.mjpeg(boxes=False)
    clean.close()
    boxed.close()
    assert live.wanted == set()
    threading.Timer(0.1, live.publish, (None, '{"n": 1}')).start()  # nobody asked for a picture
    assert b'{"n": 1}' in next(event for event in events if b"data" in event)
    live.publish(None, "{}", clean=b"<clean>")
    with published_for_a_snapshot(live, b"still"):
        assert live.snapshot(PATIENCE_S).jpeg == b"still"
    events.close()
