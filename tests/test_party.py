"""The party screen in a real Chromium: it fills the screen, goes on by itself, and nothing grows with the hours."""

from __future__ import annotations

import pytest

from tests.shows import LONG, LONGER, SHORT, Show
from tests.visits import FAIL, HIDE, TO_ITS_END
from tests.waiting import eventually

pytestmark = pytest.mark.slow(35)

IN_SIGHT = ".joke, #frame, #dad, #percent"
READ_THERE = ".joke, #frame, .gauge"
PARTY = "document.body.classList.contains('party')"
# Wake locks that are held. The system takes one away when `window.takeAway` is called.
AWAKE = """
  window.locks = 0;
  Object.defineProperty(navigator, "wakeLock", { value: { request: async () => {
    const lock = new EventTarget();
    window.locks += 1;
    lock.release = async () => { window.locks -= 1; lock.dispatchEvent(new Event("release")); };
    window.takeAway = lock.release;
    return lock;
  } } });
"""
# Timers that wait, addresses of pictures in use, and listeners of the document.
COUNT = """
  window.intervals = new Set(); window.addresses = new Set(); window.listeners = 0;
  const { setInterval: begin, clearInterval: end } = window, { createObjectURL, revokeObjectURL } = URL;
  window.setInterval = (...all) => { const id = begin(...all); window.intervals.add(id); return id; };
  window.clearInterval = (id) => { window.intervals.delete(id); end(id); };
  URL.createObjectURL = (blob) => { const one = createObjectURL.call(URL, blob); window.addresses.add(one); return one; };
  URL.revokeObjectURL = (one) => { window.addresses.delete(one); revokeObjectURL.call(URL, one); };
  const add = document.addEventListener;
  document.addEventListener = (kind, act, how) => {
    if (!how?.once) window.listeners += 1;
    return add.call(document, kind, act, how);
  };
"""
# `rounds(count)`: two people come, laugh and go, the camera is lost, and a joke is told, so many times.
ROUNDS = """async () => {
  const { show } = await import("/static/meter/reading.js"), { hearMore } = await import("/static/jokes/jokes.js");
  const texts = ["Moo.", "Why did the clock blush? Somebody saw its hands."];
  const box = { left: 10, top: 10, right: 90, bottom: 90 };
  let told = 0;
  window.fetch = async () => new Response(JSON.stringify({ id: String(++told), source: "house", text: texts[told % 2] }));
  window.rounds = async (count) => {
    for (let i = 0; i < count; i += 1) {
      for (const smile of [0.1, 0.9, 0.2]) {
        const faces = [1, 2].map((id) => ({ id: 2 * i + id, smile, label: smile >= 0.5 ? "smile" : "no_smile", box }));
        show({ faces, fps: 10, width: 640, height: 480, message: "" });
      }
      show({ faces: [], fps: 0, width: 640, height: 480, message: "Camera 0 is lost." });
      const next = new Promise((resolve) => document.addEventListener("telling", resolve, { once: true }));
      hearMore(); // the punchline, or another
      hearMore();
      await next;
    }
  };
}"""


def party(there: Show, script: str = "") -> None:
    there.page.context.add_init_script(AWAKE + script)
    there.page.goto(there.page.url.split("?")[0] + "?party")
    there.until(f"{PARTY} && document.getElementById('joke').classList.contains('ready')")
    assert there.page.evaluate("document.fullscreenElement") is None, "browsers want a gesture for that"
    there.page.evaluate(TO_ITS_END)  # which is one


def apart(one: dict[str, float], other: dict[str, float]) -> bool:
    sides = (("x", "width"), ("y", "height"))
    return any(one[at] + one[length] <= other[at] or other[at] + other[length] <= one[at] for at, length in sides)


@pytest.mark.parametrize("size", [(1920, 1080), (390, 844), (844, 390)])
def test_one_button_makes_joke_picture_and_dad_fill_the_screen_and_escape_leaves(show, size):
    there = show(size=size, jokes=(LONGER,), reduced_motion="reduce")
    page = there.page
    there.read(0.4, 0.9)
    before = page.url
    page.evaluate("window.scrollTo(0, 300)")
    if size[0] == 1920:
        page.keyboard.press("Alt+Enter")
    else:
        page.click("#party")
    there.until(f"{PARTY} && document.fullscreenElement !== null")
    page.evaluate(f"{TO_ITS_END} document.getElementById('another').click()")
    there.until("document.getElementById('joke').dataset.id === 'longer'")
    boxes = [one.bounding_box() for one in page.locator(IN_SIGHT).all()]
    for box in boxes:
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
    assert sum(box["width"] * box["height"] for box in boxes) > 0.7 * size[0] * size[1]
    leave = page.locator("#party-leave").bounding_box()
    for read in page.locator(READ_THERE).all():
        assert apart(leave, read.bounding_box())
    assert page.evaluate("document.documentElement.scrollHeight") <= size[1]
    overflow = page.evaluate("((one) => one.scrollHeight - one.clientHeight)(document.getElementById('joke'))")
    assert overflow <= 1, "a long joke fits"
    letters = page.evaluate("parseFloat(getComputedStyle(document.getElementById('joke')).fontSize)")
    assert letters > 0.05 * size[1] if size[0] > size[1] else letters > 0.05 * size[0], "readable from across a room"
    for hidden in ("header", ".options", ".folds", "#another"):
        assert page.is_hidden(hidden)
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Escape")
    there.until(f"!{PARTY} && document.fullscreenElement === null")
    assert page.url == before
    assert page.evaluate("document.activeElement.id") == "party"


