"""Which labels people are asked about, and in which order; and which go without asking."""

from pathlib import Path

import pytest

from common.errors import DatasetError
from tests.relabelling import SUSPICIOUS, opinions, rows_of, run, save_home
from training.data.faces import Faces
from training.labels.decisions import AUTOMATIC, Journal, read_decisions
from training.labels.relabel_queue import make_queue


@pytest.fixture
def home(tmp_path) -> Path:
    return save_home(tmp_path)


# --- the queue ---


def test_copies_with_opposite_labels_come_first_and_then_the_most_contradicted_labels(home):
    faces = Faces.load(home / "faces.npz")
    queue = make_queue(faces, opinions(faces), Faces.load(home / "faces.contested.npz"), limit=100, everything=True)
    assert [doubt.key for doubt in queue[0]] == [("yours", "happy/a.png"), ("yours", "neutral/b.png")]
    assert [doubt.probability for doubt in queue[0]] == [None, None]
    assert {queue[1][0].key, queue[2][0].key} == {("mine", name) for name in SUSPICIOUS}
    shown = [doubt.key for cluster in queue for doubt in cluster]
    assert len(shown) == len(set(shown)) == 2 + 20 + 20
    outside = set(faces.name[(faces.split != "train") & (faces.source == "mine")].tolist())
    assert not outside & {name for source, name in shown if source == "mine"}, "no validation or test face"
    assert queue[1][0].wide.shape == (128, 128)


def test_look_alikes_of_one_group_stand_side_by_side_and_are_shown_once(home):
    faces = Faces.load(home / "faces.npz")
    faces.gray[9] = faces.gray[4]  # of opposite labels
    faces.group[9] = faces.group[4]
    queue = make_queue(faces, opinions(faces), limit=100, everything=True)
    assert {doubt.key[1] for doubt in queue[0]} == {"happy/4.png", "neutral/9.png"}
    assert all(doubt.probability is not None for doubt in queue[0])
    assert sum(len(cluster) for cluster in queue) == 40


def test_the_queue_ends_at_the_limit_and_holds_the_chosen_sets_only(home):
    faces = Faces.load(home / "faces.npz")
    aside = Faces.load(home / "faces.contested.npz")
    assert [len(cluster) for cluster in make_queue(faces, opinions(faces), aside, limit=4)] == [2, 1, 1]
    assert [len(cluster) for cluster in make_queue(faces, opinions(faces), aside, limit=1)] == [2], "copies stay together"
    queue = make_queue(faces, opinions(faces), aside, limit=100, sources=["mine"], everything=True)
    assert {doubt.key[0] for cluster in queue for doubt in cluster} == {"mine"}
    with pytest.raises(DatasetError, match="no set called theirs"):
        make_queue(faces, opinions(faces), limit=9, sources=["theirs"])
    with pytest.raises(DatasetError, match="say nothing about these training faces"):
        make_queue(faces, {("mine", "other.png"): 0.5}, limit=9)


def test_only_doubtful_labels_are_queued_unless_all_faces_are_asked_for(home):
    faces = Faces.load(home / "faces.npz")
    said = opinions(faces)
    said["yours", "happy/4.png"] = 0.4  # labelled a smile, in a set where nothing is called wrong
    queue = make_queue(faces, said, limit=100)
    assert {doubt.key for cluster in queue for doubt in cluster} == {
        *(("mine", name) for name in SUSPICIOUS),
        ("yours", "happy/4.png"),
    }
    assert [cluster[0].why for cluster in queue] == ["wrong", "wrong", "contradicted"]
    longer = make_queue(faces, said, limit=100, everything=True)
    assert [cluster[0].key for cluster in longer[:3]] == [cluster[0].key for cluster in queue]
    assert {cluster[0].why for cluster in longer[3:]} == {"trusted"}
    assert len(longer) == 40


# --- without looking ---


def test_automatic_drops_wrong_labels_of_the_training_part_and_never_overrules_a_person(home, capsys):
    with Journal(home / "decisions.csv") as journal:
        journal.add([(("mine", SUSPICIOUS[0]), "skip")], "Ann")
    assert run(home, "--automatic") == 0
    said = capsys.readouterr().out
    assert "mine: 1 of 20 training faces dropped (5.0%)" in said
    assert "1 more were decided by a person" in said
    assert rows_of(home / "decisions.csv") == [
        ("mine", SUSPICIOUS[0], "skip", "Ann"),
        ("mine", SUSPICIOUS[1], "drop", AUTOMATIC),
    ]
    before = (home / "decisions.csv").read_bytes()
    assert run(home, "--automatic") == 0
    assert (home / "decisions.csv").read_bytes() == before, "once is enough"
    assert run(home, "--automatic", "--below", "0.001", "--sources", "yours") == 0
    assert (home / "decisions.csv").read_bytes() == before, "other sets are left alone"
    assert run(home, "--automatic", "--below", "0.001") == 0
    assert list(read_decisions(home / "decisions.csv")) == [("mine", SUSPICIOUS[0])], "what is trusted again is back"


def test_a_person_may_overrule_what_was_dropped_automatically(home):
    key = ("mine", SUSPICIOUS[1])
    with Journal(home / "decisions.csv") as journal:
        journal.replace_automatic({key: "drop"}, ["mine"])
        journal.add([(key, "smile")], "Ann")
        assert journal.standing()[key].choice == "smile"
        assert journal.undo([key]) == key
        assert journal.standing()[key].automatic
        assert journal.undo([key]) is None, "a person takes back what people decided"
