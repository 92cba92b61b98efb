"""What the tests of the API share: its addresses, a client of an app with a board, and the form with a picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from flask.testing import FlaskClient

from common.settings import Settings
from web.application import close_app, create_app

ANALYZE, REACTIONS, JOKE, BOARD = "/api/v1/analyze", "/api/v1/reactions", "/api/v1/jokes/random", "/api/v1/jokes/board"


def client_with_board(folder: Path) -> Iterator[FlaskClient]:
    """For a fixture: a client of an app that other addresses may use, too, closed after the test."""
    board = str(folder / "board.sqlite3")
    app = create_app(Settings(source="none", joke_url="", board=board, visitor_rate=0, allow_host="smile.example"))
    yield app.test_client()
    close_app(app)


def picture_of(astronaut: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", astronaut[:400])[1].tobytes()


def form(picture: bytes, previous: str) -> dict:
    return {"image": (io.BytesIO(picture), "me.jpg"), "previous": previous}
