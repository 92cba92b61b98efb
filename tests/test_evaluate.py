"""The judgement of a network, on drawn faces with the shipped one: the card, mistakes, whole photos, and bad input."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.places import MODELS
from tests.drawn_faces import drawn_parts
from tests.judged_networks import judging
from training.data.faces import Faces
from training.judging.model_card import model_card
from training.judging.plots import mistakes_sheet

pytestmark = pytest.mark.slow(20)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return drawn_parts()


@pytest.fixture
def judged(faces, tmp_path):
    return judging(faces, tmp_path)


# --- the card ---


def test_the_card_says_what_was_measured(judged, tmp_path, capsys):
    assert judged() == 0
    folder = tmp_path / "model"
    figures = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    card = (folder / "MODEL_CARD.md").read_text()
    mine = figures["sets"]["mine"]
    row = f"| mine | {mine['faces']} | {mine['accuracy']:.1%} | {mine['accuracy_grouped_low']:.1%} to "
    assert row in card
    assert row in capsys.readouterr().out
    assert f"{figures['landmarks']['mean']:.1%}" in card
    assert f"{figures['presence']['mine']['false_positive_share']:.1%} | " in card
    for said in (
        "1,234,567",
        "0.87",
        "9,000",
        "33 epochs",
        "epoch 29 was the best",
        "mixed_bfloat16",
        "4,321",
        figures["sha256"],
    ):
        assert said in card
    assert "non-commercial research only" in card
    assert "300-W" in card
    assert card.count("Not measured.") == 3, "neither photos nor left-out sets nor baselines"
    assert card.rstrip().endswith(f"{figures['command']}\n```")
    for plot in figures["plots"].values():
        assert plot in card
        assert cv2.imread(str(folder / plot)) is not None


def test_the_same_inputs_give_the_same_bytes(judged, tmp_path):
    def files() -> dict:
        written = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in written}

    assert judged() == 0
    first = files()
    assert judged() == 0
    assert files() == first


def test_unseen_names_the_faces_of_the_test_part_only(judged, faces, tmp_path):
    assert judged() == 0
    lines = (tmp_path / "model" / "unseen.csv").read_text().splitlines()
    test = faces.part("test")
    assert lines[0] == "source,name"
    assert len(lines) - 1 == (test.face == 1).sum()
    assert not any("#" in line for line in lines)


def test_the_validation_part_is_judged_without_writing_figures(judged, tmp_path, capsys):
    assert judged("--part", "val") == 0
    assert "| yours |" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "model").iterdir()} - {"mistakes"}  # sheets, if it makes any
    assert written == {"smile.tflite", "training.json"}


def test_mistakes_land_beside_their_network_but_never_where_the_shipped_one_is_published(
    judged, faces, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    contrary = np.where(faces.smile >= 0, 1 - faces.smile, faces.smile).astype(np.int8)
    replace(faces, smile=contrary).save(tmp_path / "faces.npz")
    for model, sheets in ((tmp_path / "model", tmp_path / "model" / "mistakes"), (MODELS, Path("runs/mistakes"))):
        judged("--model", model, "--part", "val")
        assert f"of the worst mistakes are in {sheets}; they show people" in capsys.readouterr().out
        assert list(sheets.glob("val_*.png"))


def test_mistakes_are_shown_most_confident_first(faces, tmp_path):
    probability = np.where(faces.smile > 0, 0.9, 0.1)
    assert mistakes_sheet(faces, probability, tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists()
    probability[:30] = np.where(faces.smile[:30] > 0, 0.2, 0.8)
    probability[8] = 0.01
    assert mistakes_sheet(faces, probability, tmp_path / "sheet.png") == 24
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (4 * 150, 6 * 128)
    assert (sheet[:128, :128] == cv2.resize(faces.gray[8], (128, 128), interpolation=cv2.INTER_CUBIC)).all()


# --- whole photos ---


def test_photos_are_judged_from_file_to_face(judged, faces, face_picture, tmp_path):
    for label, name in (("smile", "face.jpg"), ("no_smile", "other.jpg"), ("no_smile", "wall.jpg")):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        picture = cv2.imread(str(face_picture)) if name != "wall.jpg" else np.full((200, 200, 3), 99, np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / label / name), picture)
    known = faces.where(np.arange(2))
    known = replace(known, source=np.full(2, "photos"), name=np.array(["smile/face.jpg", "no_smile/other.jpg"]))
    known = replace(known, split=np.array(["test", "train"]))
    Faces.join([faces, known]).save(tmp_path / "faces.npz")
    assert judged("--photos", tmp_path / "photos") == 0
    photos = json.loads((tmp_path / "model" / "metrics.json").read_text())["photos"]
    assert (photos["set"], photos["photos"], photos["without_face"]) == ("photos", 1, 1), "the wall; not the training photo"
    assert photos["weight"] == 0.5
    assert 0 <= photos["accuracy_low"] <= photos["accuracy"] <= photos["accuracy_high"] <= 1
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text().replace("\n", " ")
    assert "all photos of photos in the test part, 1 of them" in card
    assert "found no face in one photo of the set, so that is in no part; the app finds none there. Nothing" in card


@pytest.mark.parametrize(
    ("without", "found", "said"),
    [
        (0, 0, "found a face in every photo of the set."),
        (
            1,
            1,
            "so that is in no part; the app finds one there.\nNothing was trained on it, so it counts",
        ),
        (
            3,
            0,
            "so these are in no part; the app finds none in these.\nNothing was trained on them, so each",
        ),
        (1200, 7, "in 1,200 photos of the set, so these are in no part; the app finds one in 7 of these."),
    ],
)
def test_the_card_reads_well_however_few_photos_are_in_no_part(without, found, said):
    metrics, training = (json.loads((MODELS / name).read_text()) for name in ("metrics.json", "training.json"))
    metrics["photos"] |= {"without_face": without, "without_face_found": found}
    assert said in model_card(metrics, training, {}, {})


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "missing.npz"], "There is no dataset at missing.npz"),
        (["--data", __file__], "is not a dataset"),
        (["--model", "missing"], "There is no network at missing"),
        (["--photos", "missing"], "holds no labelled whole photos"),
        (["--mistakes", "docs/mistakes"], "is no place for pictures of people"),
        (["--baselines", "missing"], "There is no missing/training.json"),
        (["--left-out", "yours", "--model", "missing"], "There is no missing/training.json"),
    ],
)
def test_bad_options_get_one_sentence_and_code_2(judged, capsys, options, sentence):
    assert judged(*options) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_an_empty_part_gets_one_sentence(judged, faces, tmp_path, capsys):
    faces.part("train").save(tmp_path / "faces.npz")
    assert judged() == 2
    assert "no labelled face in its test part" in capsys.readouterr().err
    faces.where(faces.face == 0).save(tmp_path / "faces.npz")
    assert judged() == 2


def test_a_damaged_training_json_gets_one_sentence(judged, tmp_path, capsys):
    (tmp_path / "model" / "training.json").write_text("{")
    assert judged() == 2
    assert "can't be read as JSON" in capsys.readouterr().err
    (tmp_path / "model" / "training.json").write_text("{}")
    assert judged() == 2
    assert "does not say trained_on, weights" in capsys.readouterr().err


def test_a_part_of_one_class_is_judged_without_what_it_can_t_say(judged, faces, tmp_path):
    faces.where(faces.smile == 1).save(tmp_path / "faces.npz")
    assert judged() == 0
    figures = json.loads((tmp_path / "model" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert figures["sets"]["mine"]["roc_auc"] is None
    assert figures["presence"] is None
    assert "| - |" in (tmp_path / "model" / "MODEL_CARD.md").read_text()
