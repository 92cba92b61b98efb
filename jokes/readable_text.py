"""Make a joke service's text readable: no markup, and nothing that moves or hides other letters.

>>> readable("Salt &amp; pepper\\u202e")
'Salt & pepper'
"""

from __future__ import annotations

import html
import unicodedata

_JOINERS = "\u200c\u200d"  # of Persian words and of emoji
_TAGS = range(0xE0020, 0xE0080)  # of emoji flags
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs without ink


def readable(text: str) -> str:
    """`text` in one line, with HTML entities decoded once, without control, bidirectional and other invisible characters.

    Empty if nothing visible is left.
    """
    kept = "".join(letter for letter in " ".join(html.unescape(text).split()) if _is_kept(letter))
    return " ".join(kept.split()) if any(_is_seen(letter) for letter in kept) else ""


def _is_kept(letter: str) -> bool:
    if letter in _JOINERS or ord(letter) in _TAGS:
        return True
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LNPS" and letter not in _BLANK
