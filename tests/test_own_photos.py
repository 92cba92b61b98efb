"""A user's own photos: what the guide's commands make of them, and what they are worth."""

import json
import re
import shlex
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inference
from common.errors import DatasetError
from common.judged import read_judged
from common.places import DEFAULT_MODEL, MODELS, ROOT
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer
from tests.class_folders import save_crops
from tests.drawn_faces import drawn_set
from training import dataset, evaluate, finder_probe, hold, how_many, mine, out_of_fold, train
from training.data import assembling
from training.data.assembling import split_groups
from training.data.faces import Faces
from training.finding.pictures import Pictures
from training.fitting.hold import load_hold
from training.fitting.tune import whole_network
from training.judging.judge import read_crops

pytestmark = [pytest.mark.slow(60), pytest.mark.usefixtures("dataset_workers_in_this_process")]


@pytest.fixture(autouse=True)
def one_worker(monkeypatch):
    """OpenCV's cascade, which looks for backgrounds, must not be used by two threads at once."""
    monkeypatch.setattr(assembling, "worker_processes", lambda count: ThreadPoolExecutor(1))


MAINS = {"training.dataset": dataset.main, "training.train": train.main, "training.evaluate": evaluate.main}


def run(line: str) -> int:
    """A command as it stands in the guide or was printed, in this process."""
    python, option, module, *arguments = shlex.split(line)
    assert Path(python).name.startswith("python")
    assert option == "-m"
    return MAINS[module](arguments)


