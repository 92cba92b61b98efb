"""Train the smile network and export it for the app.

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb,celeba64,fer,keypoints}.zip
    python -m training.train                       # all sets, about an hour and a half on two cores
    python -m training.train --sources genki smiles mine --epochs 5 --out runs/mine
    python -m training.train --network lenet       # a simple network to compare with: runs/lenet

Writes into --out: `my_model.keras`, `scaler.save` (joblib), `training.json` (how it was made), TensorBoard logs, and for
our network `smile.tflite` (what the app loads). The same command continues after a kill from the last finished epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from errors import DatasetError, SmileError
from training.faces import Faces

if TYPE_CHECKING:
    import keras

    from training.recipes import Recipe

NETWORKS = ("smile", "lenet", "seed", "minimal", "keypoints", "vgg19")
# By how much each output's loss counts. The errors of points are hundredths, so theirs count more.
_LOSS_WEIGHTS = {"smile": 1.0, "presence": 0.3, "landmarks": 5.0, "expression": 0.3, "shape68": 5.0}


def fit_temperature(logits: np.ndarray, smile: np.ndarray) -> float:
    """The number that logits are divided by to make their sigmoid a probability (Guo et al. 2017), fitted on `val`."""
    candidates = np.exp(np.linspace(np.log(0.25), np.log(4), 400))
    signs = np.where(smile > 0, 1.0, -1.0)
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def point_error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance of five points `(n, 5, 2)` from the true ones, in distances between the true eyes: `(n,)`."""
    eyes = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    return np.linalg.norm(points - truth, axis=2).mean(axis=1) / np.maximum(eyes, 1e-6)


def train(
    faces: Faces, out: Path, recipe: Recipe, *, seed: int, patience: int, precision: str = "float32", shipped: bool = True
) -> None:
    """Trains on `faces`' training part, chooses the epoch by its validation part, and writes all files into `out`.

    `shipped`: make the file for the app, too. `patience`: stop after so many epochs without a better one.
    """
    import keras

    from training.batches import Batches, fit_scaler, resized, use_one_opencv_thread

    use_one_opencv_thread()
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy(precision)
    out.mkdir(parents=True, exist_ok=True)
    model = recipe.build()
    outputs = tuple(model.output)
    _check_labels(faces, outputs)
    training, validation = faces.part("train"), faces.part("val")
    training = training.where(training.face == 1) if "presence" not in outputs else training
    scaler = fit_scaler(resized(training.where(training.face == 1), recipe.size))
    joblib.dump(scaler, out / "scaler.save")
    batches = Batches(
        training,
        scaler,
        outputs,
        seed=seed,
        batch=recipe.batch,
        size=recipe.size,
        color=recipe.color,
        augmented=recipe.augmented,
        epochs=recipe.epochs,
    )
    _compile(model, recipe, steps=recipe.epochs * len(batches))
    progress = _Progress(
        out, _digest_of_all_that_matters(faces, recipe, seed, precision), validation, scaler, recipe, patience
    )
    if (done := progress.resume()) is not None:
        model = done
        print(f"continuing after epoch {len(progress.history)}", flush=True)
    batches.start(len(progress.history))
    if not progress.finished():
        log = keras.callbacks.TensorBoard(out / "logs", write_graph=False)
        model.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=len(progress.history),
            verbose=0,
            shuffle=False,
            callbacks=[progress.callback(), log],
        )
    _finish(out, recipe, scaler, training, validation, progress, seed, precision, shipped)


def _check_labels(faces: Faces, outputs: tuple[str, ...]) -> None:
    for split in ("train", "val"):
        part = faces.part(split)
        if "smile" in outputs and len(np.unique(part.labelled().smile)) < 2:
            raise DatasetError(f"The {split} part needs both smiling and not smiling faces; add pictures of each.")
        if outputs == ("landmarks",) and np.isnan(part.landmarks).all():
            raise DatasetError(f"The {split} part has no landmarks; build the dataset with keypoints.zip.")


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    import keras

    from training.recipes import cosine_rate

    losses: dict[str, Any] = {
        "smile": keras.losses.BinaryCrossentropy(from_logits=True),
        "presence": keras.losses.BinaryCrossentropy(from_logits=True),
        "landmarks": recipe.landmark_loss,
        "expression": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
        "shape68": "mae",
    }
    model.compile(
        keras.optimizers.AdamW(cosine_rate(recipe, steps), weight_decay=1e-3),
        {name: losses[name] for name in model.output},
        loss_weights={name: _LOSS_WEIGHTS[name] for name in model.output},
        jit_compile=False,  # XLA, Keras' own choice, takes twice as long for these layers on a processor
    )


