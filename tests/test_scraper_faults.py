"""What goes wrong out there is counted and explained; it neither ends the run with a traceback nor passes for success."""

import contextlib
import errno
import os
import re
import sqlite3
import subprocess
import sys

import cv2
import numpy as np
import pytest

from common.errors import FetchError
from pictures.perceptual_hash import perceptual_hash
from scraping.asking.problems import REASONS
from scraping.checking import check_picture
from tests.conftest import ROOT, clean_environment
from tests.getty_server import Card, Fault, GettyServer, jpeg, pages_of
from tests.scraper_runs import QuickClock, Scraper

pytestmark = pytest.mark.slow(30)


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 3, 4)}) as server:
        yield server


@pytest.fixture
def scrape(server, tmp_path, capsys):
    return Scraper(server, tmp_path / "images", capsys)


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
    (Fault("trickle"), "timeout", "not complete after 0.6 s"),
    (Fault("reset"), "connection", "no connection, or it was lost"),
]


@pytest.mark.parametrize(("fault", "reason", "message"), FAULTS, ids=lambda value: getattr(value, "kind", None))
def test_a_picture_that_can_not_be_had_is_counted_and_explained(scrape, server, fault, reason, message):
    server.faults["pic1001"] = fault
    run = scrape("smile", "--timeout", "0.2" if reason == "timeout" else "20")
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


# --- the site as a whole ---


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
def test_a_page_that_can_not_be_had_stops_the_run_with_a_sentence(scrape, server, fault, sentence):
    server.faults["page2"] = fault
    run = scrape("smile", "--pages", "3", "--timeout", "0.2" if fault.kind == "silent" else "20")
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


# --- pictures ---


def test_a_whole_jpeg_is_one_to_its_end_marker():
    data = jpeg(5)
    assert check_picture(data).size == len(data)
    assert check_picture(data + b"and more").suffix == ".jpg", "cameras append things"
    for end in (len(data) - 1, len(data) - 2, len(data) // 2, 700):
        with pytest.raises(FetchError, match="cut off"):
            check_picture(data[:end])


def test_the_end_of_an_embedded_preview_is_not_the_end_of_the_picture():
    preview = jpeg(6, size=(64, 64))
    data = jpeg(5)
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    with_preview = data[:2] + segment + data[2:]
    assert check_picture(with_preview).width == 306
    with pytest.raises(FetchError, match="cut off"):
        check_picture(with_preview[: len(segment) + 5000])


def test_a_progressive_jpeg_with_restart_markers_is_whole(astronaut):
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
    data = cv2.imencode(".jpg", astronaut, options)[1].tobytes()
    assert check_picture(data).height == 512
    with pytest.raises(FetchError, match="cut off"):
        check_picture(data[:-2000])


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_other_pictures_are_whole_or_cut_off(suffix, astronaut):
    data = cv2.imencode(suffix, astronaut)[1].tobytes()
    assert check_picture(data).suffix == suffix
    with pytest.raises(FetchError, match="cut off"):
        check_picture(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(100), b"%PDF-1.7", b"\xff\xd8", b"<svg/>", bytes(1000)])
def test_what_is_no_picture_is_said_to_be_none(data):
    with pytest.raises(FetchError) as caught:
        check_picture(data)
    assert caught.value.kind == "not_a_picture"


def test_the_perceptual_hash_knows_copies_from_strangers(astronaut):
    def bits(a: int, b: int) -> int:
        return (a ^ b).bit_count()

    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    own = perceptual_hash(gray)
    bad_jpeg = cv2.imdecode(cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_GRAYSCALE)
    brighter = np.clip(gray * 1.1 + 8, 0, 255).astype(np.uint8)
    for copy in (bad_jpeg, brighter, cv2.resize(gray, (300, 300), interpolation=cv2.INTER_AREA), gray[5:-5, 5:-5]):
        assert bits(own, perceptual_hash(copy)) <= 6
    for stranger in (gray[::-1], gray[:, ::-1], gray[200:, :300]):
        assert bits(own, perceptual_hash(np.ascontiguousarray(stranger))) > 12
    assert perceptual_hash(np.zeros((64, 64), np.uint8)) == 0, "a flat picture too has a hash"
