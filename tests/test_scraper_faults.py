"""Pictures that can't be had, and disks that hold no more: counted and explained, neither a traceback nor a success."""

import errno
import os
import subprocess
import sys

import cv2
import pytest

from scraping.asking.problems import REASONS
from tests.getty_pages import jpeg, pages_of
from tests.getty_server import Fault, GettyServer
from tests.project import ROOT, clean_environment
from tests.scraper_runs import QuickClock, hurry

pytestmark = pytest.mark.slow(20)


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 3, 4)}) as server:
        yield server


FAULTS = [
    (Fault("status", 404), "gone", "HTTP 404"),
    (Fault("status", 410), "gone", "HTTP 410"),
    (Fault("status", 403), "refused", "HTTP 403"),
    (Fault("status", 451), "refused", "HTTP 451"),
    (Fault("status", 500), "server_error", "HTTP 500"),
    (Fault("status", 204), "refused", "HTTP 204"),
    (Fault("html"), "not_a_picture", "it is a web page, not a picture"),
    (Fault("wrong_type"), "not_a_picture", "it is a web page, not a picture"),
    (Fault("to_html"), "not_a_picture", "it is a web page, not a picture"),
    (Fault("empty"), "not_a_picture", "it is empty, not a picture"),
    (Fault("to_stranger"), "other_host", "it is on localhost"),
    (Fault("loop"), "redirects", "more than 5 redirects"),
    (Fault("truncate"), "truncated", "cut off on the way"),
    (Fault("cut"), "truncated", "the picture is cut off"),
    (Fault("tiny"), "too_small", "24x16 pixels"),
    (Fault("endless"), "too_large", "more than 32 MB"),
    (Fault("silent"), "timeout", "no answer within 0.2 s"),
    (Fault("trickle"), "timeout", "not complete after 1.5 s"),
    (Fault("reset"), "connection", "no connection, or it was lost"),
]


@pytest.mark.parametrize(("fault", "reason", "message"), FAULTS, ids=lambda value: getattr(value, "kind", None))
def test_a_picture_that_can_not_be_had_is_counted_and_explained(scrape, server, monkeypatch, fault, reason, message):
    server.faults["pic1001"] = fault
    hurry(monkeypatch, "/id/1001/", {"silent": 0.2, "trickle": 0.5}.get(fault.kind, 20.0))
    run = scrape("smile")
    row = scrape.row("1001")
    assert (row["status"], row["reason"], row["file"]) == ("failed", reason, "")
    assert message in row["message"]
    assert f"1 {REASONS[reason]}" in run.out
    assert run.code == 1
    assert f"1 {REASONS[reason]}" in run.err.strip().splitlines()[-1]
    assert scrape.files() == ["smile/1000.jpg", "smile/1002.jpg", "smile/1003.jpg"]
    if fault.kind == "to_stranger":
        assert not any("/id/1/" in path for path in server.paths()), "the stranger was not asked"


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault("status", code, times=2) for code in (429, 500, 503, 408)),
        *(Fault(kind, times=1) for kind in ("truncate", "cut", "garbage")),
        Fault("reset", times=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.code}",
)
def test_what_passes_is_outlasted(scrape, server, fault):
    server.faults["pic1001"] = fault
    run = scrape("smile")
    assert run.code == 0, run.err
    assert (scrape.out / "smile/1001.jpg").read_bytes() == jpeg(1001)


@pytest.mark.parametrize("kind", ["truncate", "cut"])
def test_a_picture_that_comes_cut_off_is_asked_for_once_more_after_the_others(scrape, server, kind):
    server.faults["pic1001"] = Fault(kind)
    clock = QuickClock()
    assert scrape("smile", "--workers", "1", clock=clock).code == 1
    asked = [path.partition("/id/")[2].partition("/")[0] for path in server.paths("/id/")]
    assert asked == ["1000", "1001", "1002", "1003", "1001"]
    assert sum(clock.sleeps) < 1, "nobody waits for it"


def test_more_than_a_few_pictures_that_come_cut_off_do_not_keep_the_next_pages_away(scrape, server):
    server.results["smile"] = pages_of("smile", 2, 10)
    server.faults |= {f"pic{n}": Fault("cut") for n in range(1001, 1009)}
    for _ in range(2):  # the second run asks for them alone, one after the other
        run = scrape("smile", "--pages", "2", "--workers", "1")
        assert run.code == 1
        assert run.err.strip().splitlines()[-1] == "Not everything went well: 8 cut off on the way or damaged, twice."
        assert len(scrape.files()) == 12


