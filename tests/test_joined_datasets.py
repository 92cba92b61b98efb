"""Several datasets joined into one: parts, copies and groups of the first hold for all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from tests.drawn_faces import drawn_set
from training.data.faces import Faces
from training.join import join
from training.join import main as join_main


def test_joined_datasets_keep_parts_and_copies_follow(tmp_path, capsys):
    first = replace(drawn_set("one", 6, 0), split=np.array(["train", "val", "test"] * 2))
    other = replace(drawn_set("two", 4, 1), split=np.array(["train"] * 4))
    gray = other.gray.copy()
    gray[0] = first.gray[1]  # a copy of a validation face
    gray[1], gray[2] = first.gray[0], first.gray[2]  # one group of two, tied to two parts
    other = replace(other, gray=gray, group=np.array([0, 1, 1, 2]), smile=np.array([0, 1, 1, 0], np.int8))  # as theirs
    whole = join(first, other)
    assert whole.split.tolist() == [*first.split, "val", "train"]
    assert whole.name[6:].tolist() == [other.name[0], other.name[3]]
    assert whole.group[:6].tolist() == first.group.tolist()
    assert whole.group[6] == first.group[1], "a fold or an interval must not part copies"
    assert whole.group[7] not in first.group
    first.save(tmp_path / "first.npz")
    other.save(tmp_path / "other.npz")
    assert (
        join_main([*(str(tmp_path / f"{name}.npz") for name in ("first", "other")), "--out", str(tmp_path / "all.npz")]) == 0
    )
    assert "2 of 4 left out; train 1, val 1, test 0" in capsys.readouterr().out
    assert Faces.load(tmp_path / "all.npz").split.tolist() == whole.split.tolist()
    assert join_main([str(tmp_path / "all.npz"), str(tmp_path / "other.npz"), "--out", str(tmp_path / "no.npz")]) == 2
    assert "Both datasets hold two" in capsys.readouterr().err


def test_of_joined_near_copies_with_opposite_labels_that_of_the_first_dataset_stays():
    first, other = drawn_set("one", 6, 0), drawn_set("two", 4, 1)
    gray = other.gray.copy()
    gray[:2] = first.gray[[1, 3]]  # of which neither smiles, and of the copies the first one does
    whole = join(first, replace(other, gray=gray))
    assert whole.name[6:].tolist() == other.name[1:].tolist()
    assert whole.group[6] == first.group[3]


def test_a_face_ties_its_group_to_the_first_dataset_and_chained_joins_do_so_too():
    first = replace(drawn_set("one", 3, 0), split=np.array(["train", "val", "test"]))
    second = replace(drawn_set("two", 3, 1), group=np.array([0, 0, 1]))
    third = drawn_set("three", 2, 2)
    second.gray[0] = first.gray[2]
    third.gray[1] = second.gray[1]
    smile = np.full(3, -1, np.int8)
    whole = join(join(first, replace(second, smile=smile)), replace(third, smile=smile[:2]))
    assert whole.split.tolist() == ["train", "val", "test", "test", "test", "train", "train", "test"]
    assert (whole.group[[3, 4, 7]] == whole.group[2]).all()
    assert len(set(whole.group.tolist())) == 5


def test_a_joined_dataset_reports_on_the_sets_of_all_and_ctrl_c_is_no_error(tmp_path, capsys, monkeypatch):
    for name, report in (("one", {"seed": 3, "sets": {"one": {"pictures": 9, "train": 4}}}), ("two", {"sets": {"two": {}}})):
        drawn_set(name, 4, 0 if name == "one" else 1).save(tmp_path / f"{name}.npz")
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    command = [*(str(tmp_path / f"{name}.npz") for name in ("one", "two")), "--out", str(tmp_path / "all.npz")]
    assert join_main(command) == 0
    parts = {"train": 4, "val": 0, "test": 0}
    made = json.loads((tmp_path / "all.json").read_text())
    assert made == {"seed": 3, "sets": {"one": {"pictures": 9, **parts}, "two": parts}}
    capsys.readouterr()
    monkeypatch.setattr(Faces, "load", interrupted)
    assert join_main(command) == 130
    assert capsys.readouterr().err == "Stopped. The same command begins anew.\n"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
