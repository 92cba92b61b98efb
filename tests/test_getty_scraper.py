"""The scraper as its user runs it, against a real page server on loopback."""

import hashlib
import itertools
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from benchmarks import scraper_kills
from scraping.duplicates import judge, near_pairs
from scraping.manifest import Kept, Manifest, Verdict
from tests.conftest import ROOT, clean_environment
from tests.getty_server import LAYOUTS, Card, Fault, GettyServer, jpeg, pages_of
from tests.scraper_runs import Scraper
from tests.waiting import eventually
from training.data.sources import find_source, iterate_images

pytestmark = pytest.mark.slow(30)


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 4), "no smile": pages_of("no smile", 2, 4, first=2000)}) as server:
        yield server


@pytest.fixture
def scrape(server, tmp_path, capsys):
    return Scraper(server, tmp_path / "images", capsys)


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


# --- copies ---


def test_copies_are_found_across_pages_and_terms(scrape, server):
    smile, neutral = server.results["smile"], server.results["no smile"]
    smile[1][0] = smile[0][0]  # the same asset on two pages
    smile[1][1] = Card("3001", 1001)  # the same bytes under another id
    smile[1][2] = Card("3002", 1002, quality=50)  # the same picture in other bytes
    neutral[0][0] = smile[0][3]  # the same asset under both terms
    neutral[0][1] = Card("3003", 1007)  # the same bytes under both terms
    neutral[0][2] = Card("3004", 1003, quality=50)  # the same picture under both terms, as 1003 is already
    run = scrape("smile", "no smile", "--pages", "2")
    assert run.code == 0, run.err
    assert "1 listed on several pages, 1 under several terms; 2 exact copies under another id, 2 near copies" in run.out
    assert set(server.pictures().values()) == {1}, "each asset is fetched once, however often it is listed"
    assert (scrape.row("3001")["copy_of"], scrape.row("3001")["file"]) == ("1001", "set_apart/3001.jpg")
    assert (scrape.row("3002")["near_copy_of"], scrape.row("3002")["file"]) == ("1002", "smile/3002.jpg")
    assert scrape.row("1001")["file"] == "smile/1001.jpg"
    contested = [row["asset_id"] for row in scrape.table() if row["set_apart"] == "found under several terms"]
    assert contested == ["1003", "1007", "3003", "3004"]
    assert scrape.row("1003")["other_terms"] == "no smile"
    apart = [name for name in scrape.files() if name.startswith("set_apart/")]
    assert apart == [f"set_apart/{n}.jpg" for n in (1003, 1007, 3001, 3003, 3004)]
    read = [picture.name for picture in iterate_images(scrape.out, find_source(scrape.out))]
    assert not {name.partition("/")[2] for name in apart} & {name.partition("/")[2] for name in read}


def test_a_second_term_in_a_later_run_contests_what_the_first_found(scrape, server):
    server.results["no smile"][0][0] = server.results["smile"][0][2]
    scrape("smile")
    assert "smile/1002.jpg" in scrape.files()
    scrape("no smile")
    assert "set_apart/1002.jpg" in scrape.files()
    assert "smile/1002.jpg" not in scrape.files()


def test_what_a_term_lists_only_later_is_contested_all_the_same(scrape, server):
    server.results["smile"][1][0] = server.results["no smile"][0][2]
    scrape("smile")
    scrape("no smile")
    assert "no_smile/2002.jpg" in scrape.files()
    scrape("smile", "--pages", "2")
    assert "set_apart/2002.jpg" in scrape.files()
    assert "no_smile/2002.jpg" not in scrape.files()
    assert scrape.row("2002")["file"] == "set_apart/2002.jpg"
    assert (scrape.row("2002")["term"], scrape.row("2002")["other_terms"]) == ("no smile", "smile")
    assert server.pictures()["2002"] == 1


def test_near_pairs_are_those_of_a_plain_comparison():
    rng = np.random.default_rng(5)
    values = [int(value) for value in rng.integers(0, 2**63, 1500)]
    values[1200] = values[3] ^ 0b111
    values[1499] = values[1100] ^ (1 << 62)
    expected = {(i, j) for i, j in itertools.combinations(range(len(values)), 2) if (values[i] ^ values[j]).bit_count() <= 6}
    assert {(int(i), int(j)) for i, j in near_pairs([f"{value:016x}" for value in values])} == expected
    assert (3, 1200) in expected
    assert (1100, 1499) in expected
    assert near_pairs([]).shape == (0, 2)


