"""Relabelling from end to end: the queue, the page in a real Chromium, the table of decisions, and the dataset after it."""

import contextlib
import csv
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from tests.conftest import ROOT, clean_environment, opened_and_closed
from tests.drawn_faces import draw_face, drawn_set
from tests.text_layout import CUT_OFF_OR_BROKEN
from tests.waiting import eventually
from training import dataset, relabel
from training.data.assembling import SHARES
from training.data.faces import Faces
from training.data.predictions import write_predictions
from training.labels.contested import contested_file
from training.labels.decisions import AUTOMATIC, Journal, apply_decisions, count_decisions, digest_of, read_decisions
from training.labels.relabel_queue import make_queue
from training.labels.relabel_server import RelabelServer

pytestmark = [pytest.mark.slow(45), pytest.mark.usefixtures("dataset_workers_in_this_process")]

_HEAD = "source,name,decision,by,time\n"
_TIME = "2026-01-02T03:04:05Z"


def assert_one_sentence(capsys, sentence: str) -> None:
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert error.endswith(".\n")


def training_faces() -> Faces:
    """60 faces in two sets, all of them for training but the last 20 of `mine`: 10 validation, 10 test."""
    mine, yours = drawn_set("mine", 40, 1, backgrounds=4), drawn_set("yours", 20, 2)
    split = np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10 + ["train"] * 4)
    names = np.array([_LONG if name == "happy/6.png" else name for name in mine.name])
    return Faces.join([replace(mine, split=split, name=names), replace(yours, group=yours.group + 100)])


# `mine` 3 and 6 are said to be the contrary of what networks say; so are a validation and a test face.
_LONG = "happy/family_holiday-2019/evening_at_the_lake_with_grandmother_and_the_dog.png"
SUSPICIOUS = ("neutral/3.png", _LONG)
_CONTRADICTED = {*SUSPICIOUS, "neutral/21.png", "neutral/31.png"}


def opinions(faces: Faces) -> dict[tuple[str, str], float]:
    rows = np.flatnonzero(faces.smile >= 0)
    rng = np.random.default_rng(0)
    said = {}
    for row in rows:
        sure = 0.98 if faces.source[row] == "mine" and faces.name[row] in _CONTRADICTED else rng.uniform(0.02, 0.1)
        smiles = faces.smile[row] == 1
        said[str(faces.source[row]), str(faces.name[row])] = float(1 - sure if smiles else sure)
    return said


@pytest.fixture
def home(tmp_path) -> Path:
    """faces.npz with opinions on it, and two near-copies with opposite labels aside."""
    faces = training_faces()
    faces.save(tmp_path / "faces.npz")
    said = opinions(faces)
    keys = list(said)
    write_predictions(
        tmp_path / "said.csv.gz",
        np.array([key[0] for key in keys]),
        np.array([key[1] for key in keys]),
        np.zeros(len(keys), int),
        np.array(list(said.values())),
    )
    aside = drawn_set("yours", 2, 9)
    aside = replace(aside, name=np.array(["happy/a.png", "neutral/b.png"]))
    aside.gray[1] = np.clip(aside.gray[0] * 0.8 + 20, 0, 255)
    aside.save(contested_file(tmp_path / "faces.npz"))
    return tmp_path


def run(home: Path, *options: object) -> int:
    paths = ["--data", home / "faces.npz", "--predictions", home / "said.csv.gz", "--out", home / "decisions.csv"]
    return relabel.main([str(option) for option in [*paths, *options]])


def rows_of(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="") as file:
        return [(row["source"], row["name"], row["decision"], row["by"]) for row in csv.DictReader(file)]


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


# --- the table of decisions ---


