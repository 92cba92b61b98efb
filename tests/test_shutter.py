"""The smile shutter: when it fires, on made-up readings; and in a real Chromium whose webcam shows people smiling on cue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest

from tests import posing
from tests.test_my_camera import ANALYZE, HIDE, OPENS, Visit
from tests.waiting import eventually

pytestmark = pytest.mark.slow(75)

Reading = tuple[float, dict[int, float] | None]  # milliseconds, and P(smile) of each face; None: nothing could be read

PLAY = """async ([readings, keepGoing]) => {
  const { ShutterTiming } = await import("/static/shutter/shutter_timing.js");
  const timing = new ShutterTiming();
  timing.keepGoing = keepGoing;
  timing.arm();
  return readings.map(([now, faces]) => {
    timing.tick(now);
    const fired = timing.read(faces && Object.entries(faces).map(([id, smile]) => ({ id, smile })), now);
    return { now, fired, state: timing.state, progress: timing.progress, smiling: timing.smiling, inView: timing.inView };
  });
}"""
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


@pytest.fixture(scope="module")
def play(app, browser) -> Iterator:
    """Feeds readings to an armed shutter; what it made of each."""
    visit = Visit(browser, app.url, start=False)

    def run(readings: Sequence[Reading], *, keep_going: bool = False) -> list[dict]:
        return visit.page.evaluate(PLAY, [readings, keep_going])

    yield run
    visit.context.close()


@pytest.fixture(scope="module")
def frames(shared_videos) -> list[np.ndarray]:
    """A person who is neutral, and then smiles: uint8 BGR (360, 640, 3)."""
    return posing.person_of(shared_videos / "neutral_smile_neutral.mp4")


@pytest.fixture(scope="module")
def person(frames) -> str:
    """A webcam before which that person smiles when a test says so."""
    return posing.script(frames)


@pytest.fixture
def visit(browser) -> Iterator:
    visits: list[Visit] = []

    def open_page(url: str, webcam: str = "", **options) -> Visit:
        visits.append(Visit(browser, url, script=RECORD + webcam, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()


def every(ms: float, begin: float, end: float, faces: dict[int, float] | None) -> list[Reading]:
    return [(float(now), faces) for now in np.arange(begin, end, ms)]


def fired_at(played: list[dict]) -> list[float]:
    return [one["now"] for one in played if one["fired"]]


# --- when it fires ---


def test_it_fires_once_after_half_a_second_of_smile_and_is_off(play):
    played = play([*every(50, 0, 1000, {1: 0.03}), *every(50, 1000, 4000, {1: 0.95})])
    assert fired_at(played) == [1500]
    assert played[-1]["state"] == "off"
    ring = [one["progress"] for one in played if 1000 <= one["now"] < 1500]
    assert ring == pytest.approx([i / 10 for i in range(10)])


def test_nothing_fires_without_a_smile_or_without_anybody(play):
    assert fired_at(play(every(50, 0, 5000, {1: 0.45}))) == []
    assert fired_at(play(every(50, 0, 5000, {}))) == []
    assert fired_at(play(every(50, 0, 5000, None))) == []


def test_a_smile_that_is_too_short_does_not_count_for_the_next(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 900, {1: 0.1}), *every(50, 900, 1350, {1: 0.9})])
    assert fired_at(played) == []
    assert played[-1]["state"] == "holding"
    assert next(one for one in played if one["now"] == 850)["progress"] == 0


def test_noise_about_one_half_neither_resets_nor_fires_twice(play):
    noise = np.random.default_rng(1).uniform(0.42, 0.58, 200)
    readings: list[Reading] = [(50.0 * i, {1: float(smile)}) for i, smile in enumerate(noise)]
    played = play(readings, keep_going=True)
    begun = next(one["now"] for one in played if one["state"] == "holding")
    assert fired_at(played) == [begun + 500]


def test_a_dip_of_two_readings_halts_the_ring_and_a_longer_one_resets_it(play):
    smile, dip = {1: 0.9}, {1: 0.2}
    short = play([*every(50, 0, 350, smile), *every(50, 350, 450, dip), *every(50, 450, 1000, smile)])
    assert fired_at(short) == [650]
    long = play([*every(50, 0, 350, smile), *every(50, 350, 650, dip), *every(50, 650, 2000, smile)])
    assert fired_at(long) == [1150]


def test_a_group_is_photographed_when_all_smile(play):
    played = play(
        [
            *every(50, 0, 1000, {1: 0.9, 2: 0.9, 3: 0.1}),
            *every(50, 1000, 2000, {1: 0.2, 2: 0.9, 3: 0.9}),
            *every(50, 2000, 3000, {1: 0.9, 2: 0.9, 3: 0.9}),
        ]
    )
    assert fired_at(played) == [2500]
    assert (played[0]["smiling"], played[0]["inView"]) == (2, 3)
    assert (played[30]["smiling"], played[30]["inView"]) == (2, 3)


def test_who_comes_into_view_without_a_smile_stops_the_countdown(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 2000, {1: 0.9, 2: 0.1}), *every(50, 2000, 3000, {1: 0.9})])
    (fired,) = fired_at(played)
    assert fired > 2500, "the other one left, and half a second of smile began after that"


def test_a_face_lost_for_a_moment_does_not_reset_the_ring(play):
    both = {1: 0.9, 2: 0.9}
    played = play([*every(50, 0, 300, both), *every(50, 300, 400, {1: 0.9}), *every(50, 400, 1000, both)])
    assert fired_at(played) == [650], "two readings long the ring waits, and goes on"
    alone = play([*every(50, 0, 300, {1: 0.9}), *every(50, 300, 400, {}), *every(50, 400, 1000, {1: 0.9})])
    assert fired_at(alone) == [650]


def test_a_sad_face_lost_for_a_moment_does_not_make_everyone_smile(play):
    flickers = [
        reading
        for begin in range(0, 6000, 600)
        for reading in [
            *every(50, begin, begin + 250, {1: 0.9, 2: 0.1}),
            *every(50, begin + 250, begin + 600, {1: 0.9}),
        ]
    ]
    assert fired_at(play(flickers)) == []


def test_when_nobody_is_in_view_any_more_the_ring_is_empty(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 1500, {}), *every(50, 1500, 2500, {2: 0.9})])
    assert next(one for one in played if one["now"] == 1000)["progress"] == 0
    assert fired_at(played) == [2000]


def test_one_long_smile_is_one_picture_and_the_next_smile_another(play):
    smile, rest = {1: 0.95}, {1: 0.05}
    readings = [
        *every(50, 0, 20_000, smile),
        *every(50, 20_000, 21_000, rest),
        *every(50, 21_000, 30_000, smile),
        *every(50, 30_000, 31_000, rest),
    ]
    assert fired_at(play(readings, keep_going=True)) == [500, 21_500]
    assert fired_at(play(readings)) == [500]


def test_in_a_group_one_smile_that_ends_makes_it_ready_again(play):
    readings = [
        *every(50, 0, 5000, {1: 0.9, 2: 0.9}),
        *every(50, 5000, 6000, {1: 0.9, 2: 0.1}),
        *every(50, 6000, 7000, {1: 0.9, 2: 0.9}),
    ]
    assert fired_at(play(readings, keep_going=True)) == [500, 6500]


def test_a_dip_in_the_photographed_smile_is_not_its_end(play):
    readings = [*every(50, 0, 4000, {1: 0.9}), *every(50, 4000, 4200, {1: 0.2}), *every(50, 4200, 9000, {1: 0.9})]
    assert fired_at(play(readings, keep_going=True)) == [500]


@pytest.mark.parametrize("between", [None, {}])
def test_a_smile_that_could_not_be_read_for_a_moment_is_still_the_same(play, between):
    gap = every(50, 4000, 4350, between)
    readings = [*every(50, 0, 4000, {1: 0.9}), *gap, *every(50, 4350, 9000, {1: 0.9})]
    assert fired_at(play(readings, keep_going=True)) == [500]


def test_two_pictures_are_at_least_two_seconds_apart(play):
    quick = [
        reading
        for begin in range(0, 6000, 1000)
        for reading in [*every(50, begin, begin + 600, {1: 0.9}), *every(50, begin + 600, begin + 1000, {1: 0.1})]
    ]
    times = fired_at(play(quick, keep_going=True))
    assert len(times) > 1
    assert min(np.diff(times)) >= 2000


def test_time_without_readings_is_no_smiling_time(play):
    assert fired_at(play([(0, {1: 0.9}), (900, {1: 0.9})])) == [], "at most 400 ms of a gap count"
    played = play([(0, {1: 0.9}), (300, {1: 0.9}), (5000, {1: 0.9}), (5300, {1: 0.9})])
    assert fired_at(played) == [], "what was held before a long gap is out of date"
    assert played[2]["progress"] == 0
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 700, None), *every(50, 700, 1100, {1: 0.9})])
    assert fired_at(played) == [], "nor does what was held before a picture that could not be read"


def test_a_slow_computer_fires_too(play):
    assert fired_at(play(every(450, 0, 3000, {1: 0.9}))) == [900]


def test_the_ring_empties_by_itself_when_readings_stop(app, visit):
    page = visit(app.url, start=False).page
    states = page.evaluate(
        """async () => {
          const { ShutterTiming } = await import("/static/shutter/shutter_timing.js");
          const timing = new ShutterTiming(), seen = [];
          const look = (now) => { timing.tick(now); seen.push([timing.state, timing.progress, timing.isBlind(now)]); };
          look(0);
          timing.arm();
          look(0);
          for (const now of [0, 200, 400]) timing.read([{ id: 1, smile: 0.9 }], now);
          look(1000);
          look(1500);
          timing.disarm();
          look(1600);
          seen.push(timing.read([{ id: 1, smile: 0.9 }], 5000));
          return seen;
        }"""
    )
    assert states == [
        ["off", 0, True],
        ["waiting", 0, True],
        ["holding", 0.8, False],
        ["waiting", 0, True],
        ["off", 0, True],
        False,
    ]


# --- on the page ---


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


def wait_for_camera(page: Visit) -> None:
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


def rest(page: Visit) -> None:
    """Everybody becomes neutral, for long enough that the smile is over."""
    posing.rest(page.page)
    page.until(lasts("Math.max(...faces) < 0.3", 400))


def smile_once(page: Visit) -> None:
    """Everybody smiles for long enough, and is neutral again."""
    posing.smile(page.page)
    page.until(SMILED_LONG)
    rest(page)


def standardized(image: np.ndarray) -> np.ndarray:
    """Grey, with mean 0 and variance 1: a camera's colours are not those of the file."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float)
    return (grey - grey.mean()) / grey.std()


