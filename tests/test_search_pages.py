"""The three layouts of the search pages and the answers of the API, as they are told apart and read."""

import json

import pytest

from common.errors import ScrapingStopped
from scraping.asking.assets import Query, clean_id, clean_text, clean_url, folder_name
from scraping.asking.pace import Pace
from scraping.asking.politeness import PoliteClient
from scraping.sources.official_api import OfficialApi
from scraping.sources.search_pages import SearchPages, read_page
from tests.getty_pages import LAYOUTS, Card, pages_of
from tests.getty_server import GettyServer

BASE = "https://www.gettyimages.com/search/2/image?phrase=smile"


@pytest.fixture
def server():
    with GettyServer({"smile": pages_of("smile", 2, 3)}) as server:
        yield server


@pytest.fixture
def client(server):
    client = PoliteClient(server.url, Pace(0, 2), retry_pause_s=0)
    yield client
    client.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_told_by_its_content(server, client, layout):
    server.layout = layout
    page = SearchPages(client, Query(), server.url).page("smile", 1)
    assert page.layout == layout
    assert [asset.id for asset in page.assets] == ["1000", "1001", "1002"]
    first = page.assets[0]
    assert first.url == f"{server.media_url}/id/1000/photo/portrait.jpg?s=612x612&w=0&k=20&c=abc"
    assert first.caption == "smile 1000"
    assert first.licence_page.startswith(f"{server.url}/detail/photo/")
    assert first.licence_page.endswith("/1000")


def test_the_newest_layout_says_who_made_a_picture_and_when(server, client):
    first = SearchPages(client, Query(), server.url).page("smile", 2).assets[0]
    assert (first.creator, first.credit, first.uploaded) == ("Photographer 1003", "Getty Images", "2021-03-04T05:06:07Z")


def test_a_page_with_two_layouts_is_read_in_the_newer(server):
    card = Card("4711", 1)
    page = read_page(f"<html>{server._gallery(Card('4712', 2))}{server._microdata(card)}</html>", server.url)
    assert (page.layout, [asset.id for asset in page.assets]) == ("microdata", ["4711"])


def test_the_older_layouts_have_the_id_in_either_address():
    def thumbnail(href: str, src: str) -> str:
        return f'<a href="{href}"><img class="MosaicAsset-module__thumb___epLhd" src="{src}" alt="A&amp;B"></a>'

    for href, src in [
        ("/detail/photo/smiling-woman-royalty-free-image/1130829500", "https://media.gettyimages.com/x.jpg"),
        ("/somewhere", "https://media.gettyimages.com/photos/a-man-2019-picture-id1130829500?k=20&s=612x612"),
        ("/somewhere", "https://media.gettyimages.com/id/1130829500/photo/a-man.jpg?s=612x612"),
    ]:
        (asset,) = read_page(thumbnail(href, src), BASE).assets
        assert (asset.id, asset.caption) == ("1130829500", "A&B")


def test_a_thumbnail_that_waits_for_scrolling_keeps_its_address_elsewhere():
    html = (
        '<a href="/detail/photo/x/12345"><img class="gallery-asset__thumb gallery-mosaic-asset__thumb" '
        'src="data:image/gif;base64,R0lGOD" data-src="//media.gettyimages.com/photos/x-id12345"></a>'
    )
    assert read_page(html, BASE).assets[0].url == "https://media.gettyimages.com/photos/x-id12345"


@pytest.mark.parametrize("html", ["", "<html></html>", "\0\0\0", "<div class='new'>" * 5000, "{}", "<a><img src=x.jpg>"])
def test_what_is_no_page_of_results_has_no_layout(html):
    page = read_page(html, BASE)
    assert (page.assets, page.layout) == ((), "")


def test_cards_that_can_not_be_used_are_counted(server):
    good, no_id, no_url = (server._microdata(Card(str(n), n)) for n in (1001, 1002, 1003))
    no_id = no_id.replace('data-asset-id="1002"', 'data-asset-id="../../etc/passwd"')
    no_url = no_url.replace("contentUrl", "x").replace("thumbnailUrl", "y")
    page = read_page(good + no_id + no_url, server.url)
    assert ([asset.id for asset in page.assets], page.unusable) == (["1001"], 2)


def test_an_asset_twice_on_a_page_is_one(server):
    page = read_page(server._microdata(Card("1001", 1, "first")) + server._microdata(Card("1001", 1, "second")), server.url)
    assert [asset.caption for asset in page.assets] == ["first"]


def test_one_person_is_asked_for_unless_told_otherwise(server, client):
    SearchPages(client, Query(), server.url).page("smile", 1)
    SearchPages(client, Query("any", "newest", "editorial"), server.url).page("smile", 1)
    first, second = server.paths("phrase=")
    assert "numberofpeople=one" in first
    assert "sort=best" in first
    assert "family=creative" in first
    assert "numberofpeople" not in second
    assert "sort=newest" in second
    assert "family=editorial" in second


