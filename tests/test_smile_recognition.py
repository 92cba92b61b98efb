import threading
import zipfile

import cv2
import numpy as np
import pytest

from common.errors import ModelError
from smile_recognition import DEFAULT_MODEL, SmileRecognizer, crop_face, predict_smile
from tests.project import ROOT

pytestmark = pytest.mark.slow

ASTRONAUT_BOX = (75, 272, 165, 182)


@pytest.fixture(scope="module")
def gray(astronaut) -> np.ndarray:
    return cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)


def test_a_smiling_astronaut_smiles(gray):
    smiles = predict_smile(gray, [ASTRONAUT_BOX])
    assert smiles.shape == (1,)
    assert smiles.dtype == np.float32
    assert smiles[0] > 0.8


def test_no_box_gives_an_empty_answer(gray):
    smiles = predict_smile(gray, [])
    assert smiles.shape == (0,)
    assert smiles.dtype == np.float32


def test_each_box_gets_its_own_answer_in_order(gray):
    boxes = [ASTRONAUT_BOX, (300, 400, 400, 300), (75, 270, 165, 180)]
    together = predict_smile(gray, boxes)
    alone = [predict_smile(gray, [box])[0] for box in boxes]
    assert together.tolist() == alone
    assert abs(together[0] - together[2]) < 0.2, "two pixels do not make another face"


def test_a_box_may_cover_the_whole_picture_or_reach_past_its_edge(gray):
    face = gray[75:165, 182:272]
    whole = predict_smile(face, [(0, 90, 90, 0)])[0]
    assert whole == pytest.approx(predict_smile(gray, [ASTRONAUT_BOX])[0], abs=1e-5)
    past = predict_smile(face, [(-8, 98, 98, -8)])
    assert 0 <= past[0] <= 1
    far_out = predict_smile(face, [(-5000, 98, 98, -5000), (400, 600, 500, 500)])
    assert np.isfinite(far_out).all()
    huge = predict_smile(face, [(-100_000, 100_000, 100_000, -100_000), (-(10**9), 10**9, 10**9, -(10**9))])
    assert np.isfinite(huge).all()


def test_small_and_large_faces_read_alike(gray):
    top, right, bottom, left = ASTRONAUT_BOX
    face = gray[top:bottom, left:right]
    for size in (40, 64, 300):
        scaled = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA if size < 90 else cv2.INTER_CUBIC)
        assert predict_smile(scaled, [(0, size, size, 0)])[0] > 0.8, size


def test_the_crop_is_exactly_the_box():
    picture = np.zeros((100, 100), np.uint8)
    picture[20:60, 30:70] = 255
    assert crop_face(picture, (20, 70, 60, 30)).min() == 255
    crop = crop_face(picture, (0, 100, 100, 0), size=10)
    assert (crop == 255).sum() == 16
    edge = crop_face(np.tile(np.arange(50, dtype=np.uint8), (50, 1)), (0, 70, 50, 20), size=50)
    assert (edge[:, -5:] == 49).all(), "past the edge the border is repeated"


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (10, 5, 20, 10), (20, 30, 10, 20)])
def test_an_empty_box_is_refused(gray, box):
    with pytest.raises(ValueError, match="expected a box with top < bottom and left < right"):
        predict_smile(gray, [box])


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)])
def test_another_kind_of_picture_is_refused(wrong):
    with pytest.raises(ValueError, match="expected gray of dtype uint8 and shape"):
        predict_smile(wrong, [(0, 4, 4, 0)])


def test_the_network_can_be_asked_from_many_threads(gray):
    recognizer = SmileRecognizer()
    expected = recognizer.predict_smile(gray, [ASTRONAUT_BOX])[0]
    answers: list[float] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(recognizer.predict_smile(gray, [ASTRONAUT_BOX] * 50).tolist()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {expected}
    assert len(answers) == 200


def test_a_file_that_is_no_smile_network_is_said_in_a_sentence(tmp_path):
    with pytest.raises(ModelError, match="There is no network at"):
        SmileRecognizer(tmp_path / "missing.tflite")
    for content in (b"", b"nonsense" * 100, DEFAULT_MODEL.read_bytes()[:20_000]):
        (tmp_path / "broken.tflite").write_bytes(content)
        with pytest.raises(ModelError, match="git checkout models"):
            SmileRecognizer(tmp_path / "broken.tflite")


@pytest.mark.parametrize(("name", "bar"), [("smiles", 0.915), ("getty_faces", 0.90), ("genki", 0.935)])
def test_the_shipped_network_reads_faces_that_it_has_never_seen(name, bar, shared_data):
    """On the pictures listed in models/unseen.csv, which training and choosing never touched."""
    from faces.detectors import create_detector
    from faces.photo import analyze_photo

    lines = (ROOT / "models" / "unseen.csv").read_text().split()
    unseen = [line.split(",")[1] for line in lines if line.startswith(name + ",")]
    assert len(unseen) > 300
    recognizer, detector = SmileRecognizer(), create_detector("finder")
    right = 0
    with zipfile.ZipFile(shared_data / f"{name}.zip") as archive:
        for picture in unseen:
            data = np.frombuffer(archive.read(f"{name}/{picture}"), np.uint8)
            gray = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            if name == "genki":
                faces = analyze_photo(gray, detector, recognizer)
                if not faces:
                    continue  # counts as wrong
                smile = faces[0].smile
            else:
                smile = recognizer.predict_smile(gray, [(0, gray.shape[1], gray.shape[0], 0)])[0]
            right += (smile >= 0.5) == picture.startswith("smile/")
    assert right / len(unseen) >= bar, f"{right} of {len(unseen)}"
