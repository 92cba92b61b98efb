"""Visits before whose webcam people smile when the test says so, and who keep a record of the shutter."""

from __future__ import annotations

from collections.abc import Iterator

from tests import posing
from tests.visits import WebcamVisit

# Every reading, and every picture that came, in the page's time; what was said of the shutter; addresses of pictures in use.
RECORD = """
  window.readings = []; window.states = []; window.pictureTimes = []; window.addresses = new Set();
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    const address = createObjectURL.call(URL, blob);
    window.addresses.add(address);
    return address;
  };
  URL.revokeObjectURL = (address) => { window.addresses.delete(address); revokeObjectURL.call(URL, address); };
  document.addEventListener("smiles", ({ detail }) =>
    window.readings.push([performance.now(), detail.message ? [] : detail.faces.map((face) => face.smile)]));
  document.addEventListener("DOMContentLoaded", () => {
    const photos = document.getElementById("strip-photos");
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const _ of addedNodes) window.pictureTimes.push(performance.now());
    }).observe(photos, { childList: true });
    const state = document.getElementById("shutter-state");
    new MutationObserver(() => window.states.push(state.textContent)).observe(state, { childList: true });
  });
"""
PICTURES = "document.querySelectorAll('#strip-photos li').length"
STATE = "document.getElementById('shutter-state').textContent"


def shutter_visits(browser) -> Iterator:
    """For a fixture: opens pages that remember every reading and picture; `webcam` is a script that makes one."""
    visits: list[WebcamVisit] = []

    def open_page(url: str, webcam: str = "", **options) -> WebcamVisit:
        visits.append(WebcamVisit(browser, url, script=RECORD + webcam, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()


def wait_for_camera(page: WebcamVisit) -> None:
    page.wait_for_face()
    page.until("!document.getElementById('shutter').hidden")


def lasts(what: str, ms: int) -> str:
    """The condition that all readings of so long were of faces of which this is true."""
    return f"""(() => {{
      const before = readings.findLastIndex(([, faces]) => !faces.length || !({what}));
      const since = readings.slice(before + 1);
      return since.length > 2 && since.at(-1)[0] - since[0][0] > {ms};
    }})()"""


SMILED_LONG = lasts("Math.min(...faces) >= 0.5", 1000)  # twice as long as the shutter wants


def rest(page: WebcamVisit) -> None:
    """Everybody becomes neutral, for long enough that the smile is over."""
    posing.rest(page.page)
    page.until(lasts("Math.max(...faces) < 0.3", 400))


def smile_once(page: WebcamVisit) -> None:
    """Everybody smiles for long enough, and is neutral again."""
    posing.smile(page.page)
    page.until(SMILED_LONG)
    rest(page)


def read_faces(page, *smiling: float, message: str = "") -> None:
    """One made-up reading."""
    page.evaluate(
        "([smiles, message]) => document.dispatchEvent(new CustomEvent('smiles', { detail: "
        "{ message, faces: smiles.map((smile, i) => ({ id: i + 1, smile })) } }))",
        [smiling, message],
    )


def smiles(readings: list) -> list[tuple[float, float]]:
    """When each smile of a lone face began and ended, in the page's time; one that goes on ends at infinity."""
    found: list[tuple[float, float]] = []
    for now, faces in readings:
        smiling = bool(found) and found[-1][1] == float("inf")
        if not smiling and faces and min(faces) >= 0.5:
            found.append((now, float("inf")))
        elif smiling and faces and min(faces) < 0.4:
            found[-1] = (found[-1][0], now)
    return found
