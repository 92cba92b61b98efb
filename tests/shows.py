"""The page with jokes from a list and readings that the test makes up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browsers import new_context
from tests.pages import NEVER_TOO_LATE, READ
from tests.waiting import eventually

RIDDLE = {"id": "riddle", "text": "Why did the clock blush? Somebody saw its hands.", "source": "house"}
PLAIN = {"id": "plain", "text": "I told my kettle to calm down. It was steaming.", "source": "house"}
SHORT = {"id": "short", "text": "Moo.", "source": "house"}
LONGER_TEXT = "My neighbour borrowed my ladder again. He says that it takes some steps, and that I should rise above it."
LONGER = {"id": "longer", "text": LONGER_TEXT, "source": "house"}
LONG = {"id": "long", "text": "My neighbour borrowed my ladder again. He says that it takes steps.", "source": "house"}


class Show:
    """An open page whose jokes come from a list and whose readings the test makes up."""

    def __init__(
        self, browser: Any, url: str, *, size: tuple[int, int] = (1280, 720), jokes: tuple = (), **options: Any
    ) -> None:
        self.context = new_context(browser, viewport={"width": size[0], "height": size[1]}, **options)
        self.context.add_init_script(NEVER_TOO_LATE)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on("pageerror", lambda error: pytest.fail(str(error)))
        self.jokes = list(jokes)
        self.asked = 0
        self.answer = 200
        self.page.route("**/api/v1/jokes/random", self._tell)
        self.page.goto(url, wait_until="load")
        self.until("!document.body.classList.contains('waiting')")

    def _tell(self, route: Any) -> None:
        self.asked += 1
        if self.answer != 200:
            return route.fulfill(status=self.answer) if self.answer else route.abort()
        return route.fulfill(json=self.jokes.pop(0) if self.jokes else PLAIN)

    def until(self, condition: str) -> None:
        eventually(lambda: self.page.evaluate(condition), condition)

    def read(self, *smiles: float, message: str = "") -> None:
        self.page.evaluate(READ, [[[i + 1, smile] for i, smile in enumerate(smiles)], message])

    def joke(self) -> str:
        return self.page.get_attribute("#joke", "data-id")
