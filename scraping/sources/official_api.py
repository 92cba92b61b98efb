"""The official API, for users with a key: the same results with more metadata, and with Getty's consent."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from common.errors import FetchError, ScrapingStopped, SettingsError
from scraping.asking.assets import Asset, Page, Query, clean_id, clean_text, clean_url
from scraping.asking.exchange import host_of
from scraping.asking.politeness import PoliteClient

API = "https://api.gettyimages.com"
PAGE_SIZE = 100  # the most that the API gives at once

# Largest first: a comp is a picture of 612 px or more to try a layout with.
_DISPLAY_SIZES = ("high_res_comp", "comp", "preview", "thumb")
_SORT_ORDERS = {"newest": "newest", "mostpopular": "most_popular"}


class OfficialApi:
    """The API at `api` as a Source. The key goes only into the header of its own requests."""

    name = "api"
    page_size = PAGE_SIZE

    def __init__(self, client: PoliteClient, query: Query, key: str, api: str = API) -> None:
        self._client = client
        self._query = query
        self._key = key
        self._url = f"{api.rstrip('/')}/v3/search/images/{query.family}"

    def page(self, term: str, number: int, promised: int | None = None) -> Page:
        options: dict[str, Any] = {
            "phrase": term,
            "page": number,
            "page_size": PAGE_SIZE,
            "fields": "detail_set,display_set",
        }
        if self._query.people != "any":
            options["number_of_people"] = self._query.people
        if self._query.sort in _SORT_ORDERS:
            options["sort_order"] = _SORT_ORDERS[self._query.sort]
        url = f"{self._url}?{urlencode(options)}"
        try:
            # robots.txt is for programs that follow links, and a key is an invitation. The key must not follow a redirect
            # either.
            headers = {"Api-Key": self._key, "Accept": "application/json"}
            answer = self._client.get(url, headers=headers, robots=False, redirects=False)
        except FetchError as error:
            raise ScrapingStopped(self._explain(error)) from error
        page = self._parse(answer.body)
        last_page = promised if page.last_page is None else page.last_page
        if not page.assets and last_page is not None and last_page >= number:
            raise ScrapingStopped(
                f"{host_of(self._url)} shows no picture on page {number} of {last_page}; run the same command again later."
            )
        return page

    def _parse(self, body: bytes) -> Page:
        try:
            content = json.loads(body)
            cards = [_read_image(image) for image in content["images"]]
            last_page = _last_page(content.get("result_count"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ScrapingStopped(
                f"The answer of {host_of(self._url)} does not look like the API's; "
                f"scraping/sources/official_api.py must learn to read it."
            ) from error
        found: dict[str, Asset] = {}
        for asset in cards:
            if asset is not None:
                found.setdefault(asset.id, asset)
        if cards and not found:
            raise ScrapingStopped(
                f"None of the {len(cards)} pictures that {host_of(self._url)} offers has an address; "
                f"ask Getty Images whether your key may see display sizes."
            )
        return Page(tuple(found.values()), unusable=cards.count(None), layout="api", last_page=last_page)

    def _explain(self, error: FetchError) -> str:
        host = host_of(self._url)
        if str(error) in ("HTTP 401", "HTTP 403"):
            return f"{host} does not accept this API key ({error}); check --api-key-file or GETTY_API_KEY."
        if error.kind == "other_host":
            return f"{error} and not on the site; allow that host with --allow-host."
        return f"{host} gives no results ({error}); run the same command again later."


def read_key(text: str, origin: str) -> str:
    """The key in a file or variable. Raises SettingsError, without showing the text, if it can't be a key."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key or len(key) > 500:
        raise SettingsError(f"There is no API key in {origin}; it must be one word, as Getty Images gave it to you.")
    return key


def _last_page(results: object) -> int | None:
    return -(-results // PAGE_SIZE) if type(results) is int and results >= 0 else None


def _read_image(image: dict[str, Any]) -> Asset | None:
    identity = clean_id(image["id"])
    sizes = {size.get("name", ""): size.get("uri") for size in image.get("display_sizes") or ()}
    ranked = sorted(sizes, key=lambda name: _DISPLAY_SIZES.index(name) if name in _DISPLAY_SIZES else len(sizes) + 9)
    url = next((address for name in ranked if (address := clean_url(sizes[name]))), None)
    if identity is None or url is None:
        return None
    pages = [
        place.get("uri") for place in image.get("referral_destinations") or () if "getty" in str(place.get("site_name"))
    ]
    return Asset(
        identity,
        url,
        caption=clean_text(image.get("caption") or image.get("title")),
        creator=clean_text(image.get("artist")),
        credit=clean_text(image.get("credit_line") or image.get("collection_name")),
        licence=clean_text(image.get("license_model")),
        licence_page=next((page for page in map(clean_url, pages) if page), ""),
        uploaded=clean_text(image.get("date_submitted") or image.get("date_created")),
    )
