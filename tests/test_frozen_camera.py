"""A visitor's camera whose track goes on while its pictures stop, as after a driver's hiccup or another program's grip."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browsers import opened_and_closed
from tests.visits import WebcamVisit

pytestmark = pytest.mark.slow

# The webcam's pictures go through a canvas, which can be left as it is.
FREEZING = """
  const webcam = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.frozen = false;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const source = document.createElement("video");
    source.muted = true;
    source.srcObject = await webcam(wanted);
    await source.play();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [640, 480];
    const paper = canvas.getContext("2d");
    setInterval(() => window.frozen || paper.drawImage(source, 0, 0, 640, 480), 40);
    return canvas.captureStream(25);
  };
"""
SAID_AGAIN = """
  window.saidAgain = false;
  new MutationObserver(() => window.saidAgain = true).observe(document.getElementById("words"), {childList: true});
"""
OLDER = {
    "now": "",
    "without callbacks": "delete HTMLVideoElement.prototype.requestVideoFrameCallback;",
    "without callbacks and counts": (
        "delete HTMLVideoElement.prototype.requestVideoFrameCallback;"
        "delete HTMLVideoElement.prototype.getVideoPlaybackQuality;"
    ),
}


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(lambda url, *, browser=with_webcam, **options: WebcamVisit(browser, url, **options))


@pytest.mark.parametrize("browser_is", ["now", "without callbacks"])
def test_a_camera_whose_pictures_stop_is_not_read_as_live(app, visit, browser_is):
    page = visit(app.url, script=FREEZING + OLDER[browser_is])
    page.wait_for_face()
    page.page.evaluate("window.frozen = true")
    page.until_words("Your camera sends no picture just now.")
    assert page.page.text_content("#verdict") != "That is a smile!"
    if browser_is == "now":
        sent = page.page.evaluate("window.sent.length")
        page.page.evaluate(SAID_AGAIN)
        page.until("window.saidAgain")
        assert page.page.evaluate("window.sent.length") == sent, "the last picture is not sent again"
    assert page.page.evaluate("document.getElementById('mine').srcObject.getVideoTracks()[0].readyState") == "live"
    page.page.evaluate("window.frozen = false")
    page.until("document.getElementById('curtain').hidden")
    page.wait_for_face()
    assert page.complaints == []


def test_without_callbacks_and_counts_pictures_are_read_all_the_same(app, visit):
    page = visit(app.url, script=OLDER["without callbacks and counts"])
    page.wait_for_face()
    page.until("window.answers.length > 5")


def test_a_video_that_is_paused_from_outside_plays_on(app, visit):
    page = visit(app.url)
    page.wait_for_face()
    for _ in range(2):
        page.page.evaluate("document.getElementById('mine').pause()")
        page.until("!document.getElementById('mine').paused")
        seen = page.page.evaluate("window.answers.length")
        page.until(f"window.answers.length > {seen + 2}")
    page.page.click("#stop")
    page.until("document.getElementById('mine').srcObject === null")
    assert page.complaints == []
