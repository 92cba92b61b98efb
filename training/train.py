"""Train the smile network and export it for the app.

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb,celeba64,fer}.zip
    python -m training.train                       # all sets, about half an hour on two cores
    python -m training.train --sources genki smiles mine --epochs 5 --out runs/mine

Writes into --out: `my_model.keras`, `scaler.save` (joblib), `smile.tflite` (what the app loads), `training.json` (how it was
made). The same command continues after a kill from the last finished epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.preprocessing import MinMaxScaler

from errors import DatasetError, SmileError
from training.dataset import Faces

BATCH = 128


def fit_scaler(faces: Faces) -> MinMaxScaler:
    """A MinMaxScaler over the pixels, fitted on the training crops alone; `transform` takes `(n, 4096)` grey levels."""
    flat = faces.gray.reshape(len(faces.gray), -1)
    # Its minimum and maximum need every picture, but not as float64 all at once.
    return MinMaxScaler().fit(np.stack([flat.min(axis=0), flat.max(axis=0)]).astype(np.float64))


def scale(scaler: MinMaxScaler, gray: np.ndarray) -> np.ndarray:
    """uint8 `(n, 64, 64)` -> float32 `(n, 64, 64, 1)`, as the network reads it."""
    flat = gray.reshape(len(gray), -1).astype(np.float32)
    scaled = flat * scaler.scale_.astype(np.float32) + scaler.min_.astype(np.float32)
    return scaled.reshape(*gray.shape, 1)


def sample_weights(faces: Faces) -> np.ndarray:
    """float32 `(n,)`, mean 1: a set counts by the root of its size, each of its faces alike.

    A small set near the use (webcam-like photos) would otherwise drown in a large one. Labels are not balanced within a set:
    that shifts the probability of every set whose labels are uneven, and with it the accuracy at one half.
    """
    weights = np.zeros(len(faces.smile), np.float32)
    for source in np.unique(faces.source):
        chosen = faces.source == source
        weights[chosen] = 1 / np.sqrt(chosen.sum())
    return weights / weights.mean()


def fit_temperature(logits: np.ndarray, smile: np.ndarray) -> float:
    """The number that logits are divided by to make their sigmoid a probability (Guo et al. 2017), fitted on `val`."""
    candidates = np.exp(np.linspace(np.log(0.25), np.log(4), 400))
    signs = np.where(smile > 0, 1.0, -1.0)
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def train(faces: Faces, out: Path, *, epochs: int, seed: int) -> None:
    """Trains on `faces`' training part, chooses by its validation part, and writes all files into `out`."""
    for split in ("train", "val"):
        part = faces.part(split)
        if len(np.unique(part.smile)) < 2:
            raise DatasetError(f"The {split} part needs both smiling and not smiling faces; add pictures of each.")
    import keras

    from training.augmentation import augment
    from training.export import export_network
    from training.network import build_network

    keras.utils.set_random_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    training, validation = faces.part("train"), faces.part("val")
    scaler = fit_scaler(training)
    joblib.dump(scaler, out / "scaler.save")

    class Batches(keras.utils.PyDataset):
        """Shuffled, augmented batches; epoch and seed alone decide what is in them, so that a resumed run equals a whole."""

        def __init__(self) -> None:
            super().__init__(workers=1, use_multiprocessing=False, max_queue_size=16)
            self.weights = sample_weights(training)
            # A set of a few hundred pictures needs steps more than it needs steady ones.
            self.batch = min(BATCH, max(16, len(training.smile) // 20))
            self.start(0)

        def start(self, epoch: int) -> None:
            self.epoch = epoch
            self.order = np.random.default_rng([seed, epoch]).permutation(len(training.smile))

        def __len__(self) -> int:
            return len(training.smile) // self.batch or 1

        def __getitem__(self, index: int):
            rng = np.random.default_rng([seed, self.epoch, index])
            rows = self.order[index * self.batch : (index + 1) * self.batch]
            gray = np.stack([augment(training.gray[row], rng) for row in rows])
            return scale(scaler, gray), training.smile[rows, None].astype(np.float32), self.weights[rows]

    batches = Batches()
    steps = epochs * len(batches)
    model = build_network()
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=2e-3, warmup_steps=min(500, steps // 10)),
            weight_decay=1e-3,
        ),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.05),
        jit_compile=False,  # XLA, Keras' own choice, takes twice as long for these layers on a processor
    )
    x_val, y_val = scale(scaler, validation.gray), validation.smile
    # One number to choose by: the mean over the sets of the validation accuracy, so that no set buys another's loss.
    history: list[dict] = []
    best = -1.0
    progress = out / "progress.json"
    recipe = _digest_of_all_that_matters(faces, epochs, seed)
    if progress.is_file():
        saved = json.loads(progress.read_text())
        if saved["recipe"] == recipe:
            history, best = saved["history"], saved["best"]
            model = keras.models.load_model(_checkpoint(out, len(history)))
            print(f"continuing after epoch {len(history)}", flush=True)
    for epoch in range(len(history), epochs):
        batches.start(epoch)
        loss = model.fit(batches, epochs=1, verbose=0, shuffle=False).history["loss"][0]
        logits = model.predict(x_val, batch_size=256, verbose=0)[:, 0]
        right = (logits > 0) == (y_val > 0)
        accuracy = {str(name): float(right[validation.source == name].mean()) for name in np.unique(validation.source)}
        score = float(np.mean(list(accuracy.values())))
        history.append({"epoch": epoch + 1, "loss": loss, "val": score, **accuracy})
        print(" ".join(f"{key} {value:.4g}" for key, value in history[-1].items()), flush=True)
        if score >= best:
            best = score
            _save_whole(model, out / "my_model.keras")
        # The checkpoint first and then the file that names it: a kill at any moment leaves a pair that fits.
        model.save(_checkpoint(out, epoch + 1))
        _write_whole(progress, {"recipe": recipe, "best": best, "history": history})
        _checkpoint(out, epoch).unlink(missing_ok=True)

    model = keras.models.load_model(out / "my_model.keras")
    # The optimizer's memory stays behind.
    _save_whole(keras.Model(model.inputs, model.outputs, name="smile"), out / "my_model.keras")
    temperature = fit_temperature(model.predict(x_val, batch_size=256, verbose=0)[:, 0], y_val)
    export_network(model, scaler, temperature, out / "smile.tflite")
    counts = {str(name): int((training.source == name).sum()) for name in np.unique(training.source)}
    _write_whole(
        out / "training.json",
        {
            "trained_on": counts,
            "seed": seed,
            "epochs": epochs,
            "weights": model.count_params(),
            "temperature": temperature,
            "history": history,
        },
    )
    progress.unlink()
    _checkpoint(out, epochs).unlink(missing_ok=True)