def test_thousands_of_pictures_are_compared_a_part_at_a_time():
    hashes = [f"{value:016x}" for value in np.random.default_rng(6).integers(0, 2**63, 20_000)]
    tracemalloc.start()
    try:
        near_pairs(hashes)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_a_picture_that_a_site_gives_ten_thousand_times_is_judged_once():
    """Such as the one that says that there is no picture."""
    pictures = [Kept(str(i), "smile", ".jpg", "same", "00ff", ("smile",)) for i in range(10_000)]
    near = Kept("near", "no_smile", ".jpg", "other", "00fe", ("no smile",))
    tracemalloc.start()
    try:
        verdicts = judge([*pictures, near])
        assert tracemalloc.get_traced_memory()[1] < 100e6, "not a pair for each two of them"
    finally:
        tracemalloc.stop()
    assert verdicts["0"] == Verdict("found under several terms")
    assert verdicts["9999"] == Verdict("found under several terms", copy_of="0")
    assert verdicts["near"] == Verdict("found under several terms", near_copy_of="0")


# --- asking first ---


def test_without_permission_no_page_is_read(scrape, server):
    run = scrape("smile", "--without-permission")
    assert run.code == 2
    assert "https://www.gettyimages.com/company/terms" in run.err
    assert "--i-have-permission" in run.err
    assert len(run.err.strip().splitlines()) == 1
    assert server.requests == []
    assert not scrape.out.exists()


def test_the_terms_are_named_in_every_run(scrape):
    assert "https://www.gettyimages.com/company/terms" in scrape("smile").err


def test_a_dry_run_says_what_would_be_fetched_and_writes_nothing(scrape, server):
    run = scrape("smile", "no smile", "--pages", "2", "--limit", "6", "--dry-run")
    assert run.code == 0
    assert [line.split("\t")[:2] for line in run.out.splitlines()] == [
        *(["smile", str(n)] for n in range(1000, 1006)),
        *(["no smile", str(n)] for n in range(2000, 2006)),
    ]
    assert "12 pictures would be fetched" in run.err
    assert not scrape.out.exists()
    assert server.paths("/id/") == []
    assert server.paths()[0] == "/robots.txt"


def test_a_dry_run_leaves_out_what_is_there(scrape, server):
    scrape("smile")
    before = {path: path.read_bytes() for path in scrape.out.rglob("*") if path.is_file()}
    run = scrape("smile", "--pages", "2", "--dry-run")
    assert [line.split("\t")[1] for line in run.out.splitlines()] == ["1004", "1005", "1006", "1007"]
    assert {path: path.read_bytes() for path in scrape.out.rglob("*") if path.is_file()} == before
    assert server.pages()["smile", 1] == 1


def test_a_second_run_into_the_same_folder_is_refused(scrape, server):
    scrape("smile")
    settings = {"source": "pages", "site": server.url, "people": "one", "sort": "best", "family": "creative"}
    manifest = Manifest.open(scrape.out, settings)
    asked = len(server.requests)
    try:
        for words in (["smile"], ["smile", "--dry-run"]):
            run = scrape(*words)
            assert run.code == 2
            assert "Another run is gathering pictures" in run.err
            assert len(run.err.strip().splitlines()) == 1
    finally:
        manifest.close()
    assert len(server.requests) == asked
    assert scrape("smile").code == 0