def test_a_first_page_without_cards_means_that_the_layout_changed(server, client):
    server.layout = "unknown"
    with pytest.raises(ScrapingStopped, match="layout of the site has changed"):
        SearchPages(client, Query(), server.url).page("smile", 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_page_says_how_many_there_are(server, client, layout):
    server.layout = layout
    assert SearchPages(client, Query(), server.url).page("smile", 1).last_page == 2
    server.says_last_page = False
    assert SearchPages(client, Query(), server.url).page("smile", 1).last_page is None


@pytest.mark.parametrize(
    ("html", "last_page"),
    [
        ('<span class="PaginationRow-module__lastPage___2pChH">1,024</span>', 1024),
        ('<form><input name="page" value="2"> von <b>52</b></form>', 52),
        ('<form>Pictures of 12 people <input name="page" value="2"> and 7 more</form>', None),
        ('<span class="PaginationRow-module__lastPage___2pChH"></span>', None),
        ('<span class="PaginationRow-module__lastPage___2pChH">0</span>', None),
        ("<h1>Your search for smile did not match any pictures.</h1>", 0),
        ("<p>Sorry, we couldn&rsquo;t find any matches for smile</p>", 0),
        ("<p>0 results</p>", 0),
        ("<p>1,230 images. 10 results</p>", None),
        ("<title>no results</title><body><script>'no results'</script><!-- no results --><p>Are you a robot?</p>", None),
    ],
)
def test_only_what_is_said_of_the_end_is_taken_for_it(html, last_page):
    page = read_page(html, BASE)
    assert (page.assets, page.last_page) == ((), last_page)


@pytest.mark.parametrize("end", ["empty", "again", "gone"])
@pytest.mark.parametrize("says_last_page", [True, False])
def test_a_page_past_the_end_has_no_assets(server, client, end, says_last_page):
    server.past_the_end, server.says_last_page = end, says_last_page
    page = SearchPages(client, Query(), server.url).page("smile", 3, promised=2)
    assert (page.assets == ()) == (end != "again" or says_last_page)


def test_a_page_that_says_less_than_was_promised_is_no_end(server, client):
    """Such as a page that is not there for a while; but what its own pager says holds."""
    server.past_the_end, server.says_last_page = "gone", False
    pages = SearchPages(client, Query(), server.url)
    with pytest.raises(ScrapingStopped, match=r"HTTP 404.*though there are 5 pages"):
        pages.page("smile", 3, promised=5)
    server.past_the_end = "empty"
    with pytest.raises(ScrapingStopped, match="does not say that the results end, though there are 5 pages"):
        pages.page("smile", 3, promised=5)
    server.says_last_page = True
    assert pages.page("smile", 3, promised=5).assets == ()


def test_a_page_most_of_whose_cards_can_not_be_read_is_no_success(server, client):
    server.results["smile"][0][:2] = [Card("!!", 1), Card("??", 2)]
    with pytest.raises(ScrapingStopped, match="2 of 3 pictures"):
        SearchPages(client, Query(), server.url).page("smile", 1)


# --- the API ---


def test_the_api_gives_the_same_assets_and_more_of_their_licence(server, client):
    server.key = "secret-key"
    page = OfficialApi(client, Query(), "secret-key", server.url).page("smile", 1)
    first = page.assets[0]
    assert (first.id, first.creator, first.licence) == ("1000", "Photographer 1000", "royaltyfree")
    assert "/photo/portrait.jpg" in first.url, "the comp, not the thumbnail"
    assert first.licence_page == f"{server.url}/detail/photo/portrait/1000"
    (path,) = server.paths("/v3/")
    assert path.startswith("/v3/search/images/creative?phrase=smile&page=1&page_size=100")
    assert "number_of_people=one" in path
    assert page.last_page == 2
    assert OfficialApi(client, Query(), "secret-key", server.url).page("smile", 3).assets == ()


def test_an_empty_page_of_the_api_before_the_end_is_an_interruption(server, client):
    api = OfficialApi(client, Query(), "k", server.url)
    server.results["smile"][0] = []
    with pytest.raises(ScrapingStopped, match="shows no picture on page 1 of 2; run the same command again later"):
        api.page("smile", 1)
    server.says_last_page = False
    with pytest.raises(ScrapingStopped, match="page 3 of 5"):
        api.page("smile", 3, promised=5)
    assert api.page("smile", 3).assets == ()


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"images": 3}', b'{"images": [3]}', b'{"images": [{}]}', b"<html>"])
def test_an_answer_that_is_not_the_api_s_is_said_to_be_so(client, server, answer):
    with pytest.raises(ScrapingStopped, match="does not look like the API's"):
        OfficialApi(client, Query(), "k", server.url)._parse(answer)


def test_an_api_that_shows_no_picture_is_said_to_do_so(client, server):
    answer = json.dumps({"images": [{"id": "1234", "display_sizes": []}]}).encode()
    with pytest.raises(ScrapingStopped, match="None of the 1 pictures"):
        OfficialApi(client, Query(), "k", server.url)._parse(answer)


# --- what a stranger's page may not do ---


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../1234",
        "a/1234",
        "1234/../..",
        "con",
        "com1",
        "1234.jpg",
        "12 34",
        "\n1234\n/",
        "x" * 99,
        None,
        [],
        "١٢٣٤",
    ],
)
def test_what_is_no_id_is_no_file_name(text):
    assert clean_id(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("1199241887", "1199241887"), (83454804, "83454804"), ("DV520008", "dv520008")]
)
def test_ids_are_file_names(text, expected):
    assert clean_id(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("file:///etc/passwd", "javascript:alert(1)", "data:image/png;base64,xx", "http://", "ftp://a/b", "http://a b/"),
        *("http://user:secret@www.gettyimages.com/", "http://[::1", "http://a:99999/", "x" * 3000, "http://a/\x00", None),
    ],
)
def test_what_is_no_address_is_not_asked_for(text):
    assert clean_url(text, BASE) is None


def test_addresses_may_be_relative():
    assert clean_url("/a.jpg#x", BASE) == "https://www.gettyimages.com/a.jpg"


def test_texts_are_one_line_without_control_characters():
    assert clean_text("  a\n\tb\0\x1b[31m \u202ec ") == "a b [31m c"
    assert clean_text(None) == ""
    assert len(clean_text("x" * 10_000)) == 2000


def test_a_term_becomes_a_folder():
    assert folder_name("no smile") == "no_smile"
    assert folder_name("  Lächeln / Grinsen ") == "lächeln_grinsen"
    assert folder_name("../..etc") == "etc"
