"""Visitors of the page with their own cameras, as `static/cameras/picture_loop.js` and `pace.js` make a browser behave.

One picture in flight each, on a connection that is kept; the answer before goes along as `previous`; after 503 they wait as
long as `Retry-After` says. Pictures are encoded beforehand, so that visitors leave the processor to the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from benchmarks.reporting.figures import BenchmarkError
from common.places import STATIC

_PACE = STATIC / "cameras" / "pace.js"
_RETRY_S = 2.0  # after any other refusal, as picture_loop.js waits
_ANSWER_TIMEOUT_S = 15.0
_BOUNDARY = b"----benchmark"


@dataclass(frozen=True)
class PaceRules:
    """What `pace.js` says: levels as `(side in pixels, seconds between pictures)`, and when to change between them."""

    levels: tuple[tuple[int, float], ...]
    slow_ms: float
    fast_ms: float
    slower_after: int
    faster_after: int
    most_patience: int
    weight: float


@cache
def page_rules() -> PaceRules:
    """Read from `static/cameras/pace.js`, so that these visitors behave as the page does. Raises BenchmarkError."""
    text = _PACE.read_text(encoding="utf-8")
    levels = re.findall(r"side: (\d+), everyMs: (\d+)", text)
    names = ("SLOW_MS", "FAST_MS", "SLOWER_AFTER", "FASTER_AFTER", "MOST_PATIENCE", "WEIGHT")
    found = [re.search(rf"const {name} = ([\d.]+)", text) for name in names]
    if not levels or not all(found):
        raise BenchmarkError(f"{_PACE.name} is written in another way than this benchmark can read.")
    slow, fast, slower, faster, patience, weight = (float(match[1]) for match in found if match)
    sides = tuple((int(side), int(ms) / 1e3) for side, ms in levels)
    return PaceRules(sides, slow, fast, int(slower), int(faster), int(patience), weight)


class Pace:
    """`pace.js` in Python: smaller pictures and fewer of them while answers come slowly."""

    def __init__(self, rules: PaceRules) -> None:
        self._rules = rules
        self._level = 0
        self._mean: float | None = None
        self._answers = 0
        self._patience = 1

    @property
    def side(self) -> int:
        return self._rules.levels[self._level][0]

    @property
    def every_s(self) -> float:
        return self._rules.levels[self._level][1]

    def answered(self, ms: float) -> None:
        rules = self._rules
        self._answers += 1
        self._mean = ms if self._mean is None else (1 - rules.weight) * self._mean + rules.weight * ms
        if self._mean > rules.slow_ms and self._answers >= rules.slower_after:
            self.busy()
        elif self._mean < rules.fast_ms and self._answers >= rules.faster_after * self._patience and self._level > 0:
            self._change(-1)

    def busy(self) -> None:
        if self._level < len(self._rules.levels) - 1:
            self._patience = min(2 * self._patience, self._rules.most_patience)
            self._change(1)

    def _change(self, by: int) -> None:
        self._level += by
        self._mean = None
        self._answers = 0


@dataclass(frozen=True)
class Plan:
    """`pictures`: JPEGs by the longer side. `fps` None: as fast as the page's pace allows, which then also chooses the side;
    else so many a second, of `side` pixels. `seed`: of who begins when.
    """

    port: int
    visitors: int
    seconds: float
    pictures: Mapping[int, Sequence[bytes]]
    side: int = 640
    fps: float | None = None
    seed: int = 0


@dataclass
class Seen:
    """What all visitors saw together.

    `answer_ms`: of each answer with status 200, from the first byte sent to the last read; `refused_ms`: of all others.
    `sides`: how many answers there were for pictures of each size.
    """

    answer_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unexplained: int = 0  # 503 or 429 without Retry-After
    with_faces: int = 0
    fewest: int = 0  # answers that one visitor got at least
    refused_ms: list[float] = field(default_factory=list)
    broken: int = 0  # connections
    seconds: float = 0.0
    cpu_s: float = 0.0  # of this process
    sides: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.statuses.total()


def visit(plan: Plan) -> Seen:
    """Lets the visitors send for `plan.seconds`. Runs in a process of its own: it is none of the app's time."""
    seen = Seen()
    cpu, started = time.process_time(), time.monotonic()
    counts = asyncio.run(_all(plan, seen))
    seen.cpu_s, seen.seconds = time.process_time() - cpu, time.monotonic() - started
    seen.fewest = min(counts, default=0)
    return seen


