"""The visitor's own camera in a real Chromium whose webcam is a file."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.conftest import CHROMIUM, CHROMIUM_FLAGS, launch_with_webcam, new_context, opened_and_closed, save_screenshot
from tests.test_browser import ON_REQUEST, SIZES
from tests.waiting import PATIENCE_S, always, eventually

pytestmark = pytest.mark.slow(85)

ANALYZE = "/api/v1/analyze"
OPENS = {**SIZES, "phone": (390, 844), "small": (320, 640)}
# Remembers what is sent to the app and what it answers, and how much at the same time.
WATCH_REQUESTS = """
  if (location.protocol !== "about:") localStorage.setItem("reading", "computer");
  window.sent = []; window.pictures = []; window.answers = []; window.inFlight = 0; window.mostInFlight = 0;
  const realFetch = window.fetch;
  window.fetch = async (address, options) => {
    if (address !== "/api/v1/analyze") return realFetch(address, options);
    window.mostInFlight = Math.max(window.mostInFlight, ++window.inFlight);
    window.sent.push(options.body.get("previous"));
    window.pictures.push(options.body.get("image"));
    try {
      const response = await realFetch(address, options);
      if (response.ok) window.answers.push(await response.clone().json());
      return response;
    } finally { window.inFlight--; }
  };
"""
COUNT_CAMERAS = """
  window.tracks = []; window.asked = 0;
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.asked++;
    const stream = await real(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""
FAIL = """
  const working = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.failure = "%s";
  navigator.mediaDevices.getUserMedia = (wanted) =>
    window.failure ? Promise.reject(new DOMException("no", window.failure)) : working(wanted);
"""
HIDE = (
    "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'))"
)


class Visit:
    """A page with a webcam, and everything that it asked for and complained about."""

    def __init__(self, browser, url: str, *, size="desktop", allowed=True, script="", start=True, **options) -> None:
        width, height = OPENS[size]
        self.context = new_context(browser, viewport={"width": width, "height": height}, **options)
        self.context.grant_permissions(["camera"] if allowed else ["geolocation"])  # what is not granted is denied
        self.context.add_init_script(WATCH_REQUESTS + script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url, wait_until="load")
        self.page.evaluate(ON_REQUEST)
        if start:
            self.start()

    def start(self) -> None:
        self.page.click("#start")

    def until(self, condition: str, timeout: float = PATIENCE_S) -> None:
        """Waits for a JavaScript condition; Playwright's own wait needs the eval() that the page's policy forbids."""
        eventually(
            lambda: self.page.evaluate(condition), lambda: (condition, self.words(), self.complaints), timeout=timeout
        )

    def words(self) -> str:
        return self.page.evaluate("document.getElementById('frame').innerText.replace(/\\s+/g, ' ').trim()")

    def until_words(self, part: str) -> None:
        self.until(
            f"document.getElementById('words').textContent.includes({part!r}) && !document.getElementById('curtain').hidden"
        )

    def wait_for_face(self) -> None:
        self.until("document.getElementById('faces').textContent === '1 face'")

    def wait_for_punchline(self) -> None:
        self.until("!document.body.classList.contains('waiting')")

    def percent(self) -> int:
        return int(self.page.get_attribute("#meter", "aria-valuenow"))

    def screenshot(self, name: str) -> None:
        save_screenshot(self.page, name)

    def box_center(self) -> float:
        """Where the overlay's yellow is, from 0 (left) to 1; -1 when it shows nothing."""
        return self.page.evaluate(
            """() => {
              const canvas = document.getElementById("overlay");
              if (!canvas.width) return -1;
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              let sum = 0, count = 0;
              for (let i = 0; i < data.length; i += 4) {
                if (data[i] === 255 && data[i + 1] === 208 && data[i + 2] === 77 && data[i + 3] === 255) {
                  sum += (i / 4) % canvas.width;
                  count++;
                }
              }
              return count ? sum / count / canvas.width : -1;
            }"""
        )


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(lambda url, *, browser=with_webcam, **options: Visit(browser, url, **options))


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
    visit = Visit(chromium, f"http://lan.example:{app.port}", start=False, size="phone")
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


def test_a_turned_phone_begins_anew_with_the_other_shape(app, visit):
    turning = """
      const canvas = document.createElement("canvas");
      const picture = new Image();
      picture.src = "/static/icon.svg";
      const paint = () => { canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height); };
      window.turn = (width, height) => { canvas.width = width; canvas.height = height; };
      navigator.mediaDevices.getUserMedia = async () => {
        window.turn(400, 300);
        setInterval(paint, 40);
        return canvas.captureStream(25);
      };
    """
    page = visit(app.url, script=turning, size="phone")
    page.until("window.answers.length > 1")
    page.page.evaluate("window.turn(300, 400)")
    page.until("window.answers.at(-1).height === 400")
    sizes = page.page.evaluate("window.answers.map((one) => [one.width, one.height])")
    assert set(map(tuple, sizes)) == {(400, 300), (300, 400)}
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
