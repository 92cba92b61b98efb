"""Keep a straight face in a real Chromium: whole games before a webcam."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faces.finder import FinderDetector
from faces.photo import analyze_photo
from smile_recognition import SmileRecognizer
from tests import posing
from tests.browsers import launch_with_webcam
from tests.visits import ANALYZE, WebcamVisit

pytestmark = pytest.mark.slow(50)
PHASE = "document.body.dataset.phase"
NEWS = "document.getElementById('game-news').textContent"
SHARES = """
  window.shared = [];
  navigator.canShare = ({ files }) => files.length === 1;
  navigator.share = async ({ files: [file] }) => window.shared.push([file.name, file.type, file.size]);
"""
# Once somebody is out: the progress, the news and the joke of that moment, which does not last.
FROZEN = """new Promise((done) => {
  const part = (id) => document.getElementById(id), timer = setInterval(() => {
    if (part("stamp").hidden) return;
    clearInterval(timer);
    done(["progress", "game-news", "joke"].map((id) => part(id).textContent));
  }, 10);
})"""
# Keeps the news, which changes with time.
NOTE_NEWS = """() => {
  window.news = [];
  const news = document.getElementById("game-news");
  new MutationObserver(() => window.news.push(news.textContent)).observe(news, { childList: true, characterData: true });
}"""
BLUE = (242, 199, 124)  # BGR, of the second player's mark


def image_of(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


def test_a_whole_game_alone(app, browser, shared_videos):
    person = posing.person_of(shared_videos / "neutral_smile_neutral.mp4")
    there = WebcamVisit(
        browser, app.url, script=posing.script(person), start=False, accept_downloads=True, reduced_motion="no-preference"
    )
    page = there.page
    try:
        page.click("nav a[href$='/play']")
        page.wait_for_url("**/play")
        page.goto(page.url + "?pace=4")
        page.check("input[name=jokes][value='10']", force=True)
        page.keyboard.press("Space")  # the camera and the game
        there.until("/^Joke ([2-9]|10) of 10$/.test(document.getElementById('progress').textContent)")
        assert page.text_content("#players .who") == "You"
        progress, news, fell_by = page.evaluate(posing.SMILES + FROZEN)
        assert news == "You smiled!"
        survived = int(progress.split()[1]) - 1  # on a busy machine a smile may come too late for a joke
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        posing.rest(page)
        assert page.text_content("#joke") == f"You survived {survived} of 10 jokes."
        assert page.evaluate("JSON.parse(localStorage['dad-jokes straight face'])") == {"10": survived}
        assert page.text_content("#best") == "Your best so far on this device!"
        assert " ".join(fell_by.split())[:20] in page.get_attribute("#card", "aria-label")
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename.startswith("straight-face-")
        card = image_of(download.value.path())
        assert card.shape == (1080, 1080, 3)
        first, last = posing.SMILE
        faces = [
            cv2.resize(frame, None, fx=1.5, fy=1.5)[150:400, 330:630] for frame in person[first : last + 1 : 2]
        ]  # as there
        found = max(cv2.matchTemplate(card[80:700], face, cv2.TM_CCOEFF_NORMED).max() for face in faces)
        assert found > 0.65, "the frozen moment is on it"
        page.keyboard.press("Space")
        there.until(f"['calming', 'breath', 'telling'].includes({PHASE})")
        assert page.is_hidden("#card")
        there.until("document.querySelector('#joke .set-up')")
        page.keyboard.press("Escape")
        assert page.evaluate(PHASE) == "choosing"
        assert page.text_content("#best-words") == f"Your best of 10, alone: {survived}"
        page.click("#forget")
        assert page.evaluate("localStorage['dad-jokes straight face']") is None
        assert {request for request in there.requests if not request.startswith(app.url)} == set()
        assert not any("api/v1/reactions" in request for request in there.requests), (
            "nobody's straight face counts for the board"
        )
        assert there.complaints == []
    finally:
        there.context.close()


@pytest.fixture(scope="module")
def two_faces(shared_videos, tmp_path_factory) -> Path:
    """For a webcam: the same person twice, side by side. The left one smiles for three seconds of eight."""
    frames = [frame[:, 120:520] for frame in posing.person_of(shared_videos / "neutral_smile_neutral.mp4")]
    path = tmp_path_factory.mktemp("webcam") / "two.mjpeg"

    def to_and_fro(first: int, last: int, i: int) -> np.ndarray:
        there = 2 * (last - first)
        return frames[first + min(i % there, there - i % there)]

    with path.open("wb") as video:
        for i in range(8 * 30):
            left = to_and_fro(*posing.NEUTRAL, i) if i < 5 * 30 else to_and_fro(*posing.SMILE, i)
            video.write(cv2.imencode(".jpg", np.hstack([left, to_and_fro(*posing.NEUTRAL, i + 7)]))[1].tobytes())
    return path


def test_a_duel_before_one_camera(app, browser, two_faces):
    chromium = launch_with_webcam(browser, two_faces)
    there = WebcamVisit(chromium, app.url + "/play", start=False, accept_downloads=True, reduced_motion="no-preference")
    page = there.page
    try:
        page.evaluate(NOTE_NEWS)
        page.click("#go")
        there.until("document.querySelectorAll('#players .who').length === 2")
        assert page.locator("#players .who").all_text_contents() == ["Player 1", "Player 2"]
        there.until("window.news.some((one) => one.endsWith('smiled!'))")
        smiled = [one for one in page.evaluate("window.news") if one.endswith("smiled!")]
        assert smiled[0] == "Player 2 smiled!", "mirrored, the left one sits on the right"
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        assert page.text_content("#joke") == "Player 1 wins the duel!"
        ranking = page.locator("#ranking li").all_inner_texts()
        assert "Player 1 kept a straight face" in ranking[0]
        assert "Player 2 smiled at joke" in ranking[1]
        assert page.evaluate("localStorage['dad-jokes straight face']") is None, "a duel is nobody's best"
        with page.expect_download() as download:
            page.click("#save")
        card = image_of(download.value.path())[80:600]
        face = max(analyze_photo(card, FinderDetector(), SmileRecognizer()), key=lambda one: one.smile)
        rows, columns = np.nonzero(np.abs(card.astype(int) - BLUE).max(2) < 30)
        width = face.box.right - face.box.left
        assert (columns.min() + columns.max()) / 2 == pytest.approx((face.box.left + face.box.right) / 2, abs=0.15 * width)
        assert rows.max() == pytest.approx(face.box.bottom, abs=0.25 * width), "the loser's mark is round the loser's face"
        there.screenshot("play-duel")
        assert there.complaints == []
    finally:
        there.context.close()
        chromium.close()


def test_a_game_before_the_apps_own_camera(run_app, browser, shared_videos):
    app = run_app("--source", shared_videos / "neutral_smile_neutral.mp4")
    there = WebcamVisit(browser, app.url + "/play?pace=2", start=False, reduced_motion="no-preference")
    try:
        there.until("document.querySelectorAll('#players li').length === 1")
        there.page.click("#go")
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        assert there.page.text_content("#joke") == "The first joke got you."
        assert there.page.text_content("#best") == "Your best on this device: 0 of 5."
        assert ANALYZE not in " ".join(there.requests)
        assert there.complaints == []
    finally:
        there.context.close()
