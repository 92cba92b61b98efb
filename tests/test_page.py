"""What the page makes of readings, in a real Chromium: meters, timeline, session, punchlines, and that all can use it."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import pytest

from jokes.board import JokeBoard
from jokes.joke import Reaction
from jokes.sources import house_jokes
from tests import posing
from tests.conftest import ROOT, new_context, save_screenshot
from tests.test_browser import ON_REQUEST, SIZES, TIME_IN_VIEW, Visit
from tests.test_my_camera import Visit as WebcamVisit
from tests.waiting import eventually
from web.board_page import points

pytestmark = pytest.mark.slow(85)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOTHING = "\N{EN DASH}"  # where there is no number
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = {"320": (320, 640), "390": (390, 844), "laptop": (1280, 720), "projector": (1920, 1080), "wall": (2560, 1440)}
# Readings as a camera would give them: `faces` are [id, smile] pairs, the biggest first.
READ = """([faces, message]) => import("/static/meter/reading.js").then(({ show }) => show({
  fps: 10, width: 640, height: 480,
  message: message ?? "", faces: faces.map(([id, smile]) => ({ id, smile, label: smile >= 0.5 ? "smile" : "no_smile",
  box: { left: 50 * id, top: 100, right: 50 * id + 40, bottom: 150 } })) }))"""
PAINTED = """(() => {
  const { width, height } = document.getElementById("marks");
  return document.getElementById("marks").getContext("2d").getImageData(0, 0, width, height).data.some((one) => one > 0);
})()"""
ENDLESS_BEAT = """{
  const real = setTimeout;
  window.setTimeout = (act, ms, ...rest) => ms === 2500 ? 0 : real(act, ms, ...rest);
}"""
UNFOLD = "for (const one of document.querySelectorAll('.fold')) one.open = true"
RIDDLE = {"id": "riddle", "text": "Why did the clock blush? Somebody saw its hands.", "source": "house"}
PLAIN = {"id": "plain", "text": "I told my kettle to calm down. It was steaming.", "source": "house"}


@pytest.fixture
def visit(browser, app) -> Iterator:
    """Opens the page of an app without a camera, with jokes from a list and, if wanted, a clock that stands still."""
    contexts = []

    def open_page(*, size: str = "laptop", clock: bool = False, jokes=(), path: str = "", **options):
        width, height = WIDTHS[size]
        context = new_context(browser, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        if clock:
            page.clock.install(time=NOON)
        left = list(jokes)
        page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=left.pop(0)) if left else route.fallback())
        page.goto(app.url + path, wait_until="load")
        page.evaluate(UNFOLD)
        page.evaluate(ON_REQUEST)
        if clock:
            page.clock.pause_at(NOON + timedelta(minutes=5))
            page.clock.fast_forward(70_000)  # the first joke is out, and older than what the timeline shows
        return page

    yield open_page
    for context in contexts:
        context.close()


def until(page, condition: str) -> None:
    eventually(lambda: page.evaluate(condition), condition)


def read(page, faces: list, message: str = "") -> None:
    page.evaluate(READ, [faces, message])


def in_module(page, module: str, script: str, argument: Any = None) -> Any:
    """What `script`, a function of the module's exports and `argument`, returns."""
    (path,) = (ROOT / "static").rglob(f"{module}.js")
    address = f"/{path.relative_to(ROOT).as_posix()}"
    return page.evaluate(f"(argument) => import('{address}').then((module) => ({script})(module, argument))", argument)


# --- what is worked out, without a page ---


@pytest.fixture(scope="module")
def modules(browser, app) -> Iterator:
    """A page that lends its modules and is left as it is."""
    context = new_context(browser)
    page = context.new_page()
    page.goto(app.url, wait_until="load")
    yield page
    context.close()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Why did the sock go? It felt half there.", ["Why did the sock go?", "It felt half there."]),
        ("I asked “Ready?” He said “No, Dad.”", ["I asked “Ready?”", "He said “No, Dad.”"]),
        ("I used to hate beards... then it grew on me.", ["I used to hate beards...", "then it grew on me."]),
        ("I used to hate beards…then it grew on me.", ["I used to hate beards…", "then it grew on me."]),
        ("Shh... is it a joke?\nIt is... I think?", ["Shh... is it a joke?", "It is... I think?"]),
        ("My cat is a\nsailor.\nShe is on deck.", ["My cat is a sailor.", "She is on deck."]),
        ("Knock knock. Who's there? Boo. Boo who? Don't cry!", ["Knock knock. Who's there? Boo. Boo who?", "Don't cry!"]),
        ("A joke about paper is tearable.", ["A joke about paper is tearable.", ""]),
        ("Is this a joke?", ["Is this a joke?", ""]),
        ("Is this a joke? 😀", ["Is this a joke? 😀", ""]),
        ("What? I said so.", ["What? I said so.", ""]),
        ("", ["", ""]),
    ],
)
def test_a_joke_is_parted_where_its_punchline_begins(modules, text, parts):
    assert in_module(modules, "joke_parts", "({ splitJoke }, text) => splitJoke(text)", text) == parts


