"""Figures against hand-made ones, and the whole judgement on drawn faces with the shipped network."""

import json
import math
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from common.places import MODELS
from smile_recognition import DEFAULT_MODEL, LANDMARKS, SmileRecognizer
from tests.drawn_faces import drawn_parts
from training import evaluate
from training.data.faces import Faces
from training.fitting.augmentation import View, look, move_points
from training.judging import records as report
from training.judging import scores
from training.judging.model_card import model_card
from training.judging.plots import mistakes_sheet

pytestmark = pytest.mark.slow(30)

TRAINING = {
    "network": "smile",
    "trained_on": {"rafdb": 9000, "mine": 24},
    "backgrounds": 7,
    "seed": 3,
    "epochs": 33,
    "chosen_epoch": 29,
    "precision": "mixed_bfloat16",
    "weights": 1234567,
    "temperature": 0.87,
}


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Two sets of drawn faces with every third one in the test part, and landmarks and backgrounds in one of them."""
    return drawn_parts()


@pytest.fixture
def judged(faces, tmp_path):
    """A function that runs the command with more options; a model folder and a dataset lie in tmp_path."""
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(DEFAULT_MODEL, model)
    (model / "training.json").write_text(json.dumps(TRAINING))
    faces.save(tmp_path / "faces.npz")
    (tmp_path / "faces.json").write_text(json.dumps({"seed": 0, "sets": {"mine": {"pictures": 4321, "no_face": 17}}}))

    def run(*options) -> int:
        given = ["--model", model, "--data", tmp_path / "faces.npz", *options]
        return evaluate.main([str(option) for option in given])

    return run


# --- measures ---


def test_wilson_s_interval_is_as_published():
    assert scores.wilson_interval(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert scores.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    low, high = scores.wilson_interval(10, 10)
    assert 0.6 < low < high <= 1


def test_the_interval_by_groups_widens_when_faces_come_in_groups():
    right = np.random.default_rng(0).random(400) < 0.9
    alone = scores.grouped_interval(right, np.arange(400))
    assert alone == pytest.approx(scores.wilson_interval(int(right.sum()), 400), abs=0.012)
    low, high = scores.grouped_interval(np.repeat(right, 5), np.repeat(np.arange(400), 5))
    assert (low, high) == alone, "copies add no knowledge"
    assert scores.grouped_interval(right, np.arange(400)) == alone, "seeded"
    assert all(math.isnan(value) for value in scores.grouped_interval(right, np.zeros(400)))


def test_calibration_error_is_the_mean_gap_between_said_and_seen():
    smile = np.array([1, 0, 1, 0])
    assert scores.calibration_error(smile, np.array([0.5, 0.5, 0.5, 0.5])) == 0
    assert scores.calibration_error(smile, np.array([1.0, 0, 1, 0])) == 0
    assert scores.calibration_error(smile, np.array([0.0, 1, 0, 1])) == 1
    assert scores.calibration_error(smile, np.array([0.9, 0.2, 0.9, 0.2])) == pytest.approx(0.15)
    table = scores.reliability(smile, np.array([0.9, 0.2, 0.9, 0.4]), bins=2)
    assert table == {"predicted": [pytest.approx(0.3), pytest.approx(0.9)], "observed": [0, 1], "count": [2, 2]}
    assert math.isnan(scores.reliability(smile, np.full(4, 0.9), bins=2)["predicted"][0])


def test_smile_figures_equal_scikit_learn_s():
    rng = np.random.default_rng(4)
    smile = rng.integers(0, 2, 200).astype(np.int8)
    probability = np.clip(rng.normal(0.35 + 0.3 * smile, 0.25), 0, 1).astype(np.float32)
    figures = scores.smile_figures(smile, probability, np.arange(200) // 4)
    decided = probability >= 0.5
    assert figures["accuracy"] == pytest.approx((decided == smile).mean())
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(smile, decided))
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(smile, probability))
    assert (figures["faces"], figures["groups"]) == (200, 50)
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
    assert figures["accuracy_grouped_low"] < figures["accuracy"] < figures["accuracy_grouped_high"]
    order = ("no_smile_read_as_no_smile", "no_smile_read_as_smile", "smile_read_as_no_smile", "smile_read_as_smile")
    assert [figures["confusion"][name] for name in order] == confusion_matrix(smile, decided).ravel().tolist()


def test_what_one_class_can_t_say_is_null():
    figures = scores.plain(scores.smile_figures(np.ones(4, np.int8), np.array([0.2, 0.7, 0.8, 0.9]), np.zeros(4)))
    assert figures["accuracy"] == 0.75
    assert figures["roc_auc"] is figures["balanced_accuracy"] is figures["accuracy_grouped_low"] is None
    json.dumps(figures, allow_nan=False)
    presence = scores.plain(scores.presence_figures(np.ones(3), np.array([0.2, 0.95, 0.99])))
    assert presence["roc_auc"] is presence["false_positive_share"] is None
    assert presence["missed_share"] == pytest.approx(1 / 3, abs=1e-6)


def test_landmark_errors_are_in_distances_between_the_eyes():
    truth = np.array([[[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.4, 0.7], [0.6, 0.7]]] * 2)
    points = truth.copy()
    points[1, 2] += (0.0, 0.4)  # the nose of the second face, one distance between the eyes too low
    figures = scores.landmark_figures(points, truth, np.arange(2))
    assert figures["mean"] == pytest.approx(0.1)
    assert figures["median"] == pytest.approx(0.1)
    assert figures["share_over_10_percent"] == 0.5
    assert figures["mse"] == pytest.approx(0.4**2 / 20)
    assert figures["points"]["nose"] == {"mean": pytest.approx(0.5), "mse": pytest.approx(0.4**2 / 4)}
    assert figures["points"]["left_eye"] == {"mean": 0, "mse": 0}
    assert tuple(figures["points"]) == LANDMARKS


def test_presence_counts_both_kinds_of_error():
    figures = scores.presence_figures(np.array([1, 1, 1, 1, 0, 0]), np.array([0.99, 0.98, 0.95, 0.1, 0.97, 0.2]))
    assert figures["missed_share"] == 0.25
    assert figures["false_positive_share"] == 0.5
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["roc_auc"] == pytest.approx(5 / 8)


def test_photos_of_no_part_count_as_much_as_the_part_has_of_the_set():
    dealt = [(True, 1)] * 7 + [(True, 3), (False, 1), (False, 0)]
    figures = scores.photo_figures(dealt, [(False, 0)] * 4 + [(True, 1)], weight=0.2)
    assert figures["accuracy"] == pytest.approx(8.2 / 11)
    assert figures["missed_share"] == pytest.approx(1.8 / 11)
    assert figures["accuracy_where_found"] == pytest.approx(8 / 9)
    assert (figures["photos"], figures["without_face"], figures["without_face_found"]) == (10, 5, 1)
    assert figures["several_faces"] == 1
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
    assert math.isnan(scores.photo_figures([(False, 0)], [], 0.1)["accuracy_where_found"])


# --- harder faces ---


@pytest.mark.parametrize("kind", scores.HARDSHIPS)
def test_the_first_strength_changes_nothing_and_more_changes_more(kind, faces):
    hardship = scores.HARDSHIPS[kind]
    noise = np.random.default_rng(0).standard_normal((64, 64), np.float32)
    changes = []
    for strength in hardship.strengths:
        harder = hardship.apply(faces.gray[0], strength, noise)
        assert (harder.shape, harder.dtype) == ((64, 64), np.uint8)
        changes.append(np.abs(harder.astype(int) - faces.gray[0]).mean())
    assert changes[0] == 0
    assert all(less < more for less, more in pairwise(changes))


@pytest.mark.parametrize("angle", scores.ANGLES)
def test_a_turned_face_leans_as_its_eyes_say_and_its_middle_is_the_crop(angle, faces):
    upright = faces.landmarks[:1].astype(float)
    upright[0, 1, 1] = upright[0, 0, 1]
    leaning = move_points(upright[0], View(angle=angle), np.arange(5))
    assert scores.eye_tilt(leaning[None])[0] == pytest.approx(angle)
    turned = scores.turned(faces.wide[0], angle)
    assert turned.shape == (96, 96)
    crop = look(faces.wide[0], View(angle=angle)).astype(int)
    assert np.abs(turned[16:80, 16:80] - crop).mean() < 0.5, "the first look sees what training saw, to a 32nd of a pixel"


def test_a_second_look_at_a_leaning_face_sees_it_upright(faces):
    """With true landmarks in place of the network's."""
    seen = []

    class Recognizer(SmileRecognizer):
        def _run(self, crop):
            seen.append(crop)
            outputs = super()._run(crop).copy()
            outputs[2:] = move_points(faces.landmarks[0], View(angle=30), np.arange(5)).ravel()
            return outputs

    lean = scores.eye_tilt(faces.landmarks[:1])[0]
    scores.read_aligned(Recognizer(), scores.turned(faces.wide[0], 30), (16, 80, 80, 16))
    upright = look(faces.wide[0], View(angle=-float(lean))).astype(int)
    first, second = (np.abs(crop[8:56, 8:56] - upright[8:56, 8:56]).mean() for crop in seen)
    assert second < 6 < first


