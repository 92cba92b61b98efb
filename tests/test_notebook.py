"""The notebook runs from top to bottom, on faces that it draws itself, and is committed without pictures or numbers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import nbformat
import pytest
from nbclient import NotebookClient

from smile_recognition import SmileRecognizer
from tests.conftest import ROOT, clean_environment

NOTEBOOK = ROOT / "notebooks" / "cnn_model_training.ipynb"
SMALL = {"SMILE_SETS": "drawn", "SMILE_DRAWN": "60", "SMILE_EPOCHS": "3"}


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def executed(work):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # Jupyter starts a kernel in the notebook's own folder.
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}})
    client.execute(env=clean_environment() | SMALL | {"SMILE_WORK": str(work)})
    return notebook


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.timeout(400)
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
    readings = recognizer.read(drawn, [(60, 180, 180, 60)])
    assert 0 <= readings.smile[0] <= 1
    assert readings.landmarks.shape == (1, 5, 2)
    training = json.loads((work / "network" / "training.json").read_text())
    assert training["epochs"] == 3
    assert list(training["trained_on"]) == ["drawn"]


def test_its_pictures_are_drawn(executed):
    with_picture = {cell.id for cell in code_cells(executed) for out in cell.outputs if "image/png" in out.get("data", {})}
    without = {cell.id for cell in code_cells(executed)} - with_picture
    assert without <= {"settings", "imports", "crop-all", "train", "export", "mistakes"}


def test_it_writes_only_into_its_work_folder(executed, work):
    assert not (NOTEBOOK.parent / "runs").exists()
    made = {path.name for path in work.iterdir()}
    assert {"drawn", "faces.npz", "network", "mistakes", "marked"} <= made


def test_no_output_is_committed(committed):
    nbformat.validate(committed)
    assert not [cell.id for cell in code_cells(committed) if cell.outputs or cell.execution_count is not None]
    assert committed.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in committed.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in ids), "ids are names, so that a change shows as a change"


@pytest.mark.parametrize("folder", ["", "notebooks", "docs"])
def test_it_finds_the_project_wherever_it_is_started(committed, folder, tmp_path):
    settings = next(cell.source for cell in committed.cells if cell.id == "settings")
    command = [sys.executable, "-c", f"{settings}\nimport smile_recognition\nprint(ROOT)"]
    environment = clean_environment() | SMALL | {"SMILE_WORK": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT / folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(ROOT)