def test_a_reaction_is_measured_from_before_the_set_up_to_after_the_punchline(modules):
    measured = "({ measure }, [samples, began, told]) => measure(samples, began, told)"
    # 0.1 before the set-up at 3 s, 0.9 during the wait, 0.6 after the punchline at 5.5 s
    samples = [[t, 0.1 if t <= 3700 else 0.9 if t <= 6200 else 0.6] for t in range(0, 12_000, 100)]
    reaction = in_module(modules, "lift", measured, [samples, 3000, 5500])
    assert reaction["before"] == pytest.approx(0.1)
    assert reaction["peak"] == 0.6, "a laugh at the set-up is not the punchline's"
    assert reaction["lift"] == pytest.approx(0.5)
    assert reaction["seconds"] == pytest.approx(5.6)
    assert in_module(modules, "lift", measured, [samples[:80], 3000, 5500]) is None, "left before it could be heard"
    assert in_module(modules, "lift", measured, [samples[40:], 3000, 5500]) is None, "came after it"
    assert in_module(modules, "lift", measured, [[], 3000, 5500]) is None


def test_page_and_board_have_one_rule_of_what_a_lift_is_and_when_somebody_laughed(modules):
    smiles = [0, 0.0004, 0.08, 0.16, 0.3996, 0.4, 0.4996, 0.5, 0.5004, 0.595, 0.85, 0.9536, 1]
    cases = [[before, peak] for before in smiles for peak in smiles]
    measured = in_module(
        modules,
        "lift",
        """({ measure, points }, cases) => cases.map(([before, peak]) => {
          const times = [0, 100, 200, ...Array.from({ length: 40 }, (_, i) => 1000 + 100 * i)];
          const reaction = measure(times.map((time) => [time, time < 1000 ? before : peak]), 200, 200);
          return { ...reaction, said: points(reaction.lift) };
        })""",
        cases,
    )
    for one in measured:
        there = Reaction(one["before"], one["peak"], one["seconds"])
        assert (there.lift, there.laughed, points(there.lift)) == (one["lift"], one["laughed"], one["said"])
    said = dict(zip(map(tuple, cases), (one["said"] for one in measured), strict=True))
    assert (said[0, 0.9536], said[0.16, 0.08], said[0.4, 0.3996]) == ("+95", "\N{MINUS SIGN}8", "0"), "never -0"


def test_a_stream_is_taken_apart_however_it_was_cut(modules):
    parts = in_module(
        modules,
        "clean_stream",
        """({ Parts }, sizes) => {
          const part = (frame, jpeg) => [
            ...new TextEncoder().encode(`--frame\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: ${jpeg.length}\\r\\n` +
              `X-Event: {"frame": ${frame}}\\r\\n\\r\\n`), ...jpeg, 13, 10];
          const all = new Uint8Array([part(1, [255, 13, 10, 13, 10, 0]), part(2, [7]), part(3, [13, 10, 45, 45])].flat());
          return sizes.map((size) => {
            const parts = new Parts(), found = [];
            for (let i = 0; i < all.length; i += size) found.push(...parts.feed(all.slice(i, i + size)));
            return found.map(({ event, jpeg }) => [event.frame, [...jpeg]]);
          });
        }""",
        [1, 2, 3, 7, 64, 1000],
    )
    assert parts == [[[1, [255, 13, 10, 13, 10, 0]], [2, [7]], [3, [13, 10, 45, 45]]]] * 6


def test_a_face_keeps_its_number_and_a_free_number_is_given_again(modules):
    walk = in_module(
        modules,
        "face_slots",
        """({ FaceSlots }) => {
          const slots = new FaceSlots(), walk = [];
          const at = (now, ...ids) => {
            slots.update(ids.map((id) => ({ id })), now);
            walk.push([7, 8, 9].map((id) => slots.of(id)));
          };
          at(0, 7, 8); at(100, 8, 7); at(1000, 8); at(2000, 8, 7); at(4000, 8); at(6000, 8, 9); at(6100, 7, 9, 8);
          return walk;
        }""",
    )
    assert walk[0] == walk[1] == walk[2] == walk[3] == [1, 2, 0], "whatever their order, and through a short absence"
    assert walk[5] == [0, 2, 1], "the number of a face that left is given to the next"
    assert walk[6] == [3, 2, 1]


