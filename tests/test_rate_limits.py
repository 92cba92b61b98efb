"""How much one visitor may ask for: buckets with a clock that the test turns, and the app that obeys them."""

import ipaddress
import itertools
import json
import random
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from common.errors import SettingsError, TooManyRequests
from common.settings import parse_settings
from common.visitor_limits import MOST_VISITORS, RateLimit, visitor_number
from tests.waiting import eventually
from web.rate_limits import PICTURE_S, PICTURES_PER_SECOND, VisitorLimits

ANALYZE = "/api/v1/analyze"
JOKE = "/api/v1/jokes/random"
ELSEWHERE = "203.0.113.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def gray_jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((16, 16, 3), 128, np.uint8))[1].tobytes()


def test_a_burst_is_let_through_and_then_the_rate(clock):
    limit = RateLimit(10, burst=20, clock=clock)
    assert [limit.take(1) for _ in range(20)] == [0.0] * 20
    assert limit.take(1) == pytest.approx(0.1)
    assert limit.take(1) == pytest.approx(0.1), "who is refused does not wait longer for having asked"
    passed = 0
    for _ in range(1000):
        clock.now += 0.01
        passed += limit.take(1) == 0
    assert passed == pytest.approx(100, abs=1)


def test_after_the_seconds_that_it_names_a_request_is_let_through(clock):
    limit = RateLimit(3, burst=4, clock=clock)
    chance = random.Random(5)
    for _ in range(300):
        clock.now += chance.uniform(0, 0.3)
        wait = limit.take(1)
        if wait:
            clock.now += wait + 1e-9
            assert limit.take(1) == 0


def test_visitors_do_not_share_a_bucket(clock):
    limit = RateLimit(1, burst=1, clock=clock)
    assert limit.take(1) == 0
    assert limit.take(1) > 0
    assert limit.take(2) == 0


def test_work_already_done_is_owed_but_not_for_ever(clock):
    limit = RateLimit(10, burst=20, clock=clock)
    limit.charge(1, 30)
    assert limit.take(1) == pytest.approx(1.1)
    limit.charge(1, 1e9)
    assert limit.take(1) <= 5.2
    clock.now += 60
    assert [limit.take(1) for _ in range(20)] == [0.0] * 20


def test_memory_is_bounded_and_who_has_made_up_is_forgotten(clock):
    limit = RateLimit(1, burst=5, clock=clock)
    for visitor in range(3 * MOST_VISITORS):
        limit.take(visitor)
        if visitor % 2:
            limit.charge(visitor, 2)
    assert len(limit) == MOST_VISITORS
    clock.now += 100
    for i in range(MOST_VISITORS):
        limit.take(-1 - i % 3)
    assert len(limit) <= 3


def test_threads_together_get_no_more_than_the_burst(clock):
    limit = RateLimit(1, burst=500, clock=clock)
    with ThreadPoolExecutor(16) as pool:
        passed = sum(wait == 0 for wait in pool.map(lambda _: limit.take(7), range(4000)))
    assert passed == 500


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", None, True),
        ("no address", "", True),
        ("127.0.0.1", "::1", False),
    ],
)
def test_a_visitor_is_an_address_or_the_network_of_one_connection(one, other, same):
    assert (visitor_number(one) == visitor_number(other)) is same


def test_the_address_itself_is_not_kept():
    limits = VisitorLimits(1)
    limits.take_request(ELSEWHERE)
    kept = list(limits._requests.visitors._full_at)
    assert kept == [visitor_number(ELSEWHERE)]
    assert int(ipaddress.ip_address(ELSEWHERE)) not in kept


def test_pictures_that_take_long_count_as_several(clock):
    limits = VisitorLimits(10, clock=clock)
    for _ in range(2):
        limits.take_picture(ELSEWHERE)
        limits.worked(ELSEWHERE, 10 * PICTURE_S)
    with pytest.raises(TooManyRequests, match="try again in 1 second") as refused:
        limits.take_picture(ELSEWHERE)
    assert refused.value.retry_after_s == 1
    limits.take_request(ELSEWHERE)