def test_curves_hold_a_share_for_every_strength_and_draw_the_same_faces_again(faces):
    recognizer = SmileRecognizer()
    some = faces.labelled().part("val")
    curves = scores.robustness(recognizer, some, most=5)
    assert curves["faces"] == {"mine": 5, "yours": 5}
    for kind in (*scores.HARDSHIPS, "rotation"):
        assert {len(shares) for shares in curves[kind]["accuracy"].values()} == {len(curves[kind]["strengths"])}
    assert set(curves["rotation"]["aligned"]) == {"mine", "yours"}
    assert scores.robustness(recognizer, some, most=5) == curves


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


# --- other networks ---


def test_left_out_sets_are_recorded_side_by_side_and_shown(judged, faces, tmp_path):
    assert judged() == 0
    without = tmp_path / "without"
    shutil.copytree(tmp_path / "model", without)
    (without / "training.json").write_text(json.dumps({**TRAINING, "trained_on": {"mine": 24}}))
    # The first face of the other set turns out to be a copy of a training face.
    copied = faces.group.copy()
    copied[np.isin(copied, copied[faces.source == "yours"][:1])] = faces.group[(faces.split == "train")][0]
    replace(faces, group=copied).save(tmp_path / "faces.npz")
    record = tmp_path / "model" / "left_out.json"
    record.write_text("{}")
    report.record(record, "zoo", {"figures": scores.smile_figures(np.ones(9), np.ones(9), np.arange(9))})
    assert judged("--left-out", "yours", "--model", without, "--record", record) == 0
    recorded = json.loads(record.read_text())
    assert list(recorded) == ["yours", "zoo"]
    assert recorded["yours"]["grouped_with_trained_on"] >= 1
    figures = recorded["yours"]["figures"]
    assert figures["faces"] + recorded["yours"]["grouped_with_trained_on"] == 30, "of all parts"
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert f"| yours | {figures['faces']} | {figures['accuracy']:.1%} |" in card
    assert "| zoo | 9 | 100.0% |" in card


