"""The visitor's own camera in a real Chromium whose webcam is a file."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from tests.browsers import CHROMIUM, CHROMIUM_FLAGS, launch_with_webcam, opened_and_closed
from tests.visits import COUNT_CAMERAS, OPENS, WebcamVisit
from tests.waiting import eventually

pytestmark = pytest.mark.slow(45)


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(lambda url, *, browser=with_webcam, **options: WebcamVisit(browser, url, **options))


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark"), ("small", "light")])
def test_my_camera_is_asked_for_by_a_click_and_reads_the_smile(app, visit, size, scheme):
    page = visit(app.url, size=size, color_scheme=scheme, start=False, script=COUNT_CAMERAS, device_scale_factor=2)
    sentence = page.words()
    assert "started without a camera" in sentence
    assert "Your pictures are never stored." in sentence, "what happens to the pictures stands beside the button"
    assert "forgets them at once" not in sentence
    page.page.click(".promise summary")
    assert "in memory and forgets them at once" in page.words(), "and the rest is behind it"
    page.page.click(".promise summary")
    assert page.page.evaluate("window.asked") == 0
    assert page.page.evaluate("document.documentElement.scrollWidth") == OPENS[size][0]
    page.screenshot(f"my-camera-{size}-off")
    page.start()
    page.wait_for_face()
    page.until("Number(document.getElementById('meter').getAttribute('aria-valuenow')) > 80")
    page.until("/\\d+ pictures? a second/.test(document.getElementById('fps').textContent)")
    assert page.page.text_content("#verdict") == "That is a smile!"
    assert page.page.is_hidden("#curtain")
    assert page.page.is_hidden("#live")
    assert page.page.is_hidden("#clean")
    assert page.box_center() > 0, "a box in the smile's colour"
    assert (
        page.page.evaluate("document.getElementById('overlay').width / document.getElementById('overlay').clientWidth") == 2
    )
    assert page.page.evaluate("document.documentElement.scrollWidth") == OPENS[size][0], "nothing sticks out sideways"
    page.screenshot(f"my-camera-{size}")
    assert page.complaints == []
    assert all(request.startswith(app.url) for request in page.requests), "nothing from other hosts"
    assert not any("/video_feed" in request or "/events" in request for request in page.requests)
    assert app.json("/healthz")["viewers"] == 0
    page.page.click("#stop")
    page.until("window.tracks.every((track) => track.readyState === 'ended')")
    assert page.page.is_visible("#start")
    assert "%" not in page.page.text_content("#percent")


def test_one_picture_is_sent_at_a_time_with_the_answer_before(app, visit):
    page = visit(app.url)
    page.until("window.answers.length >= 8")
    assert page.page.evaluate("window.mostInFlight") == 1
    sent, answers = page.page.evaluate("[window.sent.map(JSON.parse), window.answers]")
    assert sent[0] == {}
    for answer, previous in zip(answers, sent[1:], strict=False):
        assert previous == {"state": answer["state"]}
    assert answers[0]["width"] == 640
    assert len({face["id"] for answer in answers for face in answer["faces"]}) == 1, "the face keeps its number"


@pytest.mark.parametrize("forget", ["", "delete HTMLVideoElement.prototype.requestVideoFrameCallback"])
def test_pictures_are_read_while_the_video_is_scrolled_out_of_sight(app, visit, forget):
    page = visit(app.url, size="small", script=forget)
    page.wait_for_face()
    assert page.page.evaluate("'requestVideoFrameCallback' in document.createElement('video')") == (not forget)
    page.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.until("document.getElementById('mine').getBoundingClientRect().bottom < 0")
    seen = page.page.evaluate("window.answers.length")
    page.until(f"window.answers.length > {seen + 5}")
    assert page.page.text_content("#faces") == "1 face"


def test_the_box_is_mirrored_with_the_video_and_its_text_is_not(app, visit):
    page = visit(app.url)
    transform = "getComputedStyle(document.getElementById('%s')).transform"
    page.wait_for_face()
    mirrored = page.box_center()
    assert page.page.evaluate(transform % "mine").startswith("matrix(-1")
    assert page.page.evaluate(transform % "overlay") == "none"
    page.page.uncheck("#mirror")
    assert page.page.evaluate(transform % "mine") == "none"
    plain = page.box_center()
    assert mirrored > 0.52
    assert 0 < plain < 0.48

    def aside() -> float:
        """How far what is drawn stands from the box of the latest answer, in widths of the picture; the face moves on."""
        [face] = page.page.evaluate("window.answers.at(-1).faces")
        return abs(page.box_center() - (face["box"]["left"] + face["box"]["right"]) / 2 / 640)

    eventually(lambda: aside() < 0.08, "the label's plate may stand a little aside, but not far")


def test_another_of_several_cameras_can_be_chosen(app, visit, browser):
    two = "--use-fake-device-for-media-stream=device-count=2"  # they show a clock, no face
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, two])
    page = visit(app.url, browser=chromium, script=COUNT_CAMERAS, size="small")
    page.page.wait_for_selector("#choice")
    options = page.page.evaluate("[...document.getElementById('choice').options].map((one) => one.value)")
    assert len(set(options)) == 2
    page.screenshot("my-camera-choice")
    assert page.page.evaluate("document.documentElement.scrollWidth") == OPENS["small"][0]
    other = next(one for one in options if one != page.page.input_value("#choice"))
    page.page.focus("#choice")
    page.page.select_option("#choice", other)
    page.until("window.tracks.length === 2 && window.tracks[0].readyState === 'ended'")
    assert page.page.evaluate("window.tracks[1].getSettings().deviceId") == other
    page.until(f"document.getElementById('choice').value === {other!r}")
    seen = page.page.evaluate("window.answers.length")
    page.until(f"window.answers.length > {seen} && document.getElementById('faces').textContent === 'No faces'")
    assert page.page.evaluate("document.activeElement.id") == "choice", "the keyboard stays where it was"
    chromium.close()


def test_choosing_this_apps_camera_releases_mine_and_the_other_way_round(seeing_app, visit):
    page = visit(seeing_app.url, start=False, script=COUNT_CAMERAS)
    page.wait_for_face()
    eventually(lambda: seeing_app.json("/healthz")["viewers"] == 1)
    page.page.check("input[value=mine]", force=True)
    page.until("!document.getElementById('start').hidden")
    eventually(lambda: seeing_app.json("/healthz")["viewers"] == 0)
    assert page.page.evaluate("window.asked") == 0, "choosing is not yet starting"
    page.start()
    page.wait_for_face()
    page.page.check("input[value=server]", force=True)
    page.until("window.tracks[0].readyState === 'ended'")
    page.until("document.getElementById('clean').dataset.frame && document.getElementById('clean').width === 512")
    page.wait_for_face()
    assert page.page.is_hidden("#mine")
    assert page.page.is_hidden("#controls")


def test_the_keyboard_alone_starts_and_stops_my_camera(seeing_app, visit):
    page = visit(seeing_app.url, start=False)
    page.page.focus("input[value=server]")
    page.page.keyboard.press("ArrowRight")
    assert page.page.evaluate("document.body.dataset.mode") == "mine"
    page.page.keyboard.press("Shift+Tab")
    page.page.keyboard.press("Shift+Tab")
    assert page.page.evaluate("document.activeElement.id") == "start"
    page.page.keyboard.press("Space")
    page.wait_for_face()
    page.until("!document.body.classList.contains('waiting')")
    joke = page.page.text_content("#joke")
    page.page.keyboard.press("Space")
    page.until(f"document.getElementById('joke').textContent !== {joke!r}")
    for reached in ("mine", "mirror", "stop"):
        page.page.keyboard.press("Tab")
        assert page.page.evaluate("document.activeElement.id || document.activeElement.value") == reached
    page.until("document.getElementById('camera-state').textContent === 'Your camera is on.'")
    page.page.keyboard.press("Enter")
    page.until_words("Your camera is off")
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.id") == "start"


def test_a_turned_phone_begins_anew_with_the_other_shape(app, visit):
    turning = """
      const canvas = document.createElement("canvas");
      const picture = new Image();
      picture.src = "/static/icon.svg";
      const paint = () => { canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height); };
      window.turn = (width, height) => { canvas.width = width; canvas.height = height; };
      navigator.mediaDevices.getUserMedia = async () => {
        window.turn(320, 240);  // which no slow answers make smaller
        setInterval(paint, 40);
        return canvas.captureStream(25);
      };
    """
    page = visit(app.url, script=turning, size="phone")
    page.until("window.answers.length > 1")
    page.page.evaluate("window.turn(240, 320)")
    page.until("window.answers.at(-1).height === 320")
    sizes = page.page.evaluate("window.answers.map((one) => [one.width, one.height])")
    assert set(map(tuple, sizes)) == {(320, 240), (240, 320)}
    assert page.page.evaluate("document.documentElement.scrollWidth") == OPENS["phone"][0]
    assert page.complaints == []


def test_pictures_shrink_while_answers_are_slow_and_grow_again(app, visit):
    page = visit(app.url, start=False)
    walk = page.page.evaluate(
        """async () => {
          const { Pace } = await import("/static/cameras/pace.js");
          const pace = new Pace(), walk = [[pace.side, pace.everyMs]];
          const after = (count, ms) => {
            for (let i = 0; i < count; i++) pace.answered(ms);
            walk.push([pace.side, pace.everyMs]);
          };
          after(100, 30);
          after(4, 300);
          after(100, 300);
          after(3000, 30);
          pace.busy();
          after(0, 0);
          for (let i = 0; i < 200; i++) pace.answered(i % 15 ? 40 : 200);  // a search now and then
          after(0, 0);
          return walk;
        }"""
    )
    assert walk[:4] == [[640, 50], [640, 50], [480, 100], [320, 400]]
    assert walk[4:6] == [[640, 50], [480, 100]]
    assert walk[6] in ([480, 100], [640, 50])


def test_the_meter_follows_a_smile_in_a_real_video(app, visit, browser, shared_videos, tmp_path):
    file = tmp_path / "smile.mjpeg"
    capture = cv2.VideoCapture(str(shared_videos / "neutral_smile_neutral.mp4"))
    with file.open("wb") as video:
        while (image := capture.read()[1]) is not None:
            video.write(cv2.imencode(".jpg", image)[1].tobytes())
    capture.release()
    chromium = launch_with_webcam(browser, file)
    page = visit(app.url, browser=chromium)
    page.wait_for_face()
    seen: list[int] = []

    def smiled_and_stopped() -> bool:
        if page.page.text_content("#faces") == "1 face":
            seen.append(page.percent())
        return any(percent > 80 for percent in seen) and seen[-1] < 50

    eventually(smiled_and_stopped, lambda: f"high, then low: {seen}")
    chromium.close()