def test_armed_before_the_smile_it_fires_once_and_the_picture_is_the_cameras(app, visit, person, frames, tmp_path):
    visited = visit(app.url, person)
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
    assert picture.shape == frames[0].shape
    likeness = [float(np.mean(standardized(picture) * standardized(frame))) for frame in frames]
    nearest = int(np.argmax(likeness))
    assert likeness[nearest] > 0.98, "the picture as it is"
    assert np.mean(standardized(picture[:, ::-1]) * standardized(frames[nearest])) < 0.9, "and not its mirror image"
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


def test_of_two_people_both_must_smile(app, visit, frames):
    visited = visit(app.url, posing.script(frames, people=2))
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


def read_faces(page, *smiling: float, message: str = "") -> None:
    """One made-up reading."""
    page.evaluate(
        "([smiles, message]) => document.dispatchEvent(new CustomEvent('smiles', { detail: "
        "{ message, faces: smiles.map((smile, i) => ({ id: i + 1, smile })) } }))",
        [smiling, message],
    )


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


def test_with_less_motion_wished_there_is_no_flash_but_a_tick(app, visit, person):
    visited = visit(app.url, person, reduced_motion="reduce", forced_colors="active")
    page = visited.page
    wait_for_camera(visited)
    page.click("#arm")
    visited.screenshot("shutter-forced-colors")
    posing.smile(page)
    visited.until("document.getElementById('shutter-ring').classList.contains('fired')")
    assert page.evaluate("document.getElementById('shutter-flash').getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.querySelector('#shutter-ring .tick')).display") != "none"
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
