"""Coming in by phone: what the page says about its own address, and the code that holds it."""

import re

import cv2
import numpy as np
import pytest
import segno

from camera import Camera, CameraState
from tests.shows import Show
from tests.waiting import eventually
from web.phone_routes import qr_code

FOLD = re.compile(r'<details id="phones".*?</details>', re.S)
CODE = "/qr.svg"


def said(client, address: str, **headers: str) -> str:
    page = client.get("/", base_url=address, headers=headers).text
    fold = FOLD.search(page)
    return re.sub(r"\s+", " ", fold[0]) if fold else ""


@pytest.mark.parametrize(
    "address", ["http://localhost:5000", "http://127.0.0.1", "http://127.0.0.9:80", "https://[::1]:5000", "http://0.0.0.0"]
)
def test_nothing_is_said_where_only_this_computer_reaches_the_address(make_client, address):
    client = make_client(host="0.0.0.0")
    assert said(client, address) == ""
    assert CODE not in client.get("/", base_url=address).text


def test_over_https_there_is_a_code(make_client):
    client = make_client(allow_host="smile.example", trusted_proxies=1)
    fold = said(client, "http://smile.example", X_Forwarded_Prefix="/fun")
    assert "plain http" in fold, "as far as the app can tell"
    secure = client.get("/", base_url="https://smile.example", headers={"X-Forwarded-Prefix": "/fun"}).text
    assert FOLD.search(secure)[0].count('src="/fun/qr.svg"') == 1
    assert 'data-address="https://smile.example/fun/"' in secure
    assert "plain http" not in secure
    assert '<p class="code"' in secure, "on the party screen too"


@pytest.mark.parametrize(
    ("source", "status", "coded"),
    [("0", "idle", True), ("none", "none", False), ("auto", "idle", True), ("auto", "lost", False)],
)
def test_over_plain_http_the_page_says_what_to_do(make_client, monkeypatch, source, status, coded):
    monkeypatch.setattr(Camera, "state", CameraState(status, ""))
    client = make_client(host="0.0.0.0", source=source)
    page = client.get("/", base_url="http://192.168.1.20:5000").text
    assert "serve it over https" in FOLD.search(page)[0]
    assert page.count(CODE) == (2 if coded else 0), "a phone that can do nothing there is not sent there"


def test_a_name_that_is_not_ours_gets_no_code(make_client):
    assert make_client(host="0.0.0.0").get(CODE, base_url="http://evil.example").status_code == 400
    assert make_client().get(CODE, base_url="http://192.168.1.20").status_code == 400


def test_the_code_is_a_picture_that_browsers_keep_and_changes_with_the_address(make_client):
    client = make_client(host="0.0.0.0", trusted_proxies=1)
    codes = set()
    for address, prefix in [("http://192.168.1.20", ""), ("https://192.168.1.20", ""), ("http://192.168.1.20", "/fun")]:
        response = client.get(CODE, base_url=address, headers={"X-Forwarded-Prefix": prefix})
        assert response.mimetype == "image/svg+xml"
        assert response.headers["Cache-Control"] == "private, max-age=3600"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "style" not in response.text, "the policy allows none"
        codes.add(response.text)
    assert len(codes) == 3


def seen(code) -> np.ndarray:
    """What a page shows of a code: uint8 grey."""
    image = cv2.imdecode(np.frombuffer(code.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def dots(picture: np.ndarray, count: int) -> np.ndarray:
    """Which of a code's `count` times `count` dots are dark."""
    rows, columns = (((np.arange(count) + 0.5) * length / count).astype(int) for length in picture.shape)
    return picture[np.ix_(rows, columns)] < 128


@pytest.mark.slow
def test_a_code_is_read_as_the_address_that_it_is_of(browser):
    address = "http://smile.example:5000/"  # of some other addresses OpenCV can't read the code
    page = browser.new_page()
    page.set_content(f'<div style="width: 200px">{qr_code(address)}</div>')
    assert cv2.QRCodeDetector().detectAndDecode(seen(page.locator("svg")))[0] == address
    page.close()


@pytest.mark.slow
def test_the_page_shows_the_code_of_its_own_address(run_app, browser, face_picture):
    app = run_app("--source", face_picture, "--host", "0.0.0.0", "--allow-host", "smile.example")
    address = f"http://smile.example:{app.port}/"
    code = np.array([*segno.make(address, error="m", micro=False).matrix_iter(border=4)], bool)
    there = Show(browser, address)
    try:
        page = there.page
        page.click("#phones summary")

        eventually(lambda: np.array_equal(dots(seen(page.locator("#phones img")), len(code)), code))
        assert "serve it over https" in page.text_content("#phones")
        assert page.is_hidden(".code")
        page.goto(address + "?party")
        eventually(lambda: page.is_visible(".code"))
        page.evaluate(
            """import("/static/party/phones.js").then(({ showWayIn }) => {
              document.getElementById("phones").dataset.address = "http://inside.example/";
              showWayIn();
            })"""
        )
        assert page.evaluate("document.getElementById('phones').hidden"), "a proxy gives the app another address"
    finally:
        there.context.close()
