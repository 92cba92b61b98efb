"""Pages whose readings, jokes and time the test makes up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.browsers import new_context
from tests.visits import ON_REQUEST
from tests.waiting import eventually

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOTHING = "\N{EN DASH}"  # where there is no number
WIDTHS = {"320": (320, 640), "390": (390, 844), "laptop": (1280, 720), "projector": (1920, 1080), "wall": (2560, 1440)}
# Readings as a camera would give them: `faces` are [id, smile] pairs, the biggest first.
READ = """([faces, message]) => import("/static/meter/reading.js").then(({ show }) => show({
  fps: 10, width: 640, height: 480,
  message: message ?? "", faces: faces.map(([id, smile]) => ({ id, smile, label: smile >= 0.5 ? "smile" : "no_smile",
  box: { left: 50 * id, top: 100, right: 50 * id + 40, bottom: 150 } })) }))"""
# The page gives up on a joke after some seconds, and here it is the test that answers.
NEVER_TOO_LATE = "AbortSignal.timeout = () => new AbortController().signal"
UNFOLD = "for (const one of document.querySelectorAll('.fold')) one.open = true"


def opened_pages(browser, app) -> Iterator:
    """For a fixture: opens the page of an app without a camera, with jokes from a list; `clock`: one that stands still."""
    contexts = []

    def open_page(*, size: str = "laptop", clock: bool = False, jokes=(), path: str = "", **options):
        width, height = WIDTHS[size]
        context = new_context(browser, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.add_init_script(NEVER_TOO_LATE)
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