def test_the_last_decision_holds_and_undo_brings_back_the_one_before(tmp_path):
    a, b = ("mine", "a, with comma.png"), ("mine", 'b "quoted" \u00e9.png')
    with Journal(tmp_path / "new" / "d.csv") as journal:
        journal.add([(a, "smile")], "Ann")
        journal.add([(a, "drop")], "Ann")
        journal.add([(b, "skip")], "Ann")
        assert journal.undo({a}) == a, "of these faces only"
        assert {key: one.choice for key, one in journal.standing().items()} == {a: "smile", b: "skip"}
    with Journal(tmp_path / "new" / "d.csv") as journal:
        assert journal.undo({a, b}) == b
        assert journal.undo({a, b}) == a
        assert journal.undo({a, b}) is None
    assert read_decisions(tmp_path / "new" / "d.csv") == {}
    assert [row[2] for row in rows_of(tmp_path / "new" / "d.csv")] == ["smile", "drop", "skip", "undo", "undo", "undo"]


def test_wherever_a_kill_cuts_the_table_off_all_whole_lines_hold_and_writing_goes_on(tmp_path):
    path = tmp_path / "d.csv"
    with Journal(path) as journal:
        for i, choice in enumerate(("smile", "drop")):
            journal.add([(("mine", f"{i}.png"), choice)], "person")
    whole = path.read_bytes()
    first_line, second_line = (m.end() for m in list(re.finditer(b"\n", whole))[:2])
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        expected = (size >= second_line - 1) + (size >= len(whole) - 1)  # a line that lacks its end only is whole
        assert len(read_decisions(path)) == expected, size
        with Journal(path) as journal:
            journal.add([(("mine", "new.png"), "skip")], "person")
        assert len(rows_of(path)) == len(read_decisions(path)) == expected + 1
        assert path.read_bytes().count(b"\n") == expected + 2
    assert first_line == len(_HEAD)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (_HEAD + f"mine,a.png,smile,Ann,{_TIME}").replace("\n", "\r\n").encode())
    assert read_decisions(path)["mine", "a.png"].choice == "smile"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"source,name\nmine,a.png\n", "is not a table of"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is damaged"),
        (b"half a word", "is not a table of"),
        (_HEAD.encode() + b"mine,a.png,perhaps,Ann,now\n", "Line 2 of"),
        (_HEAD.encode() + b"mine,a.png,smile\n", "Line 2 of"),
        (_HEAD.encode() + b'mine,"a.png,smile,Ann,now\n', "is damaged"),
        (_HEAD.encode() + b"\n", "Line 2 of"),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--automatic",), ("--report",)])
def test_a_corrupt_table_gets_one_sentence_and_is_left_alone(home, capsys, content, sentence, mode):
    (home / "decisions.csv").write_bytes(content)
    assert run(home, *mode) == 2
    assert_one_sentence(capsys, sentence)
    assert (home / "decisions.csv").read_bytes() == content


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "d.csv"
    with Journal(path) as journal:
        journal.add([(("mine", "a.png"), "smile")], "Ann")
        before = path.read_bytes()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("training.labels.decisions.os.fsync", full)
            with pytest.raises(OSError, match="No space"):
                journal.add([(("mine", "b.png"), "smile")], "Ann")
        assert path.read_bytes() == before
        journal.add([(("mine", "c.png"), "drop")], "Ann")
    assert list(read_decisions(path)) == [("mine", "a.png"), ("mine", "c.png")]


def test_what_a_really_full_disk_refused_is_not_written_later(tmp_path):
    """A limit on the size of a file stands for the disk: the second row fits in part, and the third is written after it."""
    code = """
import resource, signal, sys
from pathlib import Path
from training.labels.decisions import Journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path(sys.argv[1])) as journal:
    journal.add([(("mine", "a.png"), "smile")], "Ann")
    size = Path(sys.argv[1]).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, resource.RLIM_INFINITY))
    try:
        journal.add([(("mine", "b.png"), "smile")], "Ann")
    except OSError:
        print("refused", Path(sys.argv[1]).stat().st_size == size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.add([(("mine", "c.png"), "drop")], "Ann")
"""
    pytest.importorskip("resource")
    path = tmp_path / "d.csv"
    tool = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert tool.stdout == "refused True\n", tool.stderr
    assert [row[1:3] for row in rows_of(path)] == [("a.png", "smile"), ("c.png", "drop")]


