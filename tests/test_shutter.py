"""The smile shutter in a real Chromium whose webcam shows people smiling on cue."""

from __future__ import annotations

import re
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests import posing
from tests.shutter import PICTURES, STATE, read_faces, rest, shutter_visits, smile_once, smiles, wait_for_camera
from tests.visits import ANALYZE, HIDE, OPENS

pytestmark = pytest.mark.slow(45)


@pytest.fixture
def visit(browser) -> Iterator:
    yield from shutter_visits(browser)


def standardized(image: np.ndarray) -> np.ndarray:
    """Grey, with mean 0 and variance 1: a camera's colours are not those of the file."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float)
    return (grey - grey.mean()) / grey.std()


def test_armed_before_the_smile_it_fires_once_and_the_picture_is_the_cameras(app, visit, person, person_frames, tmp_path):
    visited = visit(app.url, person, reduced_motion="no-preference")
    page = visited.page
    assert re.search(r'<div id="shutter"[^>]* hidden>', page.request.get(app.url).text()), "no shutter without a picture"
    wait_for_camera(visited)
    visited.screenshot("shutter-off")
    rest(visited)
    page.click("#arm")
    assert page.get_attribute("#arm", "aria-pressed") == "true"
    asked = len(visited.requests)
    posing.smile(page)
    visited.until(f"{PICTURES} === 1")
    visited.screenshot("shutter-fired")
    assert any(state.startswith("Everyone smiles") for state in page.evaluate("window.states"))
    assert {*visited.requests[asked:]} <= {app.url + ANALYZE}, "a picture asks for nothing and sends nothing"
    assert page.get_attribute("#arm", "aria-pressed") == "false"
    assert page.text_content("#shutter-state") == "Picture 1 is taken. Arm the shutter for another."

    rest(visited)
    for _ in range(2):  # nothing comes: it was armed for one picture
        smile_once(visited)
    readings, (taken_at,) = page.evaluate("[window.readings, window.pictureTimes]")
    begun = [begin for begin, _ in smiles(readings)]
    assert begun[0] < taken_at < begun[1]

    with page.expect_download() as download:
        page.click("#strip-photos .save")
    assert re.fullmatch(r"smile-\d{4}-\d\d-\d\d-\d{6}\.jpg", download.value.suggested_filename)
    file = tmp_path / "picture.jpg"
    download.value.save_as(file)
    picture = cv2.imread(str(file))
    assert [picture.shape[1], picture.shape[0]] == page.evaluate(
        "[document.getElementById('mine').videoWidth, document.getElementById('mine').videoHeight]"
    )
    assert picture.shape == person_frames[0].shape
    likeness = [float(np.mean(standardized(picture) * standardized(frame))) for frame in person_frames]
    nearest = int(np.argmax(likeness))
    assert likeness[nearest] > 0.98, "the picture as it is"
    assert np.mean(standardized(picture[:, ::-1]) * standardized(person_frames[nearest])) < 0.9, "and not its mirror image"
    assert nearest > 17, f"of the smile, not of the neutral face before it: frame {nearest}, {likeness}"

    assert page.evaluate("[...window.addresses]") == [page.get_attribute("#strip-photos .save", "href")]
    page.click("#strip-photos button")
    assert page.evaluate(PICTURES) == 0
    assert page.text_content("#shutter-state") == "Picture 1 deleted."
    assert page.evaluate("window.addresses.size") == 0, "the browser may forget the picture"
    assert page.evaluate("[Object.keys(localStorage), sessionStorage.length]") == [["reading"], 0]
    assert visited.complaints == []


def test_it_can_be_used_on_every_screen(app, visit, person):
    visited = visit(app.url, person)
    page = visited.page
    wait_for_camera(visited)
    for number, (size, scheme) in enumerate([("desktop", "light"), ("phone", "dark"), ("small", "light")], 1):
        width, height = OPENS[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        rest(visited)
        page.click("#arm")
        assert page.text_content("#shutter-state") == "Armed: waiting for everyone to smile."
        posing.smile(page)
        visited.until(f"{PICTURES} === {number}")
        visited.screenshot(f"shutter-{size}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out sideways"
        for control in page.query_selector_all("#shutter button, #shutter label, #strip button, #strip a"):
            box = control.bounding_box()
            if box:
                assert min(box["width"], box["height"]) >= 44, (size, control.text_content())


def test_of_two_people_both_must_smile(app, visit, person_frames):
    visited = visit(app.url, posing.script(person_frames, people=2))
    visited.until("window.readings.length && window.readings.at(-1)[1].length === 2")
    visited.until("!document.getElementById('shutter').hidden")
    visited.page.check("#keep-going")
    visited.page.click("#arm")
    posing.smile(visited.page, 0)
    visited.until("document.getElementById('shutter-count').textContent === '1 of 2 smiling.'")
    visited.screenshot("shutter-one-of-two")
    alone = "readings.filter(([, faces]) => faces.length === 2 && Math.max(...faces) > 0.8 && Math.min(...faces) < 0.3)"
    visited.until(f"{alone}.length > 5 && {alone}.at(-1)[0] - {alone}[0][0] > 1000")
    assert visited.page.evaluate(PICTURES) == 0, "one smiled alone, and that was not enough"
    posing.smile(visited.page, 1)
    visited.until(f"{PICTURES} === 1")
    rest(visited)
    posing.smile(visited.page)
    visited.until(f"{PICTURES} === 2")
    readings, times = visited.page.evaluate("[window.readings, window.pictureTimes]")
    for taken in times:
        before = [faces for now, faces in readings if now <= taken][-2:]
        assert all(len(faces) == 2 and min(faces) >= 0.4 for faces in before), before


def test_the_shutter_goes_off_with_the_camera_and_when_the_page_is_hidden(app, visit, person):
    visited = visit(app.url, person)
    page = visited.page
    wait_for_camera(visited)
    page.click("#arm")
    assert page.is_visible("#shutter-ring")
    page.click("#stop")
    visited.until(f"{STATE} === 'Shutter off: the camera was stopped.'")
    assert page.is_hidden("#shutter")
    assert page.is_hidden("#shutter-ring")
    visited.start()
    visited.until("!document.getElementById('shutter').hidden")
    assert page.get_attribute("#arm", "aria-pressed") == "false"
    page.click("#arm")
    page.evaluate(HIDE % "true")
    visited.until(f"{STATE} === 'Shutter off: this page was hidden.'")
    page.evaluate(HIDE % "false")
    visited.until("!document.getElementById('shutter').hidden")
    visited.wait_for_face()
    smile_once(visited)
    assert page.evaluate(PICTURES) == 0, "it stays off"


def test_without_readings_it_says_so_and_goes_off(app, visit, person):
    visited = visit(app.url, person)
    page = visited.page
    wait_for_camera(visited)
    page.route(f"**{ANALYZE}", lambda route: None)
    page.clock.install()
    page.click("#arm")
    page.clock.fast_forward(5000)
    visited.until("document.getElementById('shutter-count').textContent.startsWith('No reading')")
    read_faces(page, 0.9, message="No reading")
    page.clock.fast_forward(6000)
    visited.until(f"{STATE}.startsWith('Shutter off: the picture could not be read')")
    assert page.evaluate(PICTURES) == 0


# What is seen at the moment of the shot, which a busy computer may be too late to look at.
NOTE_THE_SHOT = """() => {
  const ring = document.getElementById("shutter-ring");
  new MutationObserver(() => {
    if (window.shot || !ring.classList.contains("fired")) return;
    const tick = getComputedStyle(ring.querySelector(".tick")).display;
    window.shot = { tick, flashes: document.getElementById("shutter-flash").getAnimations().length };
  }).observe(ring, { attributes: true });
}"""


def test_with_less_motion_wished_there_is_no_flash_but_a_tick(app, visit, person):
    visited = visit(app.url, person, reduced_motion="reduce", forced_colors="active")
    page = visited.page
    wait_for_camera(visited)
    page.evaluate(NOTE_THE_SHOT)
    page.click("#arm")
    visited.screenshot("shutter-forced-colors")
    posing.smile(page)
    visited.until("window.shot !== undefined")
    assert page.evaluate("window.shot.flashes") == 0
    assert page.evaluate("window.shot.tick") != "none"
    visited.until("document.getElementById('shutter-ring').hidden")


def test_the_apps_own_camera_is_photographed_without_boxes(seeing_app, visit, face_picture, tmp_path):
    visited = visit(seeing_app.url, start=False)
    page = visited.page
    wait_for_camera(visited)
    page.click(".why summary")
    help_text = page.inner_text("#shutter-help")
    assert "smiled for half a second" in help_text
    assert "have its boxes" not in help_text
    page.click("#arm")
    asked = len(visited.requests)
    visited.until(f"{PICTURES} === 1")
    assert len(visited.requests) == asked
    visited.screenshot("shutter-apps-camera")
    with page.expect_download() as download:
        page.click("#strip-photos .save")
    file = tmp_path / "picture.jpg"
    download.value.save_as(file)
    picture, shown = cv2.imread(str(file)), cv2.imread(str(face_picture))
    assert picture.shape == shown.shape
    assert np.percentile(np.abs(picture.astype(int) - shown), 99.9) < 60, "a box would differ by more, in one pixel of fifty"
    page.check("input[value=mine]", force=True)
    visited.until("document.getElementById('shutter').hidden")
    assert page.is_visible("#strip"), "pictures stay when the camera is changed"
