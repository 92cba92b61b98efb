"""`GET /api/v1/jokes/random`, `POST /api/v1/reactions` and `GET /api/v1/jokes/board`: a joke, its effect, and the board.

curl -H 'Content-Type: application/json' localhost:5000/api/v1/reactions -d '{"agreed": true,
    "joke": {"id": "house-f3a0b8d1", "source": "house"}, "before": 0.1, "peak": 0.8, "seconds": 2.5}'
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request

from common.errors import AlreadyCounted, BoardError, SmileError, TooManyCounted, UnknownJoke, WrongReaction
from common.event_log import log_event
from common.visitor_limits import network_number
from jokes.board import JokeBoard
from jokes.box import Told
from jokes.joke import MAX_SECONDS, Joke, Reaction
from jokes.quotas import Quotas
from jokes.ranking import LEVEL, Ranking, Standing
from jokes.tellings import TOO_MANY_FOR_S
from web.errors import NO_STORE, error_json, refuse_other_sites

MAX_BYTES = 4096
MOST_SHOWN = 100
BOARD_FAILED = "The joke board can't be used just now, and the app's log says why. You can still hear jokes."
_SHAPE = (
    'Send JSON like {"joke": {"id": "...", "source": "..."}, "before": 0.1, "peak": 0.8, "seconds": 2.5, "agreed": true}, '
    f"with before and peak from 0 to 1 and seconds from 0 to {MAX_SECONDS:.0f}."
)


def joke_api(
    tell_joke: Callable[[], Joke], board: JokeBoard | None, tellings: Told, quotas: Quotas, *, allow_host: str = ""
) -> Blueprint:
    """A joke, reactions to it, and the board as JSON. With `board` None the answers say that the app keeps none.

    `allow_host`: as `Settings.allow_host`.
    """
    api = Blueprint("joke_api", __name__)

    @api.get("/api/v1/jokes/random")
    def random_joke() -> Response:
        response = jsonify(asdict(tell_joke()))
        response.headers.update(NO_STORE)
        return response

    @api.post("/api/v1/reactions")
    def react() -> tuple[str, int] | Response:
        if refused := refuse_other_sites("smiles", allow_host):
            return refused
        if board is None:
            return error_json("This app keeps no joke board; nothing was stored.", 404)
        request.max_content_length = MAX_BYTES
        body = _read_body()
        if body.get("agreed") is not True:
            return error_json("Nothing was stored: a smile is only counted with the person's consent, as agreed: true.", 403)
        source, identity, reaction = _read_reaction(body)
        visitor = network_number(request.remote_addr)
        joke = tellings.take(source, identity, visitor)
        try:
            quotas.count(visitor, joke.key)
            try:
                board.add(joke, reaction)
            except BoardError:
                quotas.give_back(visitor, joke.key)
                raise
        except (BoardError, TooManyCounted):
            tellings.note(joke, visitor)  # it may be sent again
            raise
        return "", 204

    @api.get("/api/v1/jokes/board")
    def read_board() -> Response:
        ranking = Ranking(board.tallies() if board else ())
        response = jsonify(
            kept=board is not None,
            interval=LEVEL,
            typical=round(ranking.typical, 4),
            jokes=[_as_json(standing) for standing in ranking.standings[:MOST_SHOWN]],
        )
        response.headers.update(NO_STORE)
        return response

    _answer_errors(api)
    return api


def _answer_errors(api: Blueprint) -> None:
    @api.errorhandler(BoardError)
    def board_failed(error: BoardError) -> Response:
        log_failure(error)
        return error_json(BOARD_FAILED, 503)

    @api.errorhandler(WrongReaction)
    @api.errorhandler(UnknownJoke)
    def not_understood(error: SmileError) -> Response:
        return error_json(str(error), 400)

    @api.errorhandler(AlreadyCounted)
    def already_counted(error: AlreadyCounted) -> Response:
        return error_json(str(error), 409)

    @api.errorhandler(TooManyCounted)
    def too_many(error: TooManyCounted) -> Response:
        return error_json(str(error), 429, retry_after_s=TOO_MANY_FOR_S)

    @api.errorhandler(413)
    def too_large(_) -> Response:
        return error_json(f"This is too long for a reaction; send at most {MAX_BYTES} bytes.", 413)


def _read_body() -> dict[str, Any]:
    if request.mimetype != "application/json":  # other sites' forms can't send this type
        raise WrongReaction("Send the reaction as JSON, with Content-Type: application/json.")
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        raise WrongReaction(_SHAPE) from None
    if not isinstance(body, dict):
        raise WrongReaction(_SHAPE)
    return body


def _read_reaction(body: dict[str, Any]) -> tuple[str, str, Reaction]:
    """The joke's source and id, and the reaction to it. Raises WrongReaction."""
    joke, numbers = body.get("joke"), [body.get(name) for name in ("before", "peak", "seconds")]
    if not isinstance(joke, dict):
        raise WrongReaction(_SHAPE)
    source, identity = joke.get("source"), joke.get("id")
    if not isinstance(source, str) or not isinstance(identity, str):
        raise WrongReaction(_SHAPE)
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise WrongReaction(_SHAPE)
    try:
        return source, identity, Reaction(*numbers)  # type: ignore[arg-type]
    except ValueError:
        raise WrongReaction(_SHAPE) from None


def _as_json(standing: Standing) -> dict[str, Any]:
    joke = standing.joke
    numbers = {name: round(getattr(standing, name), 4) for name in ("mean", "estimate", "low", "high")}
    told = {"id": joke.id, "source": joke.source, "text": joke.text}
    counts = {"reactions": standing.reactions, "laughs": standing.laughs}
    return told | counts | {"seconds": round(standing.seconds, 1)} | numbers


def log_failure(error: BoardError) -> None:
    log_event("board", level=logging.WARNING, status="failed", message=str(error))
