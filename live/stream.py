"""The newest encoded picture, handed to any number of viewers, each at the pace it can take.

A picture is encoded once for each kind that somebody watches: `boxed`, with what was drawn on it, or `clean`. A slow viewer
skips pictures: it never queues them and never holds up another viewer. A viewer that keeps up may miss its turn for a moment
on a busy computer; it then gets the missed pictures in order. Nothing here knows what is in the picture.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from common.errors import ViewersFull

MJPEG_MIMETYPE = "multipart/x-mixed-replace; boundary=frame"
# A browser shows a part when the next one begins, so each part's head is sent ahead of its picture: the end of one picture
# is then the beginning of the next part, and it is shown at once.
_PART_HEAD = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
# How far a viewer may be behind and still get every picture: a viewer that keeps up, and one that does not.
_CATCH_UP, _CATCH_UP_S = 16, 0.5
_CATCH_UP_SLOW = 2
_KEEPS_UP_AFTER = 15  # it keeps up once it had to wait for a picture so many times in a row
_WAIT_FOR_ROOM_S, _LOOK_FOR_ROOM_EVERY_S = 3.0, 0.01
_REPEAT_S = 1.0  # a generator that yields nothing never learns that its viewer left


@dataclass(frozen=True)
class Published:
    """`jpeg`: one encoded picture, `clean`: the same with nothing drawn on it, each None if nobody wanted it; `event`: JSON
    text about it; `number`: 1, 2, ...; `passing`: another follows soon.

    `captured_at`: when the camera gave it, in `time.monotonic()` seconds; None for a picture that no camera gave.
    """

    jpeg: bytes | None
    event: str
    number: int
    passing: bool
    captured_at: float | None = None
    published_at: float = 0.0
    clean: bytes | None = None

    def shows(self, kind: str) -> bool:
        """Whether it can be sent to a viewer of that kind; events need no picture."""
        return kind == "event" or (self.clean if kind == "clean" else self.jpeg) is not None


@dataclass(eq=False)
class _Place:
    """A viewer's place. `kind`: what it wants; `lost`: somebody else has it now."""

    viewer: int
    kind: str
    lost: bool = False