class _Progress:
    """What is known after each epoch, on disk so that a killed training goes on."""

    def __init__(self, out: Path, digest: str, validation: Faces, scaler: Any, recipe: Recipe, patience: int) -> None:
        from training.batches import resized, scale

        self.out, self.digest, self.recipe, self.patience = out, digest, recipe, patience
        self.history: list[dict] = []
        self._file = out / "progress.json"
        self._validation = validation
        x = scale(scaler, resized(validation, recipe.size))
        self._x = np.repeat(x, 3, axis=3) if recipe.color else x

    def resume(self) -> keras.Model | None:
        """The network as the last finished epoch left it, if there was one of the same data, code and options."""
        import keras

        if not self._file.is_file():
            return None
        saved = json.loads(self._file.read_text())
        if saved["digest"] != self.digest:
            return None
        self.history = saved["history"]
        return keras.models.load_model(_checkpoint(self.out, len(self.history)))

    def best(self) -> int:
        """Index of the best epoch so far, the last of equals; -1 before the first."""
        scores = [entry["val"] for entry in self.history]
        return max(range(len(scores)), key=lambda i: (scores[i], i), default=-1)

    def finished(self) -> bool:
        done = len(self.history)
        return done >= self.recipe.epochs or done - 1 - self.best() >= self.patience

    def callback(self) -> keras.callbacks.Callback:
        import keras

        outer = self

        class Callback(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
                logs = logs if logs is not None else {}
                figures = outer.judge(self.model)
                logs.update(figures)  # for TensorBoard, which comes next
                outer.history.append({"epoch": epoch + 1, "loss": float(logs["loss"]), **figures})
                print(" ".join(f"{key} {value:.4g}" for key, value in outer.history[-1].items()), flush=True)
                if outer.best() == epoch:
                    _save_whole(self.model, outer.out / "my_model.keras")
                # The checkpoint first and then the file that names it: a kill at any moment leaves a pair that fits.
                self.model.save(_checkpoint(outer.out, epoch + 1))
                _write_whole(outer._file, {"digest": outer.digest, "history": outer.history})
                _checkpoint(outer.out, epoch).unlink(missing_ok=True)
                self.model.stop_training = outer.finished()

        return Callback()

    def judge(self, model: keras.Model) -> dict[str, float]:
        """Figures on the validation part. `val`, to choose by, is higher for better.

        For smiles it is the mean of the sets' accuracies, so that no set buys another's loss; else minus the point error.
        """
        predicted = model.predict(self._x, batch_size=256, verbose=0)
        figures: dict[str, float] = {}
        if "smile" in predicted:
            labelled = self._validation.smile >= 0
            right = (predicted["smile"][:, 0] > 0) == (self._validation.smile > 0)
            names = np.unique(self._validation.source[labelled])
            for name in names:
                figures[str(name)] = float(right[labelled & (self._validation.source == name)].mean())
            figures["val"] = float(np.mean([figures[str(name)] for name in names]))
        measured = ~np.isnan(self._validation.landmarks).any(axis=(1, 2))
        if "landmarks" in predicted and measured.any():
            points = predicted["landmarks"][measured].reshape(-1, 5, 2)
            figures["point_error"] = float(point_error(points, self._validation.landmarks[measured]).mean())
            figures.setdefault("val", -figures["point_error"])
        if "presence" in predicted:
            figures["presence"] = float(((predicted["presence"][:, 0] > 0) == (self._validation.face > 0)).mean())
        return figures


def _finish(
    out: Path,
    recipe: Recipe,
    scaler: Any,
    training: Faces,
    validation: Faces,
    progress: _Progress,
    seed: int,
    precision: str,
    shipped: bool,
) -> None:
    import keras

    from training.batches import scale
    from training.export import export_network
    from training.network import shipped_part

    trained = keras.models.load_model(out / "my_model.keras")
    # Trained perhaps with short floats, used with whole ones; and the optimizer's memory stays behind.
    keras.mixed_precision.set_global_policy("float32")
    model = recipe.build()
    model.set_weights(trained.get_weights())
    temperature = 1.0
    if shipped:
        model = shipped_part(model)
        known = validation.labelled()
        logits = model.predict(scale(scaler, known.gray), batch_size=256, verbose=0)["smile"][:, 0]
        temperature = fit_temperature(logits, known.smile)
        export_network(model, scaler, temperature, out / "smile.tflite")
    _save_whole(model, out / "my_model.keras")
    real = training.where(training.face == 1)
    counts = {str(name): int((real.source == name).sum()) for name in np.unique(real.source)}
    _write_whole(
        out / "training.json",
        {
            "network": model.name,
            "trained_on": counts,
            "backgrounds": int((training.face == 0).sum()),
            "seed": seed,
            "epochs": len(progress.history),
            "chosen_epoch": progress.best() + 1,
            "precision": precision,
            "weights": model.count_params(),
            "temperature": temperature,
            "history": progress.history,
        },
    )
    (out / "progress.json").unlink()
    _checkpoint(out, len(progress.history)).unlink(missing_ok=True)


def _digest_of_all_that_matters(faces: Faces, recipe: Recipe, seed: int, precision: str) -> str:
    """A killed training goes on only where data, code and options are still the same."""
    options = (recipe.epochs, recipe.batch, recipe.rate, seed, precision)
    digest = hashlib.sha256(repr(options).encode())
    for array in (faces.gray, faces.smile, faces.source, faces.split):
        digest.update(array.tobytes())
    for module in ("train", "batches", "recipes", "network", "augmentation"):
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()


def _checkpoint(out: Path, epoch: int) -> Path:
    return out / f"checkpoint-{epoch}.keras"


def _save_whole(model, path: Path) -> None:
    temporary = path.with_suffix(".tmp.keras")
    model.save(temporary)
    os.replace(temporary, path)


def _write_whole(path: Path, content: dict) -> None:
    """A kill leaves the old file or the new one, never half of one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)


def choose_sources(faces: Faces, sources: list[str] | None, without: list[str] | None, data: Path) -> Faces:
    """The faces of the named sets, or of all but some. Raises DatasetError for a set that is not there."""
    unknown = sorted({*(sources or []), *(without or [])} - set(faces.source.tolist()))
    if unknown:
        raise DatasetError(f"{data} has no set called {', '.join(unknown)}; build the dataset with it.")
    chosen = np.isin(faces.source, sources) if sources else np.ones(len(faces), bool)
    return faces.where(chosen & ~np.isin(faces.source, without or []))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the smile network.")
    parser.add_argument("--network", choices=NETWORKS, default="smile", help="ours, or a simple one to compare with")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--sources", nargs="+", help="train on these sets of the dataset only")
    parser.add_argument("--without", nargs="+", help="leave these sets of the dataset out")
    parser.add_argument("--out", type=Path, help="folder to write (default runs/NETWORK)")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--patience", type=int, default=12, help="stop after so many epochs without a better one")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--imagenet-weights", type=Path, help="file for --network vgg19; without it Keras fetches it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    out = options.out or Path("runs") / options.network
    try:
        if options.epochs is not None and options.epochs < 1:
            raise DatasetError("--epochs must be 1 or more.")
        faces = Faces.load(options.data)
        from dataclasses import replace

        from training.recipes import RECIPES, build_vgg19

        recipe = RECIPES[options.network]
        if options.network == "vgg19":
            recipe = replace(recipe, build=partial(build_vgg19, options.imagenet_weights))
        recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
        meant = [name for name in recipe.sources or () if name in faces.source]
        faces = choose_sources(faces, options.sources or meant or None, options.without, options.data)
        train(
            faces,
            out,
            recipe,
            seed=options.seed,
            patience=options.patience,
            precision=options.precision,
            shipped=options.network == "smile",
        )
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The network could not be written to {out}: {error}.", file=sys.stderr)
        return 2
    if options.network == "smile":
        print(f"Wrote {out}/smile.tflite; judge it with `python -m training.evaluate --model {out}`.")
    else:
        print(f"Wrote {out}/my_model.keras; training.json beside it holds its validation figures.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
