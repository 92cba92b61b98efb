"""Copies and persons are found, and no side of a split shares one with another."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.drawn_faces import drawn_set
from training.data import assembling
from training.data.assembling import SHARES, group_faces, split_groups
from training.data.faces import SPLITS, Faces
from training.data.grouping import connected_groups, describe_person, duplicate_pairs, person_pairs
from training.data.sources import KNOWN, Source, person_in_name

pytestmark = pytest.mark.usefixtures("dataset_workers_in_this_process")


def plain(*names: str) -> dict[str, Source]:
    """Sets in which persons are not looked for."""
    return {name: Source(name, person_distance=0) for name in names}


def test_near_copies_are_found_and_other_faces_are_not():
    crops = drawn_set("a", 20, 5).gray
    brighter = cv2.convertScaleAbs(crops[3], alpha=0.8, beta=20)
    blurred = cv2.GaussianBlur(crops[4], (3, 3), 0)
    copies = duplicate_pairs(np.concatenate([crops, np.stack([brighter, blurred, crops[5][:, ::-1]])]))
    assert sorted(map(tuple, copies.pairs.tolist())) == [(3, 20), (4, 21), (5, 22)]
    assert (copies.correlation > 0.97).all()
    assert len(duplicate_pairs(crops[:0]).pairs) == 0


def test_groups_chain_pairs_and_strangers_stay_apart():
    descriptors = np.zeros((4, 128))
    descriptors[:, 0] = [0.0, 0.3, 0.6, 5.0]
    pairs = person_pairs(descriptors)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (1, 2)]
    groups = connected_groups(4, pairs)
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert len(person_pairs(descriptors[:0])) == 0


def test_near_copies_in_two_sets_are_one_group_on_one_side(tmp_path):
    here, there = drawn_set("here", 30, 1), drawn_set("there", 30, 2)
    copies = np.stack([cv2.convertScaleAbs(crop, alpha=0.9, beta=5) for crop in here.gray[:10]])
    there = replace(there, gray=np.concatenate([copies, there.gray[10:]]))
    grouped, counts = group_faces(Faces.join([here, there]), plain("here", "there"), tmp_path)
    assert len(grouped) == 60
    assert (grouped.group[:10] == grouped.group[30:40]).all()
    assert len(set(grouped.group.tolist())) == 50
    assert counts["here"]["largest_group"] == 1, "one of the two is another set's"
    for seed in range(3):
        split = split_groups(grouped, seed=seed).split
        assert (split[:10] == split[30:40]).all()


def test_backgrounds_stand_on_the_side_of_their_photo(tmp_path):
    faces = drawn_set("mine", 60, 1, backgrounds=120)
    faces.gray[60] = faces.gray[61] = 90  # two bare walls are copies, not a reason to join two photos
    grouped, counts = group_faces(faces, plain("mine"), tmp_path)
    assert counts["mine"]["exact_copies"] == 0, "it counts copies of faces"
    assert len(grouped) == len(faces) - 1
    assert len(set(grouped.group.tolist())) == 60
    split = split_groups(grouped, seed=0)
    sides = dict(zip(split.name[:60].tolist(), split.split[:60].tolist(), strict=True))
    assert all(sides[name.partition("#")[0]] == side for name, side in zip(split.name, split.split, strict=True))
    assert len(set(sides.values())) == 3


def test_number_signs_in_file_names_do_not_join_pictures(tmp_path):
    faces = drawn_set("mine", 4, 1)
    faces = replace(faces, name=np.array([f"smile/photo #{i}.jpg" for i in range(4)]))
    assert len(set(group_faces(faces, plain("mine"), tmp_path)[0].group.tolist())) == 4


def test_persons_known_by_their_file_names_stand_on_one_side(tmp_path):
    assert person_in_name("keypoints/test_Adam_Sandler_40.jpg") == "test_Adam_Sandler"
    faces = drawn_set("keypoints", 40, 3)
    faces = replace(faces, name=np.array([f"test_Person_{i % 10}_{i}.jpg" for i in range(40)]))
    grouped, _ = group_faces(faces, {"keypoints": KNOWN["keypoints"]}, tmp_path)
    split = split_groups(grouped, seed=0).split
    for person in range(10):
        assert len(set(grouped.group[person::10].tolist())) == 1
        assert len(set(split[person::10].tolist())) == 1
    assert len(set(grouped.group.tolist())) == 10


def test_persons_known_by_their_faces_are_one_group_and_descriptors_are_kept(astronaut, tmp_path, monkeypatch):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    crops = [cv2.resize(gray[t : t + side, x : x + side], (64, 64)) for t, x, side in ((65, 175, 105), (80, 185, 85))]
    drawn = drawn_set("mine", 3, 0)
    faces = replace(drawn, gray=np.stack([*crops, drawn.gray[2]]))
    assert not len(duplicate_pairs(faces.gray).pairs), "only the person is the same"
    grouped, _ = group_faces(faces, {"mine": Source("mine")}, tmp_path)
    assert grouped.group[0] == grouped.group[1] != grouped.group[2]

    def again(crop: np.ndarray) -> np.ndarray:
        raise AssertionError("a descriptor that is kept need not be made again")

    monkeypatch.setattr(assembling, "describe_person", again)
    assert (group_faces(faces, {"mine": Source("mine")}, tmp_path)[0].group == grouped.group).all()
    cached = next(tmp_path.iterdir())
    cached.write_bytes(cached.read_bytes()[:400])
    monkeypatch.undo()
    assert (group_faces(faces, {"mine": Source("mine")}, tmp_path)[0].group == grouped.group).all(), "made anew"
    assert describe_person(faces.gray[0]).shape == (128,)


def test_each_set_and_label_keeps_its_shares_and_sides_share_no_group():
    faces = Faces.join([drawn_set("here", 300, 1), drawn_set("there", 200, 2)])
    faces = replace(faces, group=np.concatenate([np.arange(300) // 2, 1000 + np.arange(200)]))
    split = split_groups(faces, seed=0)
    for source in ("here", "there"):
        for smile in (0, 1):
            side = split.split[(faces.source == source) & (faces.smile == smile)]
            assert np.allclose([(side == name).mean() for name in SPLITS], SHARES, atol=0.05)
    groups = [set(split.part(name).group.tolist()) for name in SPLITS]
    assert len(set.union(*groups)) == sum(len(group) for group in groups)
    assert (split_groups(faces, seed=0).split == split.split).all(), "the same seed gives the same split"
    assert (split_groups(faces, seed=1).split != split.split).any()


def test_large_groups_go_to_training():
    faces = drawn_set("mine", 400, 1)
    # Two crowds of 60: by what each side lacks, the second would fill the whole validation part.
    faces = replace(faces, group=np.where(np.arange(400) < 120, np.arange(400) // 60, np.arange(400)))
    for seed in range(3):
        split = split_groups(faces, seed=seed).split
        assert set(split[:120].tolist()) == {"train"}
        assert np.allclose([(split == name).mean() for name in SPLITS], SHARES, atol=0.03)
