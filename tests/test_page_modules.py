"""What the page works out of readings and jokes, without a page: its modules, in a real Chromium."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from jokes.joke import Reaction
from tests.browsers import new_context
from tests.project import ROOT
from tests.waiting import PATIENCE_S
from web.board_page import points

pytestmark = pytest.mark.slow


def in_module(page, module: str, script: str, argument: Any = None) -> Any:
    """What `script`, a function of the module's exports and `argument`, returns."""
    (path,) = (ROOT / "static").rglob(f"{module}.js")
    address = f"/{path.relative_to(ROOT).as_posix()}"
    return page.evaluate(f"(argument) => import('{address}').then((module) => ({script})(module, argument))", argument)


@pytest.fixture(scope="module")
def modules(browser, app) -> Iterator:
    """A page that lends its modules and is left as it is."""
    context = new_context(browser)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
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
