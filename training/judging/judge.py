"""Judge what a network reads right and wrong in faces that it never learned from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.errors import DatasetError
from common.settings import DEFAULT_DETECTOR
from faces.detection import FaceDetector
from faces.detectors import create_detector
from faces.photo import analyze_photo
from smile_recognition import CROP_SIZE, SMILE_THRESHOLD, SmileRecognizer
from training.data.faces import Faces
from training.data.reading import read_picture
from training.data.sources import Picture, find_source, iterate_images
from training.judging.records import read_training
from training.judging.scores import landmark_figures, photo_figures, presence_figures, robustness, smile_figures


@dataclass(frozen=True)
class CropReadings:
    """What the network sees in n crops, as arrays: P(smile) and P(face) float32 `(n,)`, landmarks `(n, 5, 2)` 0 to 1."""

    smile: np.ndarray
    presence: np.ndarray
    landmarks: np.ndarray


def read_crops(recognizer: SmileRecognizer, gray: np.ndarray) -> CropReadings:
    """What the network sees in crops uint8 `(n, 64, 64)`."""
    read = [recognizer.read(crop, [(0, CROP_SIZE, CROP_SIZE, 0)])[0] for crop in gray]
    smile, presence = (np.array([getattr(face, name) for face in read], np.float32) for name in ("smile", "presence"))
    points = np.array([face.points for face in read], np.float32).reshape(-1, 5, 2)
    return CropReadings(smile, presence, (points + np.float32(0.5)) / CROP_SIZE)


def judge(recognizer: SmileRecognizer, part: Faces, *, seed: int = 0) -> tuple[dict[str, Any], CropReadings]:
    """All figures on crops, as in `metrics.json`, and what was read in every crop of `part`, some of which are labelled."""
    read = read_crops(recognizer, part.gray)
    measured = ~np.isnan(part.landmarks).any(axis=(1, 2))
    presence = {}
    for name in np.unique(part.source[part.face == 0]):
        here = part.source == name
        presence[str(name)] = presence_figures(part.face[here], read.presence[here])
    if presence:
        presence["all faces of all sets"] = presence_figures(part.face, read.presence)
    return {
        "sets": _by_set(part, read.smile, seed),
        "landmarks": landmark_figures(read.landmarks[measured], part.landmarks[measured], part.group[measured], seed=seed)
        if measured.any()
        else None,
        "presence": presence or None,
        "robustness": robustness(recognizer, part.labelled(), seed=seed),
    }, read


def _by_set(faces: Faces, probability: np.ndarray, seed: int) -> dict[str, Any]:
    labelled = faces.smile >= 0
    figures = {}
    for name in np.unique(faces.source[labelled]):
        here = labelled & (faces.source == name)
        figures[str(name)] = smile_figures(faces.smile[here], probability[here], faces.group[here], seed=seed)
    return figures


def faces_digests(part: Faces) -> dict[str, str]:
    """For each set a short name of exactly these labelled faces: figures with the same name are for the same faces."""
    labelled = part.labelled()
    names: dict[str, list[str]] = {}
    for source, name, smile in zip(labelled.source, labelled.name, labelled.smile, strict=True):
        names.setdefault(str(source), []).append(f"{source}/{name}/{smile}")
    return {s: hashlib.sha256("\n".join(sorted(own)).encode()).hexdigest()[:16] for s, own in sorted(names.items())}


def judge_photos(path: Path, faces: Faces, part: str, recognizer: SmileRecognizer) -> dict[str, Any]:
    """Figures of the whole path on the photos in `path`, the folder or zip from which `faces` were cut.

    A photo in which the dataset found no face belongs to no part, but leaving it out would flatter. None of these was
    trained on, so all are read. Each counts with the share that `part` has of the other photos, as if it had been dealt to a
    side. Copies that the dataset dropped stay out, because pictures like them may have been trained on. Raises DatasetError.
    """
    source = find_source(path)
    here = (faces.source == source.name) & (faces.face == 1)
    known, wanted = set(faces.name[here].tolist()), set(faces.name[here & (faces.split == part)].tolist())
    if source.cropped or source.points_file or not wanted:
        raise DatasetError(
            f"{path} holds no labelled whole photos of the dataset's {part} part; choose others with --photos."
        )
    detector = create_detector(DEFAULT_DETECTOR)
    dealt, without = [], []
    for picture in iterate_images(path, source):
        if picture.name in wanted:
            dealt.append(_judge_photo(picture, source.scale, detector, recognizer))
        elif picture.name not in known and read_picture(source, picture.name, picture.data) == "no_face":
            without.append(_judge_photo(picture, source.scale, detector, recognizer))
    if len(dealt) < len(wanted):
        raise DatasetError(f"{path} lacks {len(wanted) - len(dealt)} photos that the dataset was made from; restore it.")
    return {
        "set": source.name,
        "detector": f"`{DEFAULT_DETECTOR}`",
        **photo_figures(dealt, without, len(wanted) / len(known)),
    }


def _judge_photo(
    picture: Picture, scale: tuple[float, float], detector: FaceDetector, recognizer: SmileRecognizer
) -> tuple[bool, int]:
    """Whether the largest face was read right, and how many faces were found."""
    image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{picture.name} can no longer be read; restore the set that it comes from.")
    if scale != (1.0, 1.0):  # a set of squashed or tiny pictures: as they were before
        image = cv2.resize(image, None, fx=scale[0], fy=scale[1], interpolation=cv2.INTER_CUBIC)
    found = analyze_photo(image, detector, recognizer)
    if not found:
        return False, 0
    largest = max(found, key=lambda face: face.box.area)
    return (largest.smile >= SMILE_THRESHOLD) == (picture.smile > 0), len(found)


def judge_left_out(name: str, model: Path, faces: Faces, *, seed: int = 0) -> dict[str, Any]:
    """Figures for a network that was trained without the set `name`, on all faces of that set. Raises DatasetError,
    ModelError.
    """
    training = read_training(model)
    if name in training["trained_on"]:
        raise DatasetError(
            f"{model} was trained on {name}; train it with `python -m training.train --from-scratch --without {name}`."
        )
    here = (faces.source == name) & (faces.smile >= 0)
    # The network has seen a face after all if another set has a near-copy of it.
    used = np.isin(faces.source, list(training["trained_on"])) & (faces.split != "test")
    rows = np.flatnonzero(here & ~np.isin(faces.group, np.unique(faces.group[used])))
    if not len(rows):
        raise DatasetError(f"The dataset has no faces of {name} with a smile label that the network has not seen.")
    smile = read_crops(SmileRecognizer(model / "smile.tflite"), faces.gray[rows]).smile
    return {
        "figures": smile_figures(faces.smile[rows], smile, faces.group[rows], seed=seed),
        "grouped_with_trained_on": int(here.sum()) - len(rows),
        "trained_on": training["trained_on"],
        "seed": training["seed"],
        "epochs": training["epochs"],
    }


def judge_baseline(folder: Path, part: Faces, *, seed: int = 0) -> tuple[str, dict[str, Any]]:
    """Name and figures of a Keras network that `training.train` wrote into `folder`. Raises DatasetError."""
    import joblib
    import keras

    from training.fitting.batches import resized, scale
    from training.networks.recipes import RECIPES

    training = read_training(folder)
    try:
        model = keras.models.load_model(folder / "my_model.keras", compile=False)
        scaler = joblib.load(folder / "scaler.save")
    except Exception as error:  # both wrap a missing and a damaged file in whatever they met
        raise DatasetError(f"{folder} holds no network of `python -m training.train`: {error}") from error
    size, channels = model.input_shape[1], model.input_shape[3]

    def outputs(faces: Faces) -> dict[str, np.ndarray]:
        x = scale(scaler, resized(faces, size))
        return model.predict(np.repeat(x, 3, axis=3) if channels == 3 else x, batch_size=256, verbose=0)

    entry: dict[str, Any] = {"sets": {}, "landmarks": None, "faces_digests": faces_digests(part)}
    if "smile" in model.output:
        labelled = part.labelled()
        for name in np.unique(labelled.source):  # one set at a time: their pictures as floats are large
            here = labelled.where(labelled.source == name)
            logits = outputs(here)["smile"][:, 0].astype(float) / training["temperature"]
            entry["sets"][str(name)] = smile_figures(here.smile, (1 + np.tanh(logits / 2)) / 2, here.group, seed=seed)
    measured = part.where(~np.isnan(part.landmarks).any(axis=(1, 2)))
    if "landmarks" in model.output and len(measured):
        points = outputs(measured)["landmarks"].reshape(-1, 5, 2)
        entry["landmarks"] = landmark_figures(points, measured.landmarks, measured.group, seed=seed)
    meant = RECIPES[training["network"]].sources if training["network"] in RECIPES else None
    if not entry["sets"] and not entry["landmarks"]:
        raise DatasetError(f"The network in {folder} has no output that the dataset's test part could judge.")
    entry |= {key: training[key] for key in ("trained_on", "weights", "seed", "epochs")}
    return training["network"], {**entry, "meant_for": meant and list(meant)}