# --- what it does to a dataset ---


def decisions_of(path: Path, *choices: tuple[str, str, str]) -> dict:
    with Journal(path) as journal:
        journal.add([((source, name), choice) for source, name, choice in choices], "Ann")
    return read_decisions(path)


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


# --- the report ---


def test_the_report_counts_what_changes_and_who_decided(home, capsys):
    near_copy = ("yours", "happy/a.png", "smile")
    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"), ("yours", "happy/0.png", "smile"), near_copy)
    assert run(home, "--report") == 0
    said = capsys.readouterr().out
    assert "3 decisions by Ann" in said
    assert "1 decisions are on near-copies" in said
    assert "not in the dataset" not in said
    assert "mine: 1 labels changed" in said
    assert "yours: 0 labels changed, 0 faces dropped, 1 confirmed" in said


def test_the_report_says_when_the_dataset_was_built_with_an_earlier_table(home, capsys):
    path = home / "decisions.csv"
    decisions_of(path, ("mine", "happy/0.png", "no_smile"))
    built = {"file": path.name, "sha256": digest_of(path), **count_decisions(training_faces(), read_decisions(path))}
    (home / "faces.json").write_text(json.dumps({"decisions": built}))
    assert run(home, "--report") == 0
    assert "earlier table" not in capsys.readouterr().out
    decisions_of(path, ("mine", "happy/2.png", "no_smile"))
    assert run(home, "--report") == 0
    said = capsys.readouterr().out
    assert "2 decisions by Ann" in said
    assert "was built with an earlier table; build it again with --decisions" in said
    assert "mine: 1 labels changed" in said


def test_ctrl_c_while_the_dataset_is_read_is_one_sentence(home, capsys, monkeypatch):
    def stopped(_path: Path) -> Faces:
        raise KeyboardInterrupt

    monkeypatch.setattr(Faces, "load", stopped)
    assert run(home) == 130
    assert_one_sentence(capsys, "Stopped")


@pytest.fixture
def trainings(home) -> tuple[Path, Path]:
    """Two folders with the shipped network, as if trained on `mine` only and on both sets of the drawn dataset."""
    from training.data.splits import save_split

    faces = Faces.load(home / "faces.npz")
    yours = np.flatnonzero(faces.source == "yours")
    faces.split[yours[:8]] = "val"
    faces.save(home / "faces.npz")
    folders = home / "before", home / "after"
    for folder in folders:
        folder.mkdir()
        (folder / "smile.tflite").write_bytes((ROOT / "models" / "smile.tflite").read_bytes())
        (folder / "training.json").write_text(json.dumps({"trained_on": {"mine": 20}}))
        save_split(faces, folder / "split.csv.gz")
    return folders


def test_two_trainings_are_compared_on_validation_faces_set_by_set(home, trainings, capsys):
    from smile_recognition import SmileRecognizer
    from training.judging.judge import read_crops

    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"))
    assert run(home, "--report", "--before", trainings[0], "--after", trainings[1]) == 0
    said = capsys.readouterr().out
    table = {line.split()[0]: line for line in said.splitlines() if "points" in line}
    assert "relabelled" in table["mine"]
    assert "another set: not trained on" in table["yours"]
    assert "another set, in all" in said
    for name in ("mine", "yours"):
        part = Faces.load(home / "faces.npz").part("val", name)
        right = (read_crops(SmileRecognizer(trainings[0] / "smile.tflite"), part.gray).smile >= 0.5) == (part.smile == 1)
        assert f"{right.mean():.2%}" in table[name]
        assert "+0.00 points" in table[name], "the same network twice"


