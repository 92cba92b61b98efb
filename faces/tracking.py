"""Follow faces from frame to frame: the same id, a steady box and a steady probability.

A detector is too slow to search every frame. So a thread of its own now and then searches a whole frame for new faces, and
the smile network alone follows each known face. Its landmarks say where to look next, its presence output says whether the
face is still there. What a tracker knows is a `Memory`: it stays, or goes with a visitor to the next picture.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import cv2
import numpy as np

from common.face import Box, Face, as_points
from faces.alignment import align
from faces.detection import Candidate, FaceDetector
from faces.finder import SEEN
from faces.following import distance, follow, is_surely_a_face, look
from faces.search import FaceSearch, Search
from faces.track import SHOWN_AFTER_S, THUMBNAIL_SHAPE, Memory, Track, correlation, portrait
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer

MAX_FACES = 32
_SEARCH_OFFLINE_S = 0.1  # between two searches; otherwise as the detector's cost allows
_SEARCHED_LESS = 4  # searches are so many times rarer while every face is in view ...
_JOINED_S = 0.3  # at least, which costs a fiftieth of a core and is soon enough for who joins a face
_SEARCHED_FINELY = 12  # ... and those for small faces
_FORGET_AFTER_S = 2.0  # a face that a hand or a passer-by hides for so long comes back with its id
_VELOCITY_S = 0.15  # time over which velocity is averaged
_COURSE_S = 0.5  # the same for a face that goes out of sight: its last movements may be those of what hid it
_FOLLOWED_PER_FRAME = 8  # beyond that, faces take turns
_SAME_FACE = 0.4  # distance in box heights at which two tracks have come to follow one face
_LIKE = 0.6  # correlation of two portraits of one person, at most minutes apart
_ODD_S = 0.25  # a face that looks different for so long is searched for like one that was lost
_UNLIKE_S = 0.6  # a face that looks different for so long is dropped unless the detector finds it
_SURELY_LIKE = 0.85  # the same if much else has changed
_PORTRAIT_EVERY_S = 0.5
_HELD = 0.012  # share of its height by which a box may be off before it moves
_MOVED = 0.1  # box heights: a face expected so far off is also looked for where it was
_UNLIKE_WEIGHT, _HIDDEN_WEIGHT = 0.5, 0.3  # in box heights, of two tracks that see one face
_OVERLAP = 0.2  # of a proposed box and a followed face
_SIZES = 0.6, 1.7  # how much smaller or larger the same face may look
_REACH, _REACH_PER_S = 0.5, 1.5  # box heights in which a hidden face may come back
_FLAT = 4.0  # deviation of grey levels of a picture of one colour
_CUT = 0.5  # two frames show different scenes if the correlation of their thumbnails is lower


class FaceTracker:
    """Faces over time. `update` is called from one thread; the search for new faces runs in another until `close()`."""

    def __init__(
        self,
        detector: FaceDetector,
        recognizer: SmileRecognizer,
        *,
        offline: bool = False,
        search: Search | None = None,
        memory: Memory | None = None,
    ) -> None:
        """`offline`: time does not matter, so `update` itself searches and follows every face in every frame. The result
        depends only on the frames and their times, not on the computer's speed.

        `search`: used in place of a thread with `detector`. `memory`: that of an earlier tracker.
        """
        self._offline = offline
        self._recognizer = recognizer
        self._search = search or FaceSearch(detector, at_once=offline)
        self.memory = memory or Memory()
        self.timings_ms = {"follow": 0.0}

    @property
    def searches(self) -> int:
        """Searches of whole frames that worked."""
        return self._search.searches

    @property
    def failed_searches(self) -> int:
        return self._search.failures

    def update(self, image: np.ndarray, now: float) -> list[Face]:
        """Faces in the next frame, uint8 BGR `(h, w, 3)` or grey `(h, w)`, at `now` seconds; largest first.

        Raises the SmileError that the searching thread met, if any.
        """
        started = time.perf_counter()
        found = self._search.take()
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if now <= self.memory.updated_at:  # a file that begins again
            self.forget()
        self.memory.updated_at = now
        if self._scene_changed(gray, now):
            found = []
        self._follow_all(gray, now)
        self._take_in(found, gray, now)
        self._ask_for_search(image, now)
        if self._search.at_once:  # it is already over
            self._take_in(self._search.take(), gray, now)
        self.memory.tracks = [track for track in self.memory.tracks if not _is_over(track, now, gray.shape)]
        self.timings_ms = {"follow": (time.perf_counter() - started) * 1e3}
        shown = [track.face for track in self.memory.tracks if not track.hidden(now)]
        return sorted(shown, key=lambda face: -face.box.area)

    def forget(self) -> None:
        """Drop all faces: the next frame shows another scene."""
        self.memory = Memory(next_id=self.memory.next_id)
        self._search.forget()

    def close(self, timeout: float = 2.0) -> None:
        """Ends the searching thread, waiting up to `timeout` seconds for it."""
        self._search.close(timeout)

    # --- known faces ---

    def _follow_all(self, gray: np.ndarray, now: float) -> None:
        tracks = self.memory.tracks
        if not self._offline and len(tracks) > _FOLLOWED_PER_FRAME:
            tracks = sorted(tracks, key=lambda track: track.tried_at)[:_FOLLOWED_PER_FRAME]
        sights: list[tuple[Track, Face]] = []
        for track in tracks:
            track.tried_at = now
            sight = self._find_again(track, gray, now)
            if sight is not None:
                sights.append((track, sight))
        for track, sight in self._settled(sights, gray, now):
            self._see(track, sight, gray, now)
        for track in tracks:
            track.missed = track.seen_at < now

    def _find_again(self, track: Track, gray: np.ndarray, now: float) -> Face | None:
        moved = track.moved_by(now)
        sight = follow(gray, track.sight.points + moved, self._recognizer)
        if not sight.present and np.abs(moved).max() > _MOVED * track.sight.box.height:  # the face stopped, or turned back
            sight = follow(gray, track.sight.points, self._recognizer)
        if not sight.present:
            return None
        if not track.hidden(now):
            lasting = now - track.like_at > _UNLIKE_S  # patterns beside a face that has gone can pass for one
            return None if lasting and not self._is_like(track, sight, gray) else sight
        # It was hidden for a while, so now it must certainly be a face, and the same one.
        return sight if sight.presence >= PRESENCE_THRESHOLD and self._is_like(track, sight, gray) else None

    def _settled(self, sights: list[tuple[Track, Face]], gray: np.ndarray, now: float) -> list[tuple[Track, Face]]:
        """If two tracks see one face, as when people pass each other, the track that expected it there keeps it."""
        lost: set[int] = set()
        for (a, sight_a), (b, sight_b) in itertools.combinations(sights, 2):
            if {a.face.id, b.face.id} & lost or not _same_place(sight_a.box, sight_b.box):
                continue
            doubt_a, doubt_b = self._doubt(a, sight_a, gray, now), self._doubt(b, sight_b, gray, now)
            lost.add((a if doubt_a > doubt_b else b).face.id)
        return [(track, sight) for track, sight in sights if track.face.id not in lost]

    def _doubt(self, track: Track, sight: Face, gray: np.ndarray, now: float) -> float:
        unlike = 1 - track.likeness(portrait(gray, sight))
        return distance(sight.box, track.expected(now)) + _UNLIKE_WEIGHT * unlike + _HIDDEN_WEIGHT * track.hidden(now)

    def _see(self, track: Track, sight: Face, gray: np.ndarray, now: float) -> None:
        elapsed = now - track.seen_at
        if track.hidden(now):
            track.steady.reset()
            track.velocity = np.zeros(2)
        elif elapsed > 0:
            velocity = (sight.points.mean(axis=0) - track.sight.points.mean(axis=0)) / elapsed
            track.velocity = track.velocity + (1 - math.exp(-elapsed / _VELOCITY_S)) * (velocity - track.velocity)
            track.course = track.course + (1 - math.exp(-elapsed / _COURSE_S)) * (velocity - track.course)
        landmarks = track.steady(sight.points, elapsed, sight.box.height)
        box = _held(track.face.box, align(landmarks)[0])
        smile = track.smile(sight.smile, elapsed)
        face = replace(sight, id=track.face.id, box=box, smile=smile, landmarks=as_points(landmarks))
        track.face = replace(face, neutral=track.smile.neutral)
        track.sight, track.seen_at, track.missed = sight, now, False
        seen = portrait(gray, sight)
        if track.likeness(seen) >= _LIKE:
            track.like_at = now
            if now - track.portrait_at >= _PORTRAIT_EVERY_S:
                track.portraits.append(seen)
                track.portrait_at = now

    # --- new faces ---

    def _take_in(self, found: list[Candidate], gray: np.ndarray, now: float) -> None:
        for box, angle, score in found:
            if self._is_followed(box, now):
                if score is None or score >= SEEN:
                    self._confirm(box, gray, now)
                continue
            # The detector sometimes takes a pattern for a face, so the network is asked before a face is shown.
            sight = look(gray, box, angle, self._recognizer)
            if self._is_followed(sight.box, now) or not is_surely_a_face(gray, sight, self._recognizer, score):
                continue
            track = self._hidden_one(sight, gray, now)
            if track is None:
                if len(self.memory.tracks) >= MAX_FACES:
                    continue
                face = replace(sight, id=self.memory.next_id)
                track = Track(face, sight, seen_at=now, tried_at=now)
                self.memory.tracks.append(track)
                self.memory.next_id += 1
            self._see(track, sight, gray, now)

    def _confirm(self, box: Box, gray: np.ndarray, now: float) -> None:
        """The detector sees a followed face, too. It may only have changed, for example in another light."""
        for track in self.memory.tracks:
            if now - track.like_at > 0 and track.seen_at == now and _same_place(box, track.sight.box):
                track.like_at = track.portrait_at = now
                track.portraits.append(portrait(gray, track.sight))

    def _is_followed(self, box: Box, now: float) -> bool:
        seen = [track.sight.box for track in self.memory.tracks if not track.hidden(now)]
        return any(other.iou(box) > _OVERLAP or _holds(other, box) for other in seen)

    def _hidden_one(self, sight: Face, gray: np.ndarray, now: float) -> Track | None:
        """The face that went out of sight and may be this one: it looks alike and is near enough for the time that
        passed.
        """
        hidden = [track for track in self.memory.tracks if track.hidden(now)]
        for track in sorted(hidden, key=lambda track: distance(track.expected(now), sight.box)):
            ratio = track.sight.box.height / max(1, sight.box.height)
            near = distance(track.expected(now), sight.box) < _REACH + _REACH_PER_S * (now - track.seen_at)
            if near and _SIZES[0] < ratio < _SIZES[1] and self._is_like(track, sight, gray):
                return track
        return None

    def _is_like(self, track: Track, sight: Face, gray: np.ndarray) -> bool:
        return track.likeness(portrait(gray, sight)) >= _LIKE

    def _ask_for_search(self, image: np.ndarray, now: float) -> None:
        pause = self._search.pause
        if not self.memory.tracks or any(track.hidden(now) or now - track.like_at > _ODD_S for track in self.memory.tracks):
            if self._search.ask(image, now, pause=_SEARCH_OFFLINE_S if self._offline else pause):
                self.memory.searched_finely_at = now
            return
        # People who join are mostly as near to the camera as those in view, and small faces cost most to search for.
        fine = now - self.memory.searched_finely_at >= _SEARCHED_FINELY * pause
        smallest = 0.0 if fine else min(track.sight.box.height for track in self.memory.tracks) / 2
        asked = self._search.ask(image, now, pause=max(_SEARCHED_LESS * pause, _JOINED_S), smallest=smallest, urgent=False)
        if asked and fine:
            self.memory.searched_finely_at = now

    # --- scenes ---

    def _scene_changed(self, gray: np.ndarray, now: float) -> bool:
        """Notices a cut and puts all faces aside. They come back with their scene if it was only broken or covered."""
        thumbnail = cv2.resize(gray[::4, ::4], THUMBNAIL_SHAPE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self.memory.thumbnail = self.memory.thumbnail, thumbnail
        # A picture of one colour, from a covered lens, is not another scene.
        if before is None or correlation(before, thumbnail) >= _CUT or min(before.std(), thumbnail.std()) < _FLAT:
            return False
        if self._sees_somebody_again(gray, now):  # somebody moves before a plain wall, or a light was switched on
            return False
        tracks, self.memory.tracks = self.memory.tracks, []
        self._search.forget()
        if self.memory.before_cut is not None:
            at, earlier, aside = self.memory.before_cut
            self.memory.before_cut = None
            if now - at < _FORGET_AFTER_S and correlation(earlier, thumbnail) >= _CUT:
                self.memory.tracks = aside
                return True
        self.memory.before_cut = (now, before, tracks)
        return True

    def _sees_somebody_again(self, gray: np.ndarray, now: float) -> bool:
        for track in [track for track in self.memory.tracks if not track.hidden(now)][:_FOLLOWED_PER_FRAME]:
            sight = self._find_again(track, gray, now)
            if sight is None or sight.presence < PRESENCE_THRESHOLD:
                continue
            sight = follow(gray, sight.points, self._recognizer)  # from close up, for a portrait that can be compared
            if sight.present and track.likeness(portrait(gray, sight)) >= _SURELY_LIKE:
                return True
        return False


def _is_over(track: Track, now: float, shape: tuple[int, ...]) -> bool:
    hidden = now - track.seen_at
    x, y = track.expected(now).center
    gone = not (0 <= x <= shape[1] and 0 <= y <= shape[0])  # the face has left the picture
    return hidden > (SHOWN_AFTER_S if gone else _FORGET_AFTER_S)


def _same_place(box: Box, other: Box) -> bool:
    return distance(box, other) < _SAME_FACE and _SIZES[0] < box.height / max(1, other.height) < _SIZES[1]


def _holds(box: Box, other: Box) -> bool:
    x, y = other.center
    return box.left <= x <= box.right and box.top <= y <= box.bottom


def _held(old: Box, new: Box) -> Box:
    """The old box while the new one is nearly the same. A box must not move for less than what rounding its edges adds."""
    most = max(1.0, _HELD * new.height)
    return old if all(abs(a - b) <= most for a, b in zip(old, new, strict=True)) else new
