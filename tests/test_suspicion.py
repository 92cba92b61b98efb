"""Wrong labels that were planted are found; labels of people who merely stopped smiling are left in peace."""

import numpy as np
import pytest

from tests.drawn_faces import drawn_set
from training.labels.suspicion import clusters, judge_labels, look_alikes


def planted(n: int, share: float, *, sharp: float = 0.12, smiling: float = 0.5, seed: int = 0):
    """True labels seen by a network that is right most of the time: labels with errors, P(smile), which are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < smiling
    probability = np.clip(np.where(truth, 0.9, 0.1) + rng.normal(0, sharp, n), 0.001, 0.999)
    wrong = rng.random(n) < share
    return np.where(wrong, ~truth, truth).astype(np.int8), probability, wrong


def test_planted_errors_are_found_and_little_else():
    smile, probability, wrong = planted(3000, 0.05)
    found = judge_labels(smile, probability, np.full(3000, "mine"))
    assert found.wrong[wrong].mean() > 0.8, "recall"
    assert wrong[found.wrong].mean() > 0.9, "precision"
    first = np.argsort(found.score)[: wrong.sum()]
    assert wrong[first].mean() > 0.9, "the worst scores are the planted errors"
    assert found.score.shape == (3000,)
    assert ((found.score >= 0) & (found.score <= 1)).all()


def test_clean_labels_are_hardly_suspected():
    smile, probability, _ = planted(3000, 0)
    assert judge_labels(smile, probability, np.full(3000, "mine")).wrong.mean() < 0.005


def test_a_set_is_judged_by_its_own_idea_of_a_smile():
    """In `shy` a smile is faint: 0.4 is a sure one there, and an error in `bold`."""
    rng = np.random.default_rng(3)
    truth = np.tile([1, 0], 500)
    shy = np.clip(np.where(truth, 0.4, 0.05) + rng.normal(0, 0.03, 1000), 0, 1)
    bold = np.clip(np.where(truth, 0.95, 0.4) + rng.normal(0, 0.03, 1000), 0, 1)
    labels = np.concatenate([truth, truth])
    wrong = np.zeros(2000, bool)
    wrong[[*range(0, 60, 3), *range(1000, 1060, 3)]] = True
    labels[wrong] = 1 - labels[wrong]
    probability = np.concatenate([shy, bold])
    found = judge_labels(labels, probability, np.repeat(["shy", "bold"], 1000))
    assert found.wrong[wrong].mean() > 0.6
    assert wrong[found.wrong].mean() > 0.8
    together = judge_labels(labels, probability, np.full(2000, "one set"))
    assert wrong[np.argsort(together.score)[:40]].mean() < wrong[np.argsort(found.score)[:40]].mean()


@pytest.mark.parametrize("labels", [[1], [1, 1, 1], [0, 0], [], [1, 0], [*[1] * 20, *[0] * 9]])
def test_a_set_with_too_few_faces_of_a_class_is_scored_by_probability_alone(labels):
    smile = np.array(labels, np.int8)
    probability = np.linspace(0.2, 0.8, len(labels))
    found = judge_labels(smile, probability, np.full(len(labels), "mine"))
    assert np.allclose(found.score, np.where(smile, probability, 1 - probability))
    assert not found.wrong.any()


# --- near-copies ---


@pytest.fixture
def album():
    """Faces 0 (smiling) and its brighter and mirrored copies, said not to smile; then the same person, not smiling."""
    faces = drawn_set("mine", 12, 4)
    crops = faces.gray.copy()
    crops[1] = np.clip(crops[0] * 0.7 + 40, 0, 255)
    crops[3] = crops[0][:, ::-1]
    return crops, faces.smile.copy(), np.zeros(12, int)


def test_near_copies_with_opposite_labels_are_found_brighter_or_mirrored(album):
    crops, smile, group = album
    found = look_alikes(crops, smile, group, 0.97)
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(0, 1), (0, 3)}
    assert (np.diff(found.correlation) <= 0).all()
    assert clusters(found.pairs) in ([[0, 1, 3]], [[0, 3, 1]])


def test_copies_with_equal_labels_or_of_another_group_are_no_contradiction(album):
    crops, smile, group = album
    smile[1] = smile[3] = smile[0]
    assert len(look_alikes(crops, smile, group, 0.97).pairs) == 0
    smile[1] = smile[3] = 1 - smile[0]
    assert len(look_alikes(crops, smile, np.arange(12), 0.97).pairs) == 0


def test_no_faces_have_no_copies():
    found = look_alikes(np.empty((0, 64, 64), np.uint8), np.empty(0, np.int8), np.empty(0, int))
    assert found.pairs.shape == (0, 2)
    assert clusters(found.pairs) == []
    assert len(judge_labels(np.empty(0, np.int8), np.empty(0), np.empty(0, str)).score) == 0