LEAVE_AND_RETURN = """() => new Promise((done) => {
  document.addEventListener("fullscreenchange", () => done(), { once: true });
  document.getElementById("party-leave").click();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", altKey: true }));
})"""
NOTE_WAKING = """() => {
  const look = () => { window.woken ||= !document.body.classList.contains("idle"); };
  new MutationObserver(look).observe(document.body, { attributes: true });
}"""


def test_the_address_opens_it_and_the_screen_stays_awake(show):
    there = show()
    page = there.page
    party(there)
    eventually(lambda: page.evaluate("window.locks") == 1)
    page.evaluate("window.takeAway()")
    page.evaluate(HIDE % "true")
    page.evaluate(HIDE % "false")
    eventually(lambda: page.evaluate("window.locks") == 1)
    there.jokes = [LONG]
    page.keyboard.press("Space")
    there.until("document.getElementById('joke').dataset.id === 'long' && document.fullscreenElement !== null")
    there.jokes = [SHORT]
    page.click("#joke")
    there.until("document.getElementById('joke').dataset.id === 'short'")
    there.until("document.body.classList.contains('idle')")
    page.evaluate(NOTE_WAKING)
    page.mouse.move(300, 300)
    there.until("window.woken")
    there.until("document.body.classList.contains('idle')")
    page.evaluate(LEAVE_AND_RETURN)
    assert page.evaluate(PARTY), "whoever returns at once stays"
    page.mouse.move(400, 300)
    page.click("#party-leave")
    there.until(f"!{PARTY} && document.fullscreenElement === null")
    eventually(lambda: page.evaluate("window.locks") == 0)
    assert "party" not in page.url
    page.keyboard.press("Alt+Enter")
    there.until(PARTY)
    page.reload()
    there.until(PARTY)


def test_the_next_joke_comes_when_all_have_laughed_and_after_a_minute_of_silence(show):
    there = show()
    page = there.page
    page.uncheck("#hands-free")
    party(there)
    page.clock.install()
    there.jokes = [SHORT, LONG]

    def readings(seconds: float, *smiles: float) -> None:
        for _ in range(round(5 * seconds)):
            there.read(*smiles)
            page.clock.fast_forward(200)

    readings(3, 0.1, 0.1)
    readings(3, 0.9, 0.9)
    readings(3, 0.1, 0.9)
    assert there.asked == 0, "somebody still laughs"
    readings(2, 0.1, 0.1)
    there.until("document.getElementById('joke').dataset.id === 'short'")
    page.clock.run_for(45_000)  # fewer than 60 seconds, also with those that pass while a busy computer gets here
    assert (there.asked, there.joke()) == (1, "short")
    page.evaluate(HIDE % "true")
    page.clock.run_for(20_000)
    assert (there.asked, there.joke()) == (1, "short"), "nobody sees the page"
    page.evaluate(HIDE % "false")
    page.clock.run_for(3000)
    there.until("document.getElementById('joke').dataset.id === 'long'")


def test_a_camera_that_is_lost_is_tried_again_with_nobody_there_to_click(show):
    there = show()
    page = there.page
    page.context.grant_permissions(["camera"])
    party(
        there,
        "window.asked = 0;"
        + FAIL % "NotReadableError"
        + """
      const failing = navigator.mediaDevices.getUserMedia;
      navigator.mediaDevices.getUserMedia = (wanted) => { window.asked += 1; return failing(wanted); };""",
    )
    page.clock.install()
    page.click("#start")
    there.until("window.asked === 1 && !document.getElementById('invitation').hidden")
    page.clock.run_for(11_000)
    there.until("window.asked === 2 && !document.getElementById('invitation').hidden")
    page.evaluate("""() => {
      const canvas = document.createElement("canvas");
      canvas.getContext("2d").fillRect(0, 0, 9, 9);
      navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(5);
    }""")
    page.clock.run_for(11_000)
    there.until("document.getElementById('frame').classList.contains('mine-on')")
    page.evaluate("document.getElementById('mine').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    there.until("!document.getElementById('frame').classList.contains('mine-on')")
    page.clock.run_for(11_000)
    there.until("document.getElementById('frame').classList.contains('mine-on')")
    page.evaluate("document.getElementById('mine').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    page.evaluate("""() => {
      window.refused = false;
      navigator.mediaDevices.getUserMedia = async () => { window.refused = true; throw new Error(); };
    }""")
    page.keyboard.press("Alt+Enter")
    there.until(f"!{PARTY}")
    page.clock.run_for(11_000)
    assert not page.evaluate("window.refused"), "whoever left the party screen clicks"


def test_nothing_grows_with_the_hours(show):
    there = show()
    page = there.page
    party(there, COUNT)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def counts(rounds: int) -> dict[str, float]:
        page.evaluate(f"window.rounds({rounds})")
        client.send("HeapProfiler.collectGarbage")
        measured = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
        here = page.evaluate(
            """({ elements: document.getElementsByTagName("*").length, listeners: window.listeners,
              intervals: window.intervals.size, addresses: window.addresses.size })"""
        )
        return here | {name: measured[name] for name in ("Nodes", "JSEventListeners")}

    page.evaluate(ROUNDS)
    first, then = counts(40), counts(400)
    for name, before in first.items():
        assert then[name] <= before + (60 if name == "Nodes" else 0), (name, first, then)
    there.until("document.querySelectorAll('#joke span').length <= 2")
