"""The finder's training: a network that learns, goes on after a kill and is exported, and its card."""

import json
import zipfile
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from faces.finder import FaceFinder
from tests.drawn_pictures import drawn_pictures
from training import finder, finder_probe
from training.finding.conditions import CONDITIONS
from training.finding.pictures import Pictures
from training.finding.scenes import SceneMaker

pytestmark = pytest.mark.slow(30)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return drawn_pictures()


def test_a_finder_learns_is_killed_goes_on_and_is_exported(tmp_path, capsys):
    data, out = tmp_path / "finder.npz", tmp_path / "out"
    drawn_pictures().save(data)
    from training.finding import fit as finder_fit
    from training.finding import network as finder_network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder_fit, "_JUDGED", 16)
        patch.setattr(finder_fit, "_batches", batches_here)
        narrow = finder_network.FinderConfig(channels=(4, 8, 8, 8, 8), blocks=(0, 0, 0, 0))
        patch.setattr(finder_network, "build_finder", partial(finder_network.build_finder, narrow))
        half = finder_fit.FinderRecipe(frames=96, batch=16, judge_every=3, warm_up=1, rate=0.01)
        finder_fit.fit(data, out, half)
        first = json.loads((out / "history.json").read_text())["history"]
        assert [entry["step"] for entry in first] == [3, 6]
        model = finder_fit.fit(data, out, replace(half, frames=192))
    assert "continuing after batch 6" in capsys.readouterr().out
    history = json.loads((out / "history.json").read_text())["history"]
    assert [entry["step"] for entry in history] == [3, 6, 9, 12]
    assert history[-1]["loss"] < history[0]["loss"]
    assert finder.main(["--export-only", "--out", str(out), "--data", str(data)]) == 0
    again = finder_fit.load_network(out / "finder.keras")
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights(), strict=True))
    with pytest.raises(DatasetError, match="not a finder network"):
        finder_fit.load_network(out / "history.json")
    made = json.loads((out / "finder_training.json").read_text())
    assert made["frames"] == 192
    assert made["trained_on"] == {"backgrounds": 12, "genki": 12}
    (tmp_path / "finder_training.json").write_text(json.dumps({"frames": 1000}))
    begun = ["--export-only", "--start-from", str(tmp_path / "finder.keras"), "--out", str(out), "--data", str(data)]
    assert finder.main(begun) == 0
    assert json.loads((out / "finder_training.json").read_text())["frames"] == 1192, "with those of the training before"
    gray = np.random.default_rng(0).integers(0, 255, (128, 160), np.uint8)
    expected = model.predict(gray[None, :, :, None].astype(np.float32), verbose=0)[0]
    expected[..., 0] = 1 / (1 + np.exp(-expected[..., 0]))
    assert FaceFinder(out / "finder.tflite")._run(gray) == pytest.approx(expected, abs=0.1)


def batches_here(data, recipe, first):
    """In this process, and not in another that takes seconds to start."""
    from training.finding.fit import make_batch

    pictures = Pictures.load(data)
    for step in range(first, recipe.batches):
        yield make_batch(SceneMaker(pictures, "train", np.random.default_rng([recipe.seed, step])), recipe.batch)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "There are no pictures at"),
        (["--frames", "0"], "must be 1 or more"),
        (["--export-only"], "train a finder first"),
        (["missing.zip"], "not a zip of pictures"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(argv, said, tmp_path, capsys):
    assert finder.main([*argv, "--data", str(tmp_path / "finder.npz"), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


def test_a_probe_without_pictures_is_said_in_a_sentence(tmp_path, capsys):
    assert finder_probe.main(["genki.zip", "--data", str(tmp_path / "missing.npz")]) == 2
    assert "python -m training.finder" in capsys.readouterr().err


def test_a_probe_counts_what_is_found_and_writes_the_card(pictures, tmp_path, capsys, monkeypatch):
    """Drawn faces are no faces to the shipped network: the figures may be anything, but they must stand in the card."""
    photos = tmp_path / "genki.zip"
    with zipfile.ZipFile(photos, "w") as archive:
        for i in np.flatnonzero(pictures.source == "genki"):
            _, data = cv2.imencode(".jpg", pictures.picture(int(i)))
            archive.writestr(f"genki/{pictures.name[i]}", data.tobytes())
        archive.writestr("genki/no_smile/other.jpg", data.tobytes())
    pictures.save(tmp_path / "finder.npz")
    training = {"trained_on": {"genki": 12, "backgrounds": 12}, "weights": 1234, "frames": 5678}
    (tmp_path / "finder_training.json").write_text(json.dumps(training))
    options = ["--data", str(tmp_path / "finder.npz"), "--detectors", "finder", "--count", "2", "--card", str(tmp_path)]
    assert finder_probe.main([str(photos), *options]) == 0
    shown = capsys.readouterr().out
    card = (tmp_path / "FINDER_CARD.md").read_text()
    figures = json.loads((tmp_path / "finder.json").read_text())
    assert list(figures["conditions"]) == list(CONDITIONS)
    assert figures["photos"] == 2
    for condition, row in figures["conditions"].items():
        line = next(line for line in shown.splitlines() if line.startswith(f"| {condition} |"))
        assert line in card
        assert f"| {row['finder']['found']} (" in line
        assert line.endswith(f"{row['app']['found']} / {row['app']['right']} |")
    assert figures["false_faces"]["pictures"] == 6
    assert "5,678" in card
    assert figures["sha256"] in card
    assert "research only" not in card, "genki does not say so"
    (tmp_path / "finder_training.json").unlink()
    monkeypatch.setattr(finder_probe, "CONDITIONS", dict([*CONDITIONS.items()][:1]))
    assert finder_probe.main([str(photos), *options]) == 2
    assert "There is no" in capsys.readouterr().err
