"""The notebook runs from top to bottom, on faces that it draws itself, and is committed without pictures or numbers.

It gathers photos, too, if it is told to: here from a site on loopback.
"""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from getty_scraper import TERMS_OF_USE
from smile_recognition import SmileRecognizer
from tests.getty_pages import Card, pages_of
from tests.getty_server import GettyServer
from tests.project import ROOT, clean_environment
from training.data.faces import Faces
from training.labels.decisions import read_decisions

pytestmark = [pytest.mark.slow(120), pytest.mark.timeout(1800)]

NOTEBOOK = ROOT / "notebooks" / "cnn_model_training.ipynb"
SMALL = {"SMILE_SETS": "drawn", "SMILE_DRAWN": "160", "SMILE_EPOCHS": "2"}


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebook")


def make_client(notebook) -> NotebookClient:
    # Jupyter starts a kernel in the notebook's own folder.
    return NotebookClient(
        notebook,
        timeout=1500,
        startup_timeout=300,
        iopub_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": NOTEBOOK.parent}},
    )


@pytest.fixture(scope="module")
def kernel(work) -> Iterator[NotebookClient]:
    """A kernel with small settings; loading all that the notebook needs takes it as long as some of the cells."""
    client = make_client(nbformat.read(NOTEBOOK, as_version=4))
    with client.setup_kernel(env=environment(work, SMALL)):
        yield client


@pytest.fixture(scope="module")
def executed(kernel):
    for place, cell in enumerate(kernel.nb.cells):
        kernel.execute_cell(cell, place)
    return kernel.nb


def environment(work: Path, settings: dict[str, str]) -> dict[str, str]:
    """Without the key of whoever runs the tests, which would gather photos from the real site."""
    ours = {name: value for name, value in clean_environment().items() if not name.startswith("GETTY_")}
    return ours | settings | {"SMILE_WORK": str(work)}


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(cell, kind: str = "stdout") -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == kind)


def cell_named(notebook, name: str):
    return next(cell for cell in notebook.cells if cell.id == name)


def test_every_cell_runs_and_none_warns(executed):
    outputs = [(cell.id, output) for cell in code_cells(executed) for output in cell.outputs]
    assert len([cell for cell in code_cells(executed) if cell.execution_count]) == len(code_cells(executed))
    assert not [cell for cell, output in outputs if output.output_type == "error"]
    errors = [(cell, output.text) for cell, output in outputs if output.get("name") == "stderr"]
    assert not [error for error in errors if re.search(r"Warning: |Traceback", error[1])]


def test_it_makes_a_network_that_the_app_can_load(executed, work):
    recognizer = SmileRecognizer(work / "network" / "smile.tflite")
    drawn = cv2.imread(str(work / "drawn" / "smile" / "0000.png"), cv2.IMREAD_GRAYSCALE)
    assert drawn is not None
    (face,) = recognizer.read(drawn, [(60, 180, 180, 60)])
    assert 0 <= face.smile <= 1
    assert face.points.shape == (5, 2)
    training = json.loads((work / "network" / "training.json").read_text())
    assert training["epochs"] == 2
    assert list(training["trained_on"]) == ["drawn"]


def test_photos_in_the_wrong_folder_are_found_first(executed):
    said = text_of(cell_named(executed, "doubts"))
    misplaced, among_first = map(int, re.search(r"Of the first (\d+) faces in the queue,\s+(\d+) are such", said).groups())
    assert misplaced >= 10
    # A queue without order has one or two there, and six in one of a thousand cases.
    assert among_first >= 6


def test_what_is_decided_changes_the_training_part_only(executed, work):
    faces = Faces.load(work / "faces.npz")
    faces = faces.where(faces.face == 1)
    decisions = read_decisions(work / "decisions.csv")
    assert {(decision.choice, decision.by) for decision in decisions.values()} == {("drop", "automatic")}
    dropped = np.isin(faces.name, [name for _, name in decisions])
    assert dropped.sum() == len(decisions)
    assert set(faces.split[dropped]) == {"train"}
    misplaced = np.array([int(Path(name).stem) % 10 == 3 for name in faces.name])
    in_training = faces.split == "train"
    assert dropped[in_training & misplaced].mean() > 2 * dropped[in_training & ~misplaced].mean()
    training = json.loads((work / "network" / "training.json").read_text())
    assert training["trained_on"] == {"drawn": int((in_training & ~dropped).sum())}
    assert list(training["stages"][-1]["labels_from"]) == ["decisions.csv"]
    assert misplaced[faces.split == "test"].any(), "the test part is judged as it is"


