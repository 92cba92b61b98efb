"""The public search pages. Three layouts are known, newest first. A page's own content says which one it has.

    >>> read_page(html, "https://www.gettyimages.com/search/2/image?phrase=smile").layout
    'microdata'

`microdata`  cards `data-testid="galleryMosaicAsset"` with schema.org microdata
`module`     thumbnails whose class begins with `MosaicAsset-module__thumb`
`gallery`    thumbnails of class `gallery-mosaic-asset__thumb`

The end of a search is known by what a page says: the number of the last page in its pager, or that there are no results. A
page that shows no picture and says neither is an interruption, such as a check for robots or a new layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, urlencode, urlsplit

from bs4 import BeautifulSoup, Tag

from common.errors import FetchError, ScrapingStopped
from scraping.asking.assets import Asset, Page, Query, clean_id, clean_text, clean_url
from scraping.asking.exchange import Answer, host_of
from scraping.asking.politeness import PoliteClient

SITE = "https://www.gettyimages.com"
PAGE_SIZE = 60

_UNUSABLE = 0.5  # if more of a page's cards than this can't be read, the layout has changed
_NO_RESULTS = re.compile(
    r"\b(?:no|0|zero) (?:results|matches)\b|(?<![.,\d])0 (?:images|photos|pictures)\b"
    r"|\b(?:could|did|can)(?:n['\u2019]?t| not|not) find any(?:thing| results| matches| images| photos| pictures)\b"
    r"|\bsearch .{0,200}\bdid(?:n['\u2019]t| not) match\b",
    re.IGNORECASE,
)
_PAGES = re.compile(r"\D{0,20}?([1-9][0-9]{0,2}(?:[., ]?[0-9]{3})?)\D{0,20}", re.ASCII)
_ID_IN_URL = re.compile(r"(?:/id/|-id|/)(\d{3,})(?=[/?.]|$)")


def read_page(html: bytes | str, url: str, charset: str | None = None) -> Page:
    """The cards on a page. `url`: the page's address. A page of unknown layout has no assets and no `layout`."""
    soup = BeautifulSoup(html, "html.parser", from_encoding=charset if isinstance(html, bytes) else None)
    last_page = _last_page(soup)
    for name, cards_of, read in _LAYOUTS:
        cards = cards_of(soup)
        if cards:
            assets = [read(card, url) for card in cards]
            found: dict[str, Asset] = {}
            for asset in assets:
                if asset is not None:
                    found.setdefault(asset.id, asset)
            return Page(tuple(found.values()), unusable=assets.count(None), layout=name, last_page=last_page)
    if last_page is None and _says_that_there_is_nothing(soup):
        last_page = 0
    return Page((), last_page=last_page)


def _last_page(soup: BeautifulSoup) -> int | None:
    """What the pager says: `<input name="page" value="2"> of <span class="PaginationRow-module__lastPage___k">52</span>`."""
    pagers = [tag.parent for tag in soup.select('input[name="page"]')]
    for tag in (*soup.select('[class*="__lastPage"]'), *pagers):
        told = _PAGES.fullmatch(tag.get_text(" ", strip=True)) if tag is not None else None
        if told is not None:
            return int(re.sub(r"\D", "", told[1]))
    return None


def _says_that_there_is_nothing(soup: BeautifulSoup) -> bool:
    shown = (soup.body or soup).get_text(" ")  # without scripts, styles, templates and comments
    return _NO_RESULTS.search(" ".join(shown.split())) is not None


def _microdata_cards(soup: BeautifulSoup) -> list[Tag]:
    return list(soup.select('[data-testid="galleryMosaicAsset"]'))


def _read_microdata(card: Tag, base: str) -> Asset | None:
    owner = card if card.get("data-asset-id") else card.select_one("[data-asset-id]")
    identity = clean_id(owner.get("data-asset-id")) if owner is not None else None
    url = clean_url(_property(card, "contentUrl"), base) or clean_url(_property(card, "thumbnailUrl"), base)
    if identity is None or url is None:
        return None
    creator = card.select_one('[itemprop="creator"]')
    return Asset(
        identity,
        url,
        caption=clean_text(_property(card, "caption")),
        creator=clean_text(creator and (_property(creator, "name") or _value(creator))),
        credit=clean_text(_property(card, "creditText")),
        licence_page=clean_url(_property(card, "acquireLicensePage"), base) or "",
        uploaded=clean_text(_property(card, "uploadDate")),
    )


def _property(card: Tag, name: str) -> str:
    """The value of schema.org's `itemprop`, which each kind of tag keeps in another attribute."""
    found = card.select_one(f'[itemprop="{name}"]')
    return _value(found) if found is not None else ""


def _value(tag: Tag) -> str:
    for attribute in ("content", "href", "src"):
        if isinstance(value := tag.get(attribute), str):
            return value
    return tag.get_text(" ", strip=True)


