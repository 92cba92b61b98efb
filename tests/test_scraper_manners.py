"""How the scraper behaves as a guest: who it says it is, where it asks, how often, and what it does when asked to wait."""

import itertools
import re
import time

import numpy as np
import pytest

from scraping.asking.pace import Pace
from tests.getty_pages import pages_of
from tests.getty_server import Fault, GettyServer
from tests.scraper_runs import QuickClock


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 4), "no smile": pages_of("no smile", 2, 4, first=2000)}) as server:
        yield server


def test_it_says_who_it_is(scrape, server):
    scrape("smile")
    agents = {request.headers["User-Agent"] for request in server.requests}
    (agent,) = agents
    assert re.fullmatch(r"DadJokesForSmiles/[\d.]+ \(\+https://github\.com/\S+\)", agent)
    assert not any("Cookie" in request.headers for request in server.requests)


def test_a_password_file_for_other_programs_is_not_read(scrape, server, tmp_path, monkeypatch):
    passwords = tmp_path / "netrc"
    passwords.write_text("default login me password secret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("NETRC", str(passwords))
    assert scrape("smile").code == 0
    assert not any("Authorization" in request.headers for request in server.requests)


def test_robots_txt_is_read_first_on_every_host(scrape, server):
    scrape("smile")
    for port in {request.port for request in server.requests}:
        first, *others = [request.path for request in server.requests if request.port == port]
        assert first == "/robots.txt"
        assert "/robots.txt" not in others, "once"


def test_a_robots_txt_that_forbids_the_search_is_obeyed(scrape, server):
    server.robots = "User-agent: DadJokesForSmiles\nDisallow: /search\nDisallow: /photos"
    run = scrape("smile")
    assert run.code == 1
    assert "robots.txt of 127.0.0.1:" in run.err
    assert "use the official API" in run.err
    assert server.paths() == ["/robots.txt"]


def test_the_other_address_of_the_search_is_used_where_the_first_is_forbidden(scrape, server):
    server.robots = "User-agent: *\nDisallow: /search/"
    assert scrape("no smile").code == 0
    assert [path.partition("?")[0] for path in server.paths("phrase=")] == ["/photos/no-smile"]


def test_a_robots_txt_that_forbids_the_pictures_is_obeyed(scrape, server):
    server.robots = "User-agent: *\nDisallow: /id/1002/"
    run = scrape("smile")
    assert run.code == 1
    assert server.pictures()["1002"] == 0
    assert scrape.row("1002")["reason"] == "robots"
    assert "1 closed to robots (robots.txt)" in run.err


@pytest.mark.parametrize("code", [404, 403, 410])
def test_no_robots_txt_forbids_nothing(scrape, server, code):
    server.faults |= {"robots": Fault("status", code), "media_robots": Fault("status", code)}
    assert scrape("smile").code == 0
    assert len(scrape.files()) == 4


@pytest.mark.parametrize(
    "fault", [Fault("status", 503), Fault("status", 429), Fault("reset"), Fault("to_stranger"), Fault("endless")]
)
def test_a_robots_txt_that_can_not_be_read_forbids_everything(scrape, server, fault):
    server.faults["robots"] = fault
    run = scrape("smile")
    assert run.code == 1
    assert "so nothing may be fetched" in run.err
    assert set(server.paths()) == {"/robots.txt"}


def test_requests_are_as_far_apart_as_was_asked_for(scrape, server):
    clock = QuickClock()
    scrape("smile", "--pages", "2", "--pause", "100", clock=clock)
    between = len(server.requests) - 1
    assert between == 11
    # Real time counts too, and it is a matter of seconds.
    assert 100 * between - 60 < sum(clock.sleeps) <= 150 * between


def test_the_pause_is_never_shorter_than_asked_for_and_never_the_same():
    clock = QuickClock()
    pace = Pace(1000.0, 3, clock=clock, seed=1)
    begun = []
    for _ in range(20):
        with pace.turn("a"):
            begun.append(clock.now())
    pauses = np.diff(begun)
    assert pauses.min() >= 1000
    assert pauses.max() < 1510
    assert pauses.std() > 50


def test_a_crawl_delay_is_kept(scrape, server):
    server.robots = "User-agent: *\nCrawl-delay: 500"
    clock = QuickClock()
    scrape("smile", "--limit", "2", clock=clock)
    assert sum(clock.sleeps) > 500 * 4 - 60  # robots.txt, page; robots.txt, two pictures


def test_one_host_at_a_time_and_no_more_at_once_than_allowed(scrape, server):
    server.slowness_s = 0.3
    assert scrape("smile", "no smile", "--pages", "2", "--workers", "3").code == 0
    assert server.most_at_once == 3
    spans = sorted((request.began, request.ended, request.port) for request in server.requests)
    for (_, ended, port), (began, _, next_port) in itertools.pairwise(spans):
        assert port == next_port or began >= ended


def test_retry_after_is_obeyed(scrape, server):
    server.faults["pic1001"] = Fault("status", 429, times=1, headers={"Retry-After": "123"})
    clock = QuickClock()
    run = scrape("smile", clock=clock)
    assert run.code == 0, run.err
    assert max(clock.sleeps) > 60, "less what the run itself took"
    assert "smile: pausing for 123 s" in run.err
    assert server.pictures()["1001"] == 2


def test_retry_after_may_be_a_date(scrape, server):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 300))
    server.faults["page1"] = Fault("status", 503, times=1, headers={"Retry-After": date})
    clock = QuickClock()
    assert scrape("smile", clock=clock).code == 0
    assert 200 < max(clock.sleeps) <= 301


def test_a_site_that_wants_hours_of_peace_gets_them(scrape, server):
    server.faults["pic1001"] = Fault("status", 429, times=1, headers={"Retry-After": "7200"})
    clock = QuickClock()
    run = scrape("smile", clock=clock)
    assert run.code == 1
    assert "asks to be left alone for 120 minutes" in run.err
    assert sum(clock.sleeps) == 0
    assert scrape("smile").code == 0, "the same command goes on"
    assert len(scrape.files()) == 4


def test_the_pauses_between_tries_grow(scrape, server):
    server.faults["page1"] = Fault("status", 500, times=4)
    run = scrape("smile", "--retry-pause", "10")
    assert run.code == 0
    pauses = [int(text) for text in re.findall(r"pausing for (\d+) s", run.err)]
    assert len(pauses) == 4
    for pause, low in zip(pauses, (10, 20, 40, 80), strict=True):
        assert low <= pause <= 1.5 * low
