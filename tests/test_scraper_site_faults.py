"""A site whose layout changes, that breaks off, refuses or leads elsewhere: said in a sentence, and left alone."""

import contextlib
import re
import sqlite3

import pytest

from tests.getty_pages import Card, pages_of
from tests.getty_server import Fault, GettyServer
from tests.scraper_runs import QuickClock, hurry

pytestmark = pytest.mark.slow(15)


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 3, 4)}) as server:
        yield server


def test_a_changed_layout_is_no_success(scrape, server):
    server.layout = "of next year"
    run = scrape("smile")
    assert run.code == 1
    assert "the layout of the site has changed" in run.err
    assert scrape.files() == []


@pytest.mark.parametrize("says_last_page", [True, False])
@pytest.mark.parametrize("kind", ["html", "no_cards", "to_html"])
def test_a_page_without_pictures_in_the_middle_is_an_interruption(scrape, server, kind, says_last_page):
    server.says_last_page = says_last_page
    server.faults["page2"] = Fault(kind)
    run = scrape("smile", "--pages", "3")
    assert run.code == 1
    (problem,) = [line for line in run.err.splitlines() if line.startswith("Not everything went well: ")]
    assert re.search("There is no picture on .*page=2.*, and the page does not say that the results end", problem)
    assert ("though there are 3 pages" in problem) == says_last_page
    assert "end after page" not in run.out
    assert len(scrape.files()) == 4
    server.faults.clear()
    assert scrape("smile", "--pages", "3").code == 0
    assert len(scrape.files()) == 12
    assert set(server.pages().values()) == {1, 2}, "only the page that was interrupted is asked for again"


def test_what_a_page_promised_in_an_earlier_run_is_remembered(scrape, server):
    scrape("smile", "--pages", "1")
    server.faults["page2"] = Fault("status", 404)
    run = scrape("smile", "--pages", "3")
    assert run.code == 1
    assert "is not there (HTTP 404), though there are 3 pages" in run.err
    server.faults.clear()
    assert scrape("smile", "--pages", "3").code == 0
    assert len(scrape.files()) == 12


def test_an_end_that_an_earlier_version_noted_is_asked_for_again(scrape, server):
    """It took a page for robots for the end."""
    scrape("smile", "--pages", "1")
    with contextlib.closing(sqlite3.connect(scrape.out / "manifest.sqlite3")) as table, table:
        table.execute("UPDATE terms SET last_page = 1")
        table.execute("ALTER TABLE terms DROP COLUMN promised")
    assert scrape("smile", "--pages", "3").code == 0
    assert len(scrape.files()) == 12


def test_after_a_stop_nothing_is_said_of_terms_that_were_not_asked_for(scrape, server):
    server.results["no smile"] = pages_of("no smile", 1, 4, first=2000)
    server.faults["page1"] = Fault("html")
    run = scrape("smile", "no smile")
    assert run.code == 1
    assert server.pages()["no smile", 1] == 0
    assert run.out.splitlines()[:2] == [f"{term}: no page of results read yet" for term in ("smile", "no smile")]
    assert "nothing was found" not in run.err
    assert run.err.strip().splitlines()[-1].startswith("Not everything went well: There is no picture on ")


def test_a_term_without_results_is_said_to_have_none(scrape, server):
    run = scrape("grin", "smile")
    assert run.code == 1
    assert run.err.strip().splitlines()[-1].startswith("Not everything went well: nothing was found for 'grin'")
    assert "smile: 1 pages, 4 found" in run.out
    asked = len(server.requests)
    assert scrape("grin", "smile").code == 1
    assert len(server.requests) == asked, "it is remembered"