def test_the_last_minute_is_kept_in_bounded_memory_with_its_gaps(modules):
    result = in_module(
        modules,
        "smile_history",
        """({ SmileHistory }) => {
          const history = new SmileHistory();
          for (let t = 0; t <= 600_000; t += 20) {
            const away = t > 580_000 && t < 590_000;
            history.read(t, away ? [] : [{ slot: 1, smile: t > 590_000 ? 0.8 : 0.2 }, { slot: 99, smile: 1 }]);
            if (t % 10_000 === 0) history.heard(t);
          }
          const ends = (piece) => [piece[0][0], piece.at(-1)[0]];
          return {
            length: history.length,
            lines: [...history.lines(600_000)].map(([slot, pieces]) => [slot, pieces.map(ends)]),
            jokes: history.jokes(600_000).length,
            summary: history.summary(600_000),
            empty: new SmileHistory().summary(0),
          };
        }""",
    )
    assert result["length"] <= 310
    [[slot, pieces]] = result["lines"]
    assert slot == 1, "only faces with a line of their own"
    assert pieces == [[540_000, 580_000], [590_000, 600_000]], "a gap while nobody was there"
    assert result["jokes"] == 7
    summary = result["summary"]
    assert summary["smiled"] == pytest.approx(10, abs=0.5)
    assert summary["seen"] == pytest.approx(50, abs=0.7)
    assert summary["highest"] == 0.8
    assert result["empty"] == {"seen": 0, "smiled": 0, "highest": 0, "jokes": 0}


def test_the_session_counts_smiles_not_their_trembling(modules):
    result = in_module(
        modules,
        "session_stats",
        """({ SessionStats }) => {
          const stats = new SessionStats();
          const smiles = [0.1, 0.55, 0.7, 0.45, 0.62, 0.45, 0.2, 0.55, 0.3, 0.9, 0.1];  // two smiles
          smiles.forEach((smile, i) => stats.read(1000 * i, [{ slot: 1, smile }]));
          const one = stats.summary;
          stats.read(11_000, []);
          stats.read(60_000, [{ slot: 1, smile: 0.8 }, { slot: 2, smile: 0.97 }]);
          stats.heard("x"); stats.heard("y");
          stats.reacted("flat", { lift: -0.1, laughed: false }); stats.reacted("funny", { lift: 0.5, laughed: true });
          stats.reacted("less", { lift: 0.2, laughed: true }); stats.reacted("no smile", { lift: 0.49, laughed: false });
          return [one, stats.summary, new SessionStats().summary];
        }""",
    )
    assert result[0] | {"watched": 10, "smiles": 2, "best": 0.9} == result[0]
    assert result[0]["smiled"] == 5, "each second by the smile that ends it"
    assert result[1]["watched"] == 10, "an absence is not watched"
    assert result[1] | {"smiles": 4, "best": 0.97, "jokes": 2, "funniest": {"text": "funny", "lift": 0.5}} == result[1]
    assert result[2] == {"watched": 0, "smiled": 0, "smiles": 0, "best": 0, "jokes": 0, "funniest": None, "rows": 0}


def test_the_table_is_csv_with_two_rows_a_second_and_a_bound(modules):
    full, short = in_module(
        modules,
        "session_stats",
        """({ SessionStats }) => [60_000, 4].map((mostRows) => {
          const stats = new SessionStats({ mostRows }), clock = new Date(2026, 0, 2, 23, 59, 55).getTime();
          for (let t = 5000; t < 8000; t += 100) {
            if (t === 6000) stats.heard('Why, "Dad"?\\nSo.');
            if (t === 7000) stats.heard("=1+1");
            stats.read(t, [{ slot: 1, smile: 0.123456 }, { slot: 2, smile: 1 }], clock + t);
          }
          return stats.csv();
        })""",
    )
    assert full.startswith("time_s,clock,face,smile,joke\r\n")
    assert full.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(full, newline="")))
    assert [row["time_s"] for row in rows[::2]] == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]
    assert [row["face"] for row in rows[:2]] == ["1", "2"]
    assert [row["clock"] for row in rows[::4]] == ["2026-01-03 00:00:00", "2026-01-03 00:00:01", "2026-01-03 00:00:02"]
    assert rows[0]["smile"] == "0.1235"
    joke = 'Why, "Dad"?\nSo.'
    assert [row["joke"] for row in rows[::2]] == ["", "", joke, joke, "'=1+1", "'=1+1"], "and no formula"
    assert [row["time_s"] for row in csv.DictReader(io.StringIO(short))] == ["2.0", "2.0", "2.5", "2.5"], "the newest stay"


