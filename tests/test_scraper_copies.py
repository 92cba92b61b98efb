"""Copies among what the scraper found: across pages, terms and runs, and among very many."""

import itertools
import tracemalloc

import numpy as np
import pytest

from scraping.duplicates import judge, near_pairs
from scraping.manifest import Kept, Verdict
from tests.getty_pages import Card, pages_of
from tests.getty_server import GettyServer
from training.data.sources import find_source, iterate_images

pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 4), "no smile": pages_of("no smile", 2, 4, first=2000)}) as server:
        yield server


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
