"""How a dataset reads its sets: folders, zips, photos with faces in them, tables of points, and what is no set."""

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from faces.detectors import create_detector
from tests.class_folders import build, save_pictures, zipped
from tests.sentences import assert_one_sentence
from training.data.reading import five_points, read_picture
from training.data.sources import KNOWN, Source, find_source, iterate_images
from training.dataset import build_dataset, read_set

pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")


def test_a_zip_reads_like_the_folder_in_it(tmp_path):
    folder = save_pictures(tmp_path / "mine", 3)
    source = find_source(folder, cropped=True)
    assert source == find_source(zipped(folder), cropped=True)
    read, _ = read_set(folder, source)
    packed, _ = read_set(tmp_path / "mine.zip", source)
    for field, value in read.fields().items():
        assert np.array_equal(value, packed.fields()[field], equal_nan=value.dtype.kind == "f")


def test_only_a_zip_of_a_known_name_has_the_rules_of_a_known_set():
    assert find_source(Path("data/rafdb.zip")) is KNOWN["rafdb"]
    assert find_source(Path("rafdb")).classes == {"smile": 1, "no_smile": 0}


def test_pictures_of_one_name_in_two_albums_are_two(tmp_path):
    save_pictures(tmp_path / "mine" / "2020", 2)
    save_pictures(tmp_path / "mine" / "2021", 2, seed=2)

    names = [picture.name for picture in iterate_images(tmp_path / "mine", find_source(tmp_path / "mine"))]

    assert len(names) == len(set(names)) == 8


def test_pictures_of_every_kind_are_read_and_those_without_a_suffix_by_their_content(tmp_path):
    folder = save_pictures(tmp_path / "mine", 3)
    (folder / "smile" / "0.png").rename(folder / "smile" / "0")
    (folder / "smile" / "1.png").rename(folder / "smile" / "1.heic")  # counted as unreadable or not, but never passed over
    (folder / "smile" / "readme").write_text("of these pictures")
    names = [picture.name for picture in iterate_images(folder, find_source(folder)) if picture.smile]
    assert names == ["smile/0", "smile/1.heic", "smile/2.png"]


def test_pictures_come_in_name_order_with_the_label_of_their_folder(tmp_path):
    folder = save_pictures(tmp_path / "mine", 2)
    (folder / "other").mkdir()
    shutil.copy(folder / "smile" / "0.png", folder / "other" / "0.png")
    pictures = list(iterate_images(folder, find_source(folder)))
    assert [picture.name for picture in pictures] == ["no_smile/0.png", "no_smile/1.png", "smile/0.png", "smile/1.png"]
    assert [picture.smile for picture in pictures] == [0, 0, 1, 1]


def test_a_damaged_member_of_a_zip_is_counted_and_skipped(tmp_path):
    path = zipped(save_pictures(tmp_path / "mine", 2))
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("mine/smile/1.png")
    data = bytearray(path.read_bytes())
    start = member.header_offset + 30 + len(member.filename)
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    read, left_out = read_set(path, find_source(path, cropped=True))
    assert left_out == {"unreadable": 1}
    assert read.name.tolist() == ["no_smile/0.png", "no_smile/1.png", "smile/0.png"]


def test_photos_are_cropped_with_the_app_s_own_detector_and_give_backgrounds(face_picture, tmp_path):
    folder = save_pictures(tmp_path / "mine", 0)
    (folder / "smile" / "face.jpg").write_bytes(face_picture.read_bytes())
    cv2.imwrite(str(folder / "no_smile" / "wall.png"), np.full((200, 200), 99, np.uint8))
    read, left_out = read_set(folder, find_source(folder))
    assert left_out == {"no_face": 1}
    assert read.name.tolist() == ["smile/face.jpg", "smile/face.jpg#0", "smile/face.jpg#1"]
    assert read.smile.tolist() == [1, -1, -1]
    assert read.face.tolist() == [1, 0, 0]
    assert np.isnan(read.shape68[1:]).all()
    middle = read.wide[0][24:104, 24:104]  # the box of the wide crop is what the app reads
    assert np.abs(cv2.resize(middle, (64, 64), interpolation=cv2.INTER_AREA).astype(int) - read.gray[0]).mean() < 3


def astronaut_points(gray: np.ndarray) -> np.ndarray:
    """dlib's 68 points `(68, 2)` in pixels of the picture."""
    read = read_picture(Source("x"), "x.png", cv2.imencode(".png", gray)[1].tobytes())
    assert not isinstance(read, str)
    box = create_detector("face_recognition").detect(gray, min_face=40)[0]
    return read[0].shape68 * (box.width, box.height) + (box.left, box.top) - 0.5


