"""What the page does when the visitor's camera, or the app behind it, does not do as it should."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browsers import CHROMIUM, CHROMIUM_FLAGS, opened_and_closed
from tests.visits import ANALYZE, COUNT_CAMERAS, FAIL, HIDE, WebcamVisit
from tests.waiting import always

pytestmark = pytest.mark.slow(45)


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(lambda url, *, browser=with_webcam, **options: WebcamVisit(browser, url, **options))


def test_without_a_camera_of_its_own_the_app_offers_mine(run_app, visit):
    if list(Path("/dev").glob("video*")):
        pytest.skip("this computer has a camera")
    page = visit(run_app("--source", "auto").url, start=False)
    page.until_words("has no camera that works")
    page.start()
    page.wait_for_face()
    assert page.page.is_checked("input[value=mine]")


def test_a_chosen_source_that_fails_is_not_left_for_my_camera(run_app, visit):
    page = visit(run_app("--source", "97").url, start=False)
    page.until("document.getElementById('faces').textContent.includes(\"Camera 97 can't be opened\")")
    assert page.page.is_checked("input[value=server]")


def test_a_denied_camera_is_said_and_works_once_it_is_allowed(app, visit):
    page = visit(app.url, allowed=False)
    page.until_words("may not use your camera")
    assert "stored" not in page.words(), "an error says what is wrong, and nothing else"
    page.screenshot("my-camera-denied")
    page.context.grant_permissions(["camera"])
    page.start()
    page.wait_for_face()


def test_no_camera_is_said_and_a_browser_without_one_waits_for_it(app, visit, browser):
    page = visit(app.url, browser=browser)  # no fake webcam, and none on most computers that run tests
    page.until("!document.getElementById('invitation').hidden || document.getElementById('curtain').hidden")
    if page.page.is_hidden("#curtain"):
        pytest.skip("this computer has a camera")
    page.until_words("No camera was found")
    page.start()
    page.until_words("No camera was found")


def test_a_camera_that_can_not_be_started_is_said_and_recovers(app, visit):
    page = visit(app.url, script=FAIL % "NotReadableError")
    for failure, words in (
        ("NotReadableError", "another program may be using it"),
        ("OddError", "OddError"),
        ("NotFoundError", "No camera was found"),
    ):
        if failure != "NotReadableError":
            page.page.click("#stop")
            page.page.evaluate("(failure) => { window.failure = failure; }", failure)
            page.start()
        page.until_words(words)
        assert page.page.text_content("#faces") == "Your camera is off"
        page.page.evaluate("window.failure = ''")
        if failure == "NotFoundError":  # starts by itself
            page.page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
        else:
            page.start()
        page.wait_for_face()


def test_an_unplugged_camera_is_said_and_starts_again_when_it_is_back(app, visit):
    page = visit(app.url, script=COUNT_CAMERAS)
    page.wait_for_face()
    page.page.evaluate("window.tracks[0].stop(); window.tracks[0].dispatchEvent(new Event('ended'))")
    page.until_words("was unplugged or switched off")
    assert page.box_center() == -1, "no box without a picture"
    page.page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    page.wait_for_face()
    assert page.page.evaluate("window.tracks.length") == 2


def test_over_plain_http_from_elsewhere_the_page_says_what_to_do(run_app, browser):
    app = run_app("--source", "none", "--allow-host", "lan.example")
    rule = "--host-resolver-rules=MAP lan.example 127.0.0.1"
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, rule])
    visit = WebcamVisit(chromium, f"http://lan.example:{app.port}", start=False, size="phone")
    visit.until_words("plain http")
    assert f"http://localhost:{app.port}" in visit.words()
    assert visit.page.is_hidden("#start")
    visit.screenshot("my-camera-plain-http")
    chromium.close()


def test_a_hidden_page_sends_nothing_and_releases_my_camera(app, visit):
    page = visit(app.url, script=COUNT_CAMERAS)
    page.wait_for_face()
    page.page.evaluate(HIDE % "true")
    page.until("window.tracks[0].readyState === 'ended' && window.inFlight === 0")
    sent = page.page.evaluate("window.sent.length")
    always(lambda: page.page.evaluate("window.sent.length") == sent)
    page.page.evaluate(HIDE % "false")
    page.until(f"window.answers.length > {sent}")
    page.wait_for_face()
    assert page.page.evaluate("window.asked") == 2


def test_a_camera_that_comes_after_it_was_given_up_is_released(seeing_app, visit):
    hold = "navigator.mediaDevices.getUserMedia = (wanted) => new Promise((go) => window.release = () => go(real(wanted)))"
    count = COUNT_CAMERAS.replace("return stream;", "return window.late = stream;")
    script = count + ";{ const real = navigator.mediaDevices.getUserMedia;" + hold + " }"
    page = visit(seeing_app.url, script=script, start=False)
    page.page.check("input[value=mine]", force=True)
    page.start()
    page.page.check("input[value=server]", force=True)
    page.page.evaluate("window.release()")
    page.until("window.late && window.late.getTracks()[0].readyState === 'ended'")
    assert page.page.is_hidden("#mine")


@pytest.mark.parametrize(("status", "words"), [(503, "busy"), (429, "Too many pictures")])
def test_a_busy_app_is_left_alone_for_as_long_as_it_asks(app, visit, status, words):
    page = visit(app.url, start=False)
    asked: list[str] = []

    def refuse(route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=status, headers={"Retry-After": "1" if len(asked) < 2 else "3600"}, json={"error": "Too many."})

    page.page.route(f"**{ANALYZE}", refuse)
    page.start()
    page.until_words(words)
    page.screenshot(f"my-camera-{status}")
    page.until("window.sent.length === 2 && window.inFlight === 0")
    always(lambda: page.page.evaluate("window.sent.length") == 2, "it waits as long as it was told", seconds=1.5)
    bitmaps = "Promise.all(window.pictures.map((one) => createImageBitmap(one)))"
    sizes = page.page.evaluate(f"{bitmaps}.then((all) => all.map(({{ width, height }}) => [width, height]))")
    assert sizes == [[640, 480], [480, 360]], "a busy app gets smaller pictures"
    page.page.unroute(f"**{ANALYZE}")
    page.page.click("#stop")
    page.start()
    page.wait_for_face()
    assert page.page.is_hidden("#curtain")


def test_a_face_keeps_its_number_while_the_app_asks_for_a_pause(app, visit):
    page = visit(app.url)
    page.until("window.answers.length > 2")
    refuse = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": "Too many."}}
    page.page.route(f"**{ANALYZE}", lambda route: route.fulfill(**refuse))
    page.until_words("Too many pictures")
    page.page.unroute(f"**{ANALYZE}")
    seen = page.page.evaluate("window.answers.length")
    page.until(f"window.answers.length > {seen + 2}")
    assert "{}" not in page.page.evaluate("window.sent.slice(1)"), "it goes on from the last answer"


def test_pages_that_are_told_to_wait_do_not_all_come_back_at_once(app, visit):
    page = visit(app.url, start=False)
    waits = page.page.evaluate(
        """async () => {
          const { waitMs } = await import("/static/cameras/picture_loop.js");
          const many = Array.from({ length: 200 }, () => waitMs("2"));
          return [many, [null, "", "0", "-5", "soon", "Infinity", "1e9"].map(waitMs)];
        }"""
    )
    assert 2000 <= min(waits[0]) < 2400
    assert 2600 < max(waits[0]) <= 3000
    assert all(1000 <= wait <= 1500 for wait in waits[1][:5])
    assert waits[1][5:] == [3_600_000] * 2


def test_what_the_app_refuses_is_said_in_its_words_and_tried_anew(app, visit):
    page = visit(app.url, start=False)
    page.page.route(f"**{ANALYZE}", lambda route: route.fulfill(status=400, json={"error": "That is no answer."}))
    page.start()
    page.until_words("That is no answer. Trying again")
    page.page.unroute(f"**{ANALYZE}")
    page.wait_for_face()
    sent = page.page.evaluate("window.sent.map(JSON.parse)")
    assert sent[1] == {}


def test_an_answer_that_comes_after_stop_is_dropped(app, visit):
    page = visit(app.url, start=False)
    held: list = []
    page.page.route(f"**{ANALYZE}", lambda route: held.append(route))
    page.start()
    page.until("window.inFlight === 1")
    page.page.click("#stop")
    page.until("window.inFlight === 0")
    for route in held:
        face = {
            "id": 1,
            "smile": 0.9,
            "label": "smile",
            "box": {"top": 9, "right": 90, "bottom": 90, "left": 9},
            "landmarks": {},
        }
        route.fulfill(json={"width": 640, "height": 480, "faces": [face]})
    always(lambda: page.page.text_content("#faces") == "Your camera is off")
    assert page.percent() == 0
    assert page.box_center() == -1


def test_an_app_that_is_gone_and_back_is_said_and_followed_again(run_app, visit):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    app = run_app("--source", "none", "--port", port)
    page = visit(app.url)
    page.wait_for_face()
    app.stop()
    page.until_words("does not answer")
    assert page.page.evaluate("document.getElementById('mine').videoWidth") > 0, "the own picture goes on"
    page.screenshot("my-camera-app-gone")
    run_app("--source", "none", "--port", port)
    page.wait_for_face()
    assert page.page.is_hidden("#curtain")
