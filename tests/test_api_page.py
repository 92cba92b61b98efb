"""The page about the API: its commands work as they stand, and it fits every screen."""

import json
import os
import re
import shlex
import shutil
import subprocess
from html import unescape

import pytest

from tests.api_calls import client_with_board, picture_of
from tests.browsers import CHROMIUM, save_screenshot
from tests.waiting import PATIENCE_S
from visitors.analysis import MAX_BYTES, MAX_PIXELS
from web.openapi import describe

pytestmark = pytest.mark.slow


@pytest.fixture
def client(tmp_path):
    yield from client_with_board(tmp_path)


@pytest.fixture(scope="module")
def picture(astronaut) -> bytes:
    return picture_of(astronaut)


def commands(html: str) -> list[str]:
    blocks = re.findall(r'aria-label="Commands?"><code>(.*?)</code>', html, re.DOTALL)
    joined = unescape("\n".join(blocks)).replace("\\\n", " ")
    return re.split(r"\n(?=curl )", joined)


def test_the_page_says_the_limits_and_loads_nothing_from_elsewhere(client):
    response = client.get("/api")
    assert response.status_code == 200
    assert client.get("/api/").text.count("<main") == 1
    page = response.text
    for said in (f"{MAX_BYTES >> 20} MB", f"{MAX_PIXELS // 10**6} megapixels", "none is stored", "/api/openapi.json"):
        assert said in page
    for path in describe()["paths"]:
        assert path in page
    assert "//" not in page.replace("http://localhost/", ""), "no address of another host"
    assert not re.search(r"<script(?! src=\"/static)|<style|style=| on\w+=", page)
    assert "reactions" in " ".join(commands(page))


def test_without_a_board_the_page_offers_no_reactions(make_client):
    page = make_client(board="none").get("/api").text
    assert not any("reactions" in command or "board" in command for command in commands(page))


def test_the_pages_commands_work_as_they_stand(run_app, tmp_path, picture):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    app = run_app("--source", "none", "--board", tmp_path / "board.sqlite3")
    (tmp_path / "me.jpg").write_bytes(picture)
    found = commands(app.get("/api").decode())
    assert len(found) == 6
    outputs = []
    for command in found:
        words = shlex.split(command)
        assert words[0] == "curl"
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--write-out", "\n%{http_code}", *words[1:]],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        assert status in ("200", "204"), (command, body)
        outputs.append(json.loads(body) if body else None)
    still, to_file, followed, joke, reaction, board = outputs
    assert still["faces"][0]["label"] == "smile"
    assert (to_file, reaction) == (None, None)
    assert followed["faces"][0]["id"] == 1
    assert followed["state"], "the answer before was read from the file"
    assert joke["text"]
    assert board["jokes"][0]["reactions"] == 1


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_fits_every_screen(run_app, browser, tmp_path):
    app = run_app("--source", "none", "--board", tmp_path / "board.sqlite3")
    page = browser.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(app.url + "/api")
    beyond = "[...document.querySelectorAll('header, header *, main > *')].filter((one) => {" \
        " const box = one.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth + 1; }).length"  # fmt: skip
    for width, scheme in ((1100, "light"), (1100, "dark"), (320, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width, scheme
        assert page.evaluate(beyond) == 0, (width, scheme)
        assert page.locator(".copy").count() == page.locator("pre[aria-label^=Command]").count() == 5
        save_screenshot(page, f"api-{width}-{scheme}")
    assert_commands_are_copied(page)
    assert complaints == []
    assert all(request.startswith(app.url) for request in requests)
    page.close()


def assert_commands_are_copied(page) -> None:
    page.set_default_timeout(1000 * PATIENCE_S)
    page.evaluate("window.setTimeout = () => 0")  # "Copied" stays, or a busy computer is too late to see it
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("document.body.append(document.createElement('textarea'))")
    for which, way in ((1, "clipboard"), (3, "selection")):
        if way == "selection":  # where the page comes over plain http, scripts have no clipboard
            page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.locator(".copy").nth(which).click()
        page.locator(".copy").nth(which).get_by_text("Copied").wait_for()
        assert page.text_content("#copied") == "Copied"
        page.fill("textarea", "")
        page.focus("textarea")
        page.keyboard.press("Control+V")
        assert page.input_value("textarea") == page.locator("pre[aria-label^=Command]").nth(which).text_content()
    page.evaluate("document.querySelector('textarea').remove()")
