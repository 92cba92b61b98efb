"""The page in a real Chromium against the running app, as a person would use it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial

import pytest

from tests.browsers import new_context, opened_and_closed
from tests.visits import SIZES, TIME_IN_VIEW, Visit
from tests.waiting import always, eventually

pytestmark = pytest.mark.slow(60)
SHOWN = "document.getElementById('clean').dataset.frame > 0"  # a picture of the app's camera


@pytest.fixture
def visit(browser):
    yield from opened_and_closed(partial(Visit, browser))


def test_the_page_shows_the_face_and_reads_its_smile(seeing_app, visit):
    page = visit(seeing_app.url, reduced_motion="no-preference")
    page.wait_for_face()
    page.until("Number(document.getElementById('meter').getAttribute('aria-valuenow')) > 80")
    assert page.page.text_content("#verdict") == "That is a smile!"
    page.until(f"{SHOWN} && document.getElementById('clean').width === 512")  # the stream may start after the events
    assert page.page.is_hidden("#curtain")
    for (size, (width, height)), scheme in itertools.product(SIZES.items(), ("light", "dark")):
        page.page.set_viewport_size({"width": width, "height": height})
        page.page.emulate_media(color_scheme=scheme)
        assert page.page.is_visible("#clean"), (size, scheme)
        assert page.page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out sideways"
        page.screenshot(f"{size}-{scheme}")
    assert page.complaints == []
    assert all(request.startswith(seeing_app.url) for request in page.requests), "nothing from other hosts"


# For each picture: the frame number that can be read off it, and that of the event whose boxes are drawn on it.
STEPS = """{
  const clean = document.getElementById("clean"), bars = 12;
  window.steps = [];
  new MutationObserver(() => {
    const { width, height } = clean, side = Math.floor(width / bars);
    const row = clean.getContext("2d").getImageData(0, height - 12, width, 1).data;
    let number = 0;
    for (let bit = 0; bit < bars; bit += 1) if (row[4 * (bit * side + (side >> 1))] > 127) number += 1 << bit;
    window.steps.push([number, Number(clean.dataset.frame)]);
  }).observe(clean, { attributes: true, attributeFilter: ["data-frame"] });
}"""
BOXES = """(() => {
  const { width, height } = document.getElementById("marks");
  const { data } = document.getElementById("marks").getContext("2d").getImageData(0, 0, width, height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
  return painted / (width * height);
})()"""


def test_the_boxes_are_drawn_in_the_browser_in_step_with_their_pictures(run_app, visit, face_video):
    app = run_app("--source", face_video)
    page = visit(app.url)
    page.until(SHOWN)
    page.page.evaluate(STEPS)
    page.until("window.steps.length > 40")
    steps = page.page.evaluate("window.steps")
    assert all(number == (frame - 1) % 400 for number, frame in steps), steps
    page.wait_for_face()
    page.until(f"{BOXES} > 0.005")
    assert [one for one in page.requests if "video_feed" in one] == [app.url + "/video_feed?boxes=0"]
    assert app.metrics()['smile_viewers{kind="picture"}'] == 1
    page.until("/\\d+ pictures? a second/.test(document.getElementById('fps').textContent)")


@pytest.mark.parametrize("why", ["no bitmaps", "changed on the way"])
def test_where_the_stream_cannot_be_taken_apart_the_apps_own_drawing_is_shown(seeing_app, browser, visit, why):
    page = visit("about:blank")
    if why == "no bitmaps":
        page.page.add_init_script("delete window.createImageBitmap")
    else:
        page.page.route("**/video_feed?boxes=0", lambda route: route.fulfill(body="\r\n\r\nno parts"))
    page.page.goto(seeing_app.url)
    page.until("document.getElementById('live').naturalWidth === 512")
    assert page.page.is_hidden("#clean")
    page.wait_for_face()


def test_the_meter_follows_a_smile_in_a_real_video(run_app, visit, shared_videos):
    page = visit(run_app("--source", shared_videos / "neutral_smile_neutral.mp4").url)
    page.wait_for_face()
    seen: list[int] = []

    def passes(limit: Callable[[int], bool]) -> Callable[[], bool]:
        def look() -> bool:
            if page.page.text_content("#faces").startswith("1 face"):
                seen.append(page.percent())
            return bool(seen) and limit(seen[-1])

        return look

    for name, limit in (("low", lambda p: p < 40), ("high", lambda p: p > 80)) * 2:
        eventually(passes(limit), lambda name=name: f"{name}: {seen}")
        if name == "high":
            page.screenshot("video-smile")


def test_the_button_and_the_space_bar_tell_another_joke_without_a_reload(app, visit):
    open_page = visit(app.url)
    page = open_page.page
    page.evaluate("window.stayed = true")
    told = [page.text_content("#joke")]

    def another(act) -> None:
        open_page.hear_it_out()
        act()
        open_page.until(f"document.getElementById('joke').textContent !== {json.dumps(told[-1])}")
        told.append(page.text_content("#joke"))

    another(lambda: page.click("#another"))
    page.evaluate("document.activeElement.blur()")
    another(lambda: page.keyboard.press("Space"))
    page.focus("#another")
    another(lambda: page.keyboard.press("Space"))
    open_page.wait_for_punchline()
    always(lambda: page.text_content("#joke") == told[-1], "space on the button tells one joke, not two")
    assert len(set(told)) == 4
    assert page.evaluate("window.stayed")
    assert page.evaluate("scrollY") == 0, "space does not scroll the page away"


def test_the_keyboard_reaches_everything_in_order(app, visit):
    page = visit(app.url).page
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        name = "(({className, id, value, textContent}) => className || id || value || textContent)(document.activeElement)"
        reached.append(page.evaluate(name))
    assert reached == ["skip", "Jokes", "Play", "API", "another", "icon", "icon", "icon", "start"]
    assert page.get_attribute("#joke", "aria-live") == "polite"
    assert page.get_attribute("#live", "alt") == page.get_attribute("#clean", "aria-label") != ""
    assert page.get_attribute("#meter", "role") == "meter"
    assert page.evaluate("document.querySelectorAll('h1').length") == 1


def test_smiles_are_counted_on_the_joke_board_with_consent_only(run_app, visit, face_video, tmp_path):
    file = tmp_path / "board.sqlite3"
    app = run_app("--source", face_video, "--board", file)
    visited = visit(app.url, size="phone")
    page = visited.page
    visited.wait_for_face()

    page.evaluate(TIME_IN_VIEW)
    counted: list[dict] = []  # on a slow computer also the joke during which consent was given
    page.on(
        "request",
        lambda request: counted.append(json.loads(request.post_data)) if request.url.endswith("/reactions") else None,
    )

    def joke() -> dict:
        return {"id": page.get_attribute("#joke", "data-id"), "source": page.get_attribute("#joke", "data-source")}

    def another() -> None:
        """Which ends the readings of the joke before."""
        visited.hear_it_out()
        before = joke()
        page.click("#another")
        eventually(lambda: joke() != before)

    def hear_a_joke() -> dict:
        page.evaluate("window.inView = -1")
        another()
        visited.until("window.inView > 3500")
        heard = joke()
        another()
        return heard

    before_consent = hear_a_joke()
    assert not page.is_checked("#agree")
    page.check("#agree")
    heard = hear_a_joke()
    visited.screenshot("phone-consent")
    sent = eventually(lambda: next((one for one in counted if one["joke"] == heard), None))
    assert before_consent not in [one["joke"] for one in counted]
    assert sent["agreed"] is True
    assert 0.5 < sent["before"] <= sent["peak"] <= 1
    assert 1 < sent["seconds"] < 30
    eventually(lambda: sum(one["reactions"] for one in app.json("/api/v1/jokes/board")["jokes"]) == len(counted))
    page.uncheck("#agree")
    until_then = len(counted)
    hear_a_joke()
    page.click("nav a[href$='/jokes']")
    page.wait_for_selector("#warming-up")
    assert len(counted) == until_then, "none after consent was taken back"
    assert visited.complaints == []


def test_a_missing_camera_is_said_on_the_page(run_app, visit):
    page = visit(run_app("--source", "97").url)
    page.until("document.getElementById('faces').textContent.includes(\"Camera 97 can't be opened\")")
    page.screenshot("no-camera")
    assert "%" not in page.page.text_content("#percent")


def test_a_dying_camera_is_said_and_the_face_comes_back(run_app, visit, network_camera):
    camera, url = network_camera
    page = visit(run_app("--source", url).url)
    page.wait_for_face()
    camera.mode = "dead"
    page.until("document.getElementById('faces').textContent.includes('Trying again')")
    camera.mode = "live"
    page.until("document.getElementById('faces').textContent.startsWith('1 face')")


def test_a_hidden_page_takes_no_place(seeing_app, visit):
    page = visit(seeing_app.url)
    page.wait_for_face()
    eventually(lambda: seeing_app.json("/healthz")["viewers"] == 1)
    page.page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    eventually(lambda: seeing_app.json("/healthz")["viewers"] == 0)
    page.page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    eventually(lambda: seeing_app.json("/healthz")["viewers"] == 1)


def test_an_app_that_is_gone_is_said_on_the_page(run_app, visit, face_picture):
    app = run_app("--source", face_picture)
    page = visit(app.url)
    page.wait_for_face()
    page.wait_for_punchline()  # else the click asks for that
    app.stop()
    page.page.wait_for_selector("#curtain:not([hidden])")
    assert "The app does not answer" in page.page.text_content("#words"), "whichever of the two streams ended first"
    page.page.click("#another")
    page.until("document.getElementById('joke-news').textContent.includes('Dad does not answer')")
    page.screenshot("app-gone")


def test_when_all_places_are_taken_the_page_says_so_and_recovers(run_app, visit, face_picture):
    app = run_app("--source", face_picture, "--viewer-limit", "1")
    first = visit(app.url)
    first.wait_for_face()
    second = visit(app.url)
    second.until("/places are taken.*Trying again/s.test(document.getElementById('curtain').textContent)")
    first.context.close()
    second.wait_for_face()


def test_a_tab_opened_in_the_background_leaves_the_camera_alone(run_app, browser, face_picture):
    app = run_app("--source", face_picture)  # which nobody has watched yet
    context = new_context(browser)
    context.add_init_script("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page = context.new_page()
    page.goto(app.url, wait_until="load")
    always(lambda: app.json("/healthz")["viewers"] == 0)
    assert app.json("/healthz")["camera"]["status"] == "idle"
    context.close()
