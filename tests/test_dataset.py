"""From folders and zips of pictures to one dataset and its manifest."""

import csv
import errno
import gzip
import json
import os
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from faces.detectors import create_detector
from tests.drawn_faces import draw_face, drawn_set
from training import dataset
from training.data import assembling
from training.data.faces import SPLITS, Faces
from training.data.reading import five_points, read_picture
from training.data.sources import KNOWN, Source, find_source, iterate_images
from training.dataset import build_dataset, read_set

_fresh_workers = assembling.worker_processes


pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")


def save_pictures(folder: Path, count: int, classes: tuple[str, str] = ("smile", "no_smile"), seed: int = 1) -> Path:
    """`folder` with `count` drawn faces in each of two class folders."""
    rng = np.random.default_rng(seed)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / label / f"{i}.png"), draw_face(label == classes[0], rng))
    return folder


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def build(*options: object) -> int:
    return dataset.main([str(option) for option in options])


def assert_one_sentence(capsys, sentence: str) -> None:
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert error.endswith(".\n")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """faces.npz, .csv and .json of a zip with 120 good pictures, copies, a damaged file and a text file."""
    home = tmp_path_factory.mktemp("built")
    # Pictures of fer are tight crops whose persons are not looked for: drawn faces are all one person.
    folder = save_pictures(home / "fer", 60, ("happy", "neutral"))
    shutil.copy(folder / "happy" / "3.png", folder / "happy" / "3 again.png")
    picture = cv2.imread(str(folder / "happy" / "5.png"))
    assert picture is not None
    cv2.imwrite(str(folder / "happy" / "5 brighter.png"), cv2.convertScaleAbs(picture, alpha=0.8, beta=20))
    cv2.imwrite(str(folder / "neutral" / "6 mirrored.png"), cv2.imread(str(folder / "happy" / "6.png"))[:, ::-1])
    (folder / "happy" / "damaged.jpg").write_bytes(b"\xff\xd8 cut off")
    (folder / "happy" / "empty.jpg").write_bytes(b"")
    (folder / "happy" / "notes.txt").write_text("not a picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembling, "worker_processes", _fresh_workers)
        assert build(zipped(folder), "--out", home / "faces", "--workers", 1) == 0
    return home


@pytest.fixture(scope="module")
def faces(built) -> Faces:
    return Faces.load(built / "faces.npz")


def test_every_picture_is_read_once_with_its_label(faces):
    n = 60 * 2 + 1 - 1  # one more for the near-copy, one less for the two of opposite labels
    assert len(faces) == n
    assert len(set(faces.name.tolist())) == n
    assert all((smile == 1) == name.startswith("happy/") for smile, name in zip(faces.smile, faces.name, strict=True))
    assert faces.gray.shape == (n, 64, 64)
    assert faces.wide.shape == (n, 128, 128)
    assert faces.gray.dtype == faces.wide.dtype == np.uint8
    assert faces.shape68.shape == (n, 68, 2)
    assert not np.isnan(faces.shape68).any()
    assert np.isnan(faces.landmarks).all(), "nobody measured them"
    assert set(faces.source.tolist()) == {"fer"}
    assert faces.face.all()


def test_an_exact_copy_is_dropped_and_a_near_copy_joins_its_group(faces):
    names = faces.name.tolist()
    assert ("happy/3.png" in names) + ("happy/3 again.png" in names) == 1
    pair = [names.index("happy/5.png"), names.index("happy/5 brighter.png")]
    assert faces.group[pair[0]] == faces.group[pair[1]]
    assert faces.split[pair[0]] == faces.split[pair[1]]


def test_near_copies_with_opposite_labels_are_dropped_both(faces):
    assert not {"happy/6.png", "neutral/6 mirrored.png"} & set(faces.name.tolist())


def test_the_manifest_agrees_with_the_dataset(built, faces):
    with (built / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["source", "name", "smile", "group", "split"]
    for field in rows[0]:
        assert [row[field] for row in rows] == [str(value) for value in getattr(faces, field)]
    report = json.loads((built / "faces.json").read_text())
    counts = report["sets"]["fer"]
    assert report["seed"] == 0
    assert counts["pictures"] == 60 * 2 + 5
    assert (counts["unreadable"], counts["exact_copies"], counts["near_copies_with_opposite_labels"]) == (2, 1, 2)
    assert counts["groups"] == len(set(faces.group.tolist())) + 1, "the dropped pair was a group, too"
    assert counts["largest_group"] == 2
    assert {side: counts[side] for side in SPLITS} == {side: int((faces.split == side).sum()) for side in SPLITS}
    assert counts["smiling"] == round(float(faces.smile.mean()), 3)
    assert counts["backgrounds"] == 0


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


def test_ctrl_c_is_a_sentence_too(built, tmp_path, capsys, monkeypatch):
    def stop(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "build_dataset", stop)
    assert build(built / "fer.zip", "--out", tmp_path / "faces") == 130
    assert_one_sentence(capsys, "Stopped.")


def test_a_place_that_can_not_be_written_is_said_in_a_sentence(built, tmp_path, capsys, monkeypatch):
    (tmp_path / "taken").write_text("")
    assert build(built / "fer.zip", "--out", tmp_path / "taken" / "faces") == 2
    assert_one_sentence(capsys, "The dataset could not be written")

    def disk_is_full(*_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", disk_is_full)
    assert build(built / "fer.zip", "--out", tmp_path / "faces") == 2
    assert_one_sentence(capsys, "No space left on device")


def test_a_killed_save_leaves_the_old_dataset(tmp_path, monkeypatch):
    old, new = drawn_set("a", 2, 0), drawn_set("a", 3, 1)
    old.save(tmp_path / "faces.npz")

    def killed_half_way(file, **_) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed_half_way)
    with pytest.raises(KeyboardInterrupt):
        new.save(tmp_path / "faces.npz")
    assert (Faces.load(tmp_path / "faces.npz").gray == old.gray).all()


def test_what_is_no_dataset_is_said_in_a_sentence(tmp_path):
    with pytest.raises(DatasetError, match=r"There is no dataset at .*missing\.npz"):
        Faces.load(tmp_path / "missing.npz")
    drawn_set("a", 2, 0).save(tmp_path / "faces.npz")
    for data in (b"", b"text", (tmp_path / "faces.npz").read_bytes()[:5000]):
        (tmp_path / "bad.npz").write_bytes(data)
        with pytest.raises(DatasetError, match="is not a dataset"):
            Faces.load(tmp_path / "bad.npz")
    whole = drawn_set("a", 2, 0).fields()
    for other in ({"gray": np.zeros(3)}, {**whole, "name": np.array(["one"])}, {**whole, "wide": whole["gray"]}):
        np.savez(tmp_path / "other.npz", **other)
        with pytest.raises(DatasetError, match="is not a dataset"):
            Faces.load(tmp_path / "other.npz")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """mine/ with 8 drawn faces, and the dataset built of it, whose persons were looked for."""
    home = tmp_path_factory.mktemp("split")
    folder = save_pictures(home / "mine", 4)
    assert build(folder, "--cropped", "--out", home / "first" / "faces") == 0
    return home


def test_a_manifest_gives_the_same_split_without_looking_for_persons(mine, tmp_path):
    first = Faces.load(mine / "first" / "faces.npz")
    assert build(mine / "mine", "--cropped", "--out", tmp_path / "faces", "--split", mine / "first" / "faces.csv") == 0
    second = Faces.load(tmp_path / "faces.npz")
    for field, value in first.fields().items():
        assert np.array_equal(value, second.fields()[field], equal_nan=value.dtype.kind == "f")
    assert (tmp_path / "faces.csv").read_text() == (mine / "first" / "faces.csv").read_text()
    assert not (tmp_path / "descriptors").exists()
    assert list((mine / "first" / "descriptors").iterdir())


def test_a_packed_manifest_of_photos_takes_their_backgrounds_along(face_picture, tmp_path):
    folder = save_pictures(tmp_path / "mine", 0)
    (folder / "smile" / "face.jpg").write_bytes(face_picture.read_bytes())
    cv2.imwrite(str(folder / "no_smile" / "wall.png"), np.full((200, 200), 99, np.uint8))
    path = tmp_path / "split.csv.gz"
    path.write_bytes(gzip.compress((_HEAD + "mine,smile/face.jpg,1,7,test\n").encode()))
    assert build(folder, "--out", tmp_path / "faces", "--split", path) == 0
    faces = Faces.load(tmp_path / "faces.npz")
    assert faces.name.tolist() == ["smile/face.jpg", "smile/face.jpg#0", "smile/face.jpg#1"]
    assert faces.group.tolist() == [7] * 3
    assert faces.split.tolist() == ["test"] * 3


_HEAD = "source,name,smile,group,split\n"


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (None, "is not a manifest"),
        ("", "names no picture of mine"),
        ("a,b\n1,2\n", "is not a manifest"),
        (_HEAD + "mine,smile/0.png,1,none,train\n", "is not a manifest"),
        (_HEAD + "mine,smile/0.png,1\n", "is not a manifest"),
        (_HEAD + "mine,smile/0.png,1,0,\n", "is not a manifest"),
        (_HEAD + "yours,smile/0.png,1,0,train\n", "names no picture of mine"),
    ],
)
def test_a_wrong_manifest_gets_one_sentence(mine, tmp_path, capsys, manifest, sentence):
    path = tmp_path / "split.csv"
    if manifest is not None:
        path.write_text(manifest)
    assert build(mine / "mine", "--cropped", "--out", tmp_path / "faces", "--split", path) == 2
    assert_one_sentence(capsys, sentence)
