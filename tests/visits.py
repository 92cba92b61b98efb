"""Visits of the page in a real Chromium: before the camera of the app, and before a webcam of their own."""

from __future__ import annotations

from typing import Any

from tests.browsers import new_context, save_screenshot
from tests.waiting import PATIENCE_S, eventually

SIZES = {"phone": (360, 740), "desktop": (1280, 800)}
OPENS = {**SIZES, "phone": (390, 844), "small": (320, 640)}
ANALYZE = "/api/v1/analyze"
TO_ITS_END = "if (document.body.classList.contains('waiting')) document.getElementById('another').click();"
# Jokes come only when the test asks for them.
ON_REQUEST = "for (const one of document.querySelectorAll('#hands-free')) one.checked = false"
# How long somebody was seen since the last joke was told, without gaps: the page counts from three seconds on.
TIME_IN_VIEW = """
    let last = 0;
    document.addEventListener("joke", () => { last = performance.now() + 700; window.inView = 0; });
    document.addEventListener("smiles", ({ detail }) => {
        const now = performance.now();
        if (window.inView < 0 || now < last || !detail.faces.length) return;
        if (now - last < 500) window.inView += now - last;
        last = now;
    });"""
# Remembers what is sent to the app and what it answers, and how much at the same time.
WATCH_REQUESTS = """
  if (location.protocol !== "about:") localStorage.setItem("reading", "computer");
  window.sent = []; window.pictures = []; window.answers = []; window.inFlight = 0; window.mostInFlight = 0;
  const realFetch = window.fetch;
  window.fetch = async (address, options) => {
    if (address !== "/api/v1/analyze") return realFetch(address, options);
    window.mostInFlight = Math.max(window.mostInFlight, ++window.inFlight);
    window.sent.push(options.body.get("previous"));
    window.pictures.push(options.body.get("image"));
    try {
      const response = await realFetch(address, options);
      if (response.ok) window.answers.push(await response.clone().json());
      return response;
    } finally { window.inFlight--; }
  };
"""
COUNT_CAMERAS = """
  window.tracks = []; window.asked = 0;
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.asked++;
    const stream = await real(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""
FAIL = """
  const working = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.failure = "%s";
  navigator.mediaDevices.getUserMedia = (wanted) =>
    window.failure ? Promise.reject(new DOMException("no", window.failure)) : working(wanted);
"""
HIDE = (
    "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'))"
)


class OpenPage:
    """A page that is open in a context of its own, and everything that it asked for and complained about."""

    def __init__(self, context: Any, url: str, *, wait_until: str = "load") -> None:
        self.context = context
        self.page = context.new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url, wait_until=wait_until)

    def until(self, condition: str, timeout: float = PATIENCE_S) -> None:
        """Waits for a JavaScript condition; Playwright's own wait needs the eval() that the page's policy forbids."""
        eventually(
            lambda: self.page.evaluate(condition), lambda: (condition, self.words(), self.complaints), timeout=timeout
        )

    def words(self) -> str:
        """What to say beside a condition that is not met."""
        return ""

    def screenshot(self, name: str) -> None:
        save_screenshot(self.page, name)


class ShownPage(OpenPage):
    """The app's page, on which jokes come only when the test asks for them."""

    def __init__(self, context: Any, url: str, *, wait_until: str = "load") -> None:
        super().__init__(context, url, wait_until=wait_until)
        self.page.evaluate(ON_REQUEST)

    def percent(self) -> int:
        return int(self.page.get_attribute("#meter", "aria-valuenow"))

    def wait_for_punchline(self) -> None:
        self.until("!document.body.classList.contains('waiting')")

    def hear_it_out(self) -> None:
        """The punchline at once, if the joke still waits for it."""
        self.page.evaluate(TO_ITS_END)
        self.wait_for_punchline()


class Visit(ShownPage):
    """A visit to the app's camera."""

    def __init__(self, browser: Any, url: str, *, size: str = "desktop", **options: Any) -> None:
        width, height = SIZES[size]
        context = new_context(browser, viewport={"width": width, "height": height}, **options)
        super().__init__(context, url, wait_until="domcontentloaded")

    def wait_for_face(self) -> None:
        self.until("document.getElementById('faces').textContent.startsWith('1 face')")


class WebcamVisit(ShownPage):
    """A visit with a webcam. Everything that is sent to the app is remembered in the page."""

    def __init__(
        self,
        browser: Any,
        url: str,
        *,
        size: str = "desktop",
        allowed: bool = True,
        script: str = "",
        start: bool = True,
        **options: Any,
    ) -> None:
        width, height = OPENS[size]
        context = new_context(browser, viewport={"width": width, "height": height}, **options)
        context.grant_permissions(["camera"] if allowed else ["geolocation"])  # what is not granted is denied
        context.add_init_script(WATCH_REQUESTS + script)
        super().__init__(context, url)
        if start:
            self.start()

    def start(self) -> None:
        self.page.click("#start")

    def words(self) -> str:
        return self.page.evaluate("document.getElementById('frame').innerText.replace(/\\s+/g, ' ').trim()")

    def until_words(self, part: str) -> None:
        self.until(
            f"document.getElementById('words').textContent.includes({part!r}) && !document.getElementById('curtain').hidden"
        )

    def wait_for_face(self) -> None:
        self.until("document.getElementById('faces').textContent === '1 face'")

    def box_center(self) -> float:
        """Where the overlay's yellow is, from 0 (left) to 1; -1 when it shows nothing."""
        return self.page.evaluate(
            """() => {
              const canvas = document.getElementById("overlay");
              if (!canvas.width) return -1;
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              let sum = 0, count = 0;
              for (let i = 0; i < data.length; i += 4) {
                if (data[i] === 255 && data[i + 1] === 208 && data[i + 2] === 77 && data[i + 3] === 255) {
                  sum += (i / 4) % canvas.width;
                  count++;
                }
              }
              return count ? sum / count / canvas.width : -1;
            }"""
        )