def test_a_training_that_saw_the_validation_part_compares_nothing(home, trainings, capsys):
    from training.data.splits import save_split

    faces = Faces.load(home / "faces.npz")
    faces.split[:] = "train"
    save_split(faces, trainings[1] / "split.csv.gz")
    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"))
    assert run(home, "--report", "--before", trainings[0], "--after", trainings[1]) == 2
    assert_one_sentence(capsys, "was trained on faces of this dataset's validation or test part")


# --- asking for what can't be ---


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--limit", 0), "--limit must be"),
        (("--by", AUTOMATIC), "--by must be a name"),
        (("--by", "Ann\r"), "--by must be a name"),
        (("--automatic", "--below", 0), "--below must be"),
        (("--report", "--before", "runs/a"), "go together"),
        (("--before", "runs/a", "--after", "runs/b"), "go together"),
        (("--sources", "theirs"), "no set called theirs"),
        (("--predictions", "none.csv.gz"), "is not a table that"),
        (("--data", "none.npz"), "There is no dataset"),
        (("--report",), "can't be read"),
        (("--port", 99999), "can't be used"),
    ],
)
def test_what_can_not_be_done_gets_one_sentence(home, capsys, options, sentence):
    assert run(home, *options) == 2
    assert_one_sentence(capsys, sentence)


def test_a_port_that_is_taken_is_said(home, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(home, "--port", taken.getsockname()[1]) == 2
    assert_one_sentence(capsys, "is taken by another program; choose another one with --port")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- other websites, and requests that no page sends ---


@pytest.fixture
def server(home):
    faces = Faces.load(home / "faces.npz")
    queue = make_queue(faces, opinions(faces), limit=10, everything=True)
    with Journal(home / "decisions.csv") as journal, RelabelServer(queue, journal, by="Ann") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="relabel-test")
        thread.start()
        yield server
        server.shutdown()
        thread.join(120)


def request(server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=120)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.headers)


def post(server, path: str, body: object, **headers: str) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    origin = f"http://127.0.0.1:{server.server_port}"
    sent = {"Origin": origin, "Content_Type": "application/json", **headers}
    return request(server, "POST", f"/{server.secret}/{path}", data, **sent)[0]


def test_the_page_is_given_to_its_own_address_only(server):
    status, body, headers = request(server, "GET", f"/{server.secret}/")
    assert (status, b"<!doctype html>" in body) == (200, True)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    for path in ("/", "//", "/wrong/", f"/{server.secret}", f"/{server.secret}x/", "/%2e%2e/", "/../training/relabel.py"):
        assert request(server, "GET", path)[0] == 404, path
    for path in (
        "faces/99.png",
        "faces/-1.png",
        "faces/x.png",
        "faces/\u00b2.png",
        "../decisions.csv",
        "faces.npz",
        "queue/",
    ):
        assert request(server, "GET", f"/{server.secret}/{urllib.parse.quote(path)}")[0] == 404, path
    assert request(server, "GET", f"/{server.secret}/queue", Host="localhost:" + str(server.server_port))[0] == 200
    for host in (
        "evil.example",
        f"evil.example:{server.server_port}",
        "127.0.0.1",
        "",
        f"127.0.0.1:{server.server_port}.evil.example",
    ):
        assert request(server, "GET", f"/{server.secret}/queue", Host=host)[0] == 403, host


def test_only_the_page_itself_may_decide(server, home):
    decision = {"face": 0, "choice": "smile"}
    own = f"127.0.0.1:{server.server_port}"
    for origin in ("", "null", "http://evil.example", f"https://{own}", f"http://{own}.evil.example", "http://127.0.0.1:1"):
        assert post(server, "decide", decision, Origin=origin) == 403, origin
        assert post(server, "undo", {}, Origin=origin) == 403, origin
    assert post(server, "decide", decision, Host="evil.example") == 403
    assert post(server, "decide", decision, Content_Type="text/plain") == 415
    assert request(server, "POST", "/wrong/decide", b"{}", Origin=f"http://{own}", Content_Type="application/json")[0] == 404
    assert request(server, "PUT", f"/{server.secret}/decide", b"{}")[0] == 501
    assert rows_of(home / "decisions.csv") == []
    assert post(server, "decide", decision) == 200
    assert len(rows_of(home / "decisions.csv")) == 1


