"""The scraper's command line: what it asks for first, refuses, shows and reports."""

import os
import re
import socket
import struct
import subprocess
import sys

import pytest

from scraping.manifest import Manifest
from tests.getty_pages import pages_of
from tests.getty_server import Fault, GettyServer
from tests.project import ROOT, clean_environment

pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 4), "no smile": pages_of("no smile", 2, 4, first=2000)}) as server:
        yield server


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
    assert len(run.stdout) == 1, "the reader got something before it left"
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
