import csv
import html.parser
import itertools
import os
import re
import shutil
import urllib.parse
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import main
from pictures.decoding import decode_small
from scoring import best_smiles
from scoring.best_smiles import fingerprint, smiling_photos
from scoring.contact_sheet import ContactSheet
from scoring.rows import COLUMNS
from scoring.smile_copies import SmileCopies
from tests.text_layout import CUT_OFF_OR_BROKEN
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def row(file: str, face: int | None, smile: float = 0.9, height: int = 100, time_s: float | None = None) -> dict:
    values = {"file": file, "face": face, "time_s": time_s, "top": 50, "bottom": 50 + height, "smile": smile}
    return dict.fromkeys(COLUMNS) | (values if face else {"file": file, "frame": 0})


def best(photos, count: int, **options) -> list[str]:
    return [photo.file for photo in best_smiles.best_smiles(lambda: photos, count, **options)]


def test_a_photo_is_as_good_as_the_least_smile_of_its_main_faces():
    rows = [
        *(row("passer-by.jpg", 1, 0.97), row("passer-by.jpg", 2, 0.1, height=40)),
        *(row("grumpy.jpg", 1, 0.99), row("grumpy.jpg", 2, 0.2, height=60)),
        *(row("group.jpg", 1, 0.991), row("group.jpg", 2, 0.989), row("group.jpg", 3, 0.988)),
        row("one.jpg", 1, 0.993),
        row("nobody.jpg", None),
        row("serious.jpg", 1, 0.3),
        *(row("film.avi", 1, 0.99, time_s=0.0), row("film.avi", 1, 0.99, time_s=0.04)),
        row("later.jpg", 1, 0.993),
    ]
    as_text = [{name: "" if value is None else str(value) for name, value in cells.items()} for cells in rows]
    for given in (rows, as_text):
        found = list(smiling_photos(given))
        assert best(found, 9, one_per_burst=False) == ["group.jpg", "one.jpg", "later.jpg", "passer-by.jpg", "grumpy.jpg"]
    group = next(photo for photo in found if photo.file == "group.jpg")
    assert (group.faces, group.main, group.lowest) == (3, 3, 0.988)


def test_the_same_photo_twice_in_a_row_is_two_photos():
    found = list(smiling_photos([row("a.jpg", 1), row("a.jpg", 2), row("a.jpg", 1), row("a.jpg", 2)]))
    assert [(photo.file, photo.faces) for photo in found] == [("a.jpg", 2), ("a.jpg", 2)]