def _module_cards(soup: BeautifulSoup) -> list[Tag]:
    return [image for image in soup.select("img[class]") if "MosaicAsset-module__thumb" in str(image["class"])]


def _gallery_cards(soup: BeautifulSoup) -> list[Tag]:
    return list(soup.select("img.gallery-mosaic-asset__thumb"))


def _read_thumbnail(image: Tag, base: str) -> Asset | None:
    """A card of the older layouts: a picture in a link to its own page. The id is in either address."""
    given = (clean_url(image.get(name), base) for name in ("src", "data-src"))
    url = next((address for address in given if address), None)
    if url is None:
        return None
    link = image.find_parent("a")
    page = clean_url(link.get("href"), base) if link is not None else None
    identity = _id_in(page) or _id_in(url)
    return Asset(identity, url, caption=clean_text(image.get("alt")), licence_page=page or "") if identity else None


def _id_in(url: str | None) -> str | None:
    numbers = _ID_IN_URL.findall(urlsplit(url).path) if url else []
    return clean_id(numbers[-1]) if numbers else None


_Layout = tuple[str, Callable[[BeautifulSoup], list[Tag]], Callable[[Tag, str], Asset | None]]
_LAYOUTS: tuple[_Layout, ...] = (
    ("microdata", _microdata_cards, _read_microdata),
    ("module", _module_cards, _read_thumbnail),
    ("gallery", _gallery_cards, _read_thumbnail),
)


class SearchPages:
    """The search pages of `site` as a Source."""

    name = "pages"
    page_size = PAGE_SIZE

    def __init__(self, client: PoliteClient, query: Query, site: str = SITE) -> None:
        self._client = client
        self._query = query
        self._site = site.rstrip("/")

    def page(self, term: str, number: int, promised: int | None = None) -> Page:
        page = self._read(term, number)
        more = promised is not None and promised >= number
        url = self._url(term, number)
        if page is None:
            if number == 1 or more:
                raise ScrapingStopped(
                    f"{url} is not there (HTTP 404){_promise(promised)}; run the same command again later."
                )
            return Page((), last_page=number - 1)
        if page.last_page and page.last_page < number:
            return Page((), last_page=page.last_page)  # past the end a site may show its last page again
        if page.assets or (page.last_page == 0 and not more):
            return page
        at_its_end = f"; if it shows the end, give --pages {number - 1}" if number > 1 else ""
        raise ScrapingStopped(
            f"There is no picture on {url}, and the page does not say that the results end"
            f"{_promise(page.last_page or promised)}: if a browser shows a check for robots there, run the same command "
            "again later; if it shows pictures, the layout of the site has changed, and scraping/sources/search_pages.py "
            f"must learn it{at_its_end}."
        )

    def _read(self, term: str, number: int) -> Page | None:
        """The page; None if the site does not have it."""
        url = self._url(term, number)
        try:
            answer = self._client.get(url, headers={"Accept": "text/html"}, check=_check_html)
        except FetchError as error:
            if error.kind == "gone":
                return None
            raise ScrapingStopped(_explain(error, url)) from error
        page = read_page(answer.body, answer.url, answer.charset)
        if page.unusable > _UNUSABLE * (page.unusable + len(page.assets)):
            raise ScrapingStopped(
                f"{page.unusable} of {page.unusable + len(page.assets)} pictures on {url} have no id or address that can be "
                f"used: the layout of the site has changed, and scraping/sources/search_pages.py must learn it."
            )
        return page

    def _url(self, term: str, number: int) -> str:
        """The address of a page, in the first of two forms that robots.txt allows."""
        options = {"phrase": term, "page": number, "sort": self._query.sort, "assettype": "image"}
        options |= {"family": self._query.family}
        if self._query.people != "any":
            options["numberofpeople"] = self._query.people
        asked = urlencode(options)
        urls = (
            f"{self._site}/search/2/image?{asked}",
            f"{self._site}/photos/{quote(term.replace(' ', '-'), safe='')}?{asked}",
        )
        return next((url for url in urls if self._client.robots_allow(url)), urls[0])


def _promise(pages: int | None) -> str:
    return f", though there are {pages} pages" if pages else ""


def _check_html(answer: Answer) -> None:
    if answer.kind not in ("text/html", "application/xhtml+xml", ""):
        raise FetchError("refused", f"an answer of type {answer.kind}")


def _explain(error: FetchError, url: str) -> str:
    host = host_of(url)
    if error.kind == "robots":
        return (
            f"robots.txt of {host} does not let programs read its search pages; ask the site, or use the official API "
            f"(--source api)."
        )
    if error.kind == "refused":
        return f"{host} refuses its search pages to this program ({error}); use the official API (--source api)."
    if error.kind == "other_host":
        return f"{url} leads to another site ({error}); give that site as --site, or allow it with --allow-host."
    return f"{url} can't be read ({error}); run the same command again later."
