"""What the finder is trained and probed on: frames whose marks are true, and targets that say them."""

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from common.face import Face
from faces.alignment import TYPICAL_LANDMARKS, align
from faces.finder import CELL, decode
from tests.drawn_pictures import drawn_pictures
from training.finding import pictures as finding_pictures
from training.finding import scenes
from training.finding.conditions import CONDITIONS, make_probe
from training.finding.drawn import clouds, letter
from training.finding.pictures import Pictures, Teacher, part_of, without_copies
from training.finding.scenes import SceneMaker
from training.finding.targets import TARGETS, targets


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return drawn_pictures()


def test_pictures_come_back_from_disk_as_they_were(pictures, tmp_path):
    path = tmp_path / "finder.npz"
    pictures.save(path)
    again = Pictures.load(path)
    assert len(again) == len(pictures) == 48
    for i in (0, 1, 46):
        assert (again.picture(i) == pictures.picture(i)).all()
        assert (again.faces_of(i)[0] == pictures.faces_of(i)[0]).all()
    assert len(again.faces_of(1)[0]) == 0, "a background has no face"
    path.write_bytes(b"no pictures")
    with pytest.raises(DatasetError, match="holds no pictures"):
        Pictures.load(path)


def test_a_picture_is_in_the_part_that_the_smile_network_has_it_in():
    split = {("genki", "smile/1.jpg"): (3, "test"), ("getty_faces", "smile/2.jpg"): (4, "val")}
    assert part_of("genki", "smile/1.jpg", split) == "test"
    assert part_of("getty_originals_sample", "smile/2.jpg", split) == "val"
    assert part_of("genki", "smile/9.jpg", split) == "unknown", "whom it shows was never looked at"
    parts = [part_of("affect", f"happy/{i}.jpg", split) for i in range(1000)]
    assert 0.75 < parts.count("train") / 1000 < 0.85
    assert {"train", "val", "test"} == set(parts)


def test_a_training_picture_that_is_a_copy_of_a_test_picture_is_left_out(pictures):
    rows = [
        (str(pictures.source[i]), str(pictures.name[i]), str(pictures.split[i]), pictures.picture(i), *pictures.faces_of(i))
        for i in range(len(pictures))
    ]
    copied = next(row for row in rows if row[0] == "genki" and row[2] == "test")
    brighter = np.clip(copied[3].astype(int) + 9, 0, 255).astype(np.uint8)
    parted = without_copies(Pictures.of([*rows, ("affect", "copy.jpg", "train", brighter, *copied[4:])]))
    assert parted.split[-1] == "unknown"
    assert parted.split[rows.index(copied)] == "test"


def test_a_scene_marks_each_face_where_it_is(pictures):
    """The eyes, dark dots on a light face, are where the marks say."""
    maker = SceneMaker(pictures, "train", np.random.default_rng(0))
    dark, seen = 0, 0
    for _ in range(150):
        frame, faces, sure = maker.scene()
        assert frame.shape == (128, 160)
        assert frame.dtype == np.uint8
        assert len(faces) == len(sure)
        for face, certain in zip(faces, sure, strict=True):
            x, y, side = face[:3]
            eye, cheek = face[3:5], (face[3:5] + face[9:11]) / 2
            inside = all(0 <= px < 159 and 0 <= py < 127 for px, py in (eye, cheek))
            if certain and side > 30 and inside:
                seen += 1
                dark += int(frame[int(eye[1]), int(eye[0])]) < int(frame[int(cheek[1]), int(cheek[0])])
            assert np.hypot(*(face[3:].reshape(5, 2).mean(axis=0) - (x, y))) < 0.3 * side
    assert seen > 30
    assert dark > 0.85 * seen, "noise, shade and covers hide a few"


def test_scenes_are_the_same_for_the_same_seed_and_differ_within_it(pictures):
    one, two = (SceneMaker(pictures, "val", np.random.default_rng(5)) for _ in range(2))
    frames = [one.scene()[0] for _ in range(4)]
    assert all((frame == two.scene()[0]).all() for frame in frames)
    assert not (frames[0] == frames[1]).all()


def test_clouds_are_smooth_and_between_sky_and_cloud_and_no_two_alike():
    rng = np.random.default_rng(0)
    skies = [clouds((160, 128), rng) for _ in range(30)]
    for sky in skies:
        assert sky.shape == (128, 160)
        assert sky.dtype == np.uint8
    assert np.array_equal(skies[0], clouds((160, 128), np.random.default_rng(0))), "the seed decides"
    assert not np.array_equal(skies[0], skies[1])
    near = [np.abs(np.diff(sky.astype(float), axis=1)).mean() for sky in skies]
    far = [np.abs(sky[:, 40:].astype(float) - sky[:, :-40]).mean() for sky in skies]
    assert np.mean(near) < 0.2 * np.mean(far), "clouds, and not noise of single pixels"
    assert np.mean([sky.std() for sky in skies]) > 15, "there is something to be seen"


def test_a_word_is_written_into_the_frame_whatever_is_dealt():
    """Large, long or at the border; most frames stay mostly as they were."""
    changed = []
    for seed in range(300):
        frame = np.full((128, 160), 128, np.uint8)
        letter(frame, np.random.default_rng(seed))
        again = np.full((128, 160), 128, np.uint8)
        letter(again, np.random.default_rng(seed))
        assert np.array_equal(frame, again)
        changed.append((frame != 128).mean())
    assert np.mean(np.array(changed) > 0.002) > 0.6, "some are dealt out of sight"
    assert np.median(changed) < 0.2


