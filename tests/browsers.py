"""A real Chromium: its options, its contexts and its webcam."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.project import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Chromium prepares its own address line's popups as pages, in a process for each window: half a second of processor for each
# context. The rest is what Playwright switches off, whose own option gives way to this one.
_WITHOUT = [
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUITabStrip", "TabSearch", "PreloadTopChromeWebUI", "InitialWebUI"),
    *("SpareRendererForSitePerProcess", "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "HttpsUpgrades"),
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable"),
    *("LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    *("TcpPortRandomizationWin", "ThirdPartyStoragePartitioning"),
]
CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=" + ",".join(_WITHOUT),
    "--host-resolver-rules=MAP smile.example 127.0.0.1",  # a name that is not this computer's own
]


def new_context(browser, *, off_line: bool = False, **options):
    """A browser context. `off_line`: whether pages may be kept for when there is no network; what a service worker asks for
    passes by `page.route`.

    Nothing moves unless a test says `reduced_motion="no-preference"`: a page whose Dad only knocks takes a tenth of a core.
    """
    context = browser.new_context(**{"reduced_motion": "reduce"} | options)
    if not off_line:
        context.add_init_script("delete Navigator.prototype.serviceWorker")
    return context


def save_screenshot(page, name: str) -> None:
    """The whole page in screenshots/, for who wants to look: `SCREENSHOTS=1 make test`. It takes a third of a second."""
    if os.environ.get("SCREENSHOTS"):
        (ROOT / "screenshots").mkdir(exist_ok=True)
        page.screenshot(path=str(ROOT / "screenshots" / f"{name}.png"), full_page=True)


def launch_with_webcam(browser, file: Path):
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={file}"]
    return browser.browser_type.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *flags])


def opened_and_closed(make: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """For a fixture: a function that makes visits of pages, whose browser contexts are closed after the test."""
    visits: list[Any] = []

    def open_page(*place: Any, **options: Any) -> Any:
        visits.append(make(*place, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