class LiveStream:
    """Where the analysis puts its newest picture and where viewers wait for it."""

    def __init__(self, *, viewer_limit: int = 50, on_delivered: Callable[[float], None] | None = None) -> None:
        """`on_delivered`: called for each viewer's picture with the seconds from its capture until the server took it.

        The viewers' threads call it.
        """
        self.viewer_limit = viewer_limit
        self._on_delivered = on_delivered
        self._changed = threading.Condition()
        self._recent: deque[Published] = deque(maxlen=_CATCH_UP)
        self._count = 0
        self._places: dict[str, list[_Place]] = {"picture": [], "event": [], "still": []}
        self._closed = False

    @property
    def viewers(self) -> int:
        """People watching now: open picture streams."""
        return len(self._places["picture"])

    @property
    def viewers_by_kind(self) -> dict[str, int]:
        """Open streams: `picture`, `event`, and `still` for snapshots."""
        return {kind: len(places) for kind, places in self._places.items()}

    @property
    def wanted(self) -> set[str]:
        """The kinds of picture that somebody waits for: `boxed`, `clean`."""
        with self._changed:
            return {place.kind for places in self._places.values() for place in places} - {"event"}

    @property
    def watched(self) -> bool:
        """Whether anybody at all waits for pictures or events."""
        return any(self._places.values())

    def publish(
        self,
        jpeg: bytes | None,
        event: str,
        *,
        clean: bytes | None = None,
        passing: bool = False,
        captured_at: float | None = None,
    ) -> None:
        """Replaces the newest picture and wakes everybody who waits. `passing`: a snapshot should not show it."""
        with self._changed:
            self._count += 1
            now = time.monotonic()
            self._recent.append(Published(jpeg, event, self._count, passing, captured_at, now, clean))
            self._changed.notify_all()

    def forget(self) -> None:
        """Drops the newest picture, so that later viewers don't see it."""
        with self._changed:
            self._recent.clear()

    def wait_until_watched(self, timeout: float) -> bool:
        """Sleeps until somebody watches, the stream is closed, or `timeout` seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.watched, timeout)
            return self.watched and not self._closed

    def close(self) -> None:
        """Ends every viewer's stream at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_newer(self, after: int, timeout: float, *, catch_up: int = 0, kind: str = "boxed") -> Published | None:
        """The newest picture of that kind if its number is above `after`; waits up to `timeout` seconds for it. Else None.

        `catch_up`: instead, the picture right after `after`, if at most so many are waiting and none is half a second old.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newer(after, kind), timeout)
            newer = self._newer(after, kind)
            if self._closed or not newer:
                return None
            behind_s = newer[-1].published_at - newer[0].published_at
            late = len(newer) > _CATCH_UP_SLOW and behind_s > _CATCH_UP_S
            in_turn = newer[0].number == after + 1 and len(newer) <= catch_up and not late
            return newer[0] if in_turn else newer[-1]

    def _newer(self, after: int, kind: str) -> list[Published]:
        return [picture for picture in self._recent if picture.number > after and picture.shows(kind)]

    def snapshot(self, timeout: float, *, max_age: float = 0.5, viewer: int = 0) -> Published | None:
        """One picture not older than `max_age` seconds, waking the camera for it if needed; None after `timeout`."""
        with self._viewing("still", viewer, "boxed"):
            with self._changed:
                last = next(iter(self._newer(0, "boxed")[-1:]), None)
                fresh = last is not None and time.monotonic() - last.published_at <= max_age
                after = last.number - 1 if last is not None and fresh else self._count
            deadline = time.monotonic() + timeout
            picture = self.wait_newer(after, timeout)
            while picture is not None and picture.passing:
                newer = self.wait_newer(picture.number, deadline - time.monotonic())
                if newer is None:
                    break
                picture = newer
            return picture

    def mjpeg(self, *, boxes: bool = True, viewer: int = 0, has_room: Callable[[], bool] = lambda: True) -> Iterator[bytes]:
        """A viewer's stream, in parts of `MJPEG_MIMETYPE`. Raises ViewersFull at once, not at the first part.

        Without `boxes`, each part is a clean picture, and its head says in Content-Length how long that is and in X-Event
        what was read in it, as `events` does.

        `viewer`: a number for who watches. If all places are taken, whoever has most loses the newest one to a viewer with
        at least two fewer. `has_room`: whether the viewer has read what was sent; until then nothing more is sent.
        """
        if boxes:
            return self._stream("boxed", viewer, _PART_HEAD, _boxed_part, 0.0, has_room)
        return self._stream("clean", viewer, b"", _clean_part, 0.0, has_room)

    def events(self, *, interval: float = 0.1, viewer: int = 0) -> Iterator[bytes]:
        """Server-sent events, at most one every `interval` seconds. Raises ViewersFull at once; `viewer` as above."""
        return self._stream("event", viewer, b"retry: 2000\n\n", lambda new: f"data: {new.event}\n\n".encode(), interval)

    def _stream(
        self,
        kind: str,
        viewer: int,
        head: bytes,
        encode: Callable[[Published], bytes],
        interval: float,
        has_room: Callable[[], bool] = lambda: True,
    ) -> Iterator[bytes]:
        stream = self._generate(kind, viewer, head, encode, interval, has_room)
        next(stream)  # runs to the first yield: the place is taken or refused now, and close() gives it back
        return stream

    def _generate(
        self,
        kind: str,
        viewer: int,
        head: bytes,
        encode: Callable[[Published], bytes],
        interval: float,
        has_room: Callable[[], bool],
    ) -> Iterator[bytes]:
        is_event = kind == "event"
        with self._viewing("event" if is_event else "picture", viewer, kind) as place:
            yield b""
            yield head
            number = waits = 0
            catch_up = _CATCH_UP
            last: Published | None = None
            before = self._count  # the viewer was late, so an older picture is late too
            while not self._closed and not place.lost:
                self._wait_for_room(has_room, place)
                waits = waits + 1 if self._count <= number else 0
                new = self.wait_newer(number, _REPEAT_S, catch_up=0 if is_event else catch_up, kind=kind)
                if new is not None and new.number > number + 1 and number:
                    catch_up = _CATCH_UP_SLOW  # it does not keep up: waiting pictures would only get older
                elif waits >= _KEEPS_UP_AFTER:
                    catch_up = _CATCH_UP
                last = new or last
                if last is None or self._closed:
                    yield b": waiting\n\n" if is_event else b""
                    continue
                number = last.number
                yield encode(last)
                if not is_event and new is not None and new.number > before and new.captured_at is not None:
                    self._delivered(new.captured_at)
                if interval:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed, interval)

    def _wait_for_room(self, has_room: Callable[[], bool], place: _Place) -> None:
        deadline = time.monotonic() + _WAIT_FOR_ROOM_S
        while not has_room() and time.monotonic() < deadline and not self._closed and not place.lost:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or place.lost, _LOOK_FOR_ROOM_EVERY_S)

    def _delivered(self, captured_at: float) -> None:
        if self._on_delivered is not None:
            self._on_delivered(time.monotonic() - captured_at)

    @contextmanager
    def _viewing(self, room: str, viewer: int, kind: str) -> Iterator[_Place]:
        place, places = _Place(viewer, kind), self._places[room]
        with self._changed:
            if len(places) >= self.viewer_limit and not _make_room(places, viewer):
                raise ViewersFull(f"All {self.viewer_limit} places are taken. Close another tab, or try again in a moment.")
            places.append(place)
            self._changed.notify_all()
        try:
            yield place
        finally:
            with self._changed:
                if not place.lost:
                    places.remove(place)


def _boxed_part(new: Published) -> bytes:
    assert new.jpeg is not None
    return new.jpeg + b"\r\n" + _PART_HEAD


def _clean_part(new: Published) -> bytes:
    assert new.clean is not None
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(new.clean)}\r\nX-Event: {new.event}\r\n\r\n"
    return head.encode() + new.clean + b"\r\n"


def _make_room(places: list[_Place], newcomer: int) -> bool:
    """Takes a place for the newcomer from whoever has most, if that leaves nobody worse off. Whether it did."""
    counts = Counter(place.viewer for place in places)
    viewer, most = counts.most_common(1)[0]
    if most < counts[newcomer] + 2:
        return False
    newest = [place for place in places if place.viewer == viewer][-1]
    newest.lost = True
    places.remove(newest)
    return True