def test_scenes_hold_clouds_and_words_behind_the_faces(pictures, monkeypatch):
    drawn = {"clouds": 0, "letter": 0}

    def sky(size, rng):
        drawn["clouds"] += 1
        return np.full(size[::-1], 200, np.uint8)

    def word(frame, rng):
        drawn["letter"] += 1
        frame[:] = 0  # all that was there before; faces come after

    monkeypatch.setattr(scenes, "clouds", sky)
    monkeypatch.setattr(scenes, "letter", word)
    maker, bright = SceneMaker(pictures, "train", np.random.default_rng(0)), 0
    for _ in range(150):
        before = drawn["letter"]
        frame, _, sure = maker.scene()
        if drawn["letter"] > before and sure.any():
            bright += frame.max() > 30
    assert 5 < drawn["clouds"] < 30
    assert 10 < drawn["letter"] < 50
    assert bright > 3, "no word hides the faces"


def test_scenes_use_pictures_of_their_part_only(pictures):
    maker = SceneMaker(pictures, "test", np.random.default_rng(0))
    owners = {int(i) for rows in maker._sets for i in rows} | {int(i) for i in maker._backgrounds}
    assert {str(pictures.split[i]) for i in owners} == {"test"}


def test_targets_read_as_the_faces_that_they_were_made_of():
    faces = np.array(
        [[50.3, 61.9, 70.0, *np.linspace(20, 90, 10)], [150.0, 20.0, 9.0, *np.linspace(140, 155, 10)]], np.float32
    )
    truth = targets(faces, np.array([True, True]), (128, 160))
    assert truth.shape == (16, 20, TARGETS)
    assert truth[:, :, 2].sum() == pytest.approx(2, abs=1e-5), "each face weighs the same"
    maps = np.zeros((16, 20, 14), np.float32)
    rows, columns = np.nonzero(truth[:, :, 0] == 1)
    assert len(rows) == 2
    for row, column in zip(rows, columns, strict=True):
        x, y, side = truth[row, column, 3:6]
        points = (truth[row, column, 6:].reshape(5, 2) - (x, y)) / side
        maps[row, column] = (1, x / CELL - column - 0.5, y / CELL - row - 0.5, np.log(side / CELL), *points.ravel())
    found = sorted(decode(maps, 0.5), key=lambda face: -face.side)
    for face, row in zip(found, faces, strict=True):
        assert (face.x, face.y, face.side) == pytest.approx(tuple(row[:3]), abs=1e-3)
        assert face.landmarks.ravel() == pytest.approx(row[3:], abs=1e-2)


def test_nothing_is_asked_where_a_face_is_not_sure():
    faces = np.array([[80.0, 64.0, 40.0, *np.zeros(10)]], np.float32)
    truth = targets(faces, np.array([False]), (128, 160))
    assert truth[8, 10, 1] == 0
    assert truth[0, 0, 1] == 1
    assert truth[:, :, 0].max() == truth[:, :, 2].max() == 0


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_probe_has_its_face_where_it_says(condition):
    """A white square instead of a face, on a black photo: light from there lies in the true box."""
    photo = np.zeros((192, 180, 3), np.uint8)
    photo[60:140, 50:130] = 255
    probe = make_probe(photo, np.array([90, 100, 80]), condition, np.random.default_rng(0))
    width, height = CONDITIONS[condition][0].size
    assert probe.frame.shape == (height, width, 3)
    assert probe.frame.dtype == np.uint8
    box, gray = probe.truth, cv2.cvtColor(probe.frame, cv2.COLOR_BGR2GRAY)
    inner = gray[max(0, box.top) : max(0, box.bottom), max(0, box.left) : max(0, box.right)]
    assert inner.size > 500 or width == 64
    rim = 12 + box.height // 20
    near = gray[max(0, box.top - rim) : box.bottom + rim, max(0, box.left - rim) : box.right + rim]
    if box.height < 440:  # else nothing of the photo is round it
        around = (near.sum(dtype=float) - inner.sum(dtype=float)) / (near.size - inner.size)
        assert inner.mean() > 1.3 * around or condition in ("tilt 30", "tilt 60", "low contrast", "overexposed")


@pytest.mark.parametrize(
    ("shift", "size", "presence", "believed"),
    [(0.1, 1.1, 1.0, True), (0.4, 1.0, 1.0, False), (0.0, 1.6, 1.0, False), (0.0, 0.6, 1.0, False), (0.0, 1.0, 0.2, False)],
)
def test_a_sight_far_from_where_yunet_saw_the_face_is_not_believed(shift, size, presence, believed, monkeypatch):
    yunets = 100 * TYPICAL_LANDMARKS + 50
    middle = yunets.mean(axis=0)
    seen = (yunets - middle) * size + middle + (100 * shift, 0)

    def look(*_):
        box, angle = align(seen)
        return Face(0, box, 0.5, 0.5, tuple(map(tuple, seen.tolist())), angle=angle, presence=presence)

    monkeypatch.setattr(finding_pictures, "look", look)
    teacher = object.__new__(Teacher)  # without YuNet's file
    teacher._reader = None
    row = teacher._refined(np.zeros((200, 200), np.uint8), yunets)
    assert row[3:] == pytest.approx((seen if believed else yunets).ravel())
