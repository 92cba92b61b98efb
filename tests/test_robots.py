"""robots.txt as RFC 9309 has it."""

import pytest

from scraping.asking.robots import Robots


def allows(text: str, path: str) -> bool:
    return Robots.parse(text, "DadJokesForSmiles").allows(path)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow: /", "/robots.txt", True),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: DADJOKESFORSMILES\nDisallow: /a", "/abc", False),
        ("User-agent: DadJokesForSmiles/0.1\nDisallow: /a", "/abc", False),
        # Our own group replaces the one for all, and is put together from wherever it stands.
        ("User-agent: *\nDisallow: /\n\nUser-agent: DadJokesForSmiles\nDisallow: /b", "/a", True),
        (
            "User-agent: DadJokesForSmiles\nDisallow: /a\nUser-agent: x\nDisallow: /\n"
            "User-agent: DadJokesForSmiles\nDisallow: /b",
            "/b",
            False,
        ),
        ("User-agent: x\nUser-agent: DadJokesForSmiles\nDisallow: /a", "/a", False),
        # The longest rule holds; of two equally long ones the allowing one.
        ("User-agent: *\nDisallow: /search\nAllow: /search/2/", "/search/2/image", True),
        ("User-agent: *\nAllow: /search/2/\nDisallow: /search", "/search/3", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.jpg$", "/x/y.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/x/y.jpg?s=1", True),
        ("User-agent: *\nDisallow: /*?*page=", "/photos/smile?sort=best&page=2", False),
        ("User-agent: *\nDisallow: /a$", "/a", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /a*b*c", "/aXbYcZ", False),
        ("User-agent: *\nDisallow: /a*b$", "/ab/b", False),
        ("User-agent: *\nDisallow: /%7Ejoe", "/~joe", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        ("\ufeffUSER-AGENT : *  # all\n disallow : /a # this", "/a", False),
        ("User-agent: *\nSitemap: /s\nDisallow: /a", "/a", False),
        ("Disallow: /", "/a", True),
        ("<html>Not found</html>", "/a", True),
        ("\0\xff:::\n:\nUser-agent\n", "/a", True),
    ],
)
def test_a_rule(text, path, expected):
    assert allows(text, path) is expected


def test_a_pattern_of_a_thousand_stars_is_answered():
    assert allows("User-agent: *\nDisallow: /" + "*a" * 1000 + "b$", "/" + "a" * 5000) is True


@pytest.mark.parametrize(("text", "expected"), [("10", 10), ("0.5", 0.5), ("-1", 0), ("soon", 0), ("1e9", 3600), ("nan", 0)])
def test_a_crawl_delay(text, expected):
    assert Robots.parse(f"User-agent: *\nCrawl-delay: {text}\n", "x").crawl_delay_s == expected
