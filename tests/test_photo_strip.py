"""Pictures that the shutter took: one of every smile, kept, printed, deleted and brought back."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests import posing
from tests.shutter import PICTURES, SMILED_LONG, read_faces, rest, shutter_visits, smiles, wait_for_camera
from tests.visits import ANALYZE, OPENS
from tests.waiting import eventually

pytestmark = pytest.mark.slow(35)


@pytest.fixture
def visit(browser) -> Iterator:
    yield from shutter_visits(browser)


def test_kept_going_it_takes_one_picture_of_every_smile(app, visit, person, tmp_path):
    visited = visit(app.url, person)
    page = visited.page
    wait_for_camera(visited)
    page.check("#keep-going")
    page.click("#arm")
    for number in (1, 2):
        posing.smile(page)
        visited.until(f"{PICTURES} === {number}")
        visited.until(SMILED_LONG)
        rest(visited)
    page.click("#arm")
    assert page.text_content("#shutter-state") == "Shutter off."
    readings, times = page.evaluate("[window.readings, window.pictureTimes]")
    seen = smiles(readings)
    assert len(times) == 2
    assert all(sum(begin < taken <= end + 1000 for taken in times) <= 1 for begin, end in seen), "never two of one smile"
    assert all(any(begin < taken for begin, _ in seen) for taken in times), "each after a smile began"
    with page.expect_download() as download:
        page.click("#strip-save")
    file = tmp_path / "strip.jpg"
    download.value.save_as(file)
    strip = cv2.imread(str(file))
    assert strip.shape[0] > 2 * 360
    assert 640 < strip.shape[1] < 900
    assert_gingham(strip[: strip.shape[1] // 12])
    assert_gingham(strip[-strip.shape[1] // 12 :])
    visited.screenshot("shutter-strip")


def assert_gingham(edge: np.ndarray) -> None:
    """Cream, pink and red in equal squares: about a quarter, a half and a quarter."""
    blue = edge[..., 0].astype(int)
    for low, high, share in ((0, 90, 0.25), (90, 180, 0.5), (180, 256, 0.25)):
        assert abs(((blue >= low) & (blue < high)).mean() - share) < 0.12


PRINT = """async ([count, joke]) => {
  const { dealt, printStrip } = await import("/static/shutter/shutter_print.js");
  const canvas = new OffscreenCanvas(320, 240);
  const context = canvas.getContext("2d");
  context.fillStyle = "#0000ff";
  context.fillRect(0, 0, 320, 240);
  const blob = await canvas.convertToBlob({ type: "image/jpeg" });
  const pictures = Array.from({ length: count }, () => ({ blob, joke }));
  const strip = await printStrip(pictures, "28 November");
  return [dealt(count), [...new Uint8Array(await strip.arrayBuffer())]];
}"""


def test_the_strip_has_no_empty_cells_and_the_joke_under_each_picture(app, visit):
    page = visit(app.url, start=False).page

    def printed(count: int, joke: str) -> tuple[list[int], np.ndarray]:
        columns, data = page.evaluate(PRINT, [count, joke])
        strip = cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_COLOR)
        assert strip is not None
        return columns, strip

    def blue(strip: np.ndarray) -> int:
        return int(((strip[..., 0] > 200) & (strip[..., 2] < 60)).sum())

    columns, strip = printed(5, "A joke.")
    assert columns == [3, 2]
    assert abs(blue(strip) - 5 * 320 * 240) < 0.02 * 5 * 320 * 240
    wall = (np.abs(strip.astype(int) - (226, 228, 201)).max(axis=2) < 12).mean(axis=1)
    assert wall.max() > 0.2, "Dad stands in where a picture is missing"
    assert printed(4, "")[0] == [4]
    assert printed(9, "")[0] == [3, 3, 3]
    assert printed(12, "")[0] == [4, 4, 4]
    assert printed(11, "")[0] == [4, 4, 3]
    silent, told, long = (printed(1, joke)[1] for joke in ("", "A joke.", "A very long joke. " * 60))
    assert silent.shape[0] < told.shape[0] < long.shape[0] < told.shape[0] + 320


def test_the_keyboard_alone_arms_takes_and_deletes(app, visit, person):
    visited = visit(app.url, person)
    page = visited.page
    wait_for_camera(visited)
    page.focus("#stop")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "arm":
            break
    joke = page.text_content("#joke")
    page.keyboard.press("Space")
    assert page.text_content("#shutter-state") == "Armed: waiting for everyone to smile."
    page.keyboard.press("Enter")
    assert page.text_content("#shutter-state") == "Shutter off."
    assert page.is_hidden("#shutter-ring")
    page.keyboard.press("Space")
    posing.smile(page)
    visited.until(f"{PICTURES} === 1")
    assert page.text_content("#joke") == joke, "space on the button tells no joke"
    assert page.evaluate("document.activeElement.id") == "arm", "a picture does not take the keyboard away"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "keep-going"
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.id"))
    assert reached == ["", "strip-save", "strip-clear", "Download picture 1", "Delete picture 1"]
    page.keyboard.press("Enter")
    assert page.evaluate(PICTURES) == 0
    assert page.evaluate("document.activeElement.id") == "strip-undo"
    page.keyboard.press("Enter")
    assert page.evaluate(PICTURES) == 1
    assert page.text_content("#shutter-state") == "Picture 1 is back."
    with page.expect_download():
        page.keyboard.press("Enter")
    page.clock.install()
    page.click("#strip-clear")
    assert page.text_content("#shutter-state") == "Picture 1 deleted."
    page.clock.fast_forward(11_000)
    visited.until("document.getElementById('strip').hidden")
    assert page.evaluate("document.activeElement.id") == "arm"


def test_a_full_strip_says_so_and_loses_nothing(app, visit, person):
    visited = visit(app.url, person, size="small")
    page = visited.page
    wait_for_camera(visited)
    most = page.evaluate("import('/static/shutter/photo_strip.js').then(({ MOST }) => MOST)")
    # The camera's own readings are held back; made-up ones come a smile at a time.
    page.route(f"**{ANALYZE}", lambda route: None)
    page.evaluate("window.stayed = true")
    for number in range(1, most + 1):
        page.click("#arm")

        def taken(number: int = number) -> bool:
            read_faces(page, 0.9, 0.8)
            return page.evaluate(PICTURES) >= number

        eventually(taken, lambda: page.text_content("#shutter-state"))
    assert f"The strip is full with {most} pictures" in page.text_content("#shutter-state")
    assert page.get_attribute("#arm", "aria-pressed") == "false"
    page.click("#arm")
    assert page.get_attribute("#arm", "aria-pressed") == "false", "a full strip can't be armed"
    assert page.evaluate("document.documentElement.scrollWidth") == OPENS["small"][0]
    visited.screenshot("shutter-full")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.evaluate("location.reload()")
    visited.until("window.stayed")
    eventually(lambda: page.evaluate("window.stayed") and asked)
    assert asked == ["beforeunload"], "pictures that were not downloaded are not lost without a question"
    with page.expect_download():
        page.click("#strip-save")
    page.click("#strip-clear")
    assert page.evaluate(PICTURES) == 0
    page.click("#strip-undo")
    assert page.evaluate(PICTURES) == most
    names = page.eval_on_selector_all("#strip-photos canvas", "all => all.map((one) => one.getAttribute('aria-label'))")
    assert [name.partition(",")[0] for name in names] == [f"Picture {i}" for i in range(most, 0, -1)], "the newest first"
