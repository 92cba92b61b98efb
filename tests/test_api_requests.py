"""What is sent to the API: from whom it is taken, which way up a picture is, and all faces on it."""

import io
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.api_calls import ANALYZE, REACTIONS, client_with_board, form


@pytest.fixture
def client(tmp_path):
    yield from client_with_board(tmp_path)


@pytest.mark.parametrize("path", [ANALYZE, REACTIONS])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://smile.example"}, True),
        ({"Origin": "http://LOCALHOST"}, True),
        ({"Origin": "http://localhost:3000"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "ftp://localhost"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_only_this_apps_pages_and_programs_may_send(client, path, headers, allowed):
    response = client.post(path, data=b"{}", content_type="application/json", headers=headers)
    other_site = response.status_code == 403 and "Other sites" in response.json["error"]
    assert other_site is not allowed


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (6, 90), (3, 180), (8, 270)])
def test_a_picture_is_turned_upright_as_its_exif_data_says(client, astronaut, kind, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    upright = Image.fromarray(cv2.cvtColor(astronaut[:400], cv2.COLOR_BGR2RGB))
    upright.rotate(turn, expand=True).save(file, kind, exif=exif.tobytes())
    for data in (file.getvalue(), form(file.getvalue(), "{}")):
        answer = client.post(ANALYZE, data=data).json
        assert (answer["width"], answer["height"]) == (512, 400)
        [face] = answer["faces"]
        assert face["label"] == "smile"
        assert face["landmarks"]["mouth_left"][1] > face["landmarks"]["left_eye"][1], "upright"


@pytest.mark.parametrize("previous", [None, "{}"])
def test_several_faces_are_all_read(client, astronaut, previous):
    faces = np.hstack([astronaut[:300, 100:340]] * 3)
    data = cv2.imencode(".jpg", faces)[1].tobytes()
    answer = client.post(ANALYZE, data=data if previous is None else form(data, previous)).json
    assert len(answer["faces"]) == 3
    assert sorted(face["id"] for face in answer["faces"]) == [1, 2, 3]
    places = sorted(face["box"]["left"] for face in answer["faces"])
    assert all(150 < right - left < 330 for left, right in pairwise(places))
