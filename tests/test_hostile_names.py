"""File names may hold anything but a slash and a zero byte: they come back as they were, and nothing leaves its folder."""

import csv
import io
import os
import shutil

import pytest

from common.csv_lines import csv_writer
from common.errors import OutputError
from inference import main
from pictures.finding import MediaFile
from scoring.output_folder import OutputFolder
from scoring.rows import empty_row
from scoring.run import _Shown
from scoring.smile_copies import SmileCopies
from scoring.table_writer import open_table
from training.labels.decisions import Journal, read_decisions

NAMES = [
    *("x\rprivate.jpg", "\r.jpg", "a\nb.jpg", "a\r\nb.jpg", 'say "hi", x.jpg', "\x1b[2J.jpg", " x .jpg", "\x85\u2028.jpg"),
    "caf\udce9.jpg",  # no text at all
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_every_name_comes_back_from_the_table_exactly(tmp_path, kind):
    table = open_table(str(tmp_path / f"t.{kind}"))
    table.begin()
    for name in NAMES:
        table.write(empty_row(name, 0, None))
    assert [row["file"] for row in table.written()] == NAMES
    table.finish()
    text = (tmp_path / f"t.{kind}").read_bytes()
    assert text.count(b"\r\n") == (kind == "csv"), "lines end as ever; the one there is stands in a name"


def test_every_name_comes_back_from_the_decisions_exactly(tmp_path):
    path = tmp_path / "decisions.csv"
    with Journal(path) as journal:
        for name in NAMES[:-1]:
            journal.add([(("faces", name), "smile")], "me")
    assert [name for _, name in read_decisions(path)] == NAMES[:-1]
    with Journal(path) as journal:
        assert [name for _, name in journal.standing()] == NAMES[:-1]


@pytest.mark.parametrize("name", ["x\rprivate.jpg", "x\nprivate.jpg"])
def test_a_photo_named_with_a_line_end_takes_no_other_file_along(tmp_path, monkeypatch, face_picture, name):
    here = tmp_path / "here"
    (here / "photos").mkdir(parents=True)
    (tmp_path / "o").mkdir()
    shutil.copy(face_picture, here / "photos" / name)
    (here / "private.jpg").write_bytes(b"nobody's business")
    monkeypatch.chdir(here)
    assert main(["photos", "--out", "t.csv", "--copy-smiles", "../o/out2", "--workers", "1"]) == 0
    assert [path.relative_to(tmp_path / "o") for path in (tmp_path / "o").rglob("*.jpg")] == [
        (tmp_path / "o" / "out2" / name).relative_to(tmp_path / "o")
    ]
    assert (tmp_path / "o" / "out2" / name).read_bytes() == face_picture.read_bytes()
    with (here / "t.csv").open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [f"photos/{name}"]


def test_nothing_is_written_above_or_beside_its_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in (tmp_path / "private.jpg", outside / "a.jpg"):
        file.write_bytes(b"x")
    copies = SmileCopies(str(tmp_path / "copies"), [str(tmp_path / "photos")])
    for file in (
        "../private.jpg",
        str(tmp_path / "private.jpg"),
        str(outside / "a.jpg"),
        str(tmp_path / "photos" / ".." / "private.jpg"),
    ):
        with pytest.raises(OutputError, match=r"outside .*copies"):
            copies.add(file)
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == ["a.jpg", "private.jpg"]


def test_a_link_in_the_folder_leads_nothing_out_of_it(tmp_path):
    (tmp_path / "photos" / "trip").mkdir(parents=True)
    (tmp_path / "photos" / "trip" / "a.jpg").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    folder = OutputFolder(str(tmp_path / "copies"), [str(tmp_path / "photos")], option="--copy-smiles", holds="copies")
    target = folder.target(str(tmp_path / "photos" / "trip" / "a.jpg"), "")
    target.parent.rmdir()
    target.parent.symlink_to(tmp_path / "elsewhere")  # after the name was made, before it is used
    with pytest.raises(OutputError, match="outside"):
        folder.write(target, b"y")
    with pytest.raises(OutputError, match="outside"):
        SmileCopies(str(tmp_path / "copies"), [str(tmp_path / "photos")]).add(str(tmp_path / "photos" / "trip" / "a.jpg"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_that_moves_the_cursor_does_not_reach_the_terminal(tmp_path, capsys):
    shown = _Shown([str(tmp_path)], earlier=0, bar=True)
    shown.video(MediaFile("\x1b[2Jparty\r\n.mp4", is_video=True), 3.0)
    shown.close()
    said = capsys.readouterr().err
    assert "party" in said
    assert "\x1b[2J" not in said


def test_lines_are_written_as_the_csv_module_would():
    ours, theirs = io.StringIO(newline=""), io.StringIO(newline="")
    rows = [["a", 1, None, 0.5], ["b,c", 'd"e', "f\ng", ""], [os.sep]]
    csv_writer(ours).writerows(rows)
    csv.writer(theirs, lineterminator="\n").writerows(rows)
    assert ours.getvalue() == theirs.getvalue()
