"""A manifest that is given to a dataset: the same split again, and what is no manifest."""

import gzip

import cv2
import numpy as np
import pytest

from tests.class_folders import build, save_pictures
from tests.sentences import assert_one_sentence
from training.data.faces import Faces

pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")


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
