"""From folders and zips of pictures to one dataset and its manifest, and what is said where that fails."""

import csv
import errno
import json
import os
import shutil

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from tests.class_folders import build, save_pictures, zipped
from tests.drawn_faces import drawn_set
from tests.sentences import assert_one_sentence
from training import dataset
from training.data import assembling
from training.data.faces import SPLITS, Faces

_fresh_workers = assembling.worker_processes

pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")


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
