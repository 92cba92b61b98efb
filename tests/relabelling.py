"""What the tests of relabelling share: faces with doubtful labels, opinions on them, the command, and its table."""

import contextlib
import csv
import http.client
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.drawn_faces import drawn_set
from training import relabel
from training.data.faces import Faces
from training.data.predictions import write_predictions
from training.labels.contested import contested_file
from training.labels.decisions import Journal, read_decisions

# `mine` 3 and 6 are said to be the contrary of what networks say; so are a validation and a test face.
LONG_NAME = "happy/family_holiday-2019/evening_at_the_lake_with_grandmother_and_the_dog.png"
SUSPICIOUS = ("neutral/3.png", LONG_NAME)
_CONTRADICTED = {*SUSPICIOUS, "neutral/21.png", "neutral/31.png"}


def training_faces() -> Faces:
    """60 faces in two sets, all of them for training but the last 20 of `mine`: 10 validation, 10 test."""
    mine, yours = drawn_set("mine", 40, 1, backgrounds=4), drawn_set("yours", 20, 2)
    split = np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10 + ["train"] * 4)
    names = np.array([LONG_NAME if name == "happy/6.png" else name for name in mine.name])
    return Faces.join([replace(mine, split=split, name=names), replace(yours, group=yours.group + 100)])


def opinions(faces: Faces) -> dict[tuple[str, str], float]:
    rows = np.flatnonzero(faces.smile >= 0)
    rng = np.random.default_rng(0)
    said = {}
    for row in rows:
        sure = 0.98 if faces.source[row] == "mine" and faces.name[row] in _CONTRADICTED else rng.uniform(0.02, 0.1)
        smiles = faces.smile[row] == 1
        said[str(faces.source[row]), str(faces.name[row])] = float(1 - sure if smiles else sure)
    return said


def save_home(folder: Path) -> Path:
    """faces.npz with opinions on it, and two near-copies with opposite labels aside."""
    faces = training_faces()
    faces.save(folder / "faces.npz")
    said = opinions(faces)
    keys = list(said)
    write_predictions(
        folder / "said.csv.gz",
        np.array([key[0] for key in keys]),
        np.array([key[1] for key in keys]),
        np.zeros(len(keys), int),
        np.array(list(said.values())),
    )
    aside = drawn_set("yours", 2, 9)
    aside = replace(aside, name=np.array(["happy/a.png", "neutral/b.png"]))
    aside.gray[1] = np.clip(aside.gray[0] * 0.8 + 20, 0, 255)
    aside.save(contested_file(folder / "faces.npz"))
    return folder


def run(home: Path, *options: object) -> int:
    paths = ["--data", home / "faces.npz", "--predictions", home / "said.csv.gz", "--out", home / "decisions.csv"]
    return relabel.main([str(option) for option in [*paths, *options]])


def rows_of(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="") as file:
        return [(row["source"], row["name"], row["decision"], row["by"]) for row in csv.DictReader(file)]


def decisions_of(path: Path, *choices: tuple[str, str, str]) -> dict:
    with Journal(path) as journal:
        journal.add([((source, name), choice) for source, name, choice in choices], "Ann")
    return read_decisions(path)


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
