"""The page `/jokes`: the board, with a bar for every joke."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flask import Blueprint, Response, render_template

from common.errors import BoardError
from jokes.board import JokeBoard
from jokes.ranking import Ranking, Standing
from web.errors import NO_STORE
from web.joke_routes import BOARD_FAILED, MOST_SHOWN, log_failure

_BAR_WIDTH = 200.0  # in units of the drawing


@dataclass(frozen=True)
class Bar:
    """Where a standing is drawn: `zero`, `end`, `low` and `high`, in units from the left edge, 0 to 200."""

    zero: float
    end: float
    low: float
    high: float


def points(lift: float) -> str:
    """A lift in whole points of the smile meter: `+72`, `0`, or with a minus sign. As in `static/jokes/lift.js`."""
    whole = math.floor(100 * lift + 0.5)
    return f"{whole:+d}".replace("-", "\N{MINUS SIGN}") if whole else "0"


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
        shown = tuple(standing for standing in standings if standing.laughs)[:MOST_SHOWN]
        tellings_counted = sum(standing.reactions for standing in standings)
        rows = list(zip(shown, _bars(shown), strict=True))
        html = render_template(
            "jokes.html", rows=rows, jokes=len(standings), tellings=tellings_counted, problem=problem, width=_BAR_WIDTH
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