def test_an_automatic_decision_is_shown_and_comes_back_when_a_persons_is_undone(server):
    key = server.doubts[1].key
    server.journal.replace_automatic({key: "drop"}, ["mine", "yours"])

    def decided() -> dict[str, str]:
        return json.loads(request(server, "GET", f"/{server.secret}/queue")[1])["decided"]

    assert decided() == {"1": "automatic"}
    assert post(server, "decide", {"face": 1, "choice": "smile"}) == 200
    assert decided() == {"1": "smile"}
    assert post(server, "undo", {}) == 200
    assert decided() == {"1": "automatic"}
    assert post(server, "undo", {}) == 200, "nothing left to undo"
    assert decided() == {"1": "automatic"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 900,
        b"x" * 5000,
        [],
        None,
        {"face": 0},
        {"face": 10, "choice": "smile"},
        {"face": -1, "choice": "smile"},
        {"face": True, "choice": "smile"},
        {"face": 0.0, "choice": "smile"},
        {"face": "0", "choice": "smile"},
        {"face": 0, "choice": "undo"},
        {"face": 0, "choice": ["smile"]},
        {"face": 0, "choice": "smile\nmine,x,drop,Ann,now"},
    ],
)
def test_what_is_no_decision_is_not_written(server, home, body):
    assert post(server, "decide", body) == 400
    assert rows_of(home / "decisions.csv") == []


def test_a_decision_that_can_not_be_written_is_said(server, home, monkeypatch, capsys):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("training.labels.decisions.os.fsync", full)
        assert post(server, "decide", {"face": 0, "choice": "smile"}) == 507
    assert "could not be written" in capsys.readouterr().err
    assert post(server, "decide", {"face": 1, "choice": "smile"}) == 200
    assert len(rows_of(home / "decisions.csv")) == 1


# --- the page ---


@dataclass
class Tool:
    """`python -m training.relabel` in a process of its own."""

    process: subprocess.Popen
    lines: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def start_tool(home):
    tools: list[Tool] = []

    def start(*options: object) -> Tool:
        paths = ["--data", home / "faces.npz", "--predictions", home / "said.csv.gz", "--out", home / "decisions.csv"]
        command = [sys.executable, "-m", "training.relabel", "--port", "0", *map(str, [*paths, *options])]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment()
        )
        tool = Tool(process)
        tools.append(tool)
        assert process.stdout is not None
        for line in process.stdout:  # ends with the process, or at the line that it goes on after
            tool.lines.append(line)
            if match := re.search(r"http://\S+", line):
                tool.url = match[0]
            if "Decisions go to" in line:
                break
        assert tool.url, tool.lines
        return tool

    yield start
    for tool in tools:
        if tool.process.poll() is None:
            tool.process.terminate()
        rest = tool.process.communicate(timeout=120)[0]
        assert "Traceback" not in "".join(tool.lines) + rest


class Page:
    """The relabelling page, open in a browser, and what it complained about."""

    def __init__(self, browser, url: str, width: int = 1280, height: int = 900, **options) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector(".face img")

    def until(self, condition: str) -> None:
        """Waits for a JavaScript condition; Playwright's own wait needs the eval() that the page's policy forbids."""
        eventually(lambda: self.page.evaluate(condition), lambda: (condition, self.complaints))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.until("!document.querySelector('.badge.saving')")

    def badges(self) -> list[str]:
        return self.page.evaluate("[...document.querySelectorAll('.badge')].map(badge => badge.textContent)")

    def chosen(self) -> int:
        return int(self.page.evaluate("document.querySelector('[aria-selected=true]').id.slice(5)"))

    def wait_for_progress(self, decided: int) -> None:
        self.until(f"document.getElementById('progress').textContent.startsWith('{decided} of ')")


