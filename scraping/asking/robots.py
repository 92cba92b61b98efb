"""Read robots.txt by RFC 9309: the group for us, the longest matching rule, `*` and `$` in paths.

    >>> Robots.parse("User-agent: *\\nDisallow: /search\\nAllow: /search/2", "DadJokesForSmiles").allows("/search/2/image")
    True

Python's own urllib.robotparser takes the first matching rule, not the longest, and does not know `*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

_LONGEST_DELAY_S = 3600.0


@dataclass(frozen=True)
class Robots:
    """What one site allows. `rules`: `(path pattern, allowed)`; `crawl_delay_s`: the pause that it asks for, which is not in
    the RFC but common.
    """

    rules: tuple[tuple[str, bool], ...] = ()
    crawl_delay_s: float = 0.0

    @classmethod
    def parse(cls, text: str, agent: str) -> Robots:
        """The rules for `agent`, a product name; if there are none, those for `*`. Never raises."""
        groups: dict[str, list[tuple[str, str]]] = {}
        named: list[str] = []
        in_rules = False
        for line in text.lstrip("\ufeff").splitlines():
            key, colon, value = line.partition("#")[0].partition(":")
            key, value = key.strip().lower(), value.strip()
            if not colon:
                continue
            if key == "user-agent":
                if in_rules:
                    named, in_rules = [], False
                token = re.match(r"[a-z_-]+|\*|", value.lower())
                named.append(token[0] if token else "")
                groups.setdefault(named[-1], [])
            elif key in ("allow", "disallow", "crawl-delay"):
                in_rules = True
                for name in named:
                    groups[name].append((key, value))
        lines = groups.get(agent.lower(), groups.get("*", []))
        rules = tuple((_normal(value), key == "allow") for key, value in lines if key != "crawl-delay" and value)
        return cls(rules, max((_seconds(value) for key, value in lines if key == "crawl-delay"), default=0.0))

    def allows(self, path: str) -> bool:
        """Whether `path`, with its query, may be asked for. Of two equally long rules the one that allows holds."""
        if path == "/robots.txt":
            return True
        path = _normal(path)
        best = (-1, True)
        for pattern, allowed in self.rules:
            if _matches(pattern, path):
                best = max(best, (len(pattern), allowed))
        return best[1]


ALLOW_ALL = Robots()


def _normal(path: str) -> str:
    """The path with the same letters always written the same way, so that `/%7Ea` and `/~a` are one path."""
    return quote(unquote_to_bytes(path.replace("%2F", "%252F").replace("%2f", "%252F")), safe="/*$?&=%:;,@!'()+~-._")


def _matches(pattern: str, path: str) -> bool:
    """Matches piece by piece and never goes back, so a pattern of a thousand stars costs no more than its length."""
    anchored = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    last = others.pop() if anchored and others else None
    for piece in others:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if last is not None:
        return len(path) - len(last) >= at and path.endswith(last)
    return not anchored or at == len(path)


def _seconds(text: str) -> float:
    try:
        return min(max(0.0, float(text)), _LONGEST_DELAY_S)
    except ValueError:
        return 0.0
