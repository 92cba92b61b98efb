"""Train the finder network, with frames from other processes and checkpoints from which a killed training goes on."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import DatasetError
from faces.finder import HEIGHT, WIDTH, FoundFace, decode
from training.finding.pictures import Pictures
from training.finding.scenes import SceneMaker
from training.finding.targets import TARGETS, finder_loss, targets
from training.fitting.progress import save_network, write_json_whole

if TYPE_CHECKING:
    import keras

_AHEAD = 6  # batches that wait
_JUDGED = 512  # frames of the validation part
_FALSE_FACES = 0.02  # for each frame; recall is given for this
_CHECKPOINT = "checkpoint.keras"


@dataclass(frozen=True)
class FinderRecipe:
    """`frames` in all, in batches of `batch`. `rate`: the highest, after a warm-up and before a cosine down to nothing."""

    frames: int = 400_000
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0
    workers: int = 1
    judge_every: int = 400  # batches
    warm_up: int = 200

    @property
    def batches(self) -> int:
        return max(1, self.frames // self.batch)

    def rate_at(self, step: int) -> float:
        warm = min(1.0, (step + 1) / self.warm_up)
        return self.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.batches)))


def make_batch(maker: SceneMaker, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 `(count, 128, 160)` and their targets float32 `(count, 16, 20, 16)`."""
    frames = np.empty((count, HEIGHT, WIDTH), np.uint8)
    wanted = np.empty((count, HEIGHT // 8, WIDTH // 8, TARGETS), np.float32)
    for i in range(count):
        frames[i], faces, sure = maker.scene()
        wanted[i] = targets(faces, sure, (HEIGHT, WIDTH))
    return frames, wanted


_pictures: Pictures | None = None  # of this worker process


def _begin(path: Path) -> None:
    import cv2

    global _pictures
    parent = multiprocessing.parent_process()
    assert parent is not None
    # A process whose parent was killed would wait for work for ever.
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)
    _pictures = Pictures.load(path)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _batch(seed: int, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    assert _pictures is not None
    return make_batch(SceneMaker(_pictures, "train", np.random.default_rng([seed, step])), count)


def _batches(data: Path, recipe: FinderRecipe, first: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every batch depends only on its number, so a training that goes on sees what it would have seen anyway."""
    context = multiprocessing.get_context("spawn")  # this process has TensorFlow's threads
    with ProcessPoolExecutor(recipe.workers, mp_context=context, initializer=_begin, initargs=(data,)) as pool:
        coming: deque[Future] = deque()
        for step in range(first, recipe.batches):
            while len(coming) < _AHEAD and step + len(coming) < recipe.batches:
                coming.append(pool.submit(_batch, recipe.seed, step + len(coming), recipe.batch))
            yield coming.popleft().result()


def fit(data: Path, out: Path, recipe: FinderRecipe, start_from: Path | None = None) -> keras.Model:
    """Trains on the pictures in `data`, or goes on from what is in `out`. Returns the network.

    `start_from`: a network of an earlier training; a new one begins with its weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    model, history = _resumed(out, recipe, start_from)
    step = history[-1]["step"] if history else 0
    frames, truth = _validation(data, recipe.seed)
    started, losses = time.monotonic(), []
    for x, y in _batches(data, recipe, step):
        model.optimizer.learning_rate = recipe.rate_at(step)
        losses.append(float(model.train_on_batch(x[..., None].astype(np.float32), y)))
        step += 1
        if step % 50 == 0 or step == 10:
            speed = (time.monotonic() - started) / len(losses) / recipe.batch * 1e3
            print(f"step {step}/{recipe.batches} loss {np.mean(losses[-50:]):.4f} ms a frame {speed:.1f}", flush=True)
        if step % recipe.judge_every == 0 or step == recipe.batches:
            entry = {"step": step, "loss": float(np.mean(losses[-recipe.judge_every :])), **judge(model, frames, truth)}
            history.append(entry)
            print(" ".join(f"{key} {value:.4g}" for key, value in entry.items()), flush=True)
            save_network(model, out / _CHECKPOINT)
            write_json_whole(out / "history.json", {"recipe": asdict(recipe), "history": history})
    return model


def _resumed(out: Path, recipe: FinderRecipe, start_from: Path | None) -> tuple[Any, list[dict]]:
    import keras

    from training.finding.network import build_finder

    if (out / _CHECKPOINT).is_file() and (out / "history.json").is_file():
        history = json.loads((out / "history.json").read_text())["history"]
        model = keras.models.load_model(out / _CHECKPOINT, compile=True, custom_objects={"finder_loss": finder_loss})
        print(f"continuing after batch {history[-1]['step']}", flush=True)
        return model, history
    keras.utils.set_random_seed(recipe.seed)
    model = load_network(start_from) if start_from else build_finder()
    optimizer = keras.optimizers.AdamW(recipe.rate, weight_decay=1e-3, clipnorm=10.0)
    model.compile(optimizer, finder_loss, jit_compile=False)  # XLA takes twice as long for these layers on a processor
    optimizer.build(model.trainable_variables)  # or TensorFlow traces the first step, which makes them, twice
    return model, []


def load_trained(out: Path) -> keras.Model:
    """The network as the last checkpoint in `out` left it. Raises DatasetError if there is none."""
    if not (out / _CHECKPOINT).is_file():
        raise DatasetError(f"There is no {_CHECKPOINT} in {out}; train a finder first.")
    return load_network(out / _CHECKPOINT)


def load_network(path: Path) -> keras.Model:
    """The finder network in a Keras file. Raises DatasetError for anything else."""
    import keras

    import training.finding.network  # noqa: F401 - registers our own layers

    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not a finder network; name finder.keras of an earlier training.") from error


def _validation(data: Path, seed: int) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    maker = SceneMaker(Pictures.load(data), "val", np.random.default_rng([seed, 1 << 30]))
    scenes = [maker.scene() for _ in range(_JUDGED)]
    return np.stack([frame for frame, _, _ in scenes]), [(faces, sure) for _, faces, sure in scenes]


def judge(model: keras.Model, frames: np.ndarray, truth: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """`recall` of sure faces at 0.02 false ones for each frame, the `threshold` for that, and the mean overlap `iou` of
    those found.
    """
    maps = model.predict(frames[..., None].astype(np.float32), batch_size=64, verbose=0)
    maps[..., 0] = 1 / (1 + np.exp(-maps[..., 0]))
    hits: list[tuple[float, float]] = []  # score and overlap
    false: list[float] = []
    wanted = 0
    for found_map, (faces, sure) in zip(maps, truth, strict=True):
        known = [FoundFace(1.0, x, y, side, np.zeros((5, 2))) for x, y, side in faces[:, :3].tolist()]
        wanted += int(sure.sum())
        taken: set[int] = set()
        for found in decode(found_map, 0.05):
            overlaps = [found.iou(other) for other in known]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if best < 0 or overlaps[best] < 0.4:
                false.append(found.score)
            elif sure[best] and best not in taken:
                taken.add(best)
                hits.append((found.score, overlaps[best]))
    allowed = int(_FALSE_FACES * len(frames))
    threshold = sorted(false, reverse=True)[allowed] if len(false) > allowed else 0.05
    kept = [overlap for score, overlap in hits if score > threshold]
    return {"recall": len(kept) / max(1, wanted), "threshold": threshold, "iou": float(np.mean(kept)) if kept else 0.0}
