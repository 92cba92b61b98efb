"""One picture after the other, with nothing remembered between them but what the visitor sends along."""

import copy
import json
import math
import threading

import cv2
import numpy as np
import pytest

from common.errors import DetectorError, PictureError
from common.face import Box
from common.settings import Settings
from smile_recognition import LANDMARKS
from tests.waiting import eventually
from visitors.analysis import TooBusy, TooLarge, VisitorAnalysis
from visitors.previous import PreviousError


def jpeg(image: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def at(place) -> dict:
    """Five landmarks at one place."""
    return dict.fromkeys(LANDMARKS, place)


@pytest.fixture(scope="module")
def analysis() -> VisitorAnalysis:
    return VisitorAnalysis(Settings())


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
    assert set(face) == {"id", "box", "smile", "raw_smile", "label", "landmarks"}
    assert face["label"] == "smile"
    assert face["smile"] == face["raw_smile"] > 0.7
    assert list(face["landmarks"]) == list(LANDMARKS)
    assert Box(**face["box"]).iou(Box(73, 276, 165, 184)) > 0.5
    json.dumps(answer, allow_nan=False)


def test_a_stream_is_followed_by_worker_after_worker(scene, analysis, first):
    workers = [analysis, VisitorAnalysis(Settings())]
    answer = first
    for i in range(1, 30):
        dx = 60 * math.sin(i / 8)
        answer = workers[i % 2].analyze(jpeg(scene(dx)), json.loads(json.dumps(answer)))
        (face,) = answer["faces"]
        assert face["id"] == first["faces"][0]["id"]
        shift = face["landmarks"]["nose"][0] - first["faces"][0]["landmarks"]["nose"][0]
        assert abs(shift - dx) < 10


def test_a_face_that_the_detector_never_sees_again_is_given_up(first, analysis, scene, monkeypatch):
    """A pattern beside a face that has gone can pass for it; a real face is seen by the detector now and then."""
    monkeypatch.setattr("faces.detection._LazyDetector.detect", lambda *_, **__: [])
    answers = [first]
    for _ in range(70):
        answers.append(analysis.analyze(jpeg(scene()), answers[-1]))
    assert [len(answer["faces"]) for answer in answers] == [1] * 60 + [0] * 11
    monkeypatch.undo()
    answer = analysis.analyze(jpeg(scene()), answers[-1])
    for _ in range(70):
        answer = analysis.analyze(jpeg(scene()), answer)
        assert [face["id"] for face in answer["faces"]] == [2]


def test_the_detector_is_asked_only_now_and_then(first, analysis, scene, monkeypatch):
    asked = []

    def count(self, image, *, min_face=40.0):
        asked.append(min_face)
        return []

    monkeypatch.setattr("faces.detection._LazyDetector.detect", count)
    answer = first
    for _ in range(29):
        answer = analysis.analyze(jpeg(scene()), answer)
    assert len(asked) == 1
    assert len(answer["faces"]) == 1


def test_who_has_gone_is_gone_and_who_comes_gets_a_new_id(analysis, scene, first):
    answer = analysis.analyze(jpeg(np.full((400, 512, 3), 90, np.uint8)), first)
    assert answer["faces"] == []
    answer = analysis.analyze(jpeg(scene(40)), answer)
    assert [face["id"] for face in answer["faces"]] == [first["faces"][0]["id"] + 1]


def test_smiles_are_smoothed_over_the_time_that_passed(analysis, scene, first, monkeypatch):
    before = copy.deepcopy(first)
    before["faces"][0]["smile"] = 0.0
    now = before["time"]
    monkeypatch.setattr("faces.stream_following.time.time", lambda: now + 0.03)
    (soon,) = analysis.analyze(jpeg(scene()), before)["faces"]
    monkeypatch.setattr("faces.stream_following.time.time", lambda: now + 60)
    (late,) = analysis.analyze(jpeg(scene()), before)["faces"]
    assert soon["smile"] < late["smile"]
    assert late["smile"] == pytest.approx(late["raw_smile"], abs=0.01)


@pytest.mark.parametrize(
    "previous",
    [
        [],
        "yes",
        5,
        {"faces": 5},
        {"faces": [5]},
        {"faces": [{}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": {}}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at([1])}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at(["1", 2])}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at([math.nan, 2])}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at([10**400, 2])}]},
        {"faces": [{"id": "1", "smile": 0.5, "landmarks": at([1, 2])}]},
        {"faces": [{"id": 1, "smile": None, "landmarks": at([1, 2])}]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at([1, 2])}] * 2},
        {"faces": [{"id": i, "smile": 0.5, "landmarks": at([1, 2])} for i in range(33)]},
        {"faces": [{"id": 1, "smile": 0.5, "landmarks": at([1, 2]), "unseen": "no"}]},
        {"followed": -1},
        {"next_id": 2**52 - 1},
        {"faces": [{"id": 2**52 - 1, "smile": 0.5, "landmarks": at([1, 2])}]},
        {"next_id": 1e3},
        {"time": "now"},
        {"time": True},
    ],
)
def test_what_is_no_answer_is_said_to_be_none(analysis, scene, previous):
    with pytest.raises(PreviousError, match="'previous' must be"):
        analysis.analyze(jpeg(scene()), previous)


@pytest.mark.parametrize("where", [0, 1e300, -1e300, 1e5, 99_999, -500.5, 2**40])
@pytest.mark.parametrize("spread", [0, 1e-9, 1, 1e4, 1e200])
def test_faces_at_impossible_places_are_found_gone(analysis, scene, where, spread):
    points = {name: [where + spread * i, where - spread * i * i] for i, name in enumerate(LANDMARKS)}
    previous = {"faces": [{"id": 7, "smile": 1e9, "landmarks": points}], "time": -1e300, "followed": 2**50}
    answer = analysis.analyze(jpeg(scene()), previous)
    assert [face["id"] for face in answer["faces"]] == [8]


def test_two_faces_that_say_they_are_one_are_one(analysis, scene, first):
    twice = copy.deepcopy(first)
    twice["faces"].append(twice["faces"][0] | {"id": 99})
    assert len(analysis.analyze(jpeg(scene()), twice)["faces"]) == 1


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8", b"GIF89a", b"RIFF....WEBP", b"BM" + b"\0" * 60])
def test_what_is_no_picture_is_said_to_be_none(analysis, data):
    with pytest.raises(PictureError):
        analysis.analyze(data)


def test_a_picture_that_unpacks_to_very_many_pixels_is_not_decoded(analysis):
    small = bytearray(jpeg(np.zeros((8, 8, 3), np.uint8), ".png"))
    small[16:24] = (30_000).to_bytes(4, "big") * 2
    with pytest.raises(TooLarge, match="at most 25 megapixels"):
        analysis.analyze(bytes(small))


def test_more_at_once_than_there_are_places_wait_and_are_then_sent_away(scene, monkeypatch):
    monkeypatch.setattr("visitors.analysis._WAIT_S", 0.05)
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_):
        inside.set()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr("visitors.analysis.analyze_photo", wait)
    analysis = VisitorAnalysis(Settings(), places=1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(analysis.analyze(jpeg(scene()))))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(TooBusy):
        analysis.analyze(jpeg(scene()))
    go_on.set()
    thread.join(60)
    assert answers[0]["faces"] == []
    assert analysis.analyze(jpeg(scene()))["faces"] == [], "the place is free again"


