"""A real smile before a webcam, from the picture to the joke board and the downloaded table."""

from __future__ import annotations

import csv
import json

import pytest

from tests import posing
from tests.pages import NOTHING, UNFOLD
from tests.visits import TIME_IN_VIEW, WebcamVisit
from tests.waiting import eventually

pytestmark = pytest.mark.slow(20)


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
