"""The clip of the best smile, in a real Chromium whose webcam is blue before the smile and red with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import pytest

from tests.accessibility import violations
from tests.browsers import opened_and_closed
from tests.shows import LONG, RIDDLE, Show
from tests.test_party import COUNT
from tests.waiting import always, eventually

pytestmark = pytest.mark.slow(25)

BLUE, RED = "rgb(20, 40, 220)", "rgb(220, 40, 20)"
WEBCAM = f"""
  if (location.protocol !== "about:") localStorage.setItem("reading", "computer");
  window.color = "{BLUE}";
  document.addEventListener("smiles", ({{ detail: {{ faces }} }}) => {{
    window.color = faces.some(({{ smile }}) => smile >= 0.5) ? "{RED}" : "{BLUE}";
  }});
  const canvas = Object.assign(document.createElement("canvas"), {{ width: 320, height: 240 }});
  setInterval(() => {{
    const context = canvas.getContext("2d");
    context.fillStyle = window.color;
    context.fillRect(0, 0, 320, 240);
  }}, 40);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream();
  window.shared = [];
  navigator.canShare = ({{ files }}) => files.length === 1;
  navigator.share = async ({{ files: [file], text }}) => window.shared.push([file.name, file.type, file.size, text]);
"""
STATE = "document.getElementById('moment-state').textContent"


class Webcam(Show):
    """A page whose webcam, and what is read in its pictures, are the test's."""

    smile = 0.2

    def answer_picture(self, route: Any) -> None:
        box = {"left": 100, "top": 60, "right": 200, "bottom": 180}
        label = "smile" if self.smile >= 0.5 else "no_smile"
        face = {"id": 1, "smile": self.smile, "label": label, "box": box}
        route.fulfill(json={"width": 320, "height": 240, "faces": [face], "state": ""})

    def start(self) -> None:
        self.page.context.add_init_script(COUNT + WEBCAM)
        self.page.route("**/api/v1/analyze", self.answer_picture)
        self.page.reload()
        self.page.uncheck("#hands-free")
        self.page.click("#start")
        self.until("document.getElementById('faces').textContent === '1 face'")

    def pose(self, smile: float) -> None:
        self.smile = smile
        percent = str(int(100 * smile + 1e-6))
        self.until(f"document.getElementById('meter').getAttribute('aria-valuenow') === '{percent}'")


@pytest.fixture
def webcam(browser, app) -> Iterator:
    yield from opened_and_closed(lambda: Webcam(browser, app.url, accept_downloads=True))


PICK = """async () => {
  const { MomentPicker } = await import("/static/moment/moment_picker.js");
  const { Frames } = await import("/static/moment/frames.js");
  const picker = new MomentPicker(), taken = [];
  const smiles = [[0, 0.3], [1000, 0.6], [1400, 0.9], [2000, 0.905], [5000, 0.8], [6000, 0.95]];
  const at = (time) => smiles.findLast(([when]) => when <= time)[1];
  for (let now = 0; now < 9000; now += 100) {
    picker.read(at(now), now, `at ${now}`);
    const one = picker.take(now);
    if (one) taken.push([one.at, now, one.note]);
  }
  picker.anew();
  picker.read(0.6, 10_000);
  taken.push(picker.take(11_500)?.at);
  const frames = new Frames();
  for (let i = 0; i < 1000; i += 1) frames.add({ at: 67 * i, blob: null });
  return [taken, frames.length, frames.round(66_000).map((one) => one.at)];
}"""
NO_PUNCHLINE = "{ const after = setTimeout; window.setTimeout = (act, ms) => after(act, ms === 2500 ? 1e8 : ms); }"
# What becomes of a clip whose recorder fails.
FAILS = """async () => {
  const { makeClip } = await import("/static/moment/clip.js");
  const blob = await new Promise((done) => document.createElement("canvas").toBlob(done));
  window.MediaRecorder = class extends EventTarget {
    static isTypeSupported = () => true;
    start() { this.dispatchEvent(Object.assign(new Event("error"), { error: new DOMException("", "UnknownError") })); }
    stop() {}
  };
  return makeClip([{ at: 0, blob }, { at: 300, blob }], "A joke.", new AbortController().signal).catch(({ name }) => name);
}"""
FORGET = """async () => {
  const { Frames } = await import("/static/moment/frames.js");
  const frames = new Frames(), lengths = [];
  const taking = frames.take(0);
  frames.clear();
  await taking;
  lengths.push(frames.length);
  await frames.take(1000);
  await frames.take(3000);
  for (const now of [4000, 6000, 9000]) {
    frames.forget(now);
    lengths.push(frames.length);
  }
  return lengths;
}"""


