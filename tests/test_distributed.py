"""Training on several machines: real processes on loopback train together as one would, and end when one is lost."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from common.errors import SettingsError
from smile_recognition import SmileRecognizer
from tests.clusters import addresses, configured
from tests.drawn_faces import drawn_parts, drawn_set
from tests.forked import Forked
from tests.project import ROOT, clean_environment
from tests.waiting import PATIENCE_S, eventually
from training.data.assembling import split_groups
from training.data.faces import Faces
from training.fitting.batches import Batches, fit_scaler
from training.fitting.precision import require_precision
from training.networks.recipes import RECIPES, build_lenet

pytestmark = [pytest.mark.slow(90), pytest.mark.timeout(900)]


def test_shares_of_a_batch_are_the_whole_batch():
    faces = drawn_parts()
    outputs = ("smile", "presence", "landmarks", "expression", "shape68")
    kept = faces.part("train")
    scaler = fit_scaler(kept.gray)

    def batches(share: slice) -> Batches:
        return Batches(kept, scaler, outputs, replace(RECIPES["smile"], batch=7), seed=5, share=share)

    whole, shares = batches(slice(None)), [batches(slice(k, None, 3)) for k in range(3)]
    assert whole.part == 1
    assert sum(share.part for share in shares) == pytest.approx(1)
    for index in range(len(whole)):
        x, value, weight = whole[index]
        assert len(x) == whole.whole
        for k, share in enumerate(shares):
            its_x, its_value, its_weight = share[index]
            assert len(its_x) / len(x) == pytest.approx(share.part)
            assert np.array_equal(its_x, x[k::3])
            for name in outputs:
                assert np.array_equal(its_value[name], value[name][k::3])
                assert np.array_equal(its_weight[name], weight[name][k::3])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """400 faces, and backgrounds."""
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    sets = [drawn_set("smiles", 300, 1, measured=False), drawn_set("genki", 100, 2, backgrounds=16)]
    split_groups(Faces.join(sets), seed=0).save(path)
    return path


# Which process adds up what decides the last digit of a number, and after some steps of short numbers the first.
IN_LONG_NUMBERS = """if True:
    import sys, keras
    keras.config.set_floatx("float64")
    set_policy = keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy = lambda name: set_policy("float64")
    from training.train import main
    sys.exit(main())"""


# The first worker waits after the epoch that the file `hold` names, until there is no such file.
WITH_A_SMALL_NETWORK = """if True:
    import sys, time
    from dataclasses import replace
    from pathlib import Path
    from tests.small_network import build_small
    from training.fitting import progress
    from training.networks import recipes
    from training.train import main
    recipes.RECIPES["smile"] = replace(recipes.RECIPES["smile"], build=build_small)
    hold, write = Path(sys.argv.pop(1)), progress.write_json_whole

    def write_and_wait(path, content):
        write(path, content)
        while hold.exists() and hold.read_text() == str(len(content.get("history", ""))):
            time.sleep(0.02)

    progress.write_json_whole = write_and_wait
    sys.exit(main())"""
ALONE = "import sys; from training.train import main; sys.exit(main())"


class Together:
    """`python -m training.train`, as two processes with TF_CONFIG, or as one without.

    `code` to run instead is run by copies of a process that has TensorFlow; only worker number `fresh` begins from nothing.
    """

    def __init__(self, folder: Path, *options: object, code: str = ALONE, fresh: int | None = None) -> None:
        self.folder, self.code, self.fresh = folder, code, fresh
        self.options = [str(option) for option in options]
        self.processes: list[subprocess.Popen | Forked] = []
        self.said: list[tuple[Path, Path]] = []  # what each wrote to its output, and to its errors

    def __enter__(self) -> "Together":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait(PATIENCE_S)

    def start(self, count: int) -> None:
        self.folder.mkdir(exist_ok=True)
        self.processes, self.said = [], []
        at = addresses(count)
        for index in range(count):
            environ = clean_environment()
            options = [*self.options, "--out", str(self.folder / str(index))]
            if count > 1:
                environ |= configured({"worker": at}, {"type": "worker", "index": index})
                options += ["--distribute", "multiworker", "--wait", "120"]
            out, err = self.folder / f"out-{index}", self.folder / f"err-{index}"
            for file in (out, err):
                file.write_text("")
            self.said.append((out, err))
            if index == self.fresh:
                with out.open("w") as output, err.open("w") as errors:
                    command = [sys.executable, "-c", self.code, *options]
                    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=errors)
                self.processes.append(process)
            else:
                self.processes.append(Forked(self.code, options, environ, out, err))

    def says(self, index: int, text: str) -> None:
        """Waits for a line of a worker's output that begins with `text`."""

        def said() -> bool:
            ended = self.processes[index].returncode is not None
            found = any(line.startswith(text) for line in self.said[index][0].read_text().splitlines())
            assert found or not ended, f"worker {index} never said {text}: {self.said[index][1].read_text()}"
            return found

        eventually(said, f"worker {index} says {text}", timeout=300)

    def end(self) -> list[tuple[int | None, str, str]]:
        """Exit code, output and last line of errors of every worker."""
        ended = []
        for process, (out, err) in zip(self.processes, self.said, strict=True):
            process.wait(300)
            errors = err.read_text()
            assert "Traceback" not in errors, errors
            ended.append((process.returncode, out.read_text(), (errors.strip().splitlines() or [""])[-1]))
        return ended


