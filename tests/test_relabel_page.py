"""The page for relabelling in a real Chromium, of the tool as a process: keys, touch, listeners, and after a kill."""

import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.browsers import new_context, opened_and_closed
from tests.project import ROOT, clean_environment
from tests.relabelling import LONG_NAME, rows_of, save_home
from tests.text_layout import CUT_OFF_OR_BROKEN
from tests.visits import OpenPage
from training.labels.decisions import read_decisions

pytestmark = pytest.mark.slow(45)


@pytest.fixture
def home(tmp_path) -> Path:
    return save_home(tmp_path)


@dataclass
class Tool:
    """`python -m training.relabel` in a process of its own."""

    process: subprocess.Popen
    lines: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def start_tool(home):
    tools: list[Tool] = []

    def start(*options: object) -> Tool:
        paths = ["--data", home / "faces.npz", "--predictions", home / "said.csv.gz", "--out", home / "decisions.csv"]
        command = [sys.executable, "-m", "training.relabel", "--port", "0", *map(str, [*paths, *options])]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment()
        )
        tool = Tool(process)
        tools.append(tool)
        assert process.stdout is not None
        for line in process.stdout:  # ends with the process, or at the line that it goes on after
            tool.lines.append(line)
            if match := re.search(r"http://\S+", line):
                tool.url = match[0]
            if "Decisions go to" in line:
                break
        assert tool.url, tool.lines
        return tool

    yield start
    for tool in tools:
        if tool.process.poll() is None:
            tool.process.terminate()
        rest = tool.process.communicate(timeout=120)[0]
        assert "Traceback" not in "".join(tool.lines) + rest


class Page(OpenPage):
    """The relabelling page."""

    def __init__(self, browser, url: str, width: int = 1280, height: int = 900, **options) -> None:
        super().__init__(new_context(browser, viewport={"width": width, "height": height}, **options), url)
        self.page.wait_for_selector(".face img")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.until("!document.querySelector('.badge.saving')")

    def badges(self) -> list[str]:
        return self.page.evaluate("[...document.querySelectorAll('.badge')].map(badge => badge.textContent)")

    def chosen(self) -> int:
        return int(self.page.evaluate("document.querySelector('[aria-selected=true]').id.slice(5)"))

    def wait_for_progress(self, decided: int) -> None:
        self.until(f"document.getElementById('progress').textContent.startsWith('{decided} of ')")


@pytest.fixture
def open_page(browser):
    yield from opened_and_closed(partial(Page, browser))


def test_keys_decide_and_undo_and_each_decision_is_on_the_disk_at_once(start_tool, open_page, home):
    page = open_page(start_tool("--all", "--limit", 30, "--by", "Ann").url)
    assert page.page.text_content("#progress") == "0 of 30 faces decided"
    page.until("[...document.querySelectorAll('.face img')].every(image => image.naturalWidth === 128)")
    assert page.page.evaluate(CUT_OFF_OR_BROKEN, ".said span") == [[], []]
    assert page.page.evaluate("document.activeElement.id") == "face-0"
    assert page.page.locator(".copies .face").count() == 2, "the near-copies stand together"
    assert "Label: smile" in page.page.text_content("#face-0")
    assert "No prediction" in page.page.text_content("#face-0")
    assert re.search(r"surely, P\(smile\) (98|2)\s%", page.page.text_content("#face-2"))
    page.press("s")
    page.wait_for_progress(1)
    assert rows_of(home / "decisions.csv") == [("yours", "happy/a.png", "smile", "Ann")]
    page.press("n", "d", "k", "Space")
    page.wait_for_progress(5)
    assert page.badges()[:6] == ["Smile", "No smile", "Dropped", "Skipped", "Skipped", ""]
    assert page.chosen() == 5
    assert page.page.evaluate("scrollY") < 200, "space does not scroll the page away"
    page.press("u")
    page.wait_for_progress(4)
    page.press("Control+z")
    page.wait_for_progress(3)
    assert page.chosen() == 3, "what was taken back is to be decided again"
    page.press("ArrowLeft", "ArrowLeft", "s")  # another choice for the second face
    page.until("document.querySelectorAll('.badge')[1].textContent === 'Smile'")
    assert page.chosen() == 3, "the next face without a decision"
    standing = {key: one.choice for key, one in read_decisions(home / "decisions.csv").items()}
    assert standing.pop(("yours", "happy/a.png")) == "smile"
    assert standing.pop(("yours", "neutral/b.png")) == "smile"
    assert list(standing.values()) == ["drop"]
    assert [row[2] for row in rows_of(home / "decisions.csv")].count("undo") == 2
    page.press("Control+s", "Alt+n")
    assert page.chosen() == 3, "shortcuts of the browser decide nothing"
    assert page.complaints == []
    base = page.page.url
    assert all(request.startswith(base) for request in page.requests), "nothing from anywhere else"


