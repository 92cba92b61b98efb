"""The page in a real Firefox: a smile is read, space brings a joke, and the visitor's own camera is followed."""

import pytest

from tests.firefox import FIREFOX, running_firefox

pytestmark = pytest.mark.slow(20)

JOKE = "document.getElementById('joke').dataset.id"
PERCENT = "Number(document.getElementById('meter').getAttribute('aria-valuenow'))"
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.skipif(FIREFOX is None, reason="needs Firefox: apt-get install firefox-esr")
def test_in_firefox_the_page_reads_a_smile_tells_jokes_and_takes_a_visitors_camera(seeing_app, tmp_path):
    with running_firefox(tmp_path) as firefox:
        firefox.go(seeing_app.url)
        firefox.until("document.getElementById('faces').textContent === '1 face'")
        firefox.until(f"{PERCENT} > 80")
        firefox.until("document.getElementById('curtain').hidden")
        firefox.until("!document.body.classList.contains('waiting')")
        assert firefox.evaluate(SIDEWAYS) == 0
        firefox.evaluate("document.getElementById('hands-free').checked = false")
        told = firefox.evaluate(JOKE)
        firefox.press(" ")
        firefox.until(f"{JOKE} !== {told!r} && !document.body.classList.contains('waiting')")
        firefox.click("#keep-going")
        told = firefox.evaluate(JOKE)
        firefox.press(" ")
        firefox.until(f"{JOKE} !== {told!r}")
        assert firefox.evaluate("document.getElementById('keep-going').checked"), "space after a click means a joke"
        firefox.click("#arm")
        firefox.until("document.querySelectorAll('#strip-photos li').length === 1")
        firefox.click("input[value=mine]")
        firefox.click("#start")
        firefox.until("/pictures? a second/.test(document.getElementById('fps').textContent)")
        assert firefox.evaluate("document.getElementById('mine').videoWidth") > 0