def test_two_processes_train_the_network_that_one_would(data, tmp_path):
    options = ("--data", data, "--network", "lenet", "--epochs", 2, "--seed", 3)
    for name, count in (("one", 1), ("two", 2)):
        with Together(tmp_path / name, *options, code=IN_LONG_NUMBERS, fresh=1) as together:
            together.start(count)
            ended = together.end()
            assert [code for code, _, _ in ended] == [0] * count
    assert ended[1][1].endswith("Trained. The first worker writes the network.\n")
    assert not (tmp_path / "two" / "1").exists(), "only the first worker writes"
    one, two = (keras.models.load_model(tmp_path / name / "0" / "my_model.keras").get_weights() for name in ("one", "two"))
    keras.utils.set_random_seed(3)
    begun = build_lenet().get_weights()
    for before, after, other in zip(begun, one, two, strict=True):
        assert after.dtype == np.float64
        assert np.linalg.norm(after - before) > 1e-4, "or equal weights would say nothing"
        assert np.linalg.norm(after - other) < 1e-6 * np.linalg.norm(after)
    made = [json.loads((tmp_path / name / "0" / "training.json").read_text()) for name in ("one", "two")]
    for a, b in zip(*(record.pop("history") for record in made), strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    assert made[0] == made[1]


def test_all_stop_when_the_first_finds_that_nothing_gets_better(data, tmp_path):
    code = """if True:
        import sys
        from training.fitting import progress
        from training import train
        progress.TrainingProgress.best = lambda self: 0 if self.history else -1
        sys.exit(train.main())"""
    options = ("--data", data, "--network", "lenet", "--epochs", 500, "--patience", 2)
    with Together(tmp_path, *options, code=code) as together:
        together.start(2)
        assert [code for code, _, _ in together.end()] == [0, 0]
    assert json.loads((tmp_path / "0" / "training.json").read_text())["epochs"] == 3


def test_what_the_first_can_not_write_is_not_called_a_lost_worker(data, tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "logs").write_text("in the way")
    with Together(tmp_path, "--data", data, "--network", "lenet", "--epochs", 500) as together:
        together.start(2)
        (first, _, why), (second, _, other) = together.end()
    assert (first, second) == (2, 2)
    assert why.startswith("The network could not be written to")
    assert "logs" in why
    assert other.startswith("Another worker was lost")


def test_when_a_worker_is_lost_the_other_ends_and_the_training_goes_on_later_with_two_or_one(data, tmp_path):
    """A network with all outputs of ours. First the chief is killed, then Ctrl-C stops the other; then one goes on alone."""
    hold = tmp_path / "hold"
    precision = "mixed_bfloat16"
    try:
        require_precision(precision)
    except SettingsError:  # an older processor
        precision = "float32"
    options = (hold, "--from-scratch", "--data", data, "--epochs", 3, "--seed", 3, "--precision", precision)
    with Together(tmp_path, *options, code=WITH_A_SMALL_NETWORK) as together:
        for lost, number, code in ((0, signal.SIGTERM, -signal.SIGTERM), (1, signal.SIGINT, 130)):
            hold.write_text(str(lost + 1))
            together.start(2)
            together.says(0, f"epoch {lost + 1} ")
            together.processes[lost].send_signal(number)
            together.processes[lost].wait(PATIENCE_S)
            hold.unlink()
            ended = together.end()
            assert ended[lost][0] == code
            assert code != 130 or ended[lost][2].startswith("Stopped.")
            assert ended[1 - lost][0] == 2
            assert ended[1 - lost][2].startswith("Another worker was lost or can't be reached; give the same command")
        together.start(1)
        together.says(0, "continuing after epoch ")
        code, said, _ = together.end()[0]
    assert code in (0, 1), "made, however good three epochs make it"
    assert "epoch 3 " in said
    assert "epoch 1 " not in said
    made = json.loads((tmp_path / "0" / "training.json").read_text())
    assert [entry["epoch"] for entry in made["history"]] == [1, 2, 3]
    assert made["history"][-1]["loss"] < made["history"][0]["loss"]
    assert {file.name for file in (tmp_path / "0").iterdir()} == {
        *("best.keras", "my_model.keras", "scaler.save", "smile.tflite", "hold.npz", "split.csv.gz", "training.json", "logs")
    }
    (read,) = SmileRecognizer(tmp_path / "0" / "smile.tflite").read(np.zeros((80, 80), np.uint8), [(0, 80, 80, 0)])
    assert 0 <= read.smile <= 1


@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_lost_between_the_meeting_and_the_first_step_leaves_none_hanging(data, tmp_path, lost):
    code = f"""if True:
        import os, sys
        from training.fitting import distributed
        from training import train
        distributed._CONNECT_SECONDS = 5
        if '"index": {lost}' in os.environ["TF_CONFIG"]:
            train.Workers = lambda cluster: sys.exit("lost")
        sys.exit(train.main())"""
    with Together(tmp_path, "--data", data, "--network", "lenet", code=code) as together:
        together.start(2)
        ended = together.end()
    assert ended[lost][2] == "lost"
    assert ended[1 - lost][0] == -signal.SIGKILL
    assert ended[1 - lost][2].startswith("TensorFlow can't connect the workers")
