"""The page `/jokes`: the board as a podium, and behind "How sure?" a bar for every joke."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flask import Blueprint, Response, render_template

from common.errors import BoardError
from jokes.board import JokeBoard
from jokes.ranking import Ranking, Standing
from web.errors import NO_STORE
from web.joke_routes import BOARD_FAILED, MOST_SHOWN, log_failure

WARM_FROM = 3  # tellings, before a joke has a place
_STEPS = 3
_BAR_WIDTH = 200.0  # in units of the drawing


@dataclass(frozen=True)
class Bar:
    """Where a standing is drawn: `zero`, `end`, `low` and `high`, in units from the left edge, 0 to 200."""

    zero: float
    end: float
    low: float
    high: float


@dataclass(frozen=True)
class Groups:
    """Standings in their order: the three on the `podium`, `more` that made somebody laugh, those `warming_up` with too few
    tellings to tell, and those that left everybody `unmoved`.
    """

    podium: tuple[Standing, ...]
    more: tuple[Standing, ...]
    warming_up: tuple[Standing, ...]
    unmoved: tuple[Standing, ...]


def points(lift: float) -> str:
    """A lift in whole points of the smile meter: `+72`, `0`, or with a minus sign. As in `static/jokes/lift.js`."""
    whole = math.floor(100 * lift + 0.5)
    return f"{whole:+d}".replace("-", "\N{MINUS SIGN}") if whole else "0"


def grouped(standings: tuple[Standing, ...]) -> Groups:
    """`standings`: the funniest first."""
    told = [one for one in standings if one.reactions >= WARM_FROM]
    funny = tuple(one for one in told if one.laughs)
    warming_up = tuple(one for one in standings if one.reactions < WARM_FROM)
    unmoved = tuple(one for one in told if not one.laughs)
    return Groups(funny[:_STEPS], funny[_STEPS:], warming_up, unmoved)


def board_page(board: JokeBoard | None) -> Blueprint:
    """The page. With `board` None it says that the app keeps none. All templates of the app get `board_kept`."""
    pages = Blueprint("board_page", __name__)

    @pages.app_context_processor
    def tell_templates() -> dict[str, bool]:
        return {"board_kept": board is not None}

    pages.add_app_template_filter(points)

    @pages.get("/jokes")
    def page() -> Response:
        problem = ""
        standings: tuple[Standing, ...] = ()
        try:
            standings = Ranking(board.tallies() if board else ()).standings
        except BoardError as error:
            log_failure(error)
            problem = BOARD_FAILED
        shown = grouped(standings[:MOST_SHOWN])
        funny = shown.podium + shown.more
        html = render_template(
            "jokes.html",
            shown=shown,
            rows=list(zip(funny, _bars(funny), strict=True)),
            jokes=len(standings),
            most=MOST_SHOWN,
            warm_from=WARM_FROM,
            problem=problem,
            width=_BAR_WIDTH,
        )
        return Response(html, 503 if problem else 200, headers=NO_STORE)

    return pages


def _bars(standings: tuple[Standing, ...]) -> list[Bar]:
    """One bar for each standing, on one scale that just fits zero and every interval."""
    low = min([0.0, *(standing.low for standing in standings)])
    high = max([0.1, *(standing.high for standing in standings)])

    def place(lift: float) -> float:
        return round(2 + (lift - low) / (high - low) * (_BAR_WIDTH - 4), 1)

    return [Bar(place(0), place(one.estimate), place(one.low), place(one.high)) for one in standings]
