"""A gathered set keeps its origin: licence, creator and the near-copies that gathering found reach the dataset."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest

from scraping.asking.assets import Asset, Page
from scraping.checking import check_picture
from scraping.manifest import Fetched, Manifest, Verdict
from tests.drawn_faces import draw_face
from training import dataset
from training.data.faces import Faces
from training.data.origins import gathered_copies, read_origins

pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")

TERMS = {"smile": "smile", "no smile": "no_smile"}
COUNT = 5  # pictures of each term
NEAR = ("smile/101.png", "smile/103.png")


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder as getty_scraper leaves it: 103 is nearly the same picture as 101, 104's creator could be a formula."""
    folder = tmp_path / "images"
    rng = np.random.default_rng(1)
    folder.mkdir()
    manifest = Manifest.open(folder, {"source": "pages"})
    for number, (term, name) in enumerate(TERMS.items(), 1):
        manifest.add_term(term, name)
        (folder / name).mkdir()
        assets = [_asset(f"{100 * number + i}") for i in range(COUNT)]
        manifest.add_page(term, 1, Page(tuple(assets)))
        for asset in assets:
            path = folder / name / f"{asset.id}.png"
            cv2.imwrite(str(path), draw_face(term == "smile", rng))
            manifest.store(asset.id, Fetched(check_picture(path.read_bytes()), 0.0))
    manifest.judge({"103": Verdict(near_copy_of="101")})
    manifest.close()
    return folder


def _asset(identity: str) -> Asset:
    creator = "=1+1" if identity == "104" else f"Person {identity[0]}"
    return Asset(
        identity, "https://pictures.example/a.jpg", "A face", creator, "Agency", "rf", f"https://pictures.example/{identity}"
    )


def build(*options: object) -> int:
    return dataset.main([str(option) for option in options])


def test_licence_and_creator_reach_the_datasets_table_and_report(images, tmp_path):
    cv2.imwrite(str(images / "smile" / "mine.png"), draw_face(True, np.random.default_rng(9)))  # put there by hand
    assert build(images, "--cropped", "--out", tmp_path / "faces") == 0
    report = json.loads((tmp_path / "faces.json").read_text())["sets"]["images"]["origin"]
    assert report == {"known": 10, "unknown": 1, "licences": {"rf": 10}, "creators": 3, "near_copies": 1}
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    given = ("creator", "credit", "licence", "licence_page")
    assert [rows["no_smile/200.png"][name] for name in given] == ["Person 2", "Agency", "rf", "https://pictures.example/200"]
    assert [rows["smile/mine.png"][name] for name in given] == [""] * 4
    assert rows["smile/104.png"]["creator"] == "'=1+1", "no formula for a spreadsheet"


def test_near_copies_that_gathering_found_stand_on_one_side(images, tmp_path, monkeypatch):
    """Without the faces' own rules, which take drawn ones for one person."""
    monkeypatch.setattr(dataset, "near_copies", lambda *_: np.empty((0, 2), int))
    monkeypatch.setattr("training.data.assembling.person_pairs", lambda *_: np.empty((0, 2), int))
    assert build(images, "--cropped", "--out", tmp_path / "faces") == 0
    faces = Faces.load(tmp_path / "faces.npz")
    group = dict(zip(faces.name.tolist(), faces.group.tolist(), strict=True))
    assert group[NEAR[0]] == group[NEAR[1]]
    assert len(set(group.values())) == 2 * COUNT - 1


def test_copies_of_a_picture_that_is_gone_are_copies_of_each_other(images):
    with sqlite3.connect(images / "manifest.sqlite3") as connection:
        connection.execute("UPDATE assets SET near_copy_of = '101' WHERE asset_id = '104'")
    connection.close()
    names = np.array(["smile/100.png", "smile/103.png", "smile/104.png"])
    faces = Faces(
        gray=np.zeros((3, 64, 64), np.uint8),
        wide=np.zeros((3, 128, 128), np.uint8),
        smile=np.ones(3, np.int8),
        face=np.ones(3, np.uint8),
        landmarks=np.zeros((3, 5, 2)),
        shape68=np.zeros((3, 68, 2)),
        source=np.full(3, "images"),
        name=names,
        group=np.arange(3),
        split=np.full(3, "train"),
    )
    assert gathered_copies(faces, {"images": read_origins(images)}).tolist() == [[1, 2]]
    assert gathered_copies(faces, {"images": {}}).shape == (0, 2)


def test_a_zip_and_a_killed_runs_folder_say_the_same(images):
    whole = read_origins(images)
    assert len(whole) == 2 * COUNT
    packed = Path(shutil.make_archive(str(images), "zip", images.parent, "images"))
    assert read_origins(packed) == whole
    connection = sqlite3.connect(images / "manifest.sqlite3")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE assets SET licence = 'rm'")
    connection.commit()  # in the file beside it, as a kill leaves it
    assert {origin.licence for origin in read_origins(images).values()} == {"rm"}
    connection.close()


def test_a_damaged_manifest_is_one_sentence(images, tmp_path, capsys):
    (images / "manifest.sqlite3").write_bytes(b"no table")
    assert build(images, "--cropped", "--out", tmp_path / "faces") == 2
    error = capsys.readouterr().err
    assert "manifest.sqlite3 in" in error
    assert "move that file away" in error
    assert "Traceback" not in error
