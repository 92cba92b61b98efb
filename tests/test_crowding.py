"""More visitors' pictures than there is time for: who waits, who is asked to come back, and who is sent away."""

import contextlib
import threading

import cv2
import numpy as np
import pytest

from common.errors import DetectorError, TooBusy
from common.settings import Settings
from tests.waiting import PATIENCE_S, always, eventually
from visitors.analysis import VisitorAnalysis
from visitors.load import MOST_WAIT_S, StreamLoad


def test_a_picture_that_would_wait_too_long_is_refused_at_once():
    now = [0.0]
    load = StreamLoad(2, clock=lambda: now[0])
    with load.picture(), load.place():
        now[0] += 0.1  # one picture takes a tenth of a second, so two places take 20 a second
    with contextlib.ExitStack() as stack:
        for _ in range(2 + int(MOST_WAIT_S * 20)):
            stack.enter_context(load.picture())
        with pytest.raises(TooBusy):
            stack.enter_context(load.picture())
    with load.picture():
        pass


def test_nobody_is_refused_while_there_is_a_place_however_long_pictures_take():
    now = [0.0]
    load = StreamLoad(2, clock=lambda: now[0])
    with load.picture(), load.place():
        now[0] += 60
    with load.picture(), load.picture():
        pass


def test_searches_take_a_share_of_the_time_while_pictures_crowd_and_all_of_it_else():
    now = [0.0]
    load = StreamLoad(2, clock=lambda: now[0])

    def search() -> None:
        with load.search():
            now[0] += 0.03

    search()
    assert load.may_search(urgent=False), "alone"
    with load.picture(), load.picture():
        search()
        assert not load.may_search(urgent=True)
        now[0] += 0.05
        assert load.may_search(urgent=True)
        assert not load.may_search(urgent=False)
        now[0] += 0.15
        assert load.may_search(urgent=False)
        search()
    now[0] += 1
    search()
    assert load.may_search(urgent=False), "alone again"


def jpeg(image: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.fixture
def scene(astronaut):
    return lambda: astronaut[:400]


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


def test_until_all_places_are_warmed_up_a_picture_waits_for_them(scene, monkeypatch):
    monkeypatch.setattr("visitors.analysis._WAIT_S", 0.05)
    monkeypatch.setattr("visitors.analysis._LOADING_WAIT_S", PATIENCE_S)
    used = iter(range(10))
    inside, go_on = threading.Event(), threading.Event()

    def wait_in_the_last(*_):
        if next(used) == 1:
            inside.set()
            assert go_on.wait(PATIENCE_S)
        return []

    monkeypatch.setattr("visitors.analysis.analyze_photo", wait_in_the_last)
    analysis = VisitorAnalysis(Settings(), places=2)
    answers, refused = [], []

    def ask() -> None:
        try:
            answers.append(analysis.analyze(jpeg(scene())))
        except TooBusy as error:
            refused.append(error)

    threads = [threading.Thread(target=analysis.warm_up), threading.Thread(target=ask)]
    threads[0].start()
    assert inside.wait(PATIENCE_S)
    threads[1].start()
    try:
        always(lambda: not answers and not refused)
    finally:
        go_on.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [answer["faces"] for answer in answers] == [[]]


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
