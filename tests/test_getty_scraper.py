"""The scraper as its user runs it, against a real page server on loopback: what it gathers, and how it goes on."""

import hashlib
import re
import signal
import subprocess
import sys

import pytest

from benchmarks import scraper_kills
from tests.getty_pages import LAYOUTS, jpeg, pages_of
from tests.getty_server import Fault, GettyServer
from tests.project import ROOT, clean_environment
from tests.waiting import eventually
from training.data.sources import find_source, iterate_images

pytestmark = pytest.mark.slow(15)


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 4), "no smile": pages_of("no smile", 2, 4, first=2000)}) as server:
        yield server


# --- what it gathers ---


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_terms_become_two_folders_and_a_table(scrape, server, layout):
    server.layout = layout
    run = scrape("smile", "no smile", "--pages", "2")
    assert run.code == 0, run.err
    assert scrape.files() == [f"no_smile/{n}.jpg" for n in range(2000, 2008)] + [f"smile/{n}.jpg" for n in range(1000, 1008)]
    assert (scrape.out / "smile/1005.jpg").read_bytes() == jpeg(1005)
    assert [row["asset_id"] for row in scrape.table()] == [str(n) for n in (*range(1000, 1008), *range(2000, 2008))]
    row = scrape.row("1005")
    assert row["term"] == "smile"
    assert row["file"] == "smile/1005.jpg"
    assert (row["page"], row["position"]) == ("2", "2")
    assert row["caption"] == "smile 1005"
    assert row["licence_page"].endswith("/1005")
    assert row["url"].startswith(f"{server.media_url}/id/1005/")
    assert row["bytes"] == str(len(jpeg(1005)))
    assert (row["width"], row["height"]) == ("306", "204")
    assert row["sha256"] == hashlib.sha256(jpeg(1005)).hexdigest()
    assert re.fullmatch("[0-9a-f]{16}", row["phash"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["fetched_at"])
    if layout == "microdata":
        assert (row["creator"], row["credit"]) == ("Photographer 1005", "Getty Images")
    assert "smile: 2 pages, 8 found, 8 pictures in smile/" in run.out


def test_the_folders_are_what_training_reads(scrape):
    scrape("smile", "no smile", "--pages", "2")
    pictures = list(iterate_images(scrape.out, find_source(scrape.out)))
    assert sorted((picture.name, picture.smile) for picture in pictures) == sorted(
        (name, 1 if name.startswith("smile/") else 0) for name in scrape.files()
    )


def test_with_a_key_the_api_is_the_source(scrape, server, tmp_path):
    server.key = "very-secret-key"
    (tmp_path / "key.txt").write_text("very-secret-key\n")
    run = scrape("smile", "--pages", "3", "--source", "api", "--api-key-file", str(tmp_path / "key.txt"))
    assert run.code == 0, run.err
    assert scrape.files() == [f"smile/{n}.jpg" for n in range(1000, 1008)]
    assert scrape.row("1000")["licence"] == "royaltyfree"
    assert "the results end after page 2" in run.out


def test_the_key_goes_to_the_api_and_nowhere_else(scrape, server):
    server.key = "very-secret-key"
    server.faults["api"] = Fault("to_stranger", times=1)  # a redirect must not carry it away
    run = scrape("smile", "--source", "api", environ={"GETTY_API_KEY": "very-secret-key"})
    assert run.code == 1
    run2 = scrape("smile", "--source", "api", environ={"GETTY_API_KEY": "very-secret-key"})
    assert run2.code == 0
    with_key = [request.path for request in server.requests if "very-secret-key" in str(request.headers)]
    assert with_key
    assert all(path.startswith("/v3/search/images/creative?") for path in with_key)
    written = b"".join(path.read_bytes() for path in scrape.out.rglob("*") if path.is_file())
    assert "very-secret-key" not in run.out + run.err + run2.out + run2.err
    assert b"very-secret-key" not in written


def test_a_wrong_key_is_said_to_be_wrong(scrape, server):
    server.key = "right"
    run = scrape("smile", "--source", "api", environ={"GETTY_API_KEY": "wrong-key"})
    assert run.code == 1
    assert "does not accept this API key (HTTP 403)" in run.err
    assert "wrong-key" not in run.err


def test_a_term_that_the_api_does_not_know_is_no_success(scrape):
    run = scrape("grin", "smile", "--source", "api", environ={"GETTY_API_KEY": "k"})
    assert run.code == 1
    assert "nothing was found for 'grin'" in run.err
    assert len(scrape.files()) == 4


# --- going on ---


def test_nothing_is_fetched_twice(scrape, server):
    scrape("smile", "no smile", "--pages", "2")
    asked = len(server.requests)
    before = scrape.table()
    run = scrape("smile", "no smile", "--pages", "2")
    assert run.code == 0
    assert len(server.requests) == asked
    assert scrape.table() == before


def test_more_pages_and_more_terms_are_added_to_what_is_there(scrape, server):
    scrape("smile", "--pages", "1")
    scrape("smile", "no smile", "--pages", "2")
    assert set(server.pictures().values()) == {1}
    assert set(server.pages().values()) == {1}
    assert len(scrape.files()) == 16


@pytest.mark.parametrize(("end", "says_last_page"), [("empty", True), ("empty", False), ("gone", False), ("again", False)])
def test_the_end_of_the_results_is_seen_and_remembered(scrape, server, end, says_last_page):
    server.past_the_end, server.says_last_page = end, says_last_page
    run = scrape("smile", "--pages", "50")
    assert run.code == 0
    assert "the results end after page" in run.out
    assert len(scrape.files()) == 8
    asked = len(server.requests)
    assert scrape("smile", "--pages", "50").code == 0
    assert len(server.requests) == asked


def test_a_limit_holds_for_each_term_and_over_all_runs(scrape, server):
    server.faults["pic1001"] = Fault("status", 404)
    for _ in range(2):
        scrape("smile", "no smile", "--pages", "2", "--limit", "3")
        assert scrape.files() == [f"no_smile/{n}.jpg" for n in (2000, 2001, 2002)] + [
            f"smile/{n}.jpg" for n in (1000, 1002, 1003)
        ]
    assert set(server.pages()) == {("smile", 1), ("no smile", 1)}
    scrape("smile", "--pages", "2", "--limit", "5")
    assert sum(name.startswith("smile/") for name in scrape.files()) == 5


def test_half_written_files_count_for_nothing_and_are_removed(scrape):
    (scrape.out / "smile").mkdir(parents=True)
    half = scrape.out / "smile/1000.jpg.scraper.part"
    half.write_bytes(jpeg(1000)[:3000])
    somebody_elses = scrape.out / "smile/film.mp4.part"
    somebody_elses.write_bytes(b"mine")
    assert scrape("smile").code == 0
    assert (scrape.out / "smile/1000.jpg").read_bytes() == jpeg(1000)
    assert not half.exists()
    assert somebody_elses.read_bytes() == b"mine"


def test_a_whole_file_that_a_killed_run_did_not_note_is_not_fetched_again(scrape, server):
    (scrape.out / "smile").mkdir(parents=True)
    (scrape.out / "smile/1000.jpg").write_bytes(jpeg(1000))
    (scrape.out / "smile/1001.jpg").write_bytes(b"no picture")
    assert scrape("smile").code == 0
    assert server.pictures()["1000"] == 0
    assert server.pictures()["1001"] == 1
    assert scrape.row("1000")["sha256"] == hashlib.sha256(jpeg(1000)).hexdigest()
    assert (scrape.out / "smile/1001.jpg").read_bytes() == jpeg(1001)


def test_a_picture_that_somebody_has_thrown_away_stays_away(scrape, server):
    scrape("smile")
    (scrape.out / "smile/1002.jpg").unlink()
    assert scrape("smile", "--pages", "2").code == 0
    assert "smile/1002.jpg" not in scrape.files()
    assert server.pictures()["1002"] == 1


def test_kill_minus_nine_leaves_no_trace(tmp_path):
    """A small form of `python -m benchmarks.scraper_kills`."""
    with scraper_kills.make_server(pages=3, size=10) as server:
        whole = scraper_kills.undisturbed(server, tmp_path / "undisturbed")
    with scraper_kills.make_server(pages=3, size=10) as server:
        broken = scraper_kills.killed(server, tmp_path / "killed", 4, 3, whole.requests)
    assert len(whole.rows) > 50
    assert broken.rows == whole.rows
    assert broken.files == whole.files
    assert broken.again == []
    assert broken.kills[0] < whole.requests, "at least one kill came in the middle"


def test_ctrl_c_is_one_sentence_and_the_same_command_goes_on(scrape, server):
    server.faults["pic1002"] = Fault("silent")
    command = [sys.executable, "getty_scraper.py", "smile", "--out", str(scrape.out), "--site", server.url, "--pause", "0"]
    process = subprocess.Popen(
        [*command, "--i-have-permission"], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )
    eventually((scrape.out / "smile/1003.jpg").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("Stopped. What was fetched is in ")
    assert "Traceback" not in err
    server.faults.clear()
    assert scrape("smile").code == 0
    assert len(scrape.files()) == 4
