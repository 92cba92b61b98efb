import email.utils
import functools
import json
import time

import pytest

from common.errors import JokeUnavailable
from jokes.box import JokeBox
from jokes.sources import fetch_joke
from tests.loopback import http_server
from tests.waiting import PATIENCE_S


@pytest.fixture
def service():
    """A joke service that answers with `text`, or with `status` and `headers`; `asked` counts."""

    class Service:
        text = ""
        status = 200
        headers: dict[str, str] = {}  # noqa: RUF012
        asked = 0
        url = ""

        def __call__(self, request) -> None:
            self.asked += 1
            request.send_response(self.status)
            for name, value in self.headers.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(json.dumps({"id": "x", "joke": self.text}).encode())

    one = Service()
    with http_server(one) as port:
        one.url = f"http://127.0.0.1:{port}/"
        yield one


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\x00b\x1b[31mc\x07 d", "ab[31mc d"),
        ("right \u202eto left\u202c \u2066x\u2069\u200f\u061c.", "right to left x."),
        ("soft\u00adly \u200bby\ufeff\u2060", "softly by"),
        ("line\u2028next\u2029one\x85two", "line next one two"),
        ("Salt &amp; pepper &quot;walk&#39;s&quot;", 'Salt & pepper "walk\'s"'),
        ("once: &amp;lt;b&amp;gt;", "once: &lt;b&gt;"),
        ("&#x202e;evil&#0;&#7;", "evil\ufffd"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
        ),
        ("\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
    ],
)
def test_a_joke_is_only_what_can_be_read(service, text, told):
    service.text = text
    assert fetch_joke(service.url, timeout=PATIENCE_S).text == told


@pytest.mark.parametrize(
    "text", ["\u200b\u200d\u2060", "\u202e\u202c", "\u3164\u115f\uffa0", "\u2800", "\xa0\u3000", "&#8203;", "\u0301\ufe0f"]
)
def test_text_of_nothing_but_invisible_characters_is_no_joke(service, text):
    service.text = text
    with pytest.raises(JokeUnavailable):
        fetch_joke(service.url, timeout=PATIENCE_S)


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_says_when_to_come_back_is_left_in_peace_until_then(service, status, monkeypatch):
    monkeypatch.setattr("jokes.box.fetch_joke", functools.partial(fetch_joke, timeout=PATIENCE_S))
    service.status = status
    for value, seconds in (
        ("3600", 3600),
        (email.utils.formatdate(time.time() + 3600, usegmt=True), 3600),
        ("999999999", 86_400),
        ("soon", 5),
        ("-7", 5),
        ("1", 5),
    ):
        service.headers = {"Retry-After": value}
        box = JokeBox(service.url)
        assert box._fetch() == pytest.approx(seconds, abs=PATIENCE_S if "GMT" in value else 0.01)
        box.close()