def test_pictures_that_wait_for_a_place_are_bounded(scene, monkeypatch):
    monkeypatch.setattr("visitors.analysis._MOST_WAITING", 2)
    for wait_s in ("_WAIT_S", "_LOADING_WAIT_S"):
        monkeypatch.setattr(f"visitors.analysis.{wait_s}", 60)
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_):
        inside.set()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr("visitors.analysis.analyze_photo", wait)
    analysis = VisitorAnalysis(Settings(), places=1)
    answers: list = []

    def send() -> None:
        try:
            answers.append(analysis.analyze(jpeg(scene())))
        except TooBusy as error:
            answers.append(error)

    threads = [threading.Thread(target=send) for _ in range(20)]
    threads[0].start()
    assert inside.wait(60)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: len(answers) >= 17, "those that are too many are sent away while nobody else gets on")
    assert all(isinstance(answer, TooBusy) for answer in answers)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert sum(isinstance(answer, dict) for answer in answers) == 3
    assert analysis.analyze(jpeg(scene()))["faces"] == [], "and all places are free again"


def test_stills_leave_a_place_to_streams(scene, monkeypatch):
    monkeypatch.setattr("visitors.analysis._WAIT_S", 0.05)
    inside, go_on = threading.Event(), threading.Event()
    analysis = VisitorAnalysis(Settings(), places=2)
    analysis.analyze(jpeg(scene()))

    def wait(*_):
        inside.set()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr("visitors.analysis.analyze_photo", wait)
    thread = threading.Thread(target=lambda: analysis.analyze(jpeg(scene())))
    thread.start()
    try:
        assert inside.wait(60)
        with pytest.raises(TooBusy):
            analysis.analyze(jpeg(scene()))
        monkeypatch.setattr("visitors.analysis._LONG_PIXELS", 1000)
        with pytest.raises(TooBusy):
            analysis.analyze(jpeg(scene()), {})
        monkeypatch.setattr("visitors.analysis._LONG_PIXELS", 2_000_000)
        assert len(analysis.analyze(jpeg(scene()), {})["faces"]) == 1
    finally:
        go_on.set()
        thread.join(60)


def test_a_place_is_given_back_when_the_detector_cannot_be_loaded(scene):
    analysis = VisitorAnalysis(Settings(detector="yunet"), places=1)
    for _ in range(3):
        with pytest.raises(DetectorError, match="--detector-model"):
            analysis.analyze(jpeg(scene()))