def test_a_set_that_was_trained_on_is_not_left_out(judged, tmp_path, capsys):
    assert judged("--left-out", "mine", "--record", tmp_path / "left_out.json") == 2
    assert "was trained on mine" in capsys.readouterr().err
    assert judged("--left-out", "theirs", "--record", tmp_path / "left_out.json") == 2
    assert "has no faces of theirs" in capsys.readouterr().err
    assert not (tmp_path / "left_out.json").exists()


def test_simpler_networks_are_judged_on_the_same_faces(judged, faces, tmp_path):
    import joblib

    from training.fitting.batches import fit_scaler, resized
    from training.networks.recipes import RECIPES

    assert judged() == 0
    for name in ("lenet", "keypoints"):
        (tmp_path / name).mkdir()
        RECIPES[name].build().save(tmp_path / name / "my_model.keras")
        joblib.dump(fit_scaler(resized(faces, RECIPES[name].size)), tmp_path / name / "scaler.save")
        training = {**TRAINING, "network": name, "temperature": 1.0, "weights": 777, "trained_on": {"mine": 1}}
        (tmp_path / name / "training.json").write_text(json.dumps(training))
    record = tmp_path / "model" / "baselines.json"
    assert judged("--baselines", tmp_path / "lenet", tmp_path / "keypoints", "--record", record) == 0
    recorded, ours = json.loads(record.read_text()), json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert recorded["lenet"]["sets"]["yours"]["faces"] == ours["sets"]["yours"]["faces"]
    assert recorded["lenet"]["meant_for"] == ["smiles"]
    assert recorded["keypoints"]["sets"] == {}
    assert recorded["keypoints"]["landmarks"]["faces"] == ours["landmarks"]["faces"]
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "| this network | keypoints | lenet |" in card
    accuracy = recorded["lenet"]["sets"]["mine"]["accuracy"]
    assert f"| mine | {ours['sets']['mine']['accuracy']:.1%}* | - | {accuracy:.1%}* |" in card
    # A set more or less changes nothing for the others; on other faces of a set networks can't be compared.
    faces.where(faces.source == "mine").save(tmp_path / "faces.npz")
    assert judged() == 0
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert f"| mine | {ours['sets']['mine']['accuracy']:.1%}* | - | {accuracy:.1%}* |" in card
    last = np.flatnonzero((faces.split == "test") & (faces.smile >= 0))[-1]
    faces.where(np.arange(len(faces)) != last).save(tmp_path / "faces.npz")
    assert judged() == 0
    assert "Recorded on other faces" in (tmp_path / "model" / "MODEL_CARD.md").read_text()


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