def test_the_moment_is_round_the_best_smile_so_far_and_its_frames_are_bounded(webcam):
    taken, kept, frames = webcam().page.evaluate(PICK)
    assert taken[:2] == [[1400, 2900, "at 1400"], [6000, 7500, "at 6000"]], "what is hardly better is no new moment"
    assert taken[2] == 10_000, "of a new session"
    assert kept <= 60
    assert frames[0] >= 64_500
    assert frames[-1] == 67 * 999


def test_the_best_smile_becomes_a_clip_that_is_saved_or_shared(webcam, tmp_path):
    there = webcam()
    page = there.page
    there.start()
    there.pose(0.9)
    always(lambda: page.is_hidden("#moment"), "nothing is kept before it is asked for", seconds=1.7)
    assert page.evaluate(FORGET) == [0, 2, 1, 0], "none after the end, none for longer than three and a half seconds"
    there.pose(0.2)
    page.check("#moment-wanted")
    there.until(f"{STATE}.startsWith('On: smile')")
    always(lambda: page.is_hidden("#moment"), seconds=1.6)  # pictures from before the smile
    there.jokes = [LONG]
    page.evaluate("document.getElementById('another').click()")
    there.until("document.getElementById('joke').dataset.id === 'long'")
    there.pose(0.9)
    there.until(f"{STATE} === 'Your best smile yet, 90 %: the clip is ready.'")
    assert page.text_content("#moment-joke") == LONG["text"]
    with page.expect_download() as download:
        page.click("#moment-save")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.suffix in (".webm", ".mp4")
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append((video.get(cv2.CAP_PROP_POS_MSEC), read[1]))
    video.release()
    assert len(frames) >= 8
    assert 1.5 < (frames[-1][0] - frames[0][0]) / 1000 < 8, "three seconds, more or less"
    (first, last) = (image[60:180, 80:240].mean(axis=(0, 1)) for image in (frames[0][1], frames[-1][1]))
    assert first[0] > 150 > first[2], "it begins before the smile"
    assert last[2] > 150 > last[0], "and ends with it"
    height = frames[0][1].shape[0]
    below = frames[0][1][240:].astype(int)
    assert height > 270
    assert (below.max(axis=2) > 230).mean() > 0.6, "on paper"
    assert (below.max(axis=2) < 110).mean() > 0.01, "stands the joke"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == []
    page.click("#moment-share")
    there.until("window.shared.length === 1")
    name, kind, size, text = page.evaluate("window.shared[0]")
    assert (name, text) == (path.name, LONG["text"])
    assert kind.startswith("video/")
    assert size == path.stat().st_size
    assert page.evaluate("window.addresses.size") == 1
    page.uncheck("#moment-wanted")
    page.check("#moment-wanted")
    page.evaluate("document.getElementById('anew').click()")
    there.pose(0.8)
    always(lambda: "80 %" not in page.evaluate(STATE), "nothing worse while the session can come back", seconds=1.7)
    there.jokes = [RIDDLE]
    page.evaluate(NO_PUNCHLINE)
    page.evaluate("document.getElementById('another').click()")
    there.until("document.getElementById('joke').dataset.id === 'riddle' && document.body.classList.contains('waiting')")
    there.pose(0.2)
    there.pose(0.97)
    there.until(f"{STATE} === 'Your best smile yet, 97 %: the clip is ready.'")
    assert page.evaluate("window.addresses.size") == 1, "of the better clip; the other is gone"
    assert page.text_content("#moment-joke") == "Why did the clock blush?", "what Dad had said by then"
    page.click("#moment-delete")
    assert page.evaluate("window.addresses.size") == 0
    assert page.evaluate("document.activeElement.id") == "moment-wanted"
    page.uncheck("#moment-wanted")
    page.reload()
    assert not page.is_checked("#moment-wanted"), "asked for each time"
    assert page.evaluate(FAILS) == "UnknownError"
    eventually(lambda: set(page.evaluate("Object.keys(localStorage)")) == {"reading", "hands-free"})
