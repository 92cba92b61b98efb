"""Judge a training after each epoch, and keep it on disk so that a killed training can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.whole_files import replacing, write_whole
from training.data.faces import Faces
from training.fitting.augmentation import spoilt
from training.fitting.plan import Plan

if TYPE_CHECKING:
    import keras

BEST = "best.keras"  # the best epoch's network, with the outputs that exist only in training


def point_error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance of five points `(n, 5, 2)` from the true ones, in distances between the true eyes: `(n,)`."""
    eyes = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    return np.linalg.norm(points - truth, axis=2).mean(axis=1) / np.maximum(eyes, 1e-6)


class TrainingProgress:
    """What is known after each epoch, on disk so that a killed training goes on."""

    def __init__(self, out: Path, digest: str, plan: Plan, validation: Faces, scaler: Any) -> None:
        from training.fitting.batches import resized, scale

        self.out, self.digest, self.plan, self.validation = out, digest, plan, validation
        self.history: list[dict] = []
        self._file = out / "progress.json"
        recipe = plan.recipe
        x = scale(scaler, resized(validation, recipe.size, recipe.view_scale))
        self._x = np.repeat(x, 3, axis=3) if recipe.color else x
        # What is trained on worse pictures is judged on worse ones, too.
        worse = recipe.augmented and not recipe.color
        self._spoilt = scale(scaler, spoilt(validation.wide, recipe.size, recipe.view_scale)) if worse else None

    def resume(self) -> keras.Model | None:
        """The network as the last finished epoch left it, if that epoch had the same data, code and options."""
        import keras

        if not self._file.is_file():
            return None
        saved = json.loads(self._file.read_text())
        if saved["digest"] != self.digest:
            return None
        self.history = saved["history"]
        return keras.models.load_model(checkpoint_path(self.out, len(self.history)))

    def best(self) -> int:
        """The index of the best epoch so far, the last one among equals; -1 before the first."""
        scores = [entry["val"] + entry.get("spoilt", 0.0) for entry in self.history]
        return max(range(len(scores)), key=lambda i: (scores[i], i), default=-1)

    def finished(self) -> bool:
        done = len(self.history)
        return done >= self.plan.recipe.epochs or done - 1 - self.best() >= self.plan.patience

    def forget(self) -> None:
        """Removes the files from which a killed training would go on."""
        self._file.unlink()
        for checkpoint in self.out.glob("checkpoint-*.keras"):
            checkpoint.unlink()

    def callback(self) -> keras.callbacks.Callback:
        import keras

        outer = self

        class Callback(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
                # Checkpoints don't hold the state of dropout, but a resumed training must throw the same dice as an
                # uninterrupted one.
                for layer in self.model.layers:
                    if isinstance(layer, keras.layers.Dropout):
                        layer.seed_generator.state.assign([outer.plan.seed, epoch])

            def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
                logs = logs if logs is not None else {}
                figures = outer.judge(self.model)
                logs.update(figures)  # for TensorBoard, which comes next
                outer.history.append({"epoch": epoch + 1, "loss": float(logs["loss"]), **figures})
                print(" ".join(f"{key} {value:.4g}" for key, value in outer.history[-1].items()), flush=True)
                if outer.best() == epoch:
                    save_network(self.model, outer.out / BEST)
                # The checkpoint first and then the file that names it: a kill at any moment leaves a pair that fits.
                self.model.save(checkpoint_path(outer.out, epoch + 1))
                write_json_whole(outer._file, {"digest": outer.digest, "history": outer.history})
                checkpoint_path(outer.out, epoch).unlink(missing_ok=True)
                self.model.stop_training = outer.finished()

        return Callback()

    def judge(self, model: keras.Model) -> dict[str, float]:
        """Figures on the validation part. `val` decides, with `spoilt` where that is known; higher is better.

        For smiles these are the means of the sets' accuracies, so that no set gains at another's cost, on the faces as they
        are and on spoilt ones; otherwise `val` is minus the point error.
        """
        predicted = model.predict(self._x, batch_size=256, verbose=0)
        figures: dict[str, float] = {}
        if "smile" in predicted:
            figures |= self._accuracies(predicted["smile"])
            figures["val"] = float(np.mean(list(figures.values())))
            if self._spoilt is not None:
                worse = model.predict(self._spoilt, batch_size=256, verbose=0)["smile"]
                figures["spoilt"] = float(np.mean(list(self._accuracies(worse).values())))
        measured = ~np.isnan(self.validation.landmarks).any(axis=(1, 2))
        if "landmarks" in predicted and measured.any():
            points = predicted["landmarks"][measured].reshape(-1, 5, 2)
            points = (points - 0.5) / self.plan.recipe.view_scale + 0.5  # from the picture to the box
            figures["point_error"] = float(point_error(points, self.validation.landmarks[measured]).mean())
            figures.setdefault("val", -figures["point_error"])
        if "presence" in predicted:
            figures["presence"] = float(((predicted["presence"][:, 0] > 0) == (self.validation.face > 0)).mean())
        return figures

    def _accuracies(self, logits: np.ndarray) -> dict[str, float]:
        """Of each set with smile labels."""
        source, labelled = self.validation.source, self.validation.smile >= 0
        right = (logits[:, 0] > 0) == (self.validation.smile > 0)
        return {str(name): float(right[labelled & (source == name)].mean()) for name in np.unique(source[labelled])}


def checkpoint_path(out: Path, epoch: int) -> Path:
    return out / f"checkpoint-{epoch}.keras"


def save_network(model, path: Path) -> None:
    with replacing(path) as part:
        model.save(part)


def write_json_whole(path: Path, content: dict) -> None:
    """A kill leaves the old file or the new one, never half of one."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())