# --- the punchline ---

HEARD = """
  window.heard = []; window.told = [];
  document.addEventListener("joke", ({ detail }) => window.told.push(detail.id));
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) {
      const text = node.ariaHidden === "true" ? "" : node.textContent.trim();
      if (text) window.heard.push(text);
    }
  }).observe(document.getElementById("joke"), { childList: true, subtree: true, characterData: true });
"""


def test_the_punchline_comes_after_a_beat_by_itself(visit):
    page = visit(clock=True, jokes=[RIDDLE])
    page.evaluate(HEARD)
    page.click("#another")
    until(page, "window.heard.length > 0")
    assert page.evaluate("window.heard") == ["Why did the clock blush?"]
    assert page.evaluate("window.told") == [], "not yet told: nobody can laugh yet"
    assert page.evaluate("getComputedStyle(document.querySelector('.room')).visibility") == "hidden"
    assert page.text_content("#another") == "Punchline!"
    place = page.evaluate("document.querySelector('#another').getBoundingClientRect().top")
    page.clock.run_for(1500)
    assert page.text_content("#another") == "Punchline!"
    page.clock.run_for(1500)
    assert page.evaluate("window.heard") == ["Why did the clock blush?", "Somebody saw its hands."], "each part said once"
    assert page.evaluate("window.told") == ["riddle"]
    assert page.text_content("#joke") == RIDDLE["text"]
    assert page.text_content("#another") == "Another one"
    assert page.evaluate("document.querySelector('#another').getBoundingClientRect().top") == place, "nothing jumps"


def test_the_punchline_can_be_had_at_once_and_is_not_skipped(visit):
    page = visit(clock=True, jokes=[RIDDLE, PLAIN, RIDDLE, PLAIN, RIDDLE])
    page.evaluate(HEARD)
    for act in (lambda: page.keyboard.press("Space"), lambda: page.click("#another")):
        assert_told_in_two(page, act, act)
        act()
        until(page, "window.told.length === 2")
        assert page.text_content("#joke") == PLAIN["text"]
        assert page.text_content("#another") == "Another one", "a joke without a break is told at once"
    assert_told_in_two(page, lambda: page.click("#another"), lambda: page.click("#joke"))
    page.click("#joke")
    page.clock.run_for(1000)
    assert page.evaluate("window.told") == ["riddle"], "a tap on the bubble only ever asks for a punchline"


def assert_told_in_two(page, ask, hurry) -> None:
    page.evaluate("window.heard = []; window.told = []")
    ask()
    until(page, "window.heard.length > 0")
    hurry()
    assert page.evaluate("window.told") == ["riddle"]
    assert page.text_content("#joke") == RIDDLE["text"]
    page.clock.run_for(5000)
    assert page.evaluate("window.told") == ["riddle"], "and not told again by the clock"


def test_a_lift_is_measured_from_the_smile_before_the_set_up(visit):
    page = visit(clock=True, jokes=[RIDDLE, PLAIN])
    page.evaluate(
        "window.reactions = []; document.addEventListener('reaction', ({ detail }) => window.reactions.push(detail))"
    )
    page.evaluate(HEARD)

    def seconds(count: int, smile: float) -> None:
        for _ in range(5 * count):
            read(page, [[1, smile]])
            page.clock.run_for(200)

    seconds(4, 0.1)
    page.keyboard.press("Space")
    until(page, "window.heard.length > 0")
    seconds(4, 0.5)
    assert page.evaluate("window.told") == ["riddle"]
    seconds(5, 0.9)
    page.keyboard.press("Space")
    until(page, "window.reactions.length > 0")
    [reaction] = page.evaluate("window.reactions")
    assert reaction["id"] == "riddle"
    assert reaction["lift"] == pytest.approx(0.8, abs=0.12)
    page.clock.run_for(1000)
    assert page.text_content("#funniest-joke") == RIDDLE["text"]
    assert int(page.text_content("#funniest-lift").strip("+ points")) in range(65, 82)