def test_another_kind_of_search_needs_another_folder(scrape):
    scrape("smile")
    run = scrape("smile", "--sort", "newest")
    assert run.code == 2
    assert "was gathered with sort best" in run.err
    assert scrape("smile", "--source", "api", environ={"GETTY_API_KEY": "k"}).code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["...", "smile"], "can't be the name of a folder"),
        (["set apart"], "can't be the name of a folder"),
        (["no smile", "no-smile"], "share a folder"),
        (["smile", "--pages", "0"], "--pages must be from 1 to 1000"),
        (["smile", "--limit", "0"], "--limit must be from 1"),
        (["smile", "--workers", "99"], "--workers must be from 1 to 8"),
        (["smile", "--timeout", "0"], "--timeout must be from 0.1"),
        (["smile", "--pause", "nan"], "--pause must be from 0"),
        (["smile", "--site", "file:///etc"], "is not the address of a site"),
        (["smile", "--site", "www.gettyimages.com"], "is not the address of a site"),
        (["smile", "--site", "https://www.gettyimages.com", "--pause", "0"], "--pause must be from 0.5"),
        (["smile", "--source", "api"], "The API needs a key"),
        (["smile", "--source", "api", "--api-key-file", "/not/there"], "can't be read"),
        (["smile", "--source", "api", "--api", "http://api.gettyimages.com"], "unprotected"),
        (["smile", "--source", "telepathy"], "invalid choice"),
        ([], "required: TERM"),
        (["smile", "--out", "/dev/null/x"], "can't be made"),
        (["smile\udcff"], "can't be searched for"),
        (["smile\nagain"], "can't be searched for"),
        *((["smile", "--allow-host", host], "a host's bare name") for host in ("http://a.com/", "a.com:80", "*", "")),
    ],
)
def test_what_can_not_be_done_is_one_sentence(scrape, server, words, sentence):
    run = scrape(*words)
    assert run.code == 2
    assert sentence in run.err
    if "usage:" not in run.err:
        assert len(run.err.strip().splitlines()) == 1
    assert server.requests == []


def test_a_key_that_is_none_is_not_shown(scrape, tmp_path):
    (tmp_path / "key.txt").write_text("two words\nand more")
    run = scrape("smile", "--source", "api", "--api-key-file", str(tmp_path / "key.txt"))
    assert run.code == 2
    assert "two words" not in run.err


def test_it_starts_as_a_program_and_explains_itself():
    help_text = subprocess.run(
        [sys.executable, "getty_scraper.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    ).stdout
    assert "--i-have-permission" in help_text
    assert "python -m training.dataset images" in help_text


def test_a_dry_run_whose_reader_leaves_is_no_error(server, tmp_path):
    command = (
        f"{sys.executable} getty_scraper.py smile --dry-run --i-have-permission --pause 0 --site {server.url} | head -c 1"
    )
    run = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in run.stderr
    assert "BrokenPipe" not in run.stderr


def run_in_a_shell(command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment()
    )


def test_a_reader_who_leaves_does_not_make_a_bad_run_a_good_one(server, tmp_path):
    server.faults["pic1001"] = Fault("status", 403)
    command = f"{sys.executable} getty_scraper.py smile --i-have-permission --pause 0 --site {server.url} --out {tmp_path}"
    run = run_in_a_shell(f"{command} | true; exit ${{PIPESTATUS[0]}}")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("Not everything went well: 1 refused by the site")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_report_that_nobody_can_write_is_said(server, tmp_path):
    command = f"{sys.executable} getty_scraper.py smile --i-have-permission --pause 0 --site {server.url} --out {tmp_path}"
    run = run_in_a_shell(f"{command} > /dev/full")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "Not everything went well: the report can't be written (No space left on device)."
    assert "Traceback" not in run.stderr


def test_a_long_term_in_any_script_has_a_folder(scrape, server):
    term = "\u7b11" * 100  # 300 bytes
    server.results[term] = pages_of("smile", 1, 2)
    assert scrape(term).code == 0
    assert len(scrape.files()) == 2


def test_no_one_there_is_said(scrape):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        run = scrape("smile", "--site", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert run.code == 1
    assert "can't be read (no connection, or it was lost)" in run.err


def test_a_bar_shows_counts_and_the_time_left(server, tmp_path):
    """On a terminal, which a pseudo-terminal is."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    options = ["--pages", "2", "--i-have-permission", "--pause", "0.1", "--site", server.url, "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "getty_scraper.py", "smile", *options], cwd=ROOT, stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:  # the other side is gone
            break
        if not chunk:
            break
        shown += chunk
    os.close(mine)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "8/8" in text
    assert "page 2 of 2" in text
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", text), "time gone and time left"


def test_it_needs_neither_flask_nor_what_trains():
    code = "import sys, getty_scraper; print({'flask', 'tensorflow', 'sklearn', 'scipy', 'joblib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "set()", run.stderr