@pytest.fixture(scope="module")
def event(tmp_path_factory, astronaut) -> Path:
    """Two bursts of one smiling face, 6 and 4 shots, in front of other backgrounds, and a photo of nobody."""
    folder = tmp_path_factory.mktemp("event")
    (folder / "day 1").mkdir()
    (folder / "day 2").mkdir()
    random = np.random.default_rng(1)
    walls = [
        cv2.resize(random.integers(0, 255, (6, 8, 3), np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC) for _ in "ab"
    ]
    for burst, (day, shots) in enumerate((("day 1", 6), ("day 2", 4))):
        for shot in range(shots):
            photo = walls[burst].copy()
            x = 100 + 60 * burst + shot
            photo[80:280, x : x + 200] = astronaut[20:220, 120:320]
            photo = cv2.convertScaleAbs(photo, alpha=1 + 0.01 * shot)
            cv2.imwrite(str(folder / day / f"IMG_{shot:04}.jpg"), photo)
    cv2.imwrite(str(folder / "day 2" / "IMG_0100.jpg"), np.full((200, 200, 3), 90, np.uint8))
    return folder


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_of_each_burst_the_best_photo_is_copied(event, tmp_path, capsys):
    smiles = tmp_path / "smiles"
    arguments = [str(event), "--out", str(tmp_path / "t.csv"), "--copy-smiles", str(smiles), "--best", "5"]
    assert main(arguments) == 0
    copies = sorted(path.relative_to(smiles) for path in smiles.rglob("*.*"))
    assert [copy.parts[0] for copy in copies] == ["day 1", "day 2"], "two bursts, so two photos although five are asked for"
    for copy in copies:
        assert (smiles / copy).read_bytes() == (event / copy).read_bytes()
        assert not (smiles / copy).is_symlink()
        burst = [row for row in rows_of(tmp_path / "t.csv") if row["file"].startswith(f"{event}/{copy.parts[0]}/")]
        highest = max(round(float(row["smile"]), 2) for row in burst if row["smile"])
        mine = next(row for row in burst if row["file"] == f"{event}/{copy}")
        assert round(float(mine["smile"]), 2) == highest
    assert f"photos with a smile in {smiles}: 2 (2 new)" in capsys.readouterr().err
    assert main(arguments) == 0
    assert f"photos with a smile in {smiles}: 2 (0 new)" in capsys.readouterr().err, "the same run can be done again"
    assert sorted(path.relative_to(smiles) for path in smiles.rglob("*.*")) == copies


def test_without_best_every_photo_with_a_smile_is_copied(event, tmp_path):
    smiles = tmp_path / "smiles"
    assert main([str(event), "--out", str(tmp_path / "t.csv"), "--copy-smiles", str(smiles)]) == 0
    smiling = {row["file"].removeprefix(f"{event}/") for row in rows_of(tmp_path / "t.csv") if row["label"] == "smile"}
    assert len(smiling) >= 8
    assert {str(path.relative_to(smiles)) for path in smiles.rglob("*.*")} == smiling


def test_a_copy_never_goes_over_another_file_and_one_half_done_is_done_again(tmp_path):
    photos, copies = tmp_path / "photos", tmp_path / "copies"
    photos.mkdir()
    copies.mkdir()
    (photos / "a.jpg").write_bytes(b"ours")
    (copies / "a.jpg").write_bytes(b"somebody else's")
    (copies / "a-2.jpg").symlink_to("nowhere")
    (copies / "a-3.jpg.part").write_bytes(b"ou")  # left by a run that was killed
    for new in (1, 0):
        made = SmileCopies(str(copies), [str(photos)])
        assert made.add(str(photos / "a.jpg")) == copies / "a-3.jpg"
        assert (made.copied, made.there) == (new, 1 - new)
    assert (copies / "a.jpg").read_bytes() == b"somebody else's"
    assert (copies / "a-3.jpg").read_bytes() == b"ours"
    assert (copies / "a-2.jpg").is_symlink()
    assert made.add(str(photos / "gone.jpg")) is None
    assert sorted(path.name for path in copies.iterdir()) == ["a-2.jpg", "a-3.jpg", "a.jpg"]


def test_photos_of_one_burst_look_alike_and_others_do_not(event, shared_videos, tmp_path):
    capture = cv2.VideoCapture(str(shared_videos / "neutral_smile_neutral.mp4"))
    prints = []
    for number in range(45):
        _, image = capture.read()
        if number % 15 == 0:  # two shots a second
            cv2.imwrite(str(tmp_path / "shot.jpg"), image)
            prints.append(fingerprint(str(tmp_path / "shot.jpg")))
    capture.release()
    other = fingerprint(str(event / "day 1/IMG_0000.jpg"))
    assert all((a ^ b).bit_count() <= 12 for a, b in itertools.pairwise(prints))
    assert all((a ^ other).bit_count() > 12 for a in prints)


def test_the_best_of_many_are_found_with_few_in_memory(monkeypatch):
    monkeypatch.setattr(best_smiles, "_AT_ONCE", 4)
    # Eight photos of each burst look alike; the bursts stand far apart.
    monkeypatch.setattr(
        best_smiles, "fingerprint", lambda path: (1 << 60) // (1 + int(path.split("/")[-1][:2])) * 0x9E3779B1
    )
    names = [f"{burst:02}_{shot}.jpg" for burst in range(20) for shot in range(8)]
    smiles = np.random.default_rng(2).uniform(0.5, 1, len(names)).round(2)
    photos = list(smiling_photos([row(name, 1, float(smile)) for name, smile in zip(names, smiles, strict=True)]))
    found = best(photos, 12)
    assert len({name[:2] for name in found}) == 12
    of_bursts = sorted((max(smiles[8 * burst : 8 * burst + 8]) for burst in range(20)), reverse=True)
    assert [smiles[names.index(name)] for name in found] == pytest.approx(of_bursts[:12])
    assert len(best(photos, 500)) == 20


class Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_report_shows_the_photos_and_takes_no_name_for_html(event, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    odd = "<img src=x onerror=\"alert(1)\"> & 'so' #1?.jpg"
    names = [odd, os.fsdecode(b"caf\xe9.jpg"), "javascript:alert(2).jpg"]
    for name in names:
        shutil.copy(event / "day 1/IMG_0000.jpg", photos / name)
    report = tmp_path / "smiles.html"
    assert main([str(photos), "--out", str(tmp_path / "t.csv"), "--report", str(report)]) == 0
    assert f"photos shown in {report}: 3" in capsys.readouterr().err
    page = Page()
    page.feed(report.read_text(encoding="utf-8"))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all(set(image) == {"src", "width", "height", "alt"} for image in images)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    assert all(re.fullmatch(r"1 face, smile \d+ %", image["alt"]) for image in images)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert {urllib.parse.unquote_to_bytes(link) for link in links} == {os.fsencode(f"./photos/{name}") for name in names}
    assert all(link.startswith("./photos/") for link in links)
    assert f"{photos}/{odd}" in page.text
    assert "3 photos with a smile" in page.text
    assert not [attributes for tag, attributes in page.tags if tag in ("link", "iframe") or "onerror" in attributes]
    assert not re.findall(r"https?://", report.read_text(encoding="utf-8"))


def test_the_report_of_the_best_says_how_many_there_were(event, tmp_path):
    report = tmp_path / "smiles.html"
    arguments = [str(event), "--out", str(tmp_path / "t.parquet"), "--report", str(report), "--best", "1"]
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements/scale.txt")
    assert main(arguments) == 0
    text = report.read_text()
    assert text.count("<img ") == 1
    assert "The best of them is shown, one of each burst of photos that look alike." in text
    assert not (tmp_path / "smiles.html.part").exists()


def test_the_report_sorts_its_photos_and_follows_the_dark(event, tmp_path, browser):
    report = tmp_path / "smiles.html"
    shutil.copytree(event, tmp_path / "family_holiday-2019" / "evening_at_the_lake_with_grandmother")
    event = tmp_path / "family_holiday-2019"
    assert main([str(event), "--out", str(tmp_path / "t.csv"), "--report", str(report)]) == 0
    page = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 800})
    page.set_default_timeout(1000 * PATIENCE_S)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri())
    places = "[...document.querySelectorAll('li')].map(li => Number(li.dataset.place))"
    page.select_option("select", "place")
    assert page.evaluate(places) == sorted(page.evaluate(places))
    assert len(page.evaluate(places)) >= 8
    page.select_option("select", "best")
    ranks = page.evaluate("[...document.querySelectorAll('li')].map(li => Number(li.dataset.best))")
    assert ranks == sorted(ranks)
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate(CUT_OFF_OR_BROKEN, ".name") == [[], []]
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
    assert red < 80
    page.close()
    assert not complaints


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--best", "3"], "give --copy-smiles DIR or --report FILE too"),
        (["--best", "0", "--report", "r.html"], "--best must be at least 1"),
        (["--report", "r.html", "--out", "-"], "give it a file with --out FILE"),
        (["--report", "r.pdf"], "is not the name of a page"),
        (["--report", "nowhere/r.html"], "There is no folder nowhere"),
        (["--copy-smiles", "photos"], "would end up among the files that are read"),
        (["--copy-smiles", "plain"], "choose another --copy-smiles"),
        (["--workers", "0"], "--workers must be from 1"),
        (["--workers", "2", "--dask", "tcp://127.0.0.1:1"], "leave --workers out"),
    ],
)
def test_what_does_not_go_together_gets_one_sentence(arguments, sentence, tmp_path, face_picture, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "plain").touch()
    shutil.copy(face_picture, tmp_path / "photos/a.jpg")
    assert main(["photos", "--out", "table.csv", *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "plain"]


def test_a_report_on_a_full_disk_keeps_the_rows(event, tmp_path, capsys, monkeypatch):
    report = tmp_path / "r.html"
    (tmp_path / "r.html.part").mkdir()  # where the page would be written
    assert main([str(event), "--out", str(tmp_path / "t.csv"), "--report", str(report)]) == 2
    err = capsys.readouterr().err
    assert "choose another --report. The rows so far are in" in err
    (tmp_path / "r.html.part").rmdir()
    assert main([str(event), "--out", str(tmp_path / "t.csv"), "--report", str(report)]) == 0
    assert report.exists()
    assert (tmp_path / "t.csv").exists()


def test_a_large_photo_is_made_small_without_reading_all_of_it(astronaut):
    data = cv2.imencode(".jpg", cv2.resize(astronaut, (4096, 2048)))[1].tobytes()
    small = decode_small(data, 128)
    assert small.shape == (64, 128, 3)
    expected = cv2.resize(astronaut, (128, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 5
    assert decode_small(data, 9000, gray=True).shape == (2048, 4096)


def test_a_page_must_not_go_over_what_is_read(tmp_path):
    page = tmp_path / "a.html"
    page.touch()
    with pytest.raises(Exception, match="would overwrite a file that is to be read"):
        ContactSheet(str(page), [str(page)])
