"""Figures of ways to read a face against known answers, and the whole command on drawn faces with the shipped network."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import reading_choices
from benchmarks.reporting import choices_report
from common.face import Box, Face, as_points
from faces.alignment import TYPICAL_LANDMARKS
from smile_recognition import DEFAULT_MODEL
from tests.drawn_faces import drawn_parts, drawn_set
from training.data.faces import Faces
from training.data.splits import save_split
from training.fitting.augmentation import View, move_points
from training.judging.metrics import turned


class KnownAnswers:
    """In place of the network: points lean 10 degrees; `answer(gray, angle)` is P(smile), `angle` None at the first look."""

    def __init__(self, answer, larger=1.0):
        self.answer, self.larger, self.looks = answer, larger, 0

    def read(self, gray, boxes, angles=None):
        self.looks += len(boxes)
        top, right, bottom, left = boxes[0]
        points = move_points(TYPICAL_LANDMARKS, View(angle=10, scale=self.larger), np.arange(5))
        points = points * (right - left, bottom - top) + (left - 0.5, top - 0.5)
        smile = self.answer(gray, angles[0] if angles else None)
        return [Face(0, Box(*boxes[0]), float(smile), float(smile), as_points(points))]


def sides(gray, angle):
    """A crop's left edge is P(smile) of it as it is, its right edge that of its mirror image, its middle that upright."""
    if angle is None:
        return gray[32, 0] / 255
    assert angle == pytest.approx(10, abs=0.1)
    return gray[32, 32] / 255


