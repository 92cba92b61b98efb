"""Make training frames for the finder on the fly: faces of any size and lean, in front of other things, cut, covered and
dim.

    >>> maker = SceneMaker(pictures, "train", np.random.default_rng(0))
    >>> frame, faces, sure = maker.scene()
    >>> frame.shape, faces.shape
    ((128, 160), (2, 13))

Coordinates are counted from the frame's upper left edge, in pixels: the first pixel's centre is (0.5, 0.5).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from faces.finder import HEIGHT, WIDTH
from training.finding.drawn import clouds, letter
from training.finding.light import lit
from training.finding.pictures import BACKGROUNDS, Pictures

# Shares of the faces, by set. The share of a missing set goes to the others.
_SHARES = {
    "genki": 0.32,
    "affect": 0.26,
    "keypoints": 0.14,
    "celeba64": 0.16,
    "getty_originals_sample": 0.08,
    "dlib_faces": 0.04,
}
_OTHER_SHARE = 0.3  # for each set that is not in the table, such as a user's own
_COUNTS = ((0, 0.16), (1, 0.48), (2, 0.20), (4, 0.10), (12, 0.06))  # at most so many faces, and how often
_SMALLEST, _LARGEST = 8.0, 260.0  # side of a face in a frame of 160x128
_TAUGHT_FROM = 6.5  # pixels: smaller faces are neither taught nor counted as mistakes
# Visible share of a face's square: below the first it is no face, below the second not a sure one.
_LEAST_SEEN, _LEAST_SURE = 0.25, 0.5
_MIRRORED = [0, 1, 2, 5, 6, 3, 4, 7, 8, 11, 12, 9, 10]  # left and right change places


class SceneMaker:
    """Makes frames from the pictures of one split ("train", "val" or "test")."""

    def __init__(self, pictures: Pictures, split: str, rng: np.random.Generator) -> None:
        self._pictures, self._rng = pictures, rng
        mine = pictures.split == split
        self._backgrounds = np.flatnonzero(mine & (pictures.source == BACKGROUNDS))
        sets = sorted({str(name) for name in pictures.source[mine]} - {BACKGROUNDS})
        self._sets = [np.flatnonzero(mine & (pictures.source == name)) for name in sets]
        shares = np.array([_SHARES.get(name, _OTHER_SHARE) for name in sets])
        self._shares = shares / shares.sum()

    def scene(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A frame uint8 `(128, 160)`, its faces float32 `(k, 13)`, and whether each is sure, bool `(k,)`."""
        rng = self._rng
        frame = self._background()
        for _ in range(rng.integers(0, 3) if rng.random() < 0.25 else 0):
            self._patch(frame)
        for _ in range(rng.integers(1, 3) if rng.random() < 0.12 else 0):
            letter(frame, rng)
        most = int(rng.choice([most for most, _ in _COUNTS], p=[share for _, share in _COUNTS]))
        count = most if most < 3 else int(rng.integers(most // 2, most + 1))
        faces, sure = np.empty((0, 13), np.float32), np.empty(0, bool)
        for i in range(count):
            faces, sure = self._add(frame, faces, sure, first=i == 0, alone=count == 1, many=count > 3)
        if rng.random() < 0.2 and len(faces):
            faces, sure = self._cover(frame, faces, sure)
        frame, visible = lit(frame, faces, rng)
        frame, inner = _letterboxed(frame, rng)
        return frame, *_seen(faces, sure & visible, inner)

    # --- what is behind ---

    def _background(self) -> np.ndarray:
        rng = self._rng
        if rng.random() < 0.07 or not len(self._backgrounds):
            return self._noise()
        if rng.random() < 0.10:
            return clouds((WIDTH, HEIGHT), rng)
        picture = self._pictures.picture(int(rng.choice(self._backgrounds)))
        return self._part(picture, WIDTH, HEIGHT)

    def _part(self, picture: np.ndarray, width: int, height: int) -> np.ndarray:
        rng = self._rng
        share = rng.uniform(0.35, 1.0)
        h, w = (max(4, round(side * share)) for side in picture.shape)
        y, x = rng.integers(0, picture.shape[0] - h + 1), rng.integers(0, picture.shape[1] - w + 1)
        part = picture[y : y + h, x : x + w]
        kind = cv2.INTER_AREA if w > width else cv2.INTER_LINEAR
        part = cv2.resize(part, (width, height), interpolation=kind)
        return np.ascontiguousarray(part[:, ::-1]) if rng.random() < 0.5 else part

    def _noise(self) -> np.ndarray:
        rng = self._rng
        frame = np.full((HEIGHT, WIDTH), rng.uniform(20, 230), np.float32)
        for cell in (2, 8, 32, 100):
            strength = rng.uniform(0, 40) if rng.random() < 0.6 else 0.0
            grid = rng.normal(0, max(strength, 0.1), (HEIGHT // cell + 2, WIDTH // cell + 2)).astype(np.float32)
            frame += cv2.resize(grid, (WIDTH, HEIGHT))
        return np.clip(frame, 0, 255).astype(np.uint8)

    def _patch(self, frame: np.ndarray, center: tuple[float, float] | None = None, size: float = 0.0) -> np.ndarray:
        """Sets part of another picture into the frame, and returns where: float32 `(128, 160)`, 0 to 1."""
        rng = self._rng
        size = size or rng.uniform(8, 100)
        w, h = (max(3, round(size * rng.uniform(0.5, 1.5))) for _ in range(2))
        x, y = center or (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        if len(self._backgrounds):
            part = self._part(self._pictures.picture(int(rng.choice(self._backgrounds))), w, h)
        else:
            part = np.full((h, w), rng.uniform(0, 255), np.uint8)
        if rng.random() < 0.3:  # a hand, a mask, a wall: one colour
            part = np.clip(part * 0.15 + rng.uniform(0, 215), 0, 255).astype(np.uint8)
        angle = rng.uniform(-40, 40) if rng.random() < 0.5 else 0.0
        turn = cv2.getRotationMatrix2D((w / 2, h / 2), angle, 1.0)
        turn = turn + np.array([[0, 0, x - w / 2], [0, 0, y - h / 2]])
        alpha: np.ndarray = np.ones((h, w), np.float32)
        if rng.random() < 0.4:
            alpha = cv2.ellipse(np.zeros((h, w), np.float32), (w // 2, h // 2), (w // 2, h // 2), 0, 0, 360, 1.0, -1)
        return _blend(frame, part, alpha, turn)

    # --- faces ---

    def _add(
        self, frame: np.ndarray, faces: np.ndarray, sure: np.ndarray, *, first: bool, alone: bool, many: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        rng = self._rng
        picture, rows, certain = self._person()
        main = rows[np.argmax(np.where(certain, rows[:, 2], 0))]
        side = self._side(alone, many)
        x, y = self._place(side)
        near = (np.abs(faces[:, :2] - (x, y)).max(axis=1) < 0.6 * (side + faces[:, 2])).any()
        if not first and near and rng.random() < 0.85:
            return faces, sure
        scale = side / main[2]
        if scale < 0.5:  # smooths pixels that bilinear sampling would skip
            shrink = max(2 * scale, 4 / min(picture.shape))
            size = [max(2, round(value * shrink)) for value in picture.shape[::-1]]
            ratio = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            rows = _moved(rows, np.array([[ratio[0], 0, 0], [0, ratio[1], 0]], np.float32))
            main = rows[np.argmax(np.where(certain, rows[:, 2], 0))]
            scale = side / main[2]
        upright = math.degrees(math.atan2(main[6] - main[4], main[5] - main[3]))
        turn = cv2.getRotationMatrix2D((float(main[0]), float(main[1])), upright - self._lean(), scale)
        turn = turn + np.array([[0, 0, x - main[0]], [0, 0, y - main[1]]])
        fills = first and rng.random() < 0.4
        alpha = self._mask(picture.shape, main)
        covered = _blend(frame, picture, None if fills else alpha, turn)
        if len(faces):
            faces, sure = _uncovered(faces, sure, covered)
        new = _moved(rows, turn.astype(np.float32))
        # A neighbour in the same photo comes along only as far as the mask reaches.
        shown = np.array([_share(covered, row) for row in new])
        return np.concatenate([faces, new[shown > 0.3]]), np.concatenate([sure, (certain & (shown > 0.75))[shown > 0.3]])

    def _person(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A picture, perhaps mirrored, with its faces counted from its edge, and which of them are sure."""
        rng = self._rng
        i = int(rng.choice(self._sets[rng.choice(len(self._sets), p=self._shares)]))
        picture = self._pictures.picture(i)
        rows, certain = self._pictures.faces_of(i)
        rows = rows.copy()
        rows[:, 3:] += 0.5  # landmarks are counted from pixel centres
        if rng.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
            rows = rows[:, _MIRRORED]
            rows[:, [0, 3, 5, 7, 9, 11]] = picture.shape[1] - rows[:, [0, 3, 5, 7, 9, 11]]
        return picture, rows, certain

    def _side(self, alone: bool, many: bool) -> float:
        rng = self._rng
        if alone and rng.random() < 0.25:
            return rng.uniform(90, _LARGEST)
        largest = 40 if many else 150 if alone else 80
        return math.exp(rng.uniform(math.log(_SMALLEST), math.log(largest)))

    def _place(self, side: float) -> tuple[float, float]:
        rng = self._rng
        room = side * (-0.1 if rng.random() < 0.2 else 0.4)  # some are cut by the border
        x, y = (
            rng.uniform(room, size - room) if room < size / 2 else size / 2 + rng.uniform(-0.2, 0.2) * size
            for size in (WIDTH, HEIGHT)
        )
        return x, y

    def _lean(self) -> float:
        """Degrees clockwise."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.52:
            return rng.normal(0, 12)
        return rng.uniform(-75, 75) if kind < 0.70 else rng.uniform(-180, 180)

    def _mask(self, shape: tuple[int, ...], main: np.ndarray) -> np.ndarray:
        """Which part of the picture is set in: all of it, or a soft-edged head."""
        if self._rng.random() < 0.5:
            return np.ones(shape, np.float32)
        ys, xs = np.ogrid[: shape[0], : shape[1]]
        wide, high = self._rng.uniform(0.75, 1.1) * main[2], self._rng.uniform(0.95, 1.3) * main[2]
        distance = np.hypot((xs + 0.5 - main[0]) / wide, (ys + 0.5 - main[1] + 0.15 * main[2]) / high)
        return np.clip((1 - distance) / 0.2, 0, 1).astype(np.float32)

    def _cover(self, frame: np.ndarray, faces: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Puts something in front of one face or a part of it."""
        rng = self._rng
        x, y, side = faces[rng.integers(len(faces)), :3]
        whole = rng.random() < 0.15
        away = 0.1 if whole else rng.uniform(0.45, 0.7)
        angle = rng.uniform(0, 2 * math.pi)
        center = (x + math.cos(angle) * away * side, y + math.sin(angle) * away * side)
        covered = self._patch(frame, center, side * (1.5 if whole else rng.uniform(0.5, 0.9)))
        return _uncovered(faces, sure, covered)


def _blend(frame: np.ndarray, part: np.ndarray, alpha: np.ndarray | None, turn: np.ndarray) -> np.ndarray:
    """Sets `part`, moved by `turn` (which counts from edges), into the frame where `alpha` says. None: everywhere."""
    centers = np.array(turn, np.float64)
    centers[:, 2] += centers[:, :2] @ (0.5, 0.5) - 0.5
    size = (WIDTH, HEIGHT)
    moved = cv2.warpAffine(part, centers, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if alpha is None:
        frame[:] = moved
        return np.ones((HEIGHT, WIDTH), np.float32)
    mask = cv2.warpAffine(alpha, centers, size, flags=cv2.INTER_LINEAR)
    frame[:] = np.rint(frame + mask * (moved.astype(np.float32) - frame))
    return mask


def _moved(rows: np.ndarray, turn: np.ndarray) -> np.ndarray:
    moved = rows.copy()
    points = rows[:, [0, 1, *range(3, 13)]].reshape(-1, 6, 2) @ turn[:, :2].T + turn[:, 2]
    moved[:, [0, 1, *range(3, 13)]] = points.reshape(-1, 12)
    moved[:, 2] *= math.sqrt(abs(float(np.linalg.det(turn[:, :2]))))
    return moved


def _share(mask: np.ndarray, face: np.ndarray) -> float:
    """Which share of the visible part of the face's square the mask covers, 0 to 1."""
    x, y, half = face[0], face[1], face[2] * 0.4
    part = mask[max(0, int(y - half)) : max(0, math.ceil(y + half)), max(0, int(x - half)) : max(0, math.ceil(x + half))]
    return float(part.mean()) if part.size else 0.0


def _uncovered(faces: np.ndarray, sure: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shares = np.array([_share(covered, face) for face in faces])
    return faces[shares < 0.7], (sure & (shares < 0.45))[shares < 0.7]


def _letterboxed(frame: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    """The frame as one of another shape would come: the missing part at the right or below repeats the border. Also the true
    size.
    """
    width, height = WIDTH, HEIGHT
    kind = rng.random()
    if kind < 0.3:
        height = int(rng.integers(112, HEIGHT))
        frame[height:] = frame[height - 1]
    elif kind < 0.5:
        width = int(rng.integers(90, WIDTH))
        frame[:, width:] = frame[:, width - 1 : width]
    return frame, (width, height)


def _seen(faces: np.ndarray, sure: np.ndarray, inner: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The faces with enough of them in the frame, and which of these are sure."""
    x, y, side = faces[:, 0], faces[:, 1], np.maximum(faces[:, 2], 1e-6)
    wide = np.clip(np.minimum(x + side / 2, inner[0]) - np.maximum(x - side / 2, 0), 0, None)
    high = np.clip(np.minimum(y + side / 2, inner[1]) - np.maximum(y - side / 2, 0), 0, None)
    # For a face larger than the frame, the whole frame is enough.
    seen = wide * high / np.minimum(side**2, 0.8 * inner[0] * inner[1])
    kept = (seen > _LEAST_SEEN) & (side > 3)
    return faces[kept], (sure & (seen > _LEAST_SURE) & (side >= _TAUGHT_FROM))[kept]
