"""A visitor's own browser reads the pictures: a real Chromium with a fake webcam, the real runtime, the real networks."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from common.places import BROWSER_RUNTIME
from faces.finder import FinderDetector
from faces.photo import analyze_photo
from faces.tracking import FaceTracker
from smile_recognition import SmileRecognizer
from tests.browsers import new_context, opened_and_closed
from tests.visits import WebcamVisit
from tests.waiting import PATIENCE_S, always, eventually
from visitors.load import StreamLoad
from visitors.turns import TurnSearch

pytestmark = [
    pytest.mark.slow(40),
    pytest.mark.skipif(not (BROWSER_RUNTIME / "litert.js").is_file(), reason="needs LiteRT's runtime: make browser"),
]
READER = """async () => {
  const { DeviceReader } = await import("/static/reading/device.js");
  window.reader = new DeviceReader();
  await window.reader.load();
}"""
READ = """async ([kind, text, width, height, seconds]) => {
  const levels = atob(text), pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < levels.length; i++) pixels.fill(levels.charCodeAt(i), 4 * i, 4 * i + 3);
  return window.reader[kind](await createImageBitmap(new ImageData(pixels, width, height)), seconds);
}"""
ON_DEVICE = "localStorage.setItem('reading', 'device');"


@pytest.fixture
def visit(with_webcam) -> Iterator:
    """Opens pages that read on the device unless told otherwise."""

    def make(*place, script: str = ON_DEVICE, **options) -> WebcamVisit:
        return WebcamVisit(with_webcam, *place, script=script, **options)

    yield from opened_and_closed(make)


def posing(astronaut: np.ndarray) -> Iterator[np.ndarray]:
    """Grey 480x360 frames: a face that moves, leans, shrinks, is hidden, comes back, gets company; then another scene."""
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    for i in range(60):
        turn = cv2.getRotationMatrix2D((225, 120), 25 * np.sin(i / 10), 0.8 + 0.25 * np.cos(i / 9))
        turn[:, 2] += (10 * np.sin(i / 7), 30)
        frame = cv2.warpAffine(gray, turn, (480, 360), borderMode=cv2.BORDER_REPLICATE)
        if 30 <= i < 38:
            frame[80:260, 140:330] = 90
        yield frame
    for i in range(25):
        small = cv2.resize(gray[:300, 60:400], (240, 212), interpolation=cv2.INTER_AREA)
        frame = np.full((360, 480), 70, np.uint8)
        frame[40:252, 0 + i : 240 + i] = small
        frame[40:252, 240:480] = np.clip(small * 0.7, 0, 255)
        yield frame


def read_there(page, kind: str, gray: np.ndarray, seconds: float = 0.0) -> list[dict]:
    height, width = gray.shape
    return page.evaluate(READ, [kind, base64.b64encode(gray.tobytes()).decode(), width, height, seconds])["faces"]


def assert_alike(here: list[list[dict]], there: list[list[dict]]) -> None:
    """The same faces, the same labels, and nearly the same numbers."""
    assert [[face["id"] for face in faces] for faces in here] == [[face["id"] for face in faces] for faces in there]
    pairs = [pair for one, other in zip(here, there, strict=True) for pair in zip(one, other, strict=True)]
    assert len(pairs) > 2
    smiles = [abs(one["smile"] - other["smile"]) for one, other in pairs]
    assert np.mean(smiles) < 0.002, smiles
    assert np.mean([one["label"] == other["label"] for one, other in pairs]) >= 0.998
    for one, other in pairs:
        sides = [abs(one["box"][side] - other["box"][side]) for side in one["box"]]
        assert max(sides) <= 2 + 0.02 * (one["box"]["bottom"] - one["box"]["top"])


def test_the_worker_reads_what_the_app_reads_from_the_same_frames(app, visit, astronaut):
    page = visit(app.url, start=False).page
    page.evaluate(READER)
    detector, recognizer = FinderDetector(), SmileRecognizer()
    tracker = FaceTracker(detector, recognizer, search=TurnSearch(detector, StreamLoad(1), searched_at=float("-inf")))
    here, there = [], []
    for i, gray in enumerate(posing(astronaut)):
        here.append([face.as_full_json() for face in tracker.update(gray, 1 + i / 15)])
        there.append(read_there(page, "frame", gray, 1 + i / 15))
    assert {len(faces) for faces in here} >= {0, 1, 2}, "the frames show what they should"
    assert_alike(here, there)
    photo = cv2.cvtColor(cv2.resize(astronaut, None, fx=1.7, fy=1.7), cv2.COLOR_BGR2GRAY)
    near = photo[:600, 200:700]
    further = [
        cv2.copyMakeBorder(cv2.resize(near[:, ::-1], None, fx=f, fy=f), 0, 600 - round(600 * f), 0, 0, cv2.BORDER_REPLICATE)
        for f in (0.85, 0.7)
    ]
    group = np.hstack([near, *further])  # of three sizes: the largest face comes first
    here = [[face.as_full_json() for face in analyze_photo(group, detector, recognizer)]]
    assert_alike(here, [read_there(page, "photo", group)])


def test_no_picture_leaves_the_device_until_the_visitor_says_so(app, visit):
    page = visit(app.url, start=False, script="")
    requests: list = []
    page.context.on("request", lambda request: requests.append(request))
    page.until("document.body.dataset.reading === 'computer'")
    page.page.evaluate("localStorage.removeItem('reading')")
    page.page.check("input[name=reading][value=device]")
    assert "never leave" in page.page.text_content("#promise-short")
    page.start()
    page.wait_for_face()
    seen = app.json("/healthz")
    assert seen["reading"] == "device"
    page.until("document.getElementById('fps').textContent !== ''")
    assert page.box_center() > 0, "the box is drawn"
    assert {request.method for request in requests} == {"GET"}
    assert any("smile.tflite" in request.url for request in requests), "the worker's requests are recorded, too"
    assert all(request.post_data_buffer is None for request in requests)
    assert page.page.evaluate("window.sent.length") == 0
    page.page.check("input[name=reading][value=computer]")
    page.until("window.answers.length > 1")
    assert "POST" in {request.method for request in requests}, "a picture that is sent is noticed"
    page.page.check("input[name=reading][value=device]")
    page.until("window.inFlight === 0")
    sent = page.page.evaluate("window.sent.length")
    page.wait_for_face()
    always(lambda: page.page.evaluate("window.sent.length") == sent)
    assert page.complaints == []


def test_the_choice_is_kept_and_this_device_comes_first(app, with_webcam):
    context = new_context(with_webcam)
    try:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        checked = "document.querySelector('input[name=reading]:checked')?.value"
        words = "document.getElementById('promise').textContent"
        page.goto(app.url)
        eventually(lambda: page.evaluate(checked) == "device" and "never leave it" in page.evaluate(words))
        page.check("input[name=reading][value=computer]")
        assert "go to the computer" in page.evaluate(words)
        page.reload()
        eventually(lambda: page.evaluate(checked) == "computer" and page.is_visible("#reading"))
        assert "go to the computer" in page.evaluate(words)
    finally:
        context.close()


def test_the_other_way_is_proposed_while_readings_come_slowly(app, visit):
    page = visit(app.url, start=False)
    said = page.page.evaluate(
        """async () => {
          const { Where } = await import("/static/reading/where.js");
          const where = new Where(() => {}), said = [];
          await where.ready;
          const after = (rate, ms) => {
            where.measured(rate, ms);
            said.push(document.getElementById("reading-slow").textContent);
          };
          after(4, 0); after(4, 2000); after(4, 3500); after(6, 4000); after(4, 5000); after(0, 9000);
          document.querySelector("input[name=reading][value=computer]").click();
          after(3, 20000); after(3, 24000);
          return said;
        }"""
    )
    assert [bool(one) for one in said] == [False, False, True, False, False, False, False, True]
    assert "app's computer may be faster" in said[2]
    assert "This device may be faster" in said[7]


def test_a_browser_without_simd_has_the_app_read_and_says_so_first(app, visit):
    page = visit(app.url, start=False, script=ON_DEVICE + "WebAssembly.validate = () => false;")
    page.until("document.getElementById('promise').textContent.includes(\"can't read pictures itself\")")
    assert "go to the computer" in page.page.text_content("#promise")
    assert page.page.is_hidden("#reading")
    page.start()
    page.wait_for_face()
    assert page.page.evaluate("window.sent.length") > 0


def test_a_browser_without_relaxed_simd_takes_the_other_file(app, visit):
    page = visit(app.url, start=False)
    page.page.route(
        "**/static/reading/engine.js",
        lambda route: route.fulfill(
            body=route.fetch().text().replace("WebAssembly.validate(RELAXED_SIMD)", "false"), content_type="text/javascript"
        ),
    )
    page.start()
    page.wait_for_face()
    assert any("compat_internal.wasm" in url for url in page.requests)


def test_a_runtime_that_does_not_load_is_said_and_no_picture_is_sent_for_it(app, visit):
    page = visit(app.url, start=False)
    page.context.route("**/*.wasm", lambda route: route.abort())
    page.start()
    page.until_words("can't be loaded just now")
    assert page.page.evaluate("window.sent.length") == 0
    page.context.unroute("**/*.wasm")
    page.wait_for_face()
    assert page.page.is_hidden("#curtain")
    page.page.click("#stop")
    always(lambda: page.page.text_content("#faces") == "Your camera is off")


def test_dropped_photos_are_read_on_the_device_with_a_table_to_download(app, visit, astronaut, tmp_path):
    photo, plain, broken = tmp_path / "=smiling, me.png", tmp_path / "plain.png", tmp_path / "broken.jpg"
    cv2.imwrite(str(photo), astronaut)
    cv2.imwrite(str(plain), np.full((200, 300, 3), 90, np.uint8))
    broken.write_bytes(b"no picture")
    page = visit(app.url, start=False)
    requests: list = []
    page.context.on("request", lambda request: requests.append(request))
    page.until("!document.getElementById('photos').hidden")
    page.page.set_input_files("#photos-choice", [photo, broken, plain])
    page.until("document.getElementById('photos-state').textContent.startsWith('2 photos, 1 face.')")
    assert "broken.jpg is no picture that this browser can open." in page.page.text_content("#photos-state")
    with page.page.expect_download() as download:
        page.page.click("#photos-save")
    table = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    assert [(row["photo"], row["face"]) for row in table] == [("'=smiling, me.png", "1"), ("plain.png", "")]
    (face,) = analyze_photo(astronaut, FinderDetector(), SmileRecognizer())
    assert abs(float(table[0]["smile"]) - face.smile) < 0.01
    assert (table[0]["label"], table[0]["width"]) == (face.label, "512")
    assert all(abs(int(table[0][side]) - getattr(face.box, side)) <= 2 for side in ("top", "right", "bottom", "left"))
    assert abs(float(table[0]["nose_x"]) - face.landmarks[2][0]) < 2
    page.page.click("#photos-clear")
    assert page.page.is_hidden("#photos-found")
    page.page.evaluate(
        """(text) => {
          const files = new DataTransfer(), bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          files.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(photo.read_bytes()).decode(),
    )
    page.until("document.getElementById('photos-state').textContent === '1 photo, 1 face.'")
    page.screenshot("photos-on-device")
    assert all(request.method == "GET" and request.post_data_buffer is None for request in requests)


def test_the_switch_is_of_my_camera_alone_and_leaves_the_meter_as_it_is(seeing_app, visit):
    page = visit(seeing_app.url, start=False)
    page.wait_for_face()
    assert page.page.is_visible("#percent")
    assert page.page.is_hidden("#reading")
    page.page.check("input[name=camera][value=mine]", force=True)
    page.until("document.getElementById('reading').checkVisibility()")
    assert page.page.is_visible("#percent")
