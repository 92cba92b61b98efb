"""What a network's file says of how good it is, and who warns of one that is useless."""

import zipfile
from dataclasses import replace

import cv2
import numpy as np

import app
import inference
from common.judged import Judged, attach, read_judged
from common.places import DEFAULT_MODEL
from smile_recognition import SmileRecognizer
from tests.drawn_faces import drawn_set
from training.fitting.standing import judged_by

GOOD = Judged("validation", 200, 0.99, 100, 100, 0.93, 0.88)
BLIND = replace(GOOD, found=0.02)
GUESSING = replace(GOOD, balanced=0.52, low=0.45)


def test_a_network_carries_its_record_and_still_loads(tmp_path, astronaut):
    path = tmp_path / "smile.tflite"
    path.write_bytes(attach(DEFAULT_MODEL.read_bytes(), GOOD))
    assert read_judged(path) == GOOD
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    (ours,), (shipped,) = (SmileRecognizer(p).read(gray, [(60, 280, 190, 160)]) for p in (path, DEFAULT_MODEL))
    assert ours == shipped
    assert attach(b"x", GOOD) == attach(b"x", GOOD), "the same record gives the same bytes"
    assert attach(attach(b"x", BLIND), GOOD) == attach(b"x", GOOD), "a new record takes the old one's place"


def test_a_file_without_a_whole_record_says_nothing(tmp_path):
    path = tmp_path / "smile.tflite"
    assert read_judged(path) is None
    for content in (b"", b"network", attach(b"network", GOOD)[:-30]):
        path.write_bytes(content)
        assert read_judged(path) is None
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("judged.json", '{"how": "validation", "faces": "many"}')
    assert read_judged(path) is None


def test_what_is_wrong_with_a_network_is_one_sentence():
    assert not GOOD.problem()
    assert not GOOD.hopeless
    assert "a face in only 2% of the 200 faces" in BLIND.problem()
    assert "hardly better than a coin (52% of 200 faces right)" in GUESSING.problem()
    assert BLIND.hopeless
    assert GUESSING.hopeless
    assert "in only 80%" in replace(GOOD, found=0.8).problem()
    assert not replace(GOOD, found=0.8).hopeless, "it may serve"
    assert "6 smiling and 100 other faces and are mostly luck" in replace(GOOD, smiling=6).caution()
    assert not GOOD.caution()
    assert not replace(GOOD, smiling=0, serious=0, balanced=0.0, low=0.0).hopeless, "nothing is known of its smiles"


def test_a_record_counts_each_class_for_itself():
    faces = drawn_set("mine", 40, 1)
    logits = np.where(faces.smile > 0, 1.0, np.where(np.arange(40) < 20, 1.0, -1.0))  # half of the serious ones are wrong
    judged = judged_by("validation", faces, logits, np.full(40, 2.0))
    assert (judged.smiling, judged.serious, judged.found, judged.balanced) == (20, 20, 1.0, 0.75)
    assert 0.4 < judged.low < 0.75
    one_class = faces.where(faces.smile > 0)
    assert judged_by("test", one_class, np.ones(20), np.ones(20)).balanced == 1.0


def test_scoring_says_that_a_network_is_useless_and_ends_with_code_1(tmp_path, face_picture, capsys):
    path = tmp_path / "smile.tflite"
    path.write_bytes(attach(DEFAULT_MODEL.read_bytes(), BLIND))
    out = tmp_path / "faces.csv"
    assert inference.main([str(face_picture), "--model", str(path), "--out", str(out), "--workers", "1"]) == 1
    assert f"{path}: {BLIND.problem()}\n" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 2, "the table is whole all the same"


def test_the_app_says_that_a_network_is_useless(tmp_path, monkeypatch, capfd):
    path = tmp_path / "smile.tflite"
    path.write_bytes(attach(DEFAULT_MODEL.read_bytes(), GUESSING))
    monkeypatch.setattr("serving.server.serve", lambda settings: 0)
    assert app.main(["--model", str(path), "--source", "none"]) == 0
    assert GUESSING.problem() in capfd.readouterr().err
