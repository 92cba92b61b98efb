"""A stream's memory. The visitor carries it from one answer to the next picture, and the server keeps nothing.

    text = pack(Stream(tracker.memory, size=(640, 480), clock=12.5, wall=time.time()))      # about 1.3 kB a face
    stream = unpack(text)                                      # from a stranger, who may have written anything

It holds numbers and, for each face, up to four pictures of 16x11 pixels by which the face is recognised.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from common.errors import PreviousError
from common.face import Box, Face, as_points
from faces.smoothing import SmileState
from faces.track import PORTRAIT_SHAPE, PORTRAITS, THUMBNAIL_SHAPE, Memory, Track
from faces.tracking import MAX_FACES

MAX_NUMBER = 2**52  # the largest id; JavaScript's numbers hold it exactly
_VERSION = 2
_LONGEST_STEP_S = 0.9  # the longest time between two pictures: a stream that paused goes on where it was
_SHORTEST_STEP_S = 0.001
_FARTHEST = 1e7  # pixels, pixels a second
_LONG_AGO_S = 1e6
_HEAD = np.dtype(
    [
        ("version", "<u2"),
        ("tracks", "<u2"),
        ("aside", "<u2"),  # faces of the scene before a cut
        ("next_id", "<i8"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("clock", "<f8"),
        ("wall", "<f8"),
        ("searched", "<f4"),  # seconds before `clock`, as all that follow
        ("searched_finely", "<f4"),
        ("cut", "<f4"),
        ("seen_scene", "u1"),
        ("thumbnails", "u1", (2, *THUMBNAIL_SHAPE)),
    ]
)
_TRACK = np.dtype(
    [
        ("id", "<i8"),
        ("box", "<i4", 4),  # as it is shown
        ("place", "<i4", 4),  # as it was read
        ("angle", "<f4"),
        ("presence", "<f4"),
        ("raw_smile", "<f4"),
        ("smile", "<f4", 3),  # its state over time: mean, evidence and neutral
        ("smiling", "u1"),
        ("missed", "u1"),
        ("points", "<f4", (3, 5, 2)),  # smoothed, as they came, and their velocity
        ("movement", "<f4", (2, 2)),  # velocity and course
        ("ago", "<f4", 4),  # seen, looked for, looked like itself, portrayed
        ("portraits_kept", "u1"),
        ("portraits", "u1", (PORTRAITS, *PORTRAIT_SHAPE)),
    ]
)


@dataclass(frozen=True)
class Stream:
    """`size`: width and height of the last picture. `clock`: the stream's own seconds; `wall`: when that was.

    `searched_at`: when a whole picture was last searched, by `clock`.
    """

    memory: Memory = field(default_factory=Memory)
    size: tuple[int, int] = (0, 0)
    clock: float = 0.0
    wall: float = 0.0
    searched_at: float = float("-inf")

    def now(self, wall: float) -> float:
        """The stream's clock at `wall` seconds since 1970."""
        return self.clock + min(max(wall - self.wall, _SHORTEST_STEP_S), _LONGEST_STEP_S)

    def fitted(self, size: tuple[int, int]) -> Stream:
        """The stream as if all pictures had had this size. If the shape has changed, as when a phone is turned, no face is
        known.
        """
        if self.size in (size, (0, 0)):
            return replace(self, size=size)
        scale = size[0] / max(1, self.size[0])
        if abs(self.size[1] * scale - size[1]) > 2:
            return replace(self, size=size, memory=Memory(next_id=self.memory.next_id))
        cut = self.memory.before_cut
        tracks = [_scaled(track, scale) for track in self.memory.tracks]
        aside = None if cut is None else (cut[0], cut[1], [_scaled(track, scale) for track in cut[2]])
        return replace(self, size=size, memory=replace(self.memory, tracks=tracks, before_cut=aside))


def pack(stream: Stream) -> str:
    """The stream as a text of base64."""
    memory, clock = stream.memory, stream.clock
    cut = memory.before_cut
    aside = cut[2] if cut else []
    head = np.zeros(1, _HEAD)
    head["version"], head["tracks"], head["aside"] = _VERSION, len(memory.tracks), len(aside)
    head["next_id"], (head["width"], head["height"]) = memory.next_id, stream.size
    head["clock"], head["wall"] = clock, stream.wall
    head["searched"] = _ago(stream.searched_at, clock)
    head["searched_finely"] = _ago(memory.searched_finely_at, clock)
    head["cut"] = _ago(cut[0] if cut else float("-inf"), clock)
    head["seen_scene"] = memory.thumbnail is not None
    for i, thumbnail in enumerate((memory.thumbnail, cut[1] if cut else None)):
        if thumbnail is not None:
            head["thumbnails"][0, i] = np.clip(np.rint(thumbnail), 0, 255)
    rows = np.zeros(len(memory.tracks) + len(aside), _TRACK)
    for row, track in zip(rows, (*memory.tracks, *aside), strict=True):
        _write(row, track, clock)
    return base64.b64encode(head.tobytes() + rows.tobytes()).decode("ascii")


