"""README and docs say what is there: options, rooms, commands, links and the version."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import inference
from common.settings import Settings, parse_settings
from common.version import VERSION
from jokes.sources import USER_AGENT
from scraping.asking.exchange import USER_AGENT as SCRAPER
from tests.project import ROOT
from tests.test_rooms import FLOORS
from web.openapi import describe
from web.rate_limits import PICTURES_PER_SECOND

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_SET_WHEN_IT_STARTS = {"--version"}
NOT_READ_OFF_SETTINGS = {"--board": "a file in your data folder", "--visitor-rate": str(PICTURES_PER_SECOND)}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(table: str) -> list[list[str]]:
    """The cells of each row, without the head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture
def helped(capsys, monkeypatch) -> dict[str, tuple[str, str]]:
    """Default and meaning of every option, as `python app.py --help` prints them; `--no-loop` goes with `--loop`."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        parse_settings(["--help"])
    found = {}
    for option, meaning in re.findall(r"^  (--[a-z-]+).*?\s{2,}(\S.*)$", capsys.readouterr().out, re.M):
        words, _, default = meaning.partition("(default: ")
        found[option] = (default.removesuffix(")"), words.strip())
    return found


def test_the_table_of_options_and_the_help_are_the_same(helped):
    table = text("docs/options.md").partition("## ")[0]
    described = {
        re.findall(r"--[a-z-]+", names)[0]: (default.strip("`"), meaning) for names, default, meaning in rows(table)
    }
    assert described.keys() == helped.keys()
    for option, (default, meaning) in described.items():
        assert default == helped[option][0], option
        assert meaning, option
        assert helped[option][1], option


def test_the_help_has_every_setting_and_its_true_default(helped):
    settings = Settings()
    options = {"--" + field.name.replace("_", "-"): getattr(settings, field.name) for field in fields(settings)}
    assert options.keys() == helped.keys() - NOT_SET_WHEN_IT_STARTS
    for option, value in options.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, Path):
            value = value.relative_to(ROOT).as_posix()
        assert helped[option][0] == NOT_READ_OFF_SETTINGS.get(option, "" if value is None else str(value)), option


def test_the_guide_to_scoring_names_every_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        inference.main(["--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.M))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text("docs/scoring.md")))
    assert named - {"--help", "--nworkers", "--nthreads", "--many"} == options  # three of them belong to other commands


def test_the_map_of_rooms_is_the_plan_that_is_tested():
    table = text("docs/architecture.md").partition("<!-- rooms: begin -->")[2].partition("<!-- rooms: end -->")[0]
    described = [(int(floor), room) for floor, names, _ in rows(table) for room in re.findall(r"`([^`]+)`", names)]
    assert sorted(described) == sorted((number, room) for number, floor in enumerate(FLOORS) for room in floor)


def test_the_map_has_every_part_of_the_page():
    parts = {path.name for path in (ROOT / "static").iterdir() if path.is_dir() and any(path.glob("*.js"))}
    assert set(re.findall(r"`static/(\w+)/`", text("docs/architecture.md"))) == parts


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for file, mark in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not mark or mark in anchors(target), f"{file}#{mark}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_that_a_page_names_exist(page):
    written = page.read_text(encoding="utf-8")
    for module in re.findall(r"python -m ((?:training|benchmarks|tools)\.\w+)", written):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.M))
    assert set(re.findall(r"`make (\w+)", written)) <= targets
    for name in re.findall(r"requirements/[\w.-]+", written):
        assert (ROOT / name).is_file(), name


def named_commands() -> list[tuple[str, str, str]]:
    """Where a command of ours is named, the module, and its options: on the pages, in messages, and in the files' heads."""
    own = re.compile(r"python -m ((?:training|benchmarks|tools)\.\w+)((?: (?!`)[^\n`#;|]*)?)")
    files = [*PAGES, *(path for room in ("training", "benchmarks", "docs", "tools") for path in (ROOT / room).rglob("*.py"))]
    found = [(path.name, own.findall(re.sub(r" \\\n\s*", " ", path.read_text(encoding="utf-8")))) for path in files]
    return sorted({(name, module, line) for name, lines in found for module, line in lines if " --" in line})


@pytest.mark.parametrize(("where", "module", "line"), named_commands())
def test_every_option_of_a_command_that_is_named_exists(where, module, line):
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    for option in re.findall(r" (--[a-z][a-z-]*)", line):
        assert option == "--help" or f'"{option}"' in source, f"{where}: {module} has no {option}"


def test_the_readme_stays_short():
    assert len(text("README.md").splitlines()) <= 120


def test_the_version_is_that_of_the_newest_release(capsys):
    released = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", text("CHANGELOG.md"), re.M)
    assert released[0] == VERSION
    assert describe()["info"]["version"] == VERSION
    assert f"/{VERSION} " in USER_AGENT
    assert f"/{VERSION} " in SCRAPER
    with pytest.raises(SystemExit) as ended:
        parse_settings(["--version"])
    assert ended.value.code == 0
    assert VERSION in capsys.readouterr().out