def crops_of(left, right, middle) -> np.ndarray:
    crops = np.zeros((len(left), 64, 64), np.uint8)
    for column, values in ((0, left), (63, right), (32, middle)):
        crops[:, :, column] = np.round(np.array(values)[:, None] * 255)
    return crops


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Two sets of drawn faces, a third of each in every part; landmarks and backgrounds in one of them."""
    return drawn_parts()


@pytest.fixture
def command(faces, tmp_path):
    """A function that runs the command on a dataset, with more options; a model folder lies in tmp_path."""
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(DEFAULT_MODEL, model)
    history = [{"epoch": i + 1, "mine": 0.25 * i, "val": 0.25 * i, "genki": 0.125, "point_error": 0.0625} for i in range(3)]
    training = {"trained_on": {"mine": 12}, "weights": 9, "temperature": 1.0, "seed": 0, "epochs": 3}
    (model / "training.json").write_text(json.dumps({**training, "history": history, "chosen_epoch": 2}))
    save_split(faces, model / "split.csv.gz")

    def run(data: Faces = faces, *options) -> int:
        data.save(tmp_path / "faces.npz")
        given = ["--model", model, "--data", tmp_path / "faces.npz", *options]
        return reading_choices.main([str(option) for option in given])

    return run


# --- figures ---


def test_each_way_to_read_is_told_with_what_it_wins_and_loses():
    some = drawn_set("mine", 4, 0)  # smiles, does not, smiles, does not
    some = replace(some, gray=crops_of([0.9, 0.9, 0.9, 0.1], [0.9, 0.0, 0.0, 0.1], [0.9, 0.1, 0.9, 0.1]))
    figures = reading_choices.ways_to_read(KnownAnswers(sides), some)
    assert figures == {
        "mine": {
            "faces": 4,
            "plain": 0.75,
            **{"mirror": 0.75, "mirror_won": 1, "mirror_lost": 1},
            **{"upright": 1.0, "upright_won": 1, "upright_lost": 0},
        }
    }


def test_landmarks_that_can_t_be_the_same_face_are_not_followed():
    crop = crops_of([0.9], [0.9], [0.1])[0]
    likely, unlikely = KnownAnswers(sides), KnownAnswers(sides, larger=3)
    assert reading_choices.read_upright(likely, crop, (0, 64, 64, 0)) == pytest.approx((0.9, 0.1), abs=0.01)
    assert reading_choices.read_upright(unlikely, crop, (0, 64, 64, 0)) == pytest.approx((0.9, 0.9), abs=0.01)
    assert (likely.looks, unlikely.looks) == (2, 1)


def test_a_leaning_face_is_read_as_it_is_and_then_by_the_angle_of_its_landmarks():
    some = drawn_set("mine", 12, 0)
    known = {
        turned(wide, float(side * lean)).tobytes(): (side * lean, smile)
        for wide, smile in zip(some.wide, some.smile, strict=True)
        for lean in reading_choices.LEANS
        for side in (-1, 1)
    }
    seen = set()

    class Recognizer:
        """Right as long as a face leans by less than 25 degrees, and whenever it is told the true angle."""

        def read(self, gray, boxes, angles=None):
            lean, smile = known[gray.tobytes()]
            seen.add(lean)
            points = move_points(TYPICAL_LANDMARKS, View(angle=lean), np.arange(5)) * 64 + 16 - 0.5
            right = abs(lean) < 25 if angles is None else angles[0] == pytest.approx(lean, abs=0.1)
            if angles is not None:
                assert tuple(boxes[0]) == pytest.approx((16, 80, 80, 16), abs=2)
            answer = float(smile if right else 1 - smile)
            return [Face(0, Box(*boxes[0]), answer, answer, as_points(points))]

    figures = reading_choices.leaning(Recognizer(), some)
    assert figures == {"mine": {0: (1, 1), 10: (1, 1), 20: (1, 1), 30: (0, 1), 45: (0, 1)}}
    assert seen == {0, 10, -10, 20, -20, 30, -30, 45, -45}


def test_reading_upright_pays_from_where_it_wins_at_every_larger_lean():
    assert choices_report.pays_from({0: (0.9, 0.8), 10: (0.7, 0.8), 20: (0.9, 0.9), 30: (0.7, 0.8), 45: (0.6, 0.8)}) == 30
    assert choices_report.pays_from({0: (0.9, 0.8), 45: (0.8, 0.8)}) is None
    assert choices_report.pays_from({45: (0.6, 0.8), 0: (0.7, 0.8)}) == 0


def test_presence_thresholds_keep_faces_and_refuse_backgrounds():
    figures = reading_choices.presence_choices(np.array([1, 1, 1, 1, 0, 0]), np.array([0.99, 0.92, 0.8, 0.6, 0.91, 0.1]))
    assert {name: (f["kept"], f["refused"]) for name, f in figures.items()} == {
        "0.5": (1, 0.5),
        "0.7": (0.75, 0.5),
        "0.9": (0.5, 0.5),
        "0.95": (0.25, 1),
    }
    nothing = reading_choices.presence_choices(np.ones(2), np.ones(2))["0.5"]
    assert nothing["kept"] == 1
    assert math.isnan(nothing["refused"])


def test_the_best_threshold_gets_most_right_and_stays_near_one_half():
    smile = np.array([0, 0, 1, 1])
    assert reading_choices.best_threshold(smile, np.array([0.1, 0.2, 0.8, 0.9])) == 0.5
    assert 0.6 < reading_choices.best_threshold(smile, np.array([0.3, 0.6, 0.8, 0.9])) < 0.65, "the nearest to one half"
    assert 0.3 < reading_choices.best_threshold(smile, np.array([0.1, 0.3, 0.45, 0.9])) <= 0.45


def test_a_threshold_is_judged_on_the_half_that_it_was_not_chosen_on():
    """One half wants more than 0.6, the other less: what is best at home is wrong in the other half."""
    some = replace(drawn_set("mine", 40, 0), group=np.arange(40) // 2)
    first = reading_choices.first_half(some.group, 0)
    assert first.sum() == 20
    assert all(len(set(first[some.group == group])) == 1 for group in some.group), "a group stays on one side"
    probability = np.where(first, np.where(some.smile > 0, 0.8, 0.6), np.where(some.smile > 0, 0.55, 0.2))
    figures = reading_choices.own_thresholds(some, probability)["mine"]
    assert figures["usual"] == 0.75
    assert 0.6 < figures["thresholds"][0] < 0.65
    assert figures["thresholds"][1] == 0.5
    assert figures["own"] == 0.5, "not 1.0, as it would be for thresholds judged where they were chosen"
    assert math.isnan(reading_choices.own_thresholds(replace(some, group=np.zeros(40)), probability)["mine"]["own"])


def test_trained_faces_are_a_seeded_sample_of_the_training_part(faces):
    some = reading_choices.sample(faces, 5, 0)
    assert set(some.split) == {"train"}
    assert (some.smile >= 0).all()
    assert {name: int((some.source == name).sum()) for name in ("mine", "yours")} == {"mine": 5, "yours": 5}
    assert (some.name == reading_choices.sample(faces, 5, 0).name).all()
    everything = reading_choices.sample(faces, 1000, 0)
    assert len(everything) == len(np.unique([everything.source, everything.name], axis=1).T) == 22


def test_trained_and_unseen_faces_are_told_apart():
    trained, unseen = drawn_set("mine", 4, 0), drawn_set("mine", 2, 1)
    trained = replace(trained, gray=crops_of([0.9, 0.1, 0.9, 0.1], [0] * 4, [0] * 4))
    unseen = replace(unseen, gray=crops_of([0.9, 0.9], [0] * 2, [0] * 2))
    figures = reading_choices.trained_and_unseen(KnownAnswers(sides), trained, unseen)
    assert figures == {"mine": {"trained_faces": 4, "trained": 1.0, "unseen": 0.5}}


# --- the command ---


def test_the_test_part_changes_nothing_and_the_validation_part_does(command, faces, capsys):
    def printed(data: Faces) -> str:
        assert command(data) == 0
        return capsys.readouterr().out

    def turned_round(split: str) -> Faces:
        """Other labels, and the pictures of other faces."""
        here = faces.split == split
        smile = np.where(here & (faces.smile >= 0), 1 - faces.smile, faces.smile).astype(np.int8)
        gray, wide = (np.where(here[:, None, None], 255 - pixels, pixels) for pixels in (faces.gray, faces.wide))
        landmarks = np.where(here[:, None, None], faces.landmarks / 2, faces.landmarks)
        return replace(faces, smile=smile, gray=gray, wide=wide, landmarks=landmarks)

    usual = printed(faces)
    assert printed(turned_round("test")) == usual
    assert printed(turned_round("val")) != usual


def test_the_command_prints_a_table_for_every_choice(command, capsys):
    assert command() == 0
    printed = capsys.readouterr().out
    assert "Faces of the validation part: 22,\n22 of them with a smile label. Seed 0." in printed
    assert printed.count("### ") == 7
    assert "| epoch | genki | mine | mean of the sets | point error |\n" in printed
    assert "\n| 2 of 3 | 12.5% | 25.0% | 25.0% | 6.2% |\n" in printed
    assert "22 faces and 2 backgrounds. The app draws it at 0.9." in printed
    assert "Mean error on 12 faces with measured points" in printed
    assert max(map(len, printed.splitlines())) <= 125
    assert "nan" not in printed


def test_the_figures_go_between_the_marks_and_nowhere_else(command, tmp_path, capsys):
    document = tmp_path / "experiments.md"
    document.write_text(f"Before.\n{reading_choices.BEGIN}\nold figures\n{reading_choices.END}\nAfter.\n")
    assert command() == 0
    figures = capsys.readouterr().out
    for _ in range(2):
        assert reading_choices.main(_options(tmp_path, "--into", document)) == 0
        text = document.read_text()
        assert text == f"Before.\n{reading_choices.BEGIN}\n\n{figures}\n{reading_choices.END}\nAfter.\n"


def _options(folder, *more) -> list[str]:
    return [str(option) for option in ("--model", folder / "model", "--data", folder / "faces.npz", *more)]


def test_a_document_without_marks_is_left_alone(command, tmp_path, capsys):
    document = tmp_path / "experiments.md"
    for content in ("No marks.\n", f"{reading_choices.END}\n{reading_choices.BEGIN}\n"):
        document.write_text(content)
        assert reading_choices.main(_options(tmp_path, "--into", document)) == 2
        assert "has no place for the figures; put the lines" in capsys.readouterr().err
        assert document.read_text() == content


def test_a_network_that_was_trained_on_validation_faces_is_not_judged(command, faces, tmp_path, capsys):
    save_split(replace(faces, split=np.full(len(faces), "train")), tmp_path / "model" / "split.csv.gz")
    assert command() == 2
    assert "was trained on faces of this dataset's validation" in capsys.readouterr().err


def test_what_is_missing_is_said_in_one_sentence(command, faces, tmp_path, capsys):
    assert reading_choices.main(_options(tmp_path)) == 2
    assert "There is no dataset at" in capsys.readouterr().err
    assert command(replace(faces, smile=np.full(len(faces), -1, np.int8))) == 2
    assert "The validation part has no face with a smile label" in capsys.readouterr().err
