"""What robots.txt allows us (RFC 9309), read by Protego, the parser that Scrapy uses.

    >>> Robots.parse("User-agent: *\\nDisallow: /search\\nAllow: /search/2", "DadJokesForSmiles").allows("/search/2/image")
    True

Python's own urllib.robotparser takes the first matching rule, not the longest, and does not know `*`.
"""

from __future__ import annotations

import re

from protego import Protego

_LONGEST_DELAY_S = 3600.0
# The RFC lets a name be followed by a version, which says nothing here; Protego takes it for a part of the name.
_VERSION = re.compile(r"(?im)^(\s*user-agent\s*:\s*[a-z_-]+)/\S*")


class Robots:
    """What one site allows."""

    def __init__(self, rules: Protego, agent: str) -> None:
        self._rules = rules
        self._agent = agent.lower()

    @classmethod
    def parse(cls, text: str, agent: str) -> Robots:
        """The rules for `agent`, a product name; those for `*` where there are none for it. Never raises."""
        return cls(Protego.parse(_VERSION.sub(r"\1", text.lstrip("\ufeff"))), agent)

    @property
    def crawl_delay_s(self) -> float:
        """A pause that the site asks for, which is no part of the RFC but often written; at most an hour."""
        return min(self._rules.crawl_delay(self._agent) or 0.0, _LONGEST_DELAY_S)

    def allows(self, path: str) -> bool:
        """Whether `path`, with its query, may be asked for; of two equally long rules the allowing one holds."""
        return self._rules.can_fetch(path, self._agent)


ALLOW_ALL = Robots.parse("", "")
