"""What a device keeps, in a real Chromium: favourites, jokes that are not funny, settings; and that it forgets them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.shows import LONG, PLAIN, RIDDLE, SHORT, Show
from tests.visits import TO_ITS_END

pytestmark = pytest.mark.slow(20)

STORED = "Object.fromEntries(Object.entries(localStorage))"
SAID = "document.getElementById('toast').textContent"


def hear(there: Show, joke: dict[str, str]) -> None:
    """Until `joke` is told, to its end."""
    there.jokes.insert(0, joke)
    there.page.evaluate(f"{TO_ITS_END} document.getElementById('another').click()")
    there.until(f"document.getElementById('joke').dataset.id === {json.dumps(joke['id'])}")
    there.page.evaluate(TO_ITS_END)


def texts(page: Any, selector: str) -> list[str]:
    return [one.strip() for one in page.locator(f"{selector} p").all_text_contents()]


def test_favourites_are_kept_listed_copied_and_removed(show):
    there = show(permissions=["clipboard-read", "clipboard-write"])
    page = there.page
    for joke in (PLAIN, RIDDLE):
        hear(there, joke)
        assert page.get_attribute("#favourite", "aria-pressed") == "false"
        page.click("#favourite")
        assert page.get_attribute("#favourite", "aria-pressed") == "true"
    page.reload()
    assert page.text_content("#your-jokes-short") == "2 kept"
    page.click("#your-jokes summary")
    assert texts(page, "#favourites") == [RIDDLE["text"], PLAIN["text"]], "the newest first, punchlines too"
    page.click("#favourites li:nth-child(2) .copy")
    there.until(f"{SAID} === 'The joke is copied.'")
    assert page.evaluate("navigator.clipboard.readText()") == PLAIN["text"]
    page.focus("#favourites li:first-child .remove")
    page.keyboard.press("Enter")
    assert texts(page, "#favourites") == [PLAIN["text"]]
    assert page.evaluate("document.activeElement.closest('li') === document.querySelector('#favourites li')")
    page.click("#toast-undo")
    assert texts(page, "#favourites") == [RIDDLE["text"], PLAIN["text"]], "where it was"
    hear(there, PLAIN)
    assert page.get_attribute("#favourite", "aria-pressed") == "true"
    page.click("#favourite")
    assert texts(page, "#favourites") == [RIDDLE["text"]]


def test_what_is_not_funny_is_not_told_here_again_until_it_is_brought_back(show):
    there = show()
    page = there.page
    hear(there, PLAIN)
    there.jokes = [RIDDLE, SHORT]
    page.click("#not-funny")
    there.until("document.getElementById('joke').dataset.id === 'riddle'")
    page.click("#not-funny")  # before its punchline, which must not come on top of the next joke
    there.until("document.getElementById('joke').dataset.id === 'short'")
    assert page.text_content("#another") == "Another one"
    asked = there.asked
    there.jokes = [PLAIN, RIDDLE, LONG]
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'long'")
    assert there.asked == asked + 3, "what is hidden is asked for again"
    there.jokes = []  # only PLAIN comes
    page.evaluate(TO_ITS_END)
    page.click("#another")
    there.until("document.getElementById('joke-news').textContent.startsWith('Every joke that came is one you hid')")
    page.click("#your-jokes summary")
    assert texts(page, "#hidden-list") == [RIDDLE["text"], PLAIN["text"]]
    page.click("#hidden-list li:nth-child(2) .remove")
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'plain'")
    assert page.text_content("#joke-news") == ""
    page.click("#hidden-clear")
    assert page.is_hidden("#hidden-jokes")
    page.click("#toast-undo")
    assert texts(page, "#hidden-list") == [RIDDLE["text"]]


def test_a_hidden_joke_does_not_come_with_the_page_either(show, app):
    there = show()
    page = there.page
    told = page.evaluate("({ ...document.getElementById('joke').dataset, text: '' })")
    page.evaluate("(joke) => localStorage.setItem('dad-jokes not funny', JSON.stringify([joke]))", told)
    same = page.request.get(app.url).text()
    same = re.sub('data-id="[^"]*"', f'data-id="{told["id"]}"', same)
    page.route(app.url + "/", lambda route: route.fulfill(body=same, content_type="text/html"))
    there.asked, there.answer = 0, 429
    page.clock.install()
    page.reload()
    there.until("document.getElementById('joke-news').textContent.endsWith('Trying again…')")
    assert there.asked <= 2, "patiently"
    there.answer = 200
    page.clock.fast_forward(3000)
    there.until("document.getElementById('joke').dataset.id === 'plain'")


def test_lists_are_bounded_and_what_is_no_list_of_ours_counts_as_empty(show):
    there = show()
    page = there.page
    counts = page.evaluate(
        """async () => {
          const { JokeList } = await import("/static/kept/joke_list.js");
          const joke = (i) => ({ id: String(i), source: "house", text: "Moo." });
          const list = new JokeList("test", 3), counts = [];
          for (const text of ["{", "7", "null", '[null, 1, {"id": "x"}]', '{"length": 9}']) {
            localStorage.setItem("dad-jokes test", text);
            counts.push(list.all.length);
          }
          for (let i = 0; i < 9; i += 1) list.add(joke(i % 5));
          counts.push(list.all.map(({ id }) => id).join(), list.full);
          Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
          list.add(joke(7));
          return [...counts, list.all.map(({ id }) => id).join(), JSON.parse(localStorage.getItem("dad-jokes test")).length];
        }"""
    )
    assert counts == [0, 0, 0, 0, 0, "3,2,1", True, "7,3,2", 3], "and where nothing can be kept it lasts as long as the page"
    page.evaluate("import('/static/kept/joke_list.js').then(({ favourites }) => { favourites.most = 0; })")
    page.click("#favourite")
    assert "remove one below" in page.text_content("#toast"), "a favourite is not lost for another"


def test_settings_are_remembered_and_all_of_it_is_forgotten_with_one_click(show, app):
    there = show(color_scheme="light")
    page = there.page
    page.evaluate("localStorage.setItem('another app of this host', 'stays')")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    for name in ("#mirror", "#hands-free", "#sound", "#keep-going"):
        page.evaluate(f"document.querySelector({name!r}).click()")  # some only show with a camera
    page.click("#favourite")
    page.click("#device summary")
    page.check("input[name=theme][value=dark]", force=True)
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(app.url + "/api")
    assert page.evaluate(ground) == dark, "on every page"
    page.goto(app.url)

    def chosen() -> list[bool]:
        return [page.is_checked(name) for name in ("#mirror", "#hands-free", "#sound", "#keep-going")]

    assert chosen() == [False, False, True, True]
    assert page.evaluate("!document.getElementById('frame').classList.contains('mirrored')")
    assert page.is_checked("input[name=theme][value=dark]")
    page.click("#device summary")
    kept = page.evaluate(STORED)
    page.click("#forget")
    assert page.evaluate(STORED) == {"another app of this host": "stays"}
    assert chosen() == [True, True, False, False], "at once, without a reload"
    assert page.evaluate(ground) == light
    assert page.text_content("#your-jokes-short") == ""
    assert page.evaluate("document.getElementById('frame').classList.contains('mirrored')")
    page.click("#toast-undo")
    assert page.evaluate(STORED) == kept
    assert chosen() == [False, False, True, True]
    assert page.evaluate(ground) == dark
    page.click("#forget")
    there.until(f"{SAID} === 'Everything that this device kept is forgotten.'")
    page.reload()
    assert page.evaluate(STORED) == {"another app of this host": "stays"}
