"""Games of straight faces that are played on made-up readings, in a real browser but in no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.browsers import new_context
from tests.served import Served
from tests.waiting import PATIENCE_S

# Readings from `begin` until `end`, one every `ms`: [ms, begin, end, (smile, x) of each face; None: nothing could be read].
Readings = tuple[float, float, float, dict[str, tuple[float, float]] | None]

# Plays a game; jokes come when they are wanted. `acts`: [[time, method], ...].
PLAY = """async ([readings, jokes, pace, acts, texts]) => {
  const { Game } = await import("/static/game/game.js");
  const { headline, wish } = await import("/static/game/words.js");
  const game = new Game({ pace }), happened = [], left = [...acts];
  let told = 0;
  game.start(jokes, 0);
  const all = readings.flatMap(([ms, begin, end, faces]) =>
    Array.from({ length: Math.round((end - begin) / ms) }, (_, i) => [begin + ms * i, faces]));
  for (const [now, faces] of all) {
    while (left.length && left[0][0] <= now) game[left.shift()[1]](now);
    if (game.wantsJoke && told < texts.length) {
      const [setUp, punchline] = texts[told++];
      game.tell({ id: `joke ${told}`, text: `${setUp} ${punchline}`, setUp, punchline });
    }
    const seen = faces && Object.entries(faces).map(([id, [smile, x]]) =>
      ({ id, smile, label: smile >= 0.5 ? "smile" : "no_smile", x, y: 100, w: 60 }));
    game.read(seen, now);
    for (const { kind, players } of game.take()) happened.push([now, kind, players.map(({ slot }) => slot)]);
  }
  const { winners, players, survived, fellBy } = game.result, wished = wish(game, all.at(-1)[0]);
  return {
    happened, wished, said: game.phase === "over" ? headline(game) : "",
    phase: game.phase, number: game.number, alone: game.alone, survived, fellBy: fellBy?.id ?? null,
    winners: winners.map(({ slot }) => slot),
    ranked: players.map(({ player, place, survived }) => [player.slot, place, survived]),
    why: Object.fromEntries(game.players.all.map(({ slot, out }) => [slot, out?.why ?? null])),
    faces: Object.fromEntries(game.players.all.map(({ slot, face }) => [slot, face.id])),
    neutral: Object.fromEntries(game.players.all.map(({ slot, neutral }) => [slot, neutral])),
  };
}"""
TEXTS = [["Why did the clock blush?", "Somebody saw its hands."]] * 10
STRAIGHT, SMILING = 0.05, 0.9


def open_game(browser: Any) -> Iterator[Any]:
    """For a fixture: a page that loads the modules of the game from the real server, which is in this process."""
    served = Served()
    context = new_context(browser)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    page.goto(f"http://127.0.0.1:{served.port}/static/icon.svg")
    yield page
    context.close()
    served.close()


def player(page: Any) -> Callable[..., dict[str, Any]]:
    def run(
        *readings: list[Readings], jokes: int = 3, pace: float = 1, acts: tuple = (), texts: list = TEXTS
    ) -> dict[str, Any]:
        return page.evaluate(PLAY, [[one for some in readings for one in some], jokes, pace, list(acts), texts])

    return run


def every(ms: float, begin: float, end: float, **smiles: float) -> list[Readings]:
    """Faces a, b, c... beside each other, from left to right."""
    faces = {name: (smile, 100.0 * (ord(name) - ord("a"))) for name, smile in smiles.items()}
    return placed(ms, begin, end, faces)


def placed(ms: float, begin: float, end: float, faces: dict[str, tuple[float, float]] | None) -> list[Readings]:
    return [(ms, begin, end, faces)]


def blind(begin: float, end: float) -> list[Readings]:
    return placed(100, begin, end, None)


def times(played: dict[str, Any], kind: str) -> list[float]:
    return [now for now, what, _ in played["happened"] if what == kind]


def kinds(played: dict[str, Any]) -> list[str]:
    return [what for _, what, _ in played["happened"]]
