import csv
import importlib
import json
import os
import sys

import pytest

from inference import main
from scoring.rows import empty_row
from scoring.table_writer import open_table

NAMES = [
    "=1+1.jpg",
    "+a.jpg",
    "-b.jpg",
    "@c.jpg",
    "\td.jpg",
    "'e.jpg",
    "''=f.jpg",
    "plain.jpg",
    "\r.jpg",
    "=a,\n b.jpg",
    "é.jpg",
]
ODD = ["caf\udce9.jpg", "lit\\xe9ral.jpg", "both\\xe9\udce9.jpg", "\\x5c.jpg", "back\\slash.jpg", "\udcff/\udcfe.jpg"]


def written(path, names, **options):
    table = open_table(str(path), **options)
    table.begin()
    for name in names:
        table.write(empty_row(name, 0, None))
    assert [row["file"] for row in table.written()] == names, "read back for copies and reports"
    table.finish()
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="file names are bytes on Linux and macOS only")
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_table_is_utf_8_whatever_bytes_names_hold(kind, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements/scale.txt")
    path = written(tmp_path / f"t.{kind}", ODD)
    if kind != "parquet":
        path.read_text(encoding="utf-8")
    module, read = {"csv": ("csv", "read_csv"), "jsonl": ("json", "read_json"), "parquet": ("parquet", "read_table")}[kind]
    seen = getattr(importlib.import_module(f"pyarrow.{module}"), read)(path)["file"].to_pylist()
    assert seen == [
        "caf\\xe9.jpg",
        "lit\\x5cxe9ral.jpg",  # so that it is not taken for a byte
        "both\\x5cxe9\\xe9.jpg",
        "\\x5cx5c.jpg",
        "back\\slash.jpg",
        "\\xff/\\xfe.jpg",
    ]


def test_pandas_and_the_csv_module_read_every_name_of_a_usual_table(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = written(tmp_path / "t.csv", NAMES)
    assert pandas.read_csv(path)["file"].tolist() == NAMES
    with path.open(newline="", encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == NAMES


def test_a_table_for_spreadsheets_holds_no_formula_and_says_that_it_is_utf_8(tmp_path):
    path = written(tmp_path / "t.csv", NAMES, spreadsheet=True)
    assert path.read_bytes().startswith(b"\xef\xbb\xbffile,frame,")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [
        *("'=1+1.jpg", "'+a.jpg", "'-b.jpg", "'@c.jpg", "'\td.jpg", "''e.jpg", "'''=f.jpg", "plain.jpg"),
        *("'\r.jpg", "'=a,\n b.jpg", "é.jpg"),
    ]


def test_numbers_below_zero_stay_numbers_for_spreadsheets(tmp_path):
    table = open_table(str(tmp_path / "t.csv"), spreadsheet=True)
    table.begin()
    table.write(empty_row("a.jpg", 0, None) | {"top": -3, "left_eye_x": -0.5})
    table.finish()
    assert "a.jpg,0,,,,-3," in (tmp_path / "t.csv").read_text(encoding="utf-8-sig")


def test_the_option_goes_through_and_fits_only_csv(tmp_path, face_picture, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "=a.jpg").write_bytes(face_picture.read_bytes())
    monkeypatch.chdir(tmp_path / "photos")
    options = ["--spreadsheet", "--workers", "1", "--copy-smiles", "../best"]
    assert main(["=a.jpg", "--out", "../t.csv", *options]) == 0
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "\n'=a.jpg,0," in (tmp_path / "t.csv").read_text(encoding="utf-8-sig")
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["=a.jpg"], "the file is found by its own name"
    capsys.readouterr()
    for out in ("../t.jsonl", "../t.parquet"):
        assert main(["=a.jpg", "--out", out, "--spreadsheet"]) == 2
        assert "--spreadsheet is for CSV" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_file_whose_name_is_no_text_is_copied_and_shown_by_its_own_name(tmp_path, face_picture):
    (tmp_path / "photos").mkdir()
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "photos" / name).write_bytes(face_picture.read_bytes())
    out = tmp_path / "t.jsonl"
    options = ["--copy-smiles", str(tmp_path / "best"), "--report", str(tmp_path / "r.html"), "--workers", "1"]
    assert main([str(tmp_path / "photos"), "--out", str(out), *options]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["file"].endswith("/caf\\xe9.jpg")
    assert [path.name for path in (tmp_path / "best").iterdir()] == [name]
    assert "caf%E9.jpg" in (tmp_path / "r.html").read_text(encoding="utf-8")
