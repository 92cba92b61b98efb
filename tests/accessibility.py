"""What axe finds against WCAG 2.2 AA."""

from __future__ import annotations

import itertools
from importlib.resources import files

from tests.browsers import save_screenshot
from tests.visits import SIZES

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# How many contrasts passed, failed and could not be told, and what is wrong: all that axe found takes long to hand over.
AXE = """async (tags) => {
  const found = await axe.run(document, { runOnly: tags, selectors: false });
  const contrasts = (kind) => found[kind].find(({ id }) => id === "color-contrast")?.nodes.length ?? 0;
  const wrong = found.violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`);
  return [contrasts("passes"), contrasts("violations"), contrasts("incomplete"), wrong];
}"""


def violations(page) -> list[str]:
    """What axe finds against WCAG 2.2 AA. Run by the test's own connection, which the page's policy does not bind."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    passed, failed, untold, found = page.evaluate(AXE, STANDARDS)
    assert passed + failed > untold, "most contrasts could be told"
    return found


def assert_no_violations(page, state: str, *, everywhere: bool = False) -> None:
    """On a phone in the dark and on a light desktop; `everywhere`: also the other way round."""
    for (size, (width, height)), scheme in itertools.product(SIZES.items(), ("light", "dark")):
        if not everywhere and (size == "phone") == (scheme == "light"):
            continue
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], f"{state}, {size}, {scheme}"
        if state == "several faces":
            save_screenshot(page, f"page-several-{size}-{scheme}")
