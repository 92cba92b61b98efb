"""The measure of how steady labels are: what it counts, on sequences whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.steadiness import STILL, by_evidence, each_alone, judge, mean_with_band, read_pairs
from benchmarks.steadiness import main as steadiness
from smile_recognition import SmileRecognizer
from tests.drawn_faces import drawn_parts, drawn_set


def pair(neutral: float, smiling: float) -> np.ndarray:
    return np.repeat([[[neutral], [smiling]]], STILL, axis=2)


def test_a_clear_face_is_right_at_once_and_never_flips():
    for label in (each_alone, mean_with_band, by_evidence):
        found = judge(pair(0.02, 0.97), label)
        assert found.right == 1
        assert found.flips == 0
        assert found.late_s < 0.2
        assert found.missed == 0


def test_wrong_frames_flips_and_delays_are_counted():
    flickering = pair(0.02, 0.97)
    flickering[0, 0, 10] = 0.9  # one frame of the neutral face, which comes three times in the two sequences
    found = judge(flickering, each_alone)
    assert found.flips == 3
    assert found.right == 1 - (2 / (3 * STILL - 38) + 1 / (3 * STILL - 38)) / 2
    assert judge(flickering, by_evidence).flips == 0
    sleepy = judge(pair(0.6, 0.97), each_alone)
    assert sleepy.right < 0.7, "the neutral face reads as a smile"
    assert sleepy.missed == 1, "and no change back to it is followed"
    assert np.isnan(sleepy.late_s)


def test_a_face_may_stay_longer():
    """The neutral face comes for 3 s of 6 in each kind of sequence, and one frame of it is wrong."""
    pairs = pair(0.02, 0.97)
    pairs[0, 0, 20] = 0.9
    assert judge(pairs, each_alone, held=2).flips == judge(pairs, each_alone).flips + 1
    assert judge(pairs, by_evidence, held=8).right == 1


def test_the_same_seed_shows_the_same_sequences():
    faces = drawn_set("mine", 4, 0)
    first, again = (read_pairs(SmileRecognizer(), faces, most=1, seed=3) for _ in range(2))
    assert first.shape == (1, 2, STILL)
    assert np.array_equal(first, again)
    assert 0 <= first.min() < first.max() <= 1


def test_the_command_prints_a_row_for_each_way(tmp_path, capsys):
    faces = drawn_parts()
    faces.save(tmp_path / "faces.npz")
    assert steadiness(["--data", str(tmp_path / "faces.npz"), "--most", "1"]) == 0
    said = capsys.readouterr().out
    assert "4 sequences of 4.5 s, part test" in said
    assert said.count("ms |") >= 3
    replace(faces, smile=np.minimum(faces.smile, 0)).save(tmp_path / "serious.npz")
    for wrong, sentence in (
        (["--data", "no.npz"], "There is no dataset"),
        (["--most", "0"], "--most and --held must be 1 or more"),
        (["--held", "0"], "--most and --held must be 1 or more"),
        (["--data", str(tmp_path / "serious.npz")], "has both smiling and other faces in the part test"),
    ):
        assert steadiness(["--data", str(tmp_path / "faces.npz"), *wrong]) == 2
        assert sentence in capsys.readouterr().err