async def _all(plan: Plan, seen: Seen) -> list[int]:
    until = time.monotonic() + plan.seconds
    chance = random.Random(plan.seed)
    visitors = [_Visitor(number, plan, seen, until, chance.random()) for number in range(plan.visitors)]
    return await asyncio.gather(*(visitor.run() for visitor in visitors))


class _Visitor:
    def __init__(self, number: int, plan: Plan, seen: Seen, until: float, offset: float) -> None:
        self._plan, self._seen, self._until, self._offset = plan, seen, until, offset
        # Each its own address, so that the limit for one visitor is not that for all: the app is told to believe a proxy.
        address = f"10.77.{number // 250}.{number % 250 + 1}"
        self._head = (
            f"POST /api/v1/analyze HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nX-Forwarded-For: {address}\r\n"
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY.decode()}\r\nContent-Length: "
        ).encode()
        self._pace = Pace(page_rules()) if plan.fps is None else None
        self._previous = b"{}"
        self._side = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> int:
        """Returns how many answers it got."""
        every = self._pace.every_s if self._pace else 1 / (self._plan.fps or 1.0)
        frames = itertools.count(round(self._offset * 1000))
        answers = 0
        due = time.monotonic() + self._offset * every
        try:
            while (now := time.monotonic()) < self._until:
                if due > now:
                    await asyncio.sleep(min(due, self._until) - now)
                    continue
                pause = await self._send(next(frames))
                answers += pause == 0
                every = self._pace.every_s if self._pace else every
                due = max(now + every, time.monotonic() + pause)
        finally:
            self._leave()
        return answers

    async def _send(self, frame: int) -> float:
        """Sends one picture; returns the seconds to wait before the next, 0 after an answer."""
        side = self._pace.side if self._pace else self._plan.side
        if side != self._side:
            self._side = side
        pictures = self._plan.pictures[side]
        body = _form(pictures[_there_and_back(frame, len(pictures))], self._previous)
        started = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                status, retry_after, answer = await self._post(body)
        except (OSError, EOFError, ValueError, TimeoutError):
            self._leave()
            self._seen.broken += 1
            self._previous = b"{}"
            return _RETRY_S
        ms = (time.monotonic() - started) * 1e3
        self._seen.statuses[status] += 1
        if status == 200:
            self._seen.answer_ms.append(ms)
            self._seen.sides[side] += 1
            self._seen.with_faces += b'"landmarks"' in answer
            self._previous = answer
            if self._pace:
                self._pace.answered(ms)
            return 0.0
        self._seen.refused_ms.append(ms)
        if status not in (429, 503):
            self._previous = b"{}"
            return _RETRY_S
        self._seen.unexplained += retry_after is None
        if self._pace:
            self._pace.busy()
        return retry_after or 1.0

    async def _post(self, body: bytes) -> tuple[int, float | None, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._plan.port)
        reader, writer = self._streams
        writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
        answer = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection", "").lower() == "close":
            self._leave()
        wait = fields.get("retry-after")
        return int(head.split(" ", 2)[1]), float(wait) if wait else None, answer

    def _leave(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._streams[1].close()
            self._streams = None


def _form(jpeg: bytes, previous: bytes) -> bytes:
    return b"".join(
        (
            b"--" + _BOUNDARY + b'\r\nContent-Disposition: form-data; name="image"; filename="picture.jpg"\r\n',
            b"Content-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n--" + _BOUNDARY,
            b'\r\nContent-Disposition: form-data; name="previous"\r\n\r\n' + previous + b"\r\n--" + _BOUNDARY + b"--\r\n",
        )
    )


def _there_and_back(frame: int, frames: int) -> int:
    """0, 1, ..., frames - 1, frames - 2, ..., 0, 1, ...: a video played to and fro has no cut."""
    if frames < 2:
        return 0
    place = frame % (2 * frames - 2)
    return place if place < frames else 2 * frames - 2 - place
