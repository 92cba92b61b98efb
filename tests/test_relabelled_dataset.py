"""What decisions on labels make of a dataset, and of one that is built with them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.drawn_faces import draw_face
from tests.relabelling import decisions_of, training_faces
from tests.sentences import assert_one_sentence
from training import dataset
from training.data.assembling import SHARES
from training.data.faces import Faces
from training.labels.decisions import Journal, apply_decisions, count_decisions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("dataset_workers_in_this_process")]


def test_labels_change_and_faces_go_in_the_training_part_only(tmp_path):
    faces = training_faces()
    decisions = decisions_of(
        tmp_path / "d.csv",
        ("mine", "happy/0.png", "no_smile"),
        ("mine", "happy/2.png", "smile"),
        ("mine", "neutral/5.png", "drop"),
        ("mine", "neutral/7.png", "skip"),
        ("mine", "neutral/21.png", "smile"),  # validation
        ("mine", "neutral/31.png", "drop"),  # test
        ("yours", "happy/0.png", "no_smile"),
        ("yours", "nobody.png", "smile"),
    )
    counts = count_decisions(faces, decisions)
    assert counts == {
        "sets": {
            "mine": {"changed": 1, "dropped": 1, "confirmed": 1, "skipped": 1, "automatic": 0},
            "yours": {"changed": 1, "dropped": 0, "confirmed": 0, "skipped": 0, "automatic": 0},
        },
        "outside_training": 2,
        "unknown": 1,
    }
    after = apply_decisions(faces, decisions)
    gone = np.flatnonzero((faces.source == "mine") & (faces.name == "neutral/5.png"))
    kept = np.delete(np.arange(len(faces)), gone)
    changed = np.flatnonzero(after.smile != faces.smile[kept])
    assert [(after.source[i], after.name[i], after.smile[i]) for i in changed] == [
        ("mine", "happy/0.png", 0),
        ("yours", "happy/0.png", 0),
    ]
    for field_name, value in after.fields().items():
        if field_name != "smile":
            assert np.array_equal(value, faces.fields()[field_name][kept], equal_nan=value.dtype.kind == "f")
    assert faces.smile[0] == 1, "the faces that were given are as they were"


def test_no_decisions_change_nothing():
    faces = training_faces()
    after = apply_decisions(faces, {})
    assert np.array_equal(after.smile, faces.smile)
    assert len(after) == len(faces)


def save_set(folder: Path) -> Path:
    """20 drawn faces, and three times nearly the same picture with opposite labels. fer: persons are not looked for."""
    rng = np.random.default_rng(1)
    for label in ("happy", "neutral"):
        (folder / label).mkdir(parents=True)
        for i in range(10):
            cv2.imwrite(str(folder / label / f"{i}.png"), draw_face(label == "happy", rng))
    for i in range(3):
        picture = draw_face(True, rng)
        cv2.imwrite(str(folder / "happy" / f"twin{i}.png"), picture)
        cv2.imwrite(str(folder / "neutral" / f"twin{i}.png"), cv2.convertScaleAbs(picture, alpha=0.8, beta=20))
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return save_set(tmp_path_factory.mktemp("pictures") / "fer")


def build(pictures: Path, out: Path, *options: object) -> Faces:
    """With all parts, as of thousands of pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "shares_for", lambda faces: SHARES)
        assert dataset.main([str(pictures), "--out", str(out / "faces"), *map(str, options)]) == 0
    return Faces.load(out / "faces.npz")