def test_the_best_smiles_are_chosen_from_all_test_photos(executed, work):
    with (work / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scored = {Path(row["file"]).name for row in rows}
    assert scored == {path.name for path in (work / "new_photos").iterdir()}
    assert len(scored) > 8, "fewer would be read by one process"
    kept = [path.name for path in (work / "best_smiles").iterdir()]
    assert len(kept) == 3
    smiles = {Path(row["file"]).name: float(row["smile"]) for row in rows if row["face"] == "1"}
    assert min(smiles[name] for name in kept) > np.median(list(smiles.values()))
    assert (work / "best_smiles.html").read_text().count("<li ") == 3


def test_its_pictures_are_drawn(executed):
    with_picture = {cell.id for cell in code_cells(executed) for out in cell.outputs if "image/png" in out.get("data", {})}
    without = {cell.id for cell in code_cells(executed)} - with_picture
    assert without <= {"settings", "imports", "gather", "crop-all", "opinions", "decide", "train", "export", "mistakes"}


def test_it_writes_only_into_its_work_folder(executed, work):
    assert not (NOTEBOOK.parent / "runs").exists()
    made = {path.name for path in work.iterdir()}
    assert {"drawn", "faces.npz", "opinions", "network", "mistakes", "marked"} <= made
    assert "images" not in made, "nothing is fetched unless somebody says so"


def test_no_output_is_committed(committed):
    nbformat.validate(committed)
    assert not [cell.id for cell in code_cells(committed) if cell.outputs or cell.execution_count is not None]
    assert committed.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in committed.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in ids), "ids are names, so that a change shows as a change"


def test_its_table_of_contents_names_its_sections(committed):
    sections = [
        title
        for cell in committed.cells
        if cell.cell_type == "markdown"
        for title in re.findall(r"^## (\d+ .+)", cell.source, re.MULTILINE)
    ]
    listed = re.findall(r"\| (\d+ [^|]+?) (?=\|)", cell_named(committed, "title").source)
    assert sorted(listed, key=lambda title: int(title.split()[0])) == sections


@pytest.mark.parametrize("folder", ["", "notebooks", "docs"])
def test_it_finds_the_project_wherever_it_is_started(committed, folder, tmp_path):
    settings = cell_named(committed, "settings").source
    command = [sys.executable, "-c", f"{settings}\nimport smile_recognition\nprint(ROOT)"]
    done = subprocess.run(
        command, cwd=ROOT / folder, env=environment(tmp_path, SMALL), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(ROOT)


@pytest.fixture
def site() -> Iterator[GettyServer]:
    """Six photos of each term, of which one of the first comes under the second, too, and one is the copy of another."""
    grins, serious = pages_of("grin", 1, 6), pages_of("serious look", 1, 6, first=2000)
    grins[0][5] = Card("1500", grins[0][4].picture)
    serious[0][5] = grins[0][0]
    with GettyServer({"grin": grins, "serious look": serious}) as server:
        yield server


class Session:
    """A notebook of which cells are run one by one, as its reader does."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    def cell(self, name: str):
        """Runs the cell of this name and returns it with its outputs."""
        cells = self._client.nb.cells
        place = [cell.id for cell in cells].index(name)
        self._client.execute_cell(cells[place], place)
        return cells[place]

    def code(self, source: str) -> None:
        """Runs what somebody typed into a cell of their own."""
        cells = self._client.nb.cells
        cells.append(nbformat.v4.new_code_cell(source))
        self._client.execute_cell(cells[-1], len(cells) - 1)

    def settings(self, **variables: str) -> None:
        self.code(f"os.environ.update({variables})")
        self.cell("settings")


@pytest.fixture
def session(kernel, executed, site, tmp_path) -> Session:
    """The notebook once more, with settings that say to gather photos from `site`, but not that this is permitted."""
    kernel.nb = nbformat.read(NOTEBOOK, as_version=4)
    kernel.allow_errors = True
    begun = Session(kernel)
    begun.code("for name in [name for name in os.environ if name.startswith('SMILE_')]: del os.environ[name]")
    begun.settings(SMILE_WORK=str(tmp_path), SMILE_SEARCH="grin|serious look", SMILE_SITE=site.url)
    return begun


def sentence_of(cell) -> str:
    """The one sentence with which a cell ended the run."""
    (error,) = [output for output in cell.outputs if output.output_type == "error"]
    (sentence,) = error.traceback
    assert sentence.endswith(".")
    return sentence


def test_gathered_photos_become_its_set_but_not_without_permission(session, site, tmp_path):
    session.cell("imports")
    refused = sentence_of(session.cell("gather"))
    assert TERMS_OF_USE in refused
    assert "SMILE_PERMISSION" in refused
    assert "GETTY_API_KEY" in refused
    session.settings(SMILE_SEARCH="grin", SMILE_PERMISSION="1")
    assert "two search terms" in sentence_of(session.cell("gather"))
    assert site.requests == []
    assert not (tmp_path / "images").exists()

    session.settings(SMILE_SEARCH="grin|serious look")
    session.code("from tests.scraper_runs import QuickClock\ngetty_scraper.Clock = QuickClock")  # its pauses pass at once
    gathered = session.cell("gather")
    (table,) = [output.data["text/markdown"] for output in gathered.outputs if "text/markdown" in output.get("data", {})]
    # Of six grins one came under both terms, and one is a copy.
    assert [line for line in table.splitlines() if line.startswith(("| grin", "| serious"))] == [
        "| grin | 4 | 1 | 1 | 0 | 0 |",
        "| serious look | 5 | 0 | 0 | 0 | 0 |",
    ]
    wanted = {*range(1000, 1005), 1500, *range(2000, 2005)}
    assert site.pictures() == dict.fromkeys(map(str, wanted), 1)
    assert "images: 9 pictures, {'smile': 4, 'no smile': 5}" in text_of(session.cell("photos"))
