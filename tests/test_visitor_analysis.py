"""One picture after the other, with nothing remembered between them but what the visitor sends along."""

import base64
import json
import math

import cv2
import numpy as np
import pytest

from benchmarks.actors.broken_forms import state
from common.errors import PictureError, PreviousError, TooLarge
from common.face import Box
from common.settings import Settings
from faces.detectors import create_detector
from faces.tracking import MAX_FACES, FaceTracker
from pictures.reading import read_video
from smile_recognition import LANDMARKS, SmileRecognizer
from visitors import carried
from visitors.analysis import VisitorAnalysis
from visitors.carried import Stream, pack, unpack
from visitors.load import StreamLoad
from visitors.turns import TurnSearch


def jpeg(image: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


class Clock:
    """Goes on by `step` seconds with every picture."""

    def __init__(self, step: float = 0.1) -> None:
        self.step, self.now = step, 1_800_000_000.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def analysis(clock) -> VisitorAnalysis:
    return VisitorAnalysis(Settings(), clock=clock)


@pytest.fixture(scope="module")
def recognizer() -> SmileRecognizer:
    return SmileRecognizer()


@pytest.fixture(scope="module")
def scene(astronaut):
    def make(dx: float = 0, dy: float = 0) -> np.ndarray:
        return cv2.warpAffine(
            astronaut, np.array([[1, 0, dx], [0, 1, dy]], np.float32), (512, 400), borderMode=cv2.BORDER_REPLICATE
        )

    return make


@pytest.fixture(scope="module")
def first(analysis, scene) -> dict:
    return analysis.analyze(jpeg(scene()), {})


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_still_is_analysed(analysis, scene, suffix):
    answer = analysis.analyze(jpeg(scene(), suffix))
    assert set(answer) == {"width", "height", "elapsed_ms", "faces"}
    assert (answer["width"], answer["height"]) == (512, 400)
    (face,) = answer["faces"]
    assert set(face) == {"id", "box", "smile", "raw_smile", "label", "neutral", "landmarks"}
    assert face["label"] == "smile"
    assert face["smile"] == face["raw_smile"] > 0.7
    assert list(face["landmarks"]) == list(LANDMARKS)
    assert Box(**face["box"]).iou(Box(73, 276, 165, 184)) > 0.5
    json.dumps(answer, allow_nan=False)


def test_a_stream_is_followed_by_worker_after_worker(scene, analysis, first):
    workers = [analysis, VisitorAnalysis(Settings(), clock=analysis._clock)]
    answer = first
    for i in range(1, 30):
        dx = 60 * math.sin(i / 8)
        answer = workers[i % 2].analyze(jpeg(scene(dx)), json.loads(json.dumps(answer)))
        (face,) = answer["faces"]
        assert face["id"] == first["faces"][0]["id"]
        shift = face["landmarks"]["nose"][0] - first["faces"][0]["landmarks"]["nose"][0]
        assert abs(shift - dx) < 10


def test_the_detector_is_asked_only_now_and_then(first, analysis, scene, monkeypatch):
    asked = []

    def count(self, image, *, min_face=40.0):
        asked.append(min_face)
        return []

    monkeypatch.setattr("faces.finder.FinderDetector.candidates", count)
    answer = first
    for _ in range(29):
        answer = analysis.analyze(jpeg(scene()), answer)
        assert len(answer["faces"]) == 1
    assert len(asked) in (2, 3), "once a second, ten pictures a second"


def test_who_has_gone_is_gone_and_who_comes_gets_a_new_id(analysis, scene, first):
    empty = jpeg(np.full((400, 512, 3), 90, np.uint8))
    answers = [first]
    for _ in range(30):
        answers.append(analysis.analyze(empty, answers[-1]))
    assert [answer["faces"] for answer in answers[3:]] == [[]] * 28
    again = analysis.analyze(jpeg(scene(40)), answers[5])
    assert [face["id"] for face in again["faces"]] == [1], "who is back at once is still the same"
    later = answers[-1]
    for _ in range(3):  # a search is due four times a second
        later = analysis.analyze(jpeg(scene(40)), later)
    assert [face["id"] for face in later["faces"]] == [2]


def test_smiles_are_smoothed_over_the_time_that_passed(scene, astronaut):
    """A face that turns serious, by a mouth that is covered: soon after, much of the smile is left."""
    clock = Clock(0.03)
    analysis = VisitorAnalysis(Settings(), clock=clock)
    smiling = analysis.analyze(jpeg(scene()), {})
    picture = scene()
    (face,) = smiling["faces"]
    (left, y), (right, _) = face["landmarks"]["mouth_left"], face["landmarks"]["mouth_right"]
    cv2.rectangle(picture, (round(left - 8), round(y - 12)), (round(right + 8), round(y + 12)), (150, 170, 200), -1)
    (soon,) = analysis.analyze(jpeg(picture), smiling)["faces"]
    clock.step = 60
    (late,) = analysis.analyze(jpeg(picture), smiling)["faces"]
    assert face["smile"] > soon["smile"] > late["smile"]
    assert late["smile"] == pytest.approx(late["raw_smile"], abs=0.01)


def test_a_slow_stream_keeps_its_faces(scene):
    analysis = VisitorAnalysis(Settings(), clock=Clock(5.0))
    answer = analysis.analyze(jpeg(scene()), {})
    for dx in (8, 16, 24, 32):
        answer = analysis.analyze(jpeg(scene(dx)), answer)
        assert [face["id"] for face in answer["faces"]] == [1]


def test_a_smaller_picture_of_the_same_follows_and_one_of_another_shape_begins_anew(analysis, scene, first):
    half = cv2.resize(scene(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    answer = analysis.analyze(jpeg(half), first)
    assert [face["id"] for face in answer["faces"]] == [1]
    x, y = first["faces"][0]["landmarks"]["nose"]
    assert answer["faces"][0]["landmarks"]["nose"] == pytest.approx([x / 2, y / 2], abs=3)
    answer = analysis.analyze(jpeg(cv2.rotate(scene(), cv2.ROTATE_90_CLOCKWISE)), first)
    assert 1 not in [face["id"] for face in answer["faces"]]


@pytest.mark.parametrize(
    "previous",
    [
        *([], "yes", 5, {"faces": []}, {"state": 5}, {"state": ""}, {"state": "no base64!"}, {"state": "A" * 4000}),
        *({"state": state(0)[:-8]}, {"state": state(1)[:-8]}, {"state": state(1) + "AAAA"}, {"state": state(MAX_FACES + 1)}),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(analysis, scene, previous):
    with pytest.raises(PreviousError, match="'previous' must be"):
        analysis.analyze(jpeg(scene()), previous)


def changed(text: str, field: str, value, *, row: int | None = None) -> dict:
    """A state in which one number is another."""
    data = bytearray(base64.b64decode(text))
    offset = 0 if row is None else carried._HEAD.itemsize + row * carried._TRACK.itemsize
    np.frombuffer(data, carried._HEAD if row is None else carried._TRACK, 1, offset)[field][0] = value
    return {"state": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("field", "value", "row"),
    [
        *(("version", 9, None), ("tracks", 3, None), ("next_id", 0, None), ("next_id", 2**52, None), ("next_id", 2, None)),
        *(("width", 0, None), ("clock", math.nan, None), ("wall", math.inf, None), ("searched", math.nan, None)),
        *(
            ("id", 2, 0),
            ("id", 0, 0),
            ("id", -1, 0),
            ("points", math.nan, 0),
            ("movement", math.inf, 0),
            ("angle", math.nan, 0),
        ),
    ],
)
def test_a_state_with_an_impossible_number_is_none_of_ours(analysis, scene, field, value, row):
    with pytest.raises(PreviousError):
        analysis.analyze(jpeg(scene()), changed(state(2), field, value, row=row))


@pytest.mark.parametrize("value", [0, 1e-30, 1e5, -99_999, 1e10, -1e10])
@pytest.mark.parametrize("field", ["points", "movement", "angle", "ago", "box", "place", "smile"])
def test_a_face_at_an_impossible_place_is_found_gone_or_where_it_is(analysis, scene, first, field, value):
    """The picture shows one face, so whatever the state claims, no other place is told."""
    whole = min(max(value, -(2**31)), 2**31 - 1)
    previous = changed(first["state"], field, whole if field in ("box", "place") else value, row=0)
    answer = analysis.analyze(jpeg(scene()), previous)
    json.dumps(answer, allow_nan=False)
    (known,) = first["faces"]
    for face in answer["faces"]:
        assert Box(**face["box"]).iou(Box(**known["box"])) > 0.5
        assert 0 <= face["smile"] <= 1


@pytest.mark.parametrize("seed", range(60))
def test_random_states_break_nothing(analysis, scene, first, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(base64.b64decode(first["state"]))
    for at in rng.integers(0, len(data), rng.integers(1, 40)):
        data[at] = rng.integers(256)
    try:
        answer = analysis.analyze(jpeg(scene()), {"state": base64.b64encode(data).decode()})
    except PreviousError:
        return
    json.dumps(answer, allow_nan=False)
    assert all(0 <= face["smile"] <= 1 for face in answer["faces"])


def test_what_is_carried_is_what_was_known(scene, recognizer):
    tracker = FaceTracker(create_detector("finder"), recognizer, offline=True)
    for i in range(20):
        tracker.update(scene(4 * i), i / 10)
    before = Stream(tracker.memory, (512, 400), 1.9, 1_800_000_000.0, 1.5)
    after = unpack(pack(before))
    assert (after.size, after.clock, after.wall) == (before.size, before.clock, before.wall)
    assert after.searched_at == pytest.approx(1.5)
    (mine,), (back,) = before.memory.tracks, after.memory.tracks
    assert (back.face.id, back.face.box, back.face.label) == (mine.face.id, mine.face.box, mine.face.label)
    assert back.face.points == pytest.approx(mine.face.points, abs=1e-3)
    assert back.sight.points == pytest.approx(mine.sight.points, abs=1e-3)
    assert back.velocity == pytest.approx(mine.velocity, abs=1e-3)
    assert (back.seen_at, back.like_at, back.portrait_at) == pytest.approx((mine.seen_at, mine.like_at, mine.portrait_at))
    assert np.array_equal(back.portraits, mine.portraits)
    assert np.abs(after.memory.thumbnail - before.memory.thumbnail).max() <= 0.5
    assert len(pack(before)) < 4500, "of which the two thumbnails are half"


def test_a_visitor_is_followed_as_steadily_as_the_apps_camera(shared_videos, recognizer):
    """Both on one video of ten pictures a second: the same numbers, boxes and labels from the first picture on."""
    pictures = [frame.image for frame in read_video(str(shared_videos / "neutral_smile_neutral.mp4"))][::3]
    analysis = VisitorAnalysis(Settings(), clock=Clock(0.1))
    search = TurnSearch(create_detector("finder"), StreamLoad(1), searched_at=-math.inf)
    camera = FaceTracker(create_detector("finder"), recognizer, search=search)
    answer: dict = {}
    for i, picture in enumerate(pictures):
        encoded = jpeg(picture, ".png")
        answer = analysis.analyze(encoded, answer)
        faces = camera.update(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE), (i + 1) / 10)
        assert [face["id"] for face in answer["faces"]] == [face.id for face in faces]
        for told, face in zip(answer["faces"], faces, strict=True):
            assert told["smile"] == pytest.approx(face.smile, abs=0.02)
            assert np.abs(np.subtract(list(told["box"].values()), face.box)).max() <= 2
    assert len(answer["faces"]) == 1


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8", b"GIF89a", b"RIFF....WEBP", b"BM" + b"\0" * 60])
def test_what_is_no_picture_is_said_to_be_none(analysis, data):
    with pytest.raises(PictureError):
        analysis.analyze(data)


def test_a_picture_that_unpacks_to_very_many_pixels_is_not_decoded(analysis):
    small = bytearray(jpeg(np.zeros((8, 8, 3), np.uint8), ".png"))
    small[16:24] = (30_000).to_bytes(4, "big") * 2
    with pytest.raises(TooLarge, match="at most 25 megapixels"):
        analysis.analyze(bytes(small))