def test_this_computer_may_send_any_number_of_pictures_unless_told_otherwise(clock):
    usual, given, none = VisitorLimits(clock=clock), VisitorLimits(5, clock=clock), VisitorLimits(0, clock=clock)

    def passed(limits: VisitorLimits, address: str) -> int:
        for i in range(1000):
            try:
                limits.take_picture(address)
            except TooManyRequests:
                return i
        return 1000

    assert passed(usual, "127.0.0.1") == passed(usual, "::1") == 1000
    assert passed(usual, ELSEWHERE) == 2 * PICTURES_PER_SECOND
    assert passed(given, "127.0.0.1") == 10
    assert passed(none, ELSEWHERE) == 1000


def test_the_rate_is_an_option():
    assert parse_settings([], {}).visitor_rate is None
    assert parse_settings(["--visitor-rate", "0"], {}).visitor_rate == 0
    assert parse_settings([], {"SMILE_VISITOR_RATE": "30"}).visitor_rate == 30
    for wrong in ("-1", "100001", "many"):
        with pytest.raises(SettingsError, match=r"visitor-rate|VISITOR_RATE"):
            parse_settings([], {"SMILE_VISITOR_RATE": wrong})


@pytest.mark.usefixtures("no_second_passes")
def test_over_the_limit_the_app_says_when_to_come_back(make_client):
    client = make_client(visitor_rate=1)
    here = {"REMOTE_ADDR": ELSEWHERE}
    for address, send in ((ANALYZE, client.post), (JOKE, client.get)):
        answers = [send(address, data=b"no picture" if send == client.post else None, environ_base=here) for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused, address
        for answer in refused:
            assert set(answer.json) == {"error"}
            assert "from your address; try again in" in answer.json["error"]
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Cache-Control"] == "no-store"
            assert "default-src" in answer.headers["Content-Security-Policy"]
        assert send(address, environ_base={"REMOTE_ADDR": "203.0.113.8"}).status_code != 429, "others are not held back"
    for path in ("/", "/healthz", "/api", "/api/openapi.json", "/metrics"):
        assert client.get(path, environ_base=here).status_code == 200


@pytest.mark.usefixtures("no_second_passes")
def test_a_picture_that_takes_long_is_paid_for(make_client, monkeypatch):
    worked = itertools.count()
    monkeypatch.setattr("web.analyze_routes.time.thread_time", lambda: 10 * PICTURE_S * next(worked))
    monkeypatch.setattr("visitors.analysis.VisitorAnalysis.analyze", lambda *_: {})
    client = make_client(visitor_rate=1)
    answers = [client.post(ANALYZE, data=gray_jpeg(), environ_base={"REMOTE_ADDR": ELSEWHERE}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429], "two would be allowed, if they were quick"


def test_pages_at_full_pace_in_one_home_are_never_held_back(clock):
    limits = VisitorLimits(clock=clock)
    for _ in range(20 * 60):  # a minute at 20 pictures a second
        clock.now += 1 / 20
        for _ in range(5):
            limits.take_picture(ELSEWHERE)
            limits.worked(ELSEWHERE, 1.2 * PICTURE_S)


def test_many_at_once_on_the_real_server_are_let_through_or_told_when(run_app):
    app = run_app("--source", "none", "--visitor-rate", "2")
    picture = gray_jpeg()
    statuses: list[int] = []
    refusals: list[tuple[str, dict]] = []
    end = threading.Event()

    def send() -> None:
        while not end.is_set():
            request = urllib.request.Request(app.url + ANALYZE, picture, {"Content-Type": "image/jpeg"})
            try:
                with urllib.request.urlopen(request, timeout=120) as response:
                    statuses.append(response.status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
                refusals.append((error.headers["Retry-After"], json.loads(error.read())))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: 429 in statuses)
        assert app.json("/healthz")["status"] == "ok"
    finally:
        end.set()
        for thread in threads:
            thread.join(60)
    assert 200 in statuses
    assert set(statuses) <= {200, 429, 503}
    assert all(int(seconds) >= 1 and set(answer) == {"error"} for seconds, answer in refusals)