def test_arrows_move_in_the_grid_and_pages_turn(start_tool, open_page):
    page = open_page(start_tool("--all", "--limit", 42).url)
    page.press("ArrowRight", "ArrowRight")
    assert page.chosen() == 2
    start = page.page.locator("#face-2").bounding_box()
    page.press("ArrowDown")
    below = page.page.locator(f"#face-{page.chosen()}").bounding_box()
    assert below["y"] > page.page.locator("#face-2").bounding_box()["y"]
    assert abs(below["x"] - start["x"]) < start["width"]
    page.press("ArrowUp")
    assert page.page.locator(f"#face-{page.chosen()}").bounding_box()["y"] < below["y"]
    assert page.page.text_content("#page") == "Page 1 of 2"
    page.press("PageDown")
    assert page.page.text_content("#page") == "Page 2 of 2"
    first = page.chosen()
    assert first == page.page.locator(".face").first.evaluate("face => Number(face.id.slice(5))")
    page.press("ArrowLeft")
    assert page.chosen() == first - 1
    assert page.page.text_content("#page") == "Page 1 of 2", "arrows go over the edge of a page"
    page.page.click("#next")
    assert page.page.text_content("#page") == "Page 2 of 2"


def test_after_a_kill_the_tool_goes_on_where_one_was(start_tool, open_page, home):
    tool = start_tool("--all", "--limit", 5)
    page = open_page(tool.url)
    page.press("s", "n")
    page.wait_for_progress(2)
    tool.process.send_signal(signal.SIGKILL)
    tool.process.wait(120)
    with (home / "decisions.csv").open("ab") as file:
        file.write(b"mine,neutral/3.png,smi")  # what a kill in the middle of a line leaves
    page.page.keyboard.press("d")
    page.until("!document.getElementById('problem').hidden")
    assert "start it again" in page.page.text_content("#problem")
    page.until("!document.querySelector('.badge.saving')")
    assert page.page.text_content("#progress").startswith("2 of 5")

    again = start_tool("--all", "--limit", 5)
    assert again.url != tool.url, "a new secret"
    page = open_page(again.url)
    page.wait_for_progress(2)
    assert page.badges() == ["Smile", "No smile", "", "", ""]
    assert page.chosen() == 2
    page.press("u")  # of the run before
    page.wait_for_progress(1)
    page.press("s", "d", "k", "s")
    page.wait_for_progress(5)
    assert page.page.is_visible("#finished")
    assert "All 5 faces are decided" in page.page.text_content("#finished")
    page.page.reload()
    page.page.wait_for_selector(".face img")
    page.wait_for_progress(5)
    assert page.badges() == ["Smile", "Smile", "Dropped", "Skipped", "Smile"]
    assert len(read_decisions(home / "decisions.csv")) == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_decides_by_touch(start_tool, open_page, home, scheme):
    size = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}
    page = open_page(start_tool("--all", "--limit", 8).url, color_scheme=scheme, **size)
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390, "nothing sticks out sideways"
    assert page.page.locator(".said", has_text=LONG_NAME).count() == 1
    assert page.page.evaluate(CUT_OFF_OR_BROKEN, ".said span") == [[], []]
    page.page.tap("#face-1")
    assert page.chosen() == 1
    page.page.tap("[data-choice=drop]")
    page.wait_for_progress(1)
    page.page.tap("#face-2")
    for button in ("smile", "no_smile", "skip"):  # each goes on to the next face
        page.page.tap(f"[data-choice={button}]")
    page.until("document.querySelectorAll('.badge')[4].textContent === 'Skipped'")
    page.page.tap("#undo")
    page.until("document.querySelectorAll('.badge')[4].textContent === ''")
    assert page.badges()[:5] == ["", "Dropped", "Smile", "No smile", ""]
    box = page.page.locator("[data-choice=smile]").bounding_box()
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= 844, "the buttons are in sight"
    assert sorted(one.choice for one in read_decisions(home / "decisions.csv").values()) == ["drop", "no_smile", "smile"]
    assert page.complaints == []


def test_a_listener_hears_what_is_chosen_and_what_was_decided(start_tool, open_page):
    page = open_page(start_tool("--all", "--limit", 6).url).page
    assert page.get_attribute("#faces", "role") == "listbox"
    label = page.get_attribute("#face-0", "aria-label")
    assert label.startswith("Face 1 of 6. Has a near-copy with the opposite label. Label of yours: smile.")
    assert label.endswith("Not decided.")
    assert page.locator("[role=option]").count() == 6
    assert page.locator("[tabindex='0']").count() == 1, "one stop of the tab key for all faces"
    page.keyboard.press("d")
    page.wait_for_selector("#announcement:has-text('Dropped. Face 2 of 6')", state="attached")
    assert page.get_attribute("#face-0", "aria-label").endswith("Dropped.")


def test_the_tool_ends_at_once_when_asked_to(start_tool, open_page):
    tool = start_tool()
    assert "4 faces whose label is doubtful, and --all shows the others too; 2 are near-copies" in tool.lines[0]
    page = open_page(tool.url)
    page.press("s")
    page.wait_for_progress(1)
    tool.process.send_signal(signal.SIGINT)
    rest = tool.process.communicate(timeout=120)[0]
    assert tool.process.returncode == 0
    assert "1 of 4 faces are decided." in rest