@pytest.fixture
def open_page(browser):
    yield from opened_and_closed(partial(Page, browser))


def test_keys_decide_and_undo_and_each_decision_is_on_the_disk_at_once(start_tool, open_page, home):
    page = open_page(start_tool("--all", "--limit", 30, "--by", "Ann").url)
    assert page.page.text_content("#progress") == "0 of 30 faces decided"
    page.until("[...document.querySelectorAll('.face img')].every(image => image.naturalWidth === 128)")
    assert page.page.evaluate(CUT_OFF_OR_BROKEN, ".said span") == [[], []]
    assert page.page.evaluate("document.activeElement.id") == "face-0"
    assert page.page.locator(".copies .face").count() == 2, "the near-copies stand together"
    assert "Label: smile" in page.page.text_content("#face-0")
    assert "No prediction" in page.page.text_content("#face-0")
    assert re.search(r"surely, P\(smile\) (98|2)\s%", page.page.text_content("#face-2"))
    page.press("s")
    page.wait_for_progress(1)
    assert rows_of(home / "decisions.csv") == [("yours", "happy/a.png", "smile", "Ann")]
    page.press("n", "d", "k", "Space")
    page.wait_for_progress(5)
    assert page.badges()[:6] == ["Smile", "No smile", "Dropped", "Skipped", "Skipped", ""]
    assert page.chosen() == 5
    assert page.page.evaluate("scrollY") < 200, "space does not scroll the page away"
    page.press("u")
    page.wait_for_progress(4)
    page.press("Control+z")
    page.wait_for_progress(3)
    assert page.chosen() == 3, "what was taken back is to be decided again"
    page.press("ArrowLeft", "ArrowLeft", "s")  # another choice for the second face
    page.until("document.querySelectorAll('.badge')[1].textContent === 'Smile'")
    assert page.chosen() == 3, "the next face without a decision"
    standing = {key: one.choice for key, one in read_decisions(home / "decisions.csv").items()}
    assert standing.pop(("yours", "happy/a.png")) == "smile"
    assert standing.pop(("yours", "neutral/b.png")) == "smile"
    assert list(standing.values()) == ["drop"]
    assert [row[2] for row in rows_of(home / "decisions.csv")].count("undo") == 2
    page.press("Control+s", "Alt+n")
    assert page.chosen() == 3, "shortcuts of the browser decide nothing"
    assert page.complaints == []
    base = page.page.url
    assert all(request.startswith(base) for request in page.requests), "nothing from anywhere else"


def test_arrows_move_in_the_grid_and_pages_turn(start_tool, open_page):
    page = open_page(start_tool("--all", "--limit", 42).url)
    page.press("ArrowRight", "ArrowRight")
    assert page.chosen() == 2
    start = page.page.locator("#face-2").bounding_box()
    page.press("ArrowDown")
    below = page.page.locator(f"#face-{page.chosen()}").bounding_box()
    assert below["y"] > page.page.locator("#face-2").bounding_box()["y"]
    assert abs(below["x"] - start["x"]) < start["width"]
    page.press("ArrowUp")
    assert page.page.locator(f"#face-{page.chosen()}").bounding_box()["y"] < below["y"]
    assert page.page.text_content("#page") == "Page 1 of 2"
    page.press("PageDown")
    assert page.page.text_content("#page") == "Page 2 of 2"
    first = page.chosen()
    assert first == page.page.locator(".face").first.evaluate("face => Number(face.id.slice(5))")
    page.press("ArrowLeft")
    assert page.chosen() == first - 1
    assert page.page.text_content("#page") == "Page 1 of 2", "arrows go over the edge of a page"
    page.page.click("#next")
    assert page.page.text_content("#page") == "Page 2 of 2"


