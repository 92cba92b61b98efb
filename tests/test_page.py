"""What the page makes of readings, in a real Chromium: punchlines, meters, timeline and session."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest

from tests.browsers import save_screenshot
from tests.pages import NOTHING, opened_pages, read, until
from tests.shows import PLAIN, RIDDLE

pytestmark = pytest.mark.slow(40)


@pytest.fixture
def visit(browser, app) -> Iterator:
    yield from opened_pages(browser, app)


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