def test_without_scripts_the_whole_joke_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.is_visible("#joke")
    assert page.locator("#joke").inner_text().endswith((".", "!", "?", '."', '!"', '?"'))


def test_without_motion_the_punchline_waits_just_the_same(visit):
    still = visit(jokes=[RIDDLE], reduced_motion="reduce", clock=True)
    still.click("#another")
    until(still, "document.body.classList.contains('waiting')")
    assert still.evaluate("document.getAnimations().length") == 0
    still.clock.run_for(3000)
    assert still.text_content("#another") == "Another one"
    moving = visit(jokes=[RIDDLE], clock=True, reduced_motion="no-preference")
    moving.click("#another")
    until(moving, "document.body.classList.contains('waiting')")
    assert moving.evaluate("document.getAnimations().length") > 0


# --- meters, timeline, session ---


def meters(page) -> list[tuple[str, int]]:
    found = page.eval_on_selector_all("#people [role=meter]", "all => all.map((one) => [one.ariaLabel, one.ariaValueNow])")
    return [(name, int(value)) for name, value in found]


def test_every_face_has_its_meter_and_dad_follows_the_biggest(visit):
    page = visit(size="390")
    read(page, [[7, 0.3]])
    assert page.is_hidden("#people"), "one face needs no second meter"
    assert page.is_hidden("#whose")
    assert page.text_content("#percent") == "30 %"
    read(page, [[8, 0.955], [7, 0.3], [9, 0.5]])
    assert meters(page) == [("Face 1", 30), ("Face 2", 95), ("Face 3", 50)], "in the order of their numbers"
    assert page.text_content("#percent") == "95 %"
    assert page.text_content("#whose title") == "Face 2, the biggest"
    read(page, [[7, 0.6], [9, 0.1]])
    assert meters(page) == [("Face 1", 60), ("Face 3", 10)]
    assert page.is_hidden("#more")
    read(page, [[id, 0.5] for id in range(20, 31)])
    assert len(meters(page)) <= 8
    assert page.text_content("#more") == f"and {11 - len(meters(page))} more faces"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    save_screenshot(page, "page-crowd")
    read(page, [], "Your camera is off")
    assert page.is_hidden("#people")
    assert page.text_content("#percent") == NOTHING


def test_colours_and_shapes_of_faces_all_differ_and_can_be_read(modules):
    marks = in_module(modules, "badges", "({ mark }) => [1, 2, 3, 4, 5, 6, 7, 8].map(mark)")
    for what in ("color", "shape", "dash"):
        assert len({mark[what] for mark in marks}) == 8, what

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for mark in marks:
        bright = luminance(mark["color"]) + 0.05
        assert bright / (luminance("#2b2118") + 0.05) >= 4.5, "its number can be read"
        assert bright / (luminance("#22302b") + 0.05) >= 3, "its line can be seen on the board"


def test_dad_looks_how_you_look(visit):
    page = visit()
    looks = []
    for faces in ([], [[1, 0.0]], [[1, 1.0]]):
        read(page, faces)
        looks.append((page.get_attribute("#dad", "data-eyes"), page.get_attribute("#mouth", "d")))
    assert [eyes for eyes, _ in looks] == ["asleep", "open", "laughing"]
    assert looks[1][1] != looks[2][1]


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_timeline_draws_a_line_for_each_face_with_gaps_and_jokes(visit, motion):
    page = visit(clock=True, jokes=[PLAIN], reduced_motion=motion)
    page.evaluate(
        "window.drawn = 0;"
        "new MutationObserver(() => window.drawn++).observe(document.getElementById('chart'), { childList: true })"
    )

    def seconds(count: int, *faces) -> None:
        for _ in range(5 * count):
            read(page, list(faces))
            page.clock.run_for(200)

    seconds(5, [1, 0.1], [2, 0.9])
    seconds(4)
    page.keyboard.press("Space")
    until(page, "document.getElementById('joke').dataset.id === 'plain'")
    seconds(5, [1, 0.8])
    drawn = page.evaluate("window.drawn")
    page.clock.run_for(5000)
    paths = page.eval_on_selector_all("#chart .line", "all => all.map((one) => one.getAttribute('d').match(/M/g).length)")
    assert sorted(paths) == [1, 2], "one face stayed away, the other came back"
    assert page.locator("#chart .joke-mark").count() == 1, "the first joke is older than a minute"
    assert page.locator("#chart .half").count() == 1
    label = page.get_attribute("#chart", "aria-label")
    assert label.endswith(page.text_content("#minute"))
    assert "highest 90 %, 1 joke." in label
    if motion == "reduce":
        assert drawn <= 14 / 2 + 2, "in steps of two seconds"
    else:
        assert drawn <= 4 * 14 + 4, "four times a second at most"
        assert drawn > 14 / 2 + 2
    page.clock.run_for(70_000)
    assert page.locator("#chart .line").count() == 0
    assert page.text_content("#minute") == "Nobody was seen in the last minute."