def test_after_a_kill_the_tool_goes_on_where_one_was(start_tool, open_page, home):
    tool = start_tool("--all", "--limit", 5)
    page = open_page(tool.url)
    page.press("s", "n")
    page.wait_for_progress(2)
    tool.process.send_signal(signal.SIGKILL)
    tool.process.wait(120)
    with (home / "decisions.csv").open("ab") as file:
        file.write(b"mine,neutral/3.png,smi")  # what a kill in the middle of a line leaves
    page.page.keyboard.press("d")
    page.until("!document.getElementById('problem').hidden")
    assert "start it again" in page.page.text_content("#problem")
    page.until("!document.querySelector('.badge.saving')")
    assert page.page.text_content("#progress").startswith("2 of 5")

    again = start_tool("--all", "--limit", 5)
    assert again.url != tool.url, "a new secret"
    page = open_page(again.url)
    page.wait_for_progress(2)
    assert page.badges() == ["Smile", "No smile", "", "", ""]
    assert page.chosen() == 2
    page.press("u")  # of the run before
    page.wait_for_progress(1)
    page.press("s", "d", "k", "s")
    page.wait_for_progress(5)
    assert page.page.is_visible("#finished")
    assert "All 5 faces are decided" in page.page.text_content("#finished")
    page.page.reload()
    page.page.wait_for_selector(".face img")
    page.wait_for_progress(5)
    assert page.badges() == ["Smile", "Smile", "Dropped", "Skipped", "Smile"]
    assert len(read_decisions(home / "decisions.csv")) == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_decides_by_touch(start_tool, open_page, home, scheme):
    size = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}
    page = open_page(start_tool("--all", "--limit", 8).url, color_scheme=scheme, **size)
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390, "nothing sticks out sideways"
    assert page.page.locator(".said", has_text=_LONG).count() == 1
    assert page.page.evaluate(CUT_OFF_OR_BROKEN, ".said span") == [[], []]
    page.page.tap("#face-1")
    assert page.chosen() == 1
    page.page.tap("[data-choice=drop]")
    page.wait_for_progress(1)
    page.page.tap("#face-2")
    for button in ("smile", "no_smile", "skip"):  # each goes on to the next face
        page.page.tap(f"[data-choice={button}]")
    page.until("document.querySelectorAll('.badge')[4].textContent === 'Skipped'")
    page.page.tap("#undo")
    page.until("document.querySelectorAll('.badge')[4].textContent === ''")
    assert page.badges()[:5] == ["", "Dropped", "Smile", "No smile", ""]
    box = page.page.locator("[data-choice=smile]").bounding_box()
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= 844, "the buttons are in sight"
    assert sorted(one.choice for one in read_decisions(home / "decisions.csv").values()) == ["drop", "no_smile", "smile"]
    assert page.complaints == []


def test_a_listener_hears_what_is_chosen_and_what_was_decided(start_tool, open_page):
    page = open_page(start_tool("--all", "--limit", 6).url).page
    assert page.get_attribute("#faces", "role") == "listbox"
    label = page.get_attribute("#face-0", "aria-label")
    assert label.startswith("Face 1 of 6. Has a near-copy with the opposite label. Label of yours: smile.")
    assert label.endswith("Not decided.")
    assert page.locator("[role=option]").count() == 6
    assert page.locator("[tabindex='0']").count() == 1, "one stop of the tab key for all faces"
    page.keyboard.press("d")
    page.wait_for_selector("#announcement:has-text('Dropped. Face 2 of 6')", state="attached")
    assert page.get_attribute("#face-0", "aria-label").endswith("Dropped.")


def test_the_tool_ends_at_once_when_asked_to(start_tool, open_page):
    tool = start_tool()
    assert "4 faces whose label is doubtful, and --all shows the others too; 2 are near-copies" in tool.lines[0]
    page = open_page(tool.url)
    page.press("s")
    page.wait_for_progress(1)
    tool.process.send_signal(signal.SIGINT)
    rest = tool.process.communicate(timeout=120)[0]
    assert tool.process.returncode == 0
    assert "1 of 4 faces are decided." in rest