def test_the_dataset_follows_decisions_and_says_so(pictures, tmp_path, capsys):
    first = build(pictures, tmp_path / "first")
    aside = Faces.load(tmp_path / "first" / "faces.contested.npz")
    assert sorted(aside.name.tolist()) == sorted(f"{label}/twin{i}.png" for label in ("happy", "neutral") for i in range(3))
    training = first.part("train")
    side = dict(zip(first.name.tolist(), first.split.tolist(), strict=True))
    changed, dropped = training.name[0], training.name[1]
    elsewhere = first.name[first.split == "test"][0]
    path = tmp_path / "decisions.csv"
    decisions_of(
        path,
        ("fer", changed, "no_smile" if training.smile[0] else "smile"),
        ("fer", dropped, "drop"),
        ("fer", elsewhere, "drop"),
        ("fer", "happy/gone.png", "smile"),
        ("fer", "neutral/twin0.png", "smile"),
        ("fer", "neutral/twin1.png", "drop"),
        ("fer", "neutral/twin2.png", "skip"),
    )
    capsys.readouterr()
    manifest = tmp_path / "first" / "faces.csv"
    second = build(pictures, tmp_path / "second", "--split", manifest, "--decisions", path)
    assert set(side) - set(second.name.tolist()) == {dropped}
    assert second.smile[second.name == changed][0] == 1 - training.smile[0]
    assert {name: side[name] for name in second.name.tolist()} == dict(
        zip(second.name.tolist(), second.split.tolist(), strict=True)
    )
    said = capsys.readouterr().out
    assert "fer: 1 labels changed, 1 faces dropped" in said
    assert "1 decisions are on validation or test faces" in said
    assert "3 decisions are on near-copies with opposite labels that were left out" in said
    assert "1 decisions are on faces that are not in the dataset" in said
    record = json.loads((tmp_path / "second" / "faces.json").read_text())
    assert record["decisions"]["sets"]["fer"]["changed"] == 1
    assert record["decisions"]["file"] == "decisions.csv"
    assert record["sets"]["fer"]["train"] == (second.split == "train").sum()

    third = build(pictures, tmp_path / "third", "--decisions", path)
    names = third.name.tolist()
    assert {"happy/twin0.png", "neutral/twin0.png", "happy/twin1.png"} <= set(names), "settled near-copies are back"
    assert not {"neutral/twin1.png", "happy/twin2.png", "neutral/twin2.png"} & set(names)
    assert third.smile[names.index("neutral/twin0.png")] == 1
    twins = [names.index("happy/twin0.png"), names.index("neutral/twin0.png")]
    assert third.group[twins[0]] == third.group[twins[1]]
    assert len(Faces.load(tmp_path / "third" / "faces.contested.npz")) == 6, "all are still there, to decide otherwise"


def test_settled_near_copies_stay_settled_in_every_part_when_the_split_is_taken_over(pictures, tmp_path):
    path = tmp_path / "decisions.csv"
    decisions_of(path, *(("fer", f"neutral/twin{i}.png", "smile") for i in range(3)))
    settled = build(pictures, tmp_path / "settled", "--decisions", path, "--seed", 4)
    parts = {side for name, side in zip(settled.name, settled.split, strict=True) if "twin" in name}
    assert parts & {"val", "test"}, "or this shows nothing"
    again = build(pictures, tmp_path / "again", "--decisions", path, "--split", tmp_path / "settled" / "faces.csv")
    for field_name in ("name", "smile", "split"):
        assert again.fields()[field_name].tolist() == settled.fields()[field_name].tolist()
    assert len(Faces.load(tmp_path / "again" / "faces.contested.npz")) == 6

    with Journal(path) as journal:
        journal.undo({("fer", "neutral/twin1.png")})
        journal.add([(("fer", "neutral/twin2.png"), "drop")], "Ann")
    other = build(pictures, tmp_path / "other", "--decisions", path, "--split", tmp_path / "settled" / "faces.csv")
    assert set(settled.name.tolist()) - set(other.name.tolist()) == {
        "happy/twin1.png",  # contested again
        "neutral/twin1.png",
        "neutral/twin2.png",
    }
    record = json.loads((tmp_path / "other" / "faces.json").read_text())["decisions"]
    assert (record["near_copies"], record["near_copies_left_out"]) == (2, 0)


def test_a_corrupt_table_stops_the_dataset_before_any_picture_is_read(tmp_path, capsys):
    (tmp_path / "d.csv").write_text("nonsense\n")
    command = [str(tmp_path / "no such set"), "--out", str(tmp_path / "faces"), "--decisions"]
    assert dataset.main([*command, str(tmp_path / "d.csv")]) == 2
    assert_one_sentence(capsys, "is not a table of")
    assert dataset.main([*command, str(tmp_path / "none.csv")]) == 2
    assert_one_sentence(capsys, "can't be read")