def test_the_session_adds_up_is_downloaded_and_begins_anew(visit):
    page = visit(clock=True, accept_downloads=True)
    assert page.is_disabled("#download")
    for smile in (0.1, 0.9, 0.9, 0.1):
        for _ in range(10):
            read(page, [[1, smile]])
            page.clock.run_for(100)
    page.clock.run_for(500)
    texts = {name: page.text_content(f"#{name}") for name in ("watched", "smiled", "smiles", "best", "heard")}
    assert texts == {"watched": "0:03", "smiled": "0:02", "smiles": "1", "best": "90 %", "heard": "1"}
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename.startswith("smiles-")
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {float(row["smile"]) for row in rows} == {0.1, 0.9}
    assert {row["joke"] for row in rows} == {" ".join(page.text_content("#joke").split())}, "what was told, not its number"
    page.clock.run_for(300)
    assert page.locator("#chart .line").count() == 1

    def numbers() -> dict[str, str]:
        return {name: page.text_content(f"#{name}") for name in texts}

    page.click("#anew")
    assert numbers() == {"watched": "0:00", "smiled": "0:00", "smiles": "0", "best": NOTHING, "heard": "0"}
    assert page.is_disabled("#download")
    assert page.text_content("#session-news")
    assert page.locator("#chart .line").count() == 0, "the chart begins anew with it"
    assert page.evaluate("document.activeElement.id") == "anew"
    for _ in range(10):
        read(page, [[1, 0.2]])
        page.clock.run_for(100)
    page.click("#anew-undo")
    assert numbers() == texts | {"watched": "0:05"}, "all of it is back, with what came meanwhile"
    assert page.is_enabled("#download")
    assert page.locator("#chart .line").count() == 1
    assert page.is_hidden("#anew-undo")
    assert page.evaluate("document.activeElement.id") == "anew"
    page.click("#anew")
    page.focus("#anew-undo")
    page.clock.run_for(31_000)
    assert page.is_hidden("#anew-undo"), "then it is gone for good"
    assert page.evaluate("document.activeElement.id") == "anew"


# --- for everybody, everywhere ---


@pytest.fixture(scope="session")
def three_faces(tmp_path_factory, astronaut):
    path = tmp_path_factory.mktemp("picture") / "three.jpg"
    one = astronaut[:300, 100:400]
    smaller = cv2.resize(astronaut[:400, :512], (384, 300))
    cv2.imwrite(str(path), np.hstack([one, smaller, one[:, ::-1]]))
    return path


# How many contrasts passed, failed and could not be told, and what is wrong: all that axe found takes long to hand over.
AXE = """async (tags) => {
  const found = await axe.run(document, { runOnly: tags });
  const contrasts = (kind) => found[kind].find(({ id }) => id === "color-contrast")?.nodes.length ?? 0;
  const wrong = found.violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`);
  return [contrasts("passes"), contrasts("violations"), contrasts("incomplete"), wrong];
}"""