def test_known_points_become_landmarks_of_the_box_that_was_cut(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)[:400]
    points = astronaut_points(gray)
    for scale in (1.0, 0.25):  # at a quarter no detector sees the face: the points alone say where it is
        small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        read = read_picture(Source("x"), "x.png", cv2.imencode(".png", small)[1].tobytes(), (points + 0.5) * scale - 0.5)
        assert not isinstance(read, str)
        assert np.abs(read[0].landmarks - five_points(read[0].shape68)).max() < 0.08
        assert read[0].landmarks[0, 0] < read[0].landmarks[1, 0], "the left eye is the picture's left one"


def keypoints_zip(home: Path, table: str, names: tuple[str, ...], picture: np.ndarray) -> Path:
    with zipfile.ZipFile(home / "keypoints.zip", "w") as archive:
        if table:
            archive.writestr("keypoints/keypoints.csv", table)
        for name in names:
            archive.writestr(f"keypoints/{name}", cv2.imencode(".png", picture)[1].tobytes())
    return home / "keypoints.zip"


def test_a_set_with_a_table_of_points_gives_landmarks_and_no_smiles(astronaut, tmp_path):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)[:260]
    row = ",".join(f"{value:.1f}" for value in astronaut_points(gray).ravel())
    table = f"file,x0,y0\ntest_Ann_1.png,{row}\nmissing_Bob_2.png,{row}\n"
    path = keypoints_zip(tmp_path, table, ("test_Ann_1.png", "not_in_the_table.png"), gray)
    read, left_out = read_set(path, find_source(path))
    assert left_out == {}
    assert read.name.tolist() == ["test_Ann_1.png", "test_Ann_1.png#0", "test_Ann_1.png#1"]
    assert (read.smile == -1).all()
    assert np.abs(read.landmarks[0] - five_points(read.shape68[0])).max() < 0.02


@pytest.mark.parametrize(
    ("table", "sentence"),
    [("", "has no keypoints.csv"), ("file,x0,y0\na.png,1,2\n", "is not a table"), ("file\n\n", "is not a table")],
)
def test_a_bad_table_of_points_gets_one_sentence(tmp_path, capsys, table, sentence):
    path = keypoints_zip(tmp_path, table, ("a.png",), np.zeros((9, 9), np.uint8))
    assert build(path, "--out", tmp_path / "out") == 2
    assert_one_sentence(capsys, sentence)


def _cut_short(home: Path) -> Path:
    path = zipped(save_pictures(home / "cut", 1))
    data = path.read_bytes()
    directory = data.index(b"PK\x01\x02")
    path.write_bytes(data[:directory] + b"\0" * 4 + data[directory + 4 :])
    return path


def _text(home: Path) -> Path:
    (home / "notes.zip").write_text("not a zip")
    return home / "notes.zip"


def _walls(home: Path) -> Path:
    folder = save_pictures(home / "walls", 0)
    for label in ("smile", "no_smile"):
        cv2.imwrite(str(folder / label / "wall.png"), np.full((200, 200), 99, np.uint8))
    return folder


def _one_class(home: Path) -> Path:
    folder = save_pictures(home / "mine", 1)
    shutil.rmtree(folder / "no_smile")
    return folder


def _empty_class(home: Path) -> Path:
    folder = save_pictures(home / "mine", 1)
    (folder / "smile" / "0.png").unlink()
    return folder


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda home: save_pictures(home / "mine", 0), "has no pictures in a folder called"),
        (_empty_class, "has no pictures in a folder called smile;"),
        (_one_class, "has no pictures in a folder called no_smile;"),
        (lambda home: home / "missing", "neither a folder nor a whole zip file"),
        (_text, "neither a folder nor a whole zip file"),
        (_cut_short, "neither a folder nor a whole zip file"),
        (_walls, "No face could be found"),
    ],
)
def test_a_useless_set_gets_one_sentence_and_code_2(tmp_path, capsys, prepare, sentence):
    assert build(prepare(tmp_path), "--out", tmp_path / "out") == 2
    assert_one_sentence(capsys, sentence)
    assert not list(tmp_path.glob("out*"))


def test_two_sets_of_one_name_and_no_set_at_all_get_one_sentence(tmp_path):
    folders = [save_pictures(tmp_path / place / "mine", 1) for place in ("here", "there")]
    with pytest.raises(DatasetError, match="Two sets are called mine"):
        build_dataset(folders, tmp_path / "out", cropped=True)
    with pytest.raises(DatasetError, match="Name at least one set"):
        build_dataset([], tmp_path / "out")
