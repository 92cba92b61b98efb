"""The pictures that a source finds, cleaned of anything harmful that a stranger's page may hold.

    >>> clean_id("../../etc/passwd"), clean_id("1199241887"), folder_name("no smile")
    (None, '1199241887', 'no_smile')

Ids become file names, terms become folder names, and URLs are asked for. Only plain ones of each kind pass.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

from common.errors import SettingsError

SET_APART = "set_apart"  # the folder for pictures of no certain class

_ID = re.compile(r"(?=.*\d{3})[a-z0-9][a-z0-9_-]{0,63}")  # three digits: no name that Windows reserves, such as com1
_LONGEST_TEXT = 2000
_LONGEST_URL = 2000
_LONGEST_NAME = 100  # bytes of a folder's name; most disks allow 255


@dataclass(frozen=True)
class Asset:
    """One picture that a source offers. `id` can be a file name, `url` is absolute, the other texts may be empty."""

    id: str
    url: str
    caption: str = ""
    creator: str = ""
    credit: str = ""
    licence: str = ""
    licence_page: str = ""
    uploaded: str = ""


@dataclass(frozen=True)
class Page:
    """One page of results, best first. `unusable`: cards without a usable id or URL; `layout`: which known layout fitted.

    `last_page`: the number of the last page as this page says it, 0 if it says that there are no results; None if it says
    nothing.
    """

    assets: tuple[Asset, ...]
    unusable: int = 0
    layout: str = ""
    last_page: int | None = None


@dataclass(frozen=True)
class Query:
    """What to ask for besides the term: `people` none, one, two, group or any; `sort` best, newest or mostpopular; `family`
    creative or editorial.
    """

    people: str = "one"
    sort: str = "best"
    family: str = "creative"


class Source(Protocol):
    """The search pages or the API, with one interface."""

    name: str
    page_size: int

    def page(self, term: str, number: int, promised: int | None = None) -> Page:
        """Page `number`, from 1, of the results for `term`; without assets if the results end before it.

        `promised`: how many pages there are, as an earlier page said. Raises ScrapingStopped if the page can't be had or
        read, or if it is empty and nothing says that the results end before it.
        """


def clean_id(text: object) -> str | None:
    """An asset id that is safe as a file name, in small letters, because some disks ignore case; else None."""
    if not isinstance(text, str | int):
        return None
    candidate = str(text).strip().lower()
    return candidate if _ID.fullmatch(candidate) else None


def clean_text(text: object) -> str:
    """One line without control characters, at most 2000 letters."""
    if not isinstance(text, str):
        return ""
    visible = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[: 4 * _LONGEST_TEXT])
    return " ".join(visible.split())[:_LONGEST_TEXT]


def clean_url(text: object, base: str = "") -> str | None:
    """An absolute http(s) URL without user name, password and fragment; None for anything else."""
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_URL:
        return None
    try:
        parts = urlsplit(urljoin(base, text.strip()))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return None
    except ValueError:
        return None
    if "@" in parts.netloc or any(letter.isspace() or not letter.isprintable() for letter in parts.geturl()):
        return None
    return urlunsplit(parts._replace(fragment=""))


def folder_name(term: str) -> str:
    """`no smile` -> `no_smile`: letters, digits and underscores. Raises SettingsError if nothing is left of the term."""
    name = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", term).lower()).strip("_")
    name = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
    if not term.isprintable():
        raise SettingsError(f"{term!r} holds letters that can't be searched for; type the search term again.")
    if not name or name == SET_APART:
        raise SettingsError(f"{term!r} can't be the name of a folder; give a search term with letters, such as smile.")
    return name