def unpack(text: str) -> Stream:
    """The stream that `pack` was given. Raises PreviousError for anything else. Faces at impossible places will be found
    gone.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise PreviousError from None
    if len(data) < _HEAD.itemsize or (len(data) - _HEAD.itemsize) % _TRACK.itemsize:
        raise PreviousError
    head = np.frombuffer(data, _HEAD, 1)[0]
    rows = np.frombuffer(data, _TRACK, offset=_HEAD.itemsize)
    tracks, aside = int(head["tracks"]), int(head["aside"])
    if head["version"] != _VERSION or tracks + aside != len(rows) or max(tracks, aside) > MAX_FACES or not _sane(head, rows):
        raise PreviousError
    clock = float(head["clock"])
    known = [_read(row, clock) for row in rows]
    thumbnail, before = (picture.astype(np.float32) for picture in head["thumbnails"])
    cut_at = clock - float(head["cut"])
    memory = Memory(
        tracks=known[:tracks],
        next_id=int(head["next_id"]),
        updated_at=clock,
        searched_finely_at=clock - float(head["searched_finely"]),
        thumbnail=thumbnail if head["seen_scene"] else None,
        before_cut=(cut_at, before, known[tracks:]) if head["cut"] < _LONG_AGO_S else None,
    )
    size = int(head["width"]), int(head["height"])
    return Stream(memory, size, clock, float(head["wall"]), clock - float(head["searched"]))


def _ago(at: float, clock: float) -> float:
    return min(clock - at, _LONG_AGO_S)


def _sane(head: np.void, rows: np.ndarray) -> bool:
    """Whether every number can be one of ours."""
    ids, next_id = rows["id"], int(head["next_id"])
    numbers = [head[name] for name in ("clock", "wall", "searched", "searched_finely", "cut")]
    numbers += [rows[name] for name in ("angle", "points", "movement", "ago", "presence", "raw_smile", "smile")]
    return (
        all(np.isfinite(number).all() and (np.abs(number) <= 1e11).all() for number in numbers)
        and min(int(head["width"]), int(head["height"])) >= 1
        and 1 <= next_id < MAX_NUMBER - MAX_FACES  # otherwise the next answer would have no valid ids left
        and all(1 <= number < next_id for number in ids.tolist())
        and len(set(ids.tolist())) == len(ids)
    )


def _write(row: np.void, track: Track, clock: float) -> None:
    sight = track.sight
    row["id"], row["box"], row["place"] = track.face.id, track.face.box, sight.box
    row["angle"], row["presence"], row["raw_smile"] = sight.angle, sight.presence, sight.raw_smile
    row["smile"], row["smiling"] = track.smile.state[:3], track.smile.state.smiling
    row["missed"] = track.missed
    row["points"] = track.steady.state
    row["movement"] = track.velocity, track.course
    row["ago"] = [_ago(at, clock) for at in (track.seen_at, track.tried_at, track.like_at, track.portrait_at)]
    row["portraits_kept"] = len(track.portraits)
    for i, portrait in enumerate(track.portraits):
        row["portraits"][i] = portrait


def _read(row: np.void, clock: float) -> Track:
    points = np.clip(row["points"].astype(float), -_FARTHEST, _FARTHEST)
    raw_smile, presence = (float(np.clip(row[name], 0, 1)) for name in ("raw_smile", "presence"))
    sight = Face(0, _box(row["place"]), raw_smile, raw_smile, as_points(points[1]), presence, float(row["angle"]))
    seen_at, tried_at, like_at, portrait_at = (clock - float(ago) for ago in row["ago"])
    track = Track(sight, sight, seen_at, tried_at, like_at=like_at, portrait_at=portrait_at, missed=bool(row["missed"]))
    mean, evidence, neutral = (float(value) for value in np.clip(row["smile"], (0, -1, -3), (1, 1, 3)))
    track.smile.state = SmileState(mean, evidence, neutral, bool(row["smiling"]))
    track.steady.state = points[0], points[1], points[2]
    track.velocity, track.course = np.clip(row["movement"].astype(float), -_FARTHEST, _FARTHEST)
    kept = row["portraits"][: min(int(row["portraits_kept"]), PORTRAITS)]
    track.portraits = deque((portrait.astype(np.float32) for portrait in kept), maxlen=PORTRAITS)
    box, smile = _box(row["box"]), track.smile.value
    shown = replace(sight, id=int(row["id"]), box=box, smile=smile, landmarks=as_points(points[0]))
    track.face = replace(shown, neutral=track.smile.neutral)
    return track


def _box(sides: np.ndarray) -> Box:
    return Box(*np.clip(sides, -int(_FARTHEST), int(_FARTHEST)).tolist())


def _scaled(track: Track, scale: float) -> Track:
    smoothed, came, velocity = (scale * points for points in track.steady.state)
    boxes = [Box(*(round(scale * side) for side in face.box)) for face in (track.face, track.sight)]
    track = replace(track, velocity=scale * track.velocity, course=scale * track.course)
    track.face = replace(track.face, box=boxes[0], landmarks=as_points(smoothed))
    track.sight = replace(track.sight, box=boxes[1], landmarks=as_points(came))
    track.steady.state = smoothed, came, velocity
    return track