def _digest_of_all_that_matters(faces: Faces, epochs: int, seed: int) -> str:
    """A killed training goes on only where data, code and options are still the same."""
    digest = hashlib.sha256(f"{epochs} {seed}".encode())
    for array in (faces.gray, faces.smile, faces.source, faces.split):
        digest.update(array.tobytes())
    for module in ("train", "network", "augmentation"):
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the smile network.")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--sources", nargs="+", help="train on these sets of the dataset only")
    parser.add_argument("--out", type=Path, default=Path("runs/smile"))
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        faces = Faces.load(options.data)
        if options.sources:
            unknown = sorted(set(options.sources) - set(faces.source.tolist()))
            if unknown:
                raise DatasetError(f"{options.data} has no set called {', '.join(unknown)}; build the dataset with it.")
            chosen = np.isin(faces.source, options.sources)
            faces = Faces(*(getattr(faces, field)[chosen] for field in Faces.__dataclass_fields__))
        if options.epochs < 1:
            raise DatasetError("--epochs must be 1 or more.")
        train(faces, options.out, epochs=options.epochs, seed=options.seed)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The network could not be written to {options.out}: {error}.", file=sys.stderr)
        return 2
    print(f"Wrote {options.out}/smile.tflite; judge it with `python -m training.evaluate --model {options.out}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