def guide() -> list[str]:
    """The commands of the guide's "Your own pictures" that train, word for word."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = text.partition("## Your own pictures\n")[2].partition("\n## ")[0]
    lines = [
        line.partition("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
        for line in block.splitlines()
    ]
    return [line for line in lines if line.split(" ")[2] in MAINS]


def own_photos(home: Path, data: Path, of_each: int) -> Path:
    with zipfile.ZipFile(data / "genki.zip") as archive:
        for label in ("smile", "no_smile"):
            (home / "mine" / label).mkdir(parents=True)
            names = sorted(name for name in archive.namelist() if Path(name).parent.name == label and name.endswith(".jpg"))
            for name in names[:of_each]:
                (home / "mine" / label / Path(name).name).write_bytes(archive.read(name))
    return home / "mine"


def found(network: Path, faces: Faces) -> np.ndarray:
    """Which crops are faces to the network, bool `(n,)`."""
    return read_crops(SmileRecognizer(network), faces.gray).presence >= PRESENCE_THRESHOLD


@pytest.mark.parametrize("photos", [True, False], ids=["real photos", "drawn crops"])
def test_the_guides_recipe_word_for_word_and_the_commands_it_prints(photos, request, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recipe = guide()
    assert len(recipe) == 3
    if photos:
        own_photos(tmp_path, request.getfixturevalue("shared_data"), 26)
    else:
        save_crops(tmp_path / "mine", 40)
        recipe[0] += " --cropped"
    for line, following in zip(recipe, [*recipe[1:], None], strict=True):
        if not photos and "training.evaluate" in line:
            assert run(line) == 2, "all drawn heads are one person's"
            break
        assert run(line) in ((0,) if photos else (0, 1)), line
        said = capsys.readouterr().out.splitlines()
        if following:
            (printed,) = [words for words in said if " -m training." in words]
            assert shlex.split(printed)[1:] == shlex.split(following)[1:]
    faces = Faces.load(tmp_path / "datasets" / "mine.npz")
    assert set(faces.split) == ({"train", "test"} if photos else {"train"}), "few photos make few parts"
    real = faces.where(faces.face == 1)
    by_shipped, by_mine = found(DEFAULT_MODEL, real), found(tmp_path / "runs" / "mine" / "smile.tflite", real)
    assert (by_mine & by_shipped).sum() >= 0.95 * by_shipped.sum() > (45 if photos else 0)
    if photos:
        assert inference.main(["mine", "--model", "runs/mine/smile.tflite", "--out", "mine.csv", "--workers", "1"]) == 0
        assert len((tmp_path / "mine.csv").read_text().splitlines()) > 48


@pytest.fixture(scope="module")
def drawn() -> Faces:
    """Drawn faces, which the shipped network has never seen the like of, with backgrounds."""
    return split_groups(drawn_set("mine", 120, 5, backgrounds=20), seed=0, shares=(0.75, 0.0, 0.25))


@pytest.fixture(scope="module")
def tuned(drawn, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("tuned")
    drawn.save(home / "mine.npz")
    assert train.main(["--data", str(home / "mine.npz"), "--out", str(home / "out")]) in (0, 1)
    return home / "out"


def test_only_the_smile_output_learns(drawn, tuned):
    shipped, learned = (whole_network(folder)[0] for folder in (MODELS, tuned))
    for old, new in zip(shipped.layers, learned.layers, strict=True):
        same = all(map(np.array_equal, old.get_weights(), new.get_weights()))
        assert same is (new.name != "smile"), new.name
    before, after = (read_crops(SmileRecognizer(path), drawn.gray) for path in (DEFAULT_MODEL, tuned / "smile.tflite"))
    # The shipped file was written on another computer, whose arithmetic may round a weight to the next of its 8 bits.
    assert np.abs(after.presence - before.presence).mean() < 2e-3
    assert np.abs(after.landmarks - before.landmarks).mean() < 2e-3
    unseen = (drawn.split == "test") & (drawn.face == 1)
    losses = [-np.log(np.abs((drawn.smile <= 0) - read.smile))[unseen].mean() for read in (before, after)]
    assert losses[1] < losses[0]


def test_the_file_and_the_record_say_how_good_it_is(drawn, tuned):
    judged = read_judged(tuned / "smile.tflite")
    assert judged is not None
    assert (judged.how, judged.faces) == ("cross-validation", int(((drawn.split == "train") & (drawn.face == 1)).sum()))
    made = json.loads((tuned / "training.json").read_text())
    assert made["stages"][-1]["judged"]["balanced"] == judged.balanced
    assert made["stages"][:-1] == json.loads((MODELS / "training.json").read_text())["stages"]
    assert made["trained_on"]["mine"] == judged.faces


def test_a_tuned_network_can_be_tuned_further(drawn, tuned, tmp_path):
    more = replace(drawn_set("more", 40, 6), split=np.full(40, "train"))
    more.save(tmp_path / "more.npz")
    command = ["--data", str(tmp_path / "more.npz"), "--fine-tune", str(tuned), "--out", str(tmp_path / "out")]
    assert train.main(command) in (0, 1)
    assert json.loads((tmp_path / "out" / "training.json").read_text())["trained_on"].keys() >= {"mine", "more"}


def test_photos_of_one_person_are_judged_by_photos_of_this_person(drawn, tmp_path, capsys):
    """Each face without itself, since there is no other group; labels turned round teach something new."""
    faces = drawn.where(drawn.face == 1)
    replace(faces, group=np.zeros(len(faces), int), smile=1 - faces.smile).save(tmp_path / "me.npz")
    assert train.main(["--data", str(tmp_path / "me.npz"), "--out", str(tmp_path / "out")]) in (0, 1)
    before = re.search(r"The network before: ([0-9.]+)%", capsys.readouterr().out)
    assert before
    assert float(before[1]) < 20, "it knows the labels as they were"
    judged = read_judged(tmp_path / "out" / "smile.tflite")
    assert judged is not None
    assert not json.loads((tmp_path / "out" / "training.json").read_text())["stages"][-1]["kept"]


def test_labels_that_mean_nothing_end_with_a_sentence_and_code_1(drawn, tmp_path, capsys):
    labels = drawn.smile.copy()
    labels[drawn.face == 1] = np.random.default_rng(0).permutation(drawn.smile[drawn.face == 1])
    replace(drawn, smile=labels).save(tmp_path / "mine.npz")
    assert train.main(["--data", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "out")]) == 1
    assert "check that the photos are in the right folders" in capsys.readouterr().err


def test_what_holds_the_weights_must_be_there(drawn, tuned, tmp_path, capsys):
    for name in ("my_model.keras", "scaler.save", "training.json", "split.csv.gz"):
        (tmp_path / name).write_bytes((tuned / name).read_bytes())
    data = tuned.parent / "mine.npz"
    for damage in (None, b"no arrays"):
        if damage:
            (tmp_path / "hold.npz").write_bytes(damage)
        command = ["--data", str(data), "--fine-tune", str(tmp_path), "--out", str(tmp_path / "out")]
        replace(drawn, source=np.full(len(drawn), "other")).save(data)
        assert train.main(command) == 2
        assert "hold.npz is missing or damaged" in capsys.readouterr().err
    (tmp_path / "scaler.save").write_bytes(b"no pickle")
    assert train.main(command) == 2
    assert "holds no whole network" in capsys.readouterr().err


def test_what_holds_the_weights_can_be_measured_later(drawn, tuned, tmp_path, capsys):
    """The same as a training writes; of faces that the network was not trained on there is a sentence."""
    folder = tmp_path / "old"
    shutil.copytree(tuned, folder)
    (folder / "hold.npz").unlink()
    drawn.save(tmp_path / "mine.npz")
    command = ["--model", str(folder), "--data", str(tmp_path / "mine.npz")]
    assert hold.main(command) == 0
    width = len(load_hold(MODELS, 161))
    measured = load_hold(folder, width)
    assert np.allclose(measured, measured.T, atol=1e-6)
    assert np.linalg.eigvalsh(measured).min() > -1e-6, "a loss rises whichever way one goes"
    replace(drawn, split=np.where(drawn.split == "train", "test", "train")).save(tmp_path / "mine.npz")
    assert hold.main(command) == 2
    assert "was trained on faces of this dataset's validation or test part" in capsys.readouterr().err
    replace(drawn, smile=np.full(len(drawn), -1, np.int8)).save(tmp_path / "mine.npz")
    assert hold.main(command) == 2
    assert "has no labelled training faces" in capsys.readouterr().err


def test_the_table_of_what_photos_are_worth(drawn, tmp_path, monkeypatch, capsys):
    sets = [replace(drawn, source=np.full(len(drawn), name)) for name in how_many.OWN_SETS]
    Faces.join(sets).save(tmp_path / "faces.npz")
    drawn.save(tmp_path / "others.npz")
    monkeypatch.setattr(how_many, "SIZES", (8,))
    monkeypatch.setattr(how_many, "DRAWS", 2)
    monkeypatch.setattr(how_many, "wide_smiles", lambda faces: faces)  # drawn mouths are all shut
    command = ["--data", str(tmp_path / "faces.npz"), "--others", str(tmp_path / "others.npz")]
    assert how_many.main([*command, "--strengths", "2", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines if "%" in line] == ["0", "8, strength 2", "8, strength 9"] * 2
    replace(drawn, source=np.full(len(drawn), "affect")).save(tmp_path / "known.npz")
    assert how_many.main([*command[:2], "--others", str(tmp_path / "known.npz")]) == 2
    assert "was trained on affect; give --others that it has never seen" in capsys.readouterr().err
    assert how_many.main([*command, "--part", "val"]) == 2
    assert "has no genki, smiles, getty_faces, rafdb" in capsys.readouterr().err
    assert how_many.main([*command, "--part", "val", "--write-docs"]) == 2
    assert "leave --part and --strengths out" in capsys.readouterr().err
    assert how_many.main([*command, "--strengths", "0"]) == 2
    assert "--strengths must be more than 0" in capsys.readouterr().err
    replace(drawn, split=np.where(drawn.split == "test", "val", drawn.split)).save(tmp_path / "others.npz")
    assert how_many.main(command) == 2
    assert "others.npz needs both smiling and other faces in the parts train and test" in capsys.readouterr().err


def test_the_table_takes_the_place_of_the_one_before(tmp_path, capsys):
    guide = tmp_path / "guide.md"
    for old in ("\n\n| a |\n|---|\n| 1 |\n\nSo twenty photos", "\n\nSo twenty photos", "\n| a |\n\nSo twenty photos"):
        guide.write_text(f"Before\n{how_many._MARK}{old}.\n")
        how_many._write_into(guide, "| b |\n|---|\n| 2 |")
        expected = f"Before\n{how_many._MARK}\n\n| b |\n|---|\n| 2 |\n\nSo twenty photos.\n"
        assert guide.read_text() == expected
    guide.write_text("Before.\n")
    with pytest.raises(DatasetError, match="has no line"):
        how_many._write_into(guide, "| b |")
    assert guide.read_text() == "Before.\n"


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("module", [hold, how_many, evaluate, out_of_fold, dataset, mine, finder_probe])
def test_ctrl_c_is_no_error(module, monkeypatch, capsys):
    monkeypatch.setattr(Faces, "load", interrupted)
    monkeypatch.setattr(Pictures, "load", interrupted)
    monkeypatch.setattr(module, "build_dataset", interrupted, raising=False)
    assert module.main(["photos"] if module in (dataset, mine, finder_probe) else []) == 130
    assert capsys.readouterr().err.startswith("Stopped. The same command ")


def test_a_wide_smile_is_one_with_an_open_mouth():
    faces = drawn_set("genki", 2, 1)
    points = np.zeros((2, 68, 2), np.float32)
    points[:, 42:48] = (1, 0)  # the eyes are one apart
    points[0, 66] = (0, 0.2)  # and these lips a fifth of that
    both = replace(faces, smile=np.ones(2, np.int8), shape68=points)
    assert how_many.wide_smiles(both).smile.tolist() == [1, 0]