def test_a_site_that_sends_all_pictures_cut_off_is_left_alone(scrape, server):
    server.results["smile"] = pages_of("smile", 1, 30)
    server.faults |= {f"pic{n}": Fault("cut") for n in range(1000, 1030)}
    run = scrape("smile", "--workers", "1")
    assert run.code == 1
    assert "has sent 20 damaged pictures in a row" in run.err
    assert sum(server.pictures().values()) == 20


def test_a_few_pictures_gone_are_no_alarm_but_many_are(scrape, server):
    server.faults["pic1001"] = Fault("status", 404)
    run = scrape("smile", "--pages", "3")
    assert run.code == 0
    assert "1 gone from the site (404 or 410)" in run.out
    server.faults |= {f"pic{n}": Fault("status", 404) for n in range(5000, 5012)}
    server.results["smile no"] = pages_of("smile", 3, 4, first=5000)
    run = scrape("smile no", "--pages", "3")
    assert run.code == 1
    assert "13 gone from the site" in run.err


def test_the_next_run_tries_again_what_may_have_passed_and_nothing_else(scrape, server):
    server.faults |= {"pic1001": Fault("status", 500), "pic1002": Fault("status", 403)}
    assert scrape("smile").code == 1
    tries = server.pictures()
    server.faults.clear()
    run = scrape("smile")
    assert run.code == 1, "1002 is still missing"
    assert server.pictures()["1001"] == tries["1001"] + 1
    assert server.pictures()["1002"] == tries["1002"] == 1
    assert scrape("smile", "--retry-failed").code == 0
    assert len(scrape.files()) == 4


def test_other_kinds_of_pictures_are_kept_under_their_own_suffix(scrape, server):
    server.faults["pic1001"] = Fault("png")
    assert scrape("smile").code == 0
    assert scrape.row("1001")["file"] == "smile/1001.png"
    assert cv2.imread(str(scrape.out / "smile/1001.png")).shape == (204, 306, 3)


# --- the disk ---


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(scrape, server, monkeypatch):
    real = os.fsync

    def full(number: int) -> None:
        if os.path.exists(scrape.out / "smile/1001.jpg"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    run = scrape("smile", "--workers", "1")
    assert run.code == 1
    assert "can't be written (No space left on device); free some space" in run.err
    assert scrape.files() == ["smile/1000.jpg", "smile/1001.jpg"], "no half-written file"
    monkeypatch.undo()
    assert scrape("smile").code == 0
    assert len(scrape.files()) == 4
    assert server.pictures()["1000"] == 1


@pytest.mark.parametrize("blocks", [8, 24, 60, 80])
def test_a_disk_that_really_refuses_to_hold_more(scrape, server, blocks):
    """A limit on the size of a file, of so many KiB, hits the pictures or the table, wherever it is reached first."""
    command = f"ulimit -f {blocks}; exec {sys.executable} getty_scraper.py smile --pages 3 --i-have-permission --pause 0"
    run = subprocess.run(
        ["bash", "-c", f"{command} --out {scrape.out} --site {server.url}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment(),
    )
    assert "Traceback" not in run.stderr
    if run.returncode:
        assert "free some space" in run.stderr, run.stderr
    assert scrape("smile", "--pages", "3").code == 0
    assert len(scrape.files()) == 12
    for n in range(1000, 1012):
        assert (scrape.out / f"smile/{n}.jpg").read_bytes() == jpeg(n)


def test_a_damaged_table_is_one_sentence(scrape):
    scrape("smile")
    (scrape.out / "manifest.sqlite3").write_bytes(b"not a table" * 1000)
    run = scrape("smile")
    assert run.code == 2
    assert "is damaged" in run.err
    assert len(run.err.strip().splitlines()) == 1


def test_a_folder_where_nobody_may_write_is_one_sentence(scrape, tmp_path):
    (tmp_path / "images").write_text("a file")
    run = scrape("smile")
    assert run.code == 2
    assert "can't be made" in run.err