def test_pictures_that_came_under_another_term_first_are_not_nothing(scrape, server):
    server.results["grin"] = server.results["smile"]
    run = scrape("smile", "grin")
    assert run.code == 0, run.err
    assert "4 found under another term before" in run.out


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("status", 403), "refuses its search pages to this program (HTTP 403)"),
        (Fault("status", 500), "can't be read (HTTP 500); run the same command again later"),
        (Fault("status", 429), "asks for fewer requests (HTTP 429, after 5 tries with growing pauses)"),
        (Fault("to_stranger"), "leads to another site (it is on localhost"),
        (Fault("endless"), "can't be read (more than 16 MB)"),
        (Fault("silent"), "can't be read (no answer within"),
        (Fault("tiny"), "an answer of type image/jpeg"),
        (Fault("loop"), "more than 5 redirects"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_page_that_can_not_be_had_stops_the_run_with_a_sentence(scrape, server, monkeypatch, fault, sentence):
    server.faults["page2"] = fault
    hurry(monkeypatch, "page=2", 0.2 if fault.kind == "silent" else 20.0)
    run = scrape("smile", "--pages", "3")
    assert run.code == 1
    assert sentence in run.err
    assert len(scrape.files()) == 4, "what came before is kept"
    assert "smile: 1 pages, 4 found" in run.out
    server.faults.clear()
    assert scrape("smile", "--pages", "3").code == 0
    assert set(server.pictures().values()) == {1}


def test_a_site_in_trouble_is_left_alone(scrape, server):
    server.faults |= {f"pic{n}": Fault("status", 503) for n in range(1000, 1012)}
    clock = QuickClock()
    run = scrape("smile", "--pages", "3", "--workers", "1", clock=clock)
    assert run.code == 1
    assert "is in trouble (HTTP 503, after 5 tries with growing pauses); run the same command again later" in run.err
    assert len(server.pictures()) == 5, "not all twelve"
    assert server.pages()["smile", 2] == 1
    server.faults.clear()
    assert scrape("smile", "--pages", "3").code == 0


def test_a_site_that_always_says_429_is_left_alone(scrape, server):
    server.faults |= {f"pic{n}": Fault("status", 429) for n in range(1000, 1012)}
    run = scrape("smile", "--workers", "1")
    assert run.code == 1
    assert "asks for fewer requests" in run.err
    assert set(server.pictures()) == {"1000"}


@pytest.mark.parametrize("fault", [Fault("status", 403), Fault("html")], ids=lambda fault: fault.kind)
def test_a_site_that_refuses_picture_after_picture_is_left_alone(scrape, server, fault):
    server.results["smile"] = pages_of("smile", 2, 24)
    server.faults |= {f"pic{n}": fault for n in range(1001, 1048)}
    run = scrape("smile", "--pages", "2", "--workers", "1")
    assert run.code == 1
    assert "has refused 20 pictures in a row" in run.err
    assert len(server.pictures()) == 21
    server.faults.clear()
    assert scrape("smile", "--pages", "2", "--retry-failed").code == 0
    assert len(scrape.files()) == 48


def test_a_stranger_s_pictures_are_fetched_only_if_the_stranger_is_named(scrape, server):
    server.picture_host = "localhost"
    run = scrape("smile")
    assert run.code == 1
    assert "4 on a host that is not part of the site (--allow-host lets it in)" in run.err
    assert server.paths("/id/") == []
    assert scrape("smile", "--allow-host", "localhost", "--retry-failed").code == 0
    assert len(scrape.files()) == 4


def test_nothing_on_a_page_leads_out_of_the_folder(scrape, server, tmp_path):
    names = ["../../evil1234", "..%2f1234", "/etc/1234", "C:\\1234", "1234\x00", "1234.jpg/../../x"]
    server.results["smile"][0] = [Card(name, 1) for name in names] + [Card(f"77{n}77", n) for n in range(1, 8)]
    server.results["smile"][0][-1] = Card("7777", 7, caption="=cmd|'/c calc'!A1\n\x1b[31m<b>\u202e")
    run = scrape("smile")
    assert "6 without a usable id or address" in run.out
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"images"}
    assert {name.partition("/")[0] for name in scrape.files()} == {"smile"}
    assert scrape.row("7777")["caption"] == "'=cmd|'/c calc'!A1 [31m<b>"