def violations(page) -> list[str]:
    """What axe finds against WCAG 2.2 AA. Run by the test's own connection, which the page's policy does not bind."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    passed, failed, untold, found = page.evaluate(AXE, STANDARDS)
    assert passed + failed > untold, "most contrasts could be told"
    return found


def assert_no_violations(page, state: str, *, everywhere: bool = False) -> None:
    """On a phone in the dark and on a light desktop; `everywhere`: also the other way round."""
    for (size, (width, height)), scheme in itertools.product(SIZES.items(), ("light", "dark")):
        if not everywhere and (size == "phone") == (scheme == "light"):
            continue
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], f"{state}, {size}, {scheme}"
        if state == "several faces":
            save_screenshot(page, f"page-several-{size}-{scheme}")


def test_axe_would_find_what_is_wrong(visit):
    page = visit()
    page.evaluate("document.getElementById('party').textContent = ''; document.body.style.color = '#ddd'")
    found = violations(page)
    assert any(one.startswith("button-name") for one in found)
    assert any(one.startswith("color-contrast") for one in found)


@pytest.mark.timeout(900)
def test_axe_finds_nothing_against_wcag_aa(run_app, browser, with_webcam, three_faces, tmp_path):
    app = run_app("--source", three_faces, "--board", tmp_path / "board.sqlite3")
    here = Visit(browser, "about:blank")
    try:
        here.page.route("**/events", lambda route: None)
        here.page.route("**/video_feed*", lambda route: None)
        here.page.goto(app.url)
        assert_no_violations(here.page, "while it starts")
        here.page.evaluate(READ, [[], "Camera 0 can't be opened."])
        assert_no_violations(here.page, "no picture")
        here.page.unroute_all()
        here.page.goto(app.url)
        here.until("/^[23] faces/.test(document.getElementById('faces').textContent)")
        assert here.page.is_visible("#people")
        assert here.page.evaluate(PAINTED), "each box in the picture has its face's mark"
        assert_no_violations(here.page, "several faces", everywhere=True)
        here.page.click("#favourite")
        here.page.click("#not-funny")
        here.page.evaluate(UNFOLD)
        assert here.page.is_visible("#toast-undo")
        assert_no_violations(here.page, "unfolded", everywhere=True)
        here.page.goto(app.url + "/?party")
        here.until("/^[23] faces/.test(document.getElementById('faces').textContent)")
        assert_no_violations(here.page, "the party screen")
        here.page.goto(app.url)
        here.page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
        here.wait_for_punchline()
        here.page.evaluate(ENDLESS_BEAT)
        here.page.click("#another")
        here.until("document.body.classList.contains('waiting')")
        assert_no_violations(here.page, "while the punchline is waited for")
        assert here.page.evaluate("document.body.classList.contains('waiting')")
        here.page.goto(app.url + "/jokes")
        assert_no_violations(here.page, "an empty joke board")
        board = JokeBoard(str(tmp_path / "board.sqlite3"))
        for number, joke in enumerate(house_jokes()[:6]):
            for _ in range(5 - number):
                board.add(joke, Reaction(before=0.1, peak=0.9 - 0.3 * (number == 2), seconds=2))
        here.page.reload()
        assert here.page.is_visible("#podium")
        here.page.click("summary")
        assert_no_violations(here.page, "a joke board")
        for path in ("/api", "/nothing-here"):
            here.page.goto(app.url + path)
            assert_no_violations(here.page, path)
    finally:
        here.context.close()
    mine = WebcamVisit(with_webcam, app.url, start=False)
    try:
        mine.page.check("input[value=mine]", force=True)
        assert_no_violations(mine.page, "the invitation")
        mine.start()
        mine.wait_for_face()
        assert_no_violations(mine.page, "the own camera")
    finally:
        mine.context.close()


LETTERS = "parseFloat(getComputedStyle(document.getElementById('joke')).fontSize)"


# The joke's letters if it fits as it is; how far down picture, joke and meter begin; and where the picture ends.
PLACES = f"""(() => {{
  document.getElementById("joke").style.removeProperty("--fit");
  const parts = ["#frame", "#joke", "#meter"].map((one) => document.querySelector(one).getBoundingClientRect());
  return [{LETTERS}, parts.map(({{ top }}) => top), parts[0].bottom];
}})()"""


def test_the_page_fits_from_320_pixels_to_a_wall(visit):
    page = visit(size="320", color_scheme="dark")
    for size, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        read(page, [[id, id / 10] for id in range(1, 5)])
        assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out sideways"
        until(page, f"{LETTERS} >= 16")  # of any joke, also of a long one that is set smaller
        letters, tops, bottom = page.evaluate(PLACES)
        assert letters >= 20, f"of a joke that fits as it is, {size}"
        if size == "wall":
            assert letters >= 28, "readable from the last row"
        if width > 1000:
            assert max(tops) < height, f"picture, joke and meter are in sight together, {size}"
            assert bottom <= height, size
        save_screenshot(page, f"page-fits-{size}")


def test_on_a_laptop_a_running_camera_leaves_joke_and_meter_in_sight(with_webcam, app):
    there = WebcamVisit(with_webcam, app.url)
    try:
        there.page.set_viewport_size({"width": 1280, "height": 720})
        there.wait_for_face()
        for part in ("#frame", "#joke", "#meter", "#another"):
            box = there.page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= 720, part
    finally:
        there.context.close()


def test_everything_can_be_reached_and_seen_by_touch(visit):
    page = visit(size="320", has_touch=True, is_mobile=True)
    small = page.eval_on_selector_all(
        "button, nav a, .switch label",
        """all => all.filter((one) => one.offsetParent && (one.offsetHeight < 36 || one.offsetWidth < 44))
          .map((one) => one.textContent.trim())""",
    )
    assert small == []
    assert page.is_hidden(".hint"), "no space bar is spoken of"


def test_the_page_can_be_installed_on_a_phone(visit, app):
    page = visit()
    address = page.get_attribute("link[rel=manifest]", "href")
    response = page.request.get(app.url + address)
    assert response.headers["content-type"] == "application/manifest+json"
    manifest = json.loads(response.text())
    assert (manifest["start_url"], manifest["display"]) == ("../", "standalone"), "from where the manifest lies"
    purposes = set()
    for icon in manifest["icons"]:
        picture = page.request.get(f"{app.url}/static/{icon['src']}")
        assert picture.headers["content-type"].startswith(icon["type"])
        purposes.add(icon["purpose"])
        if icon["type"] == "image/png":
            image = cv2.imdecode(np.frombuffer(picture.body(), np.uint8), cv2.IMREAD_UNCHANGED)
            assert icon["sizes"] == f"{image.shape[1]}x{image.shape[0]}"
            assert len(picture.body()) < 60_000
            if icon["purpose"] == "maskable":
                assert image.shape[2] == 3 or (image[..., 3] == 255).all(), "a mask finds colour everywhere"
    assert purposes == {"any", "maskable"}
    schemes = page.eval_on_selector_all("meta[name=theme-color]", "all => all.map((one) => one.media)")
    assert schemes == ["(prefers-color-scheme: light)", "(prefers-color-scheme: dark)"]
    apple = page.request.get(app.url + page.get_attribute("link[rel=apple-touch-icon]", "href"))
    assert apple.ok
    client = page.context.new_cdp_session(page)
    assert client.send("Page.getAppManifest")["errors"] == [], "its policy lets the browser read the manifest"
    reasons = [one["errorId"] for one in client.send("Page.getInstallabilityErrors")["installabilityErrors"]]
    assert set(reasons) <= {"in-incognito"}


# --- a real smile ---


def test_a_real_smile_is_measured_counted_and_downloaded(run_app, browser, shared_videos, tmp_path):
    app = run_app("--source", "none", "--board", tmp_path / "board.sqlite3")
    person = posing.person_of(shared_videos / "neutral_smile_neutral.mp4")
    there = WebcamVisit(browser, app.url, script=posing.script(person), accept_downloads=True)
    try:
        page = there.page
        page.evaluate(UNFOLD)
        page.check("#agree")
        there.wait_for_face()
        eventually(lambda: there.percent() < 30, there.percent)
        sent = []
        page.on("request", lambda request: sent.append(request) if request.url.endswith("/reactions") else None)
        page.evaluate(TIME_IN_VIEW)

        def tell() -> str:
            told = page.evaluate("document.getElementById('joke').dataset.id")
            page.evaluate("document.activeElement.blur()")
            there.wait_for_punchline()
            page.keyboard.press("Space")
            there.until(f"document.getElementById('joke').dataset.id !== {told!r}")
            there.wait_for_punchline()
            return page.get_attribute("#joke", "data-id")

        funny = tell()
        there.until("window.inView > 0")  # what comes before is the smile that the joke is measured from
        posing.smile(page)
        eventually(lambda: there.percent() > 80, there.percent)
        there.until("window.inView > 3500")
        posing.rest(page)
        eventually(lambda: there.percent() < 30, there.percent)
        tell()  # which ends the readings of the one before

        def counted() -> dict | None:
            reactions = [json.loads(request.post_data) for request in sent]
            return next((reaction for reaction in reactions if reaction["joke"]["id"] == funny), None)

        reaction = eventually(counted, lambda: [request.post_data for request in sent])
        assert reaction["before"] < 0.3
        assert reaction["peak"] > 0.8
        standings = eventually(lambda: app.json("/api/v1/jokes/board")["jokes"])
        assert max(standing["mean"] for standing in standings) > 0.5
        there.until("!document.getElementById('funniest').hidden")
        assert page.is_visible("#funniest")
        assert page.text_content("#best") != NOTHING
        assert page.text_content("#smiles") == "1"
        with page.expect_download() as download:
            page.click("#download")
        with open(download.value.path(), newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        values = [float(row["smile"]) for row in rows]
        assert max(values) > 0.8
        assert min(values) < 0.3
        times = [float(row["time_s"]) for row in rows]
        assert times == sorted(times)
        assert {row["joke"] for row in rows} - {""}, "rows say which joke they came after"
        assert there.complaints == []
    finally:
        there.context.close()
