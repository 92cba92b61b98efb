"""Write the model card from the JSON files of training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from smile_recognition import LANDMARKS, PRESENCE_THRESHOLD
from training.data.sources import Source
from training.judging.plots import (
    baselines_table,
    dataset_table,
    interval_text,
    landmark_table,
    left_out_table,
    number,
    percent,
    presence_table,
    robustness_table,
    sets_table,
)
from training.judging.records import BASELINES, LEFT_OUT, read_json, read_training, write_text

_CARD = """# Model card: smile.tflite

Made by `python -m training.evaluate`; change that command, not this file.

## What it is
A convolutional network of {weights} weights that reads one grey face crop and says whether the face smiles, whether
there is a face, and where eyes, nose and mouth corners are. The file judged here has the sha256 sum `{sha256}`.

- In: float32 `(1, 64, 64, 1)`, grey levels 0 to 255 of a face_recognition box, nothing round it, squeezed to a square.
- Out: float32 `(1, 12)`: P(smile), calibrated (temperature {temperature}); P(a face fills the crop); x and y, 0 to 1 across
  the crop, of {landmarks}. "Left" is the picture's left.

MinMaxScaler, network and temperature are one file; `my_model.keras` and `scaler.save` are the same network and scaler for
training on.

## What it is for
Telling a smiling from a not smiling face, for fun, on frontal faces of about 40 pixels and more. It sees an expression,
not a mood, an intent or an emotion. Don't use it to judge people.

## How good it is
On the test part of its data: whole groups of pictures that neither training nor the choice of epoch and temperature, both
made on the validation part, has touched. This network's figures are of the exported file, read by the app's code.

### Smile
{sets}

{reliability}

The first interval draws whole groups (pictures joined as copies or as one person; seed {draw_seed}) and is the one to go by.
The second takes every face as independent, which pictures of one person are not. The calibration error has 15 bins of
equal width; "by chance" is what it would be for so many faces if every P(smile) were exactly right. Labels may be wrong
themselves.

### Whole photos
{photos}

### Landmarks
{points}

### Presence
{presence}

### Harder faces
{robustness}

### Sets it has never seen
{left_out}

### Simpler networks
{baselines}

## What it was trained on
{trained_on}

{licences}

Backgrounds, crops of the same photos without the face, that taught it presence: {backgrounds}.

How the sets were split, by the dataset's own report (`train`, `val`, `test`: faces):

{split}

Near-copies were joined over all sets; pictures of one person within a set, where something tells persons apart. A person may
appear in more than one set, and on both sides of the split where nothing tells, or a stricter limit than {usual:.2f} does.

Seed {seed}; {stages}; {chosen}; precision in training:
{precision}.

## Known limits
- Accuracy by age, gender or skin colour was not measured: the sets have no such labels.
- Faces turned to the side, with glasses, masks or hands before them were not measured apart from the rest.
- On video the app smooths P(smile) over time; what that changes was not measured here.
- P(smile) means little where there is no face: look at P(face) first.

## Make this card again
```sh
{command}
```
"""
LICENCES = {
    "genki": "GENKI-4K (http://mplab.ucsd.edu, The MPLab GENKI-4K Dataset): a research set, no grant to redistribute",
    "smiles": "SMILEsmileD, from LFWcrop: a research set, no grant to redistribute",
    "getty_faces": "Faces from press and stock photos, labelled by search term: no grant to redistribute",
    "rafdb": "RAF-DB: non-commercial research only",
    "celeba64": "CelebA: non-commercial research only",
    "fer": "FER2013: non-commercial research only",
    "affect": "AffectNet faces and FFHQ smiles: non-commercial research only",
    "keypoints": "Frames of YouTube Faces with model-made points, for landmarks: a research set, no grant to redistribute",
}
_RESEARCH_ONLY = {"rafdb", "celeba64", "fer", "affect"}
_NOT_MEASURED = "Not measured."


def model_card(
    metrics: Mapping[str, Any], training: Mapping[str, Any], left_out: Mapping[str, Any], baselines: Mapping[str, Any]
) -> str:
    """The text of MODEL_CARD.md from the contents of four JSON files. The last two may be empty."""
    sets, plots, curves, report = (
        metrics["sets"],
        metrics["plots"],
        metrics["robustness"],
        metrics["dataset"].get("sets", {}),
    )
    points, presence, photos = metrics["landmarks"], metrics["presence"], metrics["photos"]
    names = [name.replace("_", " ") for name in LANDMARKS]
    licence = {name: LICENCES.get(name, "Its licence is known to whoever made the set") for name in training["trained_on"]}
    return _CARD.format(
        weights=f"{training['weights']:,}",
        sha256=metrics["sha256"],
        temperature=number(training["temperature"], 2),
        landmarks=f"{', '.join(names[:-1])} and {names[-1]}",
        sets=sets_table(sets),
        draw_seed=metrics["seed"],
        reliability=f"![How often faces smile of which the network says P(smile)]({plots['reliability']})",
        photos=_photos(photos) if photos else _NOT_MEASURED,
        points=_points(points) if points else _NOT_MEASURED,
        presence=_PRESENCE.format(table=presence_table(presence), threshold=PRESENCE_THRESHOLD)
        if presence
        else _NOT_MEASURED,
        robustness=_ROBUSTNESS.format(
            most=max(curves["faces"].values()), seed=curves["seed"], table=robustness_table(curves), plot=plots["robustness"]
        ),
        left_out=_LEFT_OUT.format(table=left_out_table(left_out, sets)) if left_out else _NOT_MEASURED,
        baselines=_BASELINES.format(table=baselines_table(baselines, metrics)) if baselines else _NOT_MEASURED,
        trained_on="\n".join(
            f"- {name}: {count:,} faces. {licence[name]}." for name, count in training["trained_on"].items()
        ),
        licences=_licences(set(training["trained_on"])),
        backgrounds=f"{training.get('backgrounds', 0):,}",
        usual=Source("").person_distance,
        split=dataset_table(report) if report else "That report was not found.",
        seed=training["seed"],
        stages=" and then ".join(_stage(stage) for stage in training.get("stages", [{"epochs": training["epochs"]}])),
        chosen=_chosen(training),
        precision=training.get("precision", "not recorded"),
        command=metrics["command"],
    )


def _chosen(training: Mapping[str, Any]) -> str:
    if training.get("stages") and "tuned" in training["stages"][-1]:
        return "the last of these was judged by cross-validation"
    return (
        f"of the last training, epoch {training.get('chosen_epoch', '(not recorded)')} was the best on the validation part"
    )


def _stage(stage: Mapping[str, Any]) -> str:
    if "tuned" in stage:
        return f"the smile output alone, fitted to {stage['tuned']:,} faces"
    text = f"{stage['epochs']} epochs"
    if "rate" in stage:
        text += f" with a learning rate of {stage['rate']:g} at most"
    if stage.get("plain_share"):
        text += f" and {stage['plain_share']:.0%} of the faces as they come"
    if stage.get("dense"):
        text += ", taught by the points and blendshapes of MediaPipe's Face Landmarker too"
    return text


def write_card(folder: Path) -> None:
    """Writes MODEL_CARD.md from the JSON files in `folder`. Raises DatasetError if one can't be read."""
    left_out, baselines = (read_json(folder / name) if (folder / name).is_file() else {} for name in (LEFT_OUT, BASELINES))
    card = model_card(read_json(folder / "metrics.json"), read_training(folder), left_out, baselines)
    write_text(folder / "MODEL_CARD.md", card)


_LEFT_OUT = """Networks of the same kind, trained without one of the sets and judged on all its faces: what to expect of
pictures from elsewhere. They were trained for fewer epochs where the table says so. Faces in one group with a face that was
trained on (copies across sets) are not counted.

{table}"""
_BASELINES = """Trained by `python -m training.train --network NAME` on the same split and read on the same test faces:
accuracy. `*`: a set that the network was trained on; `-`: it has no such output.

{table}"""
_PHOTOS = """The photo as it is, analysed as the app analyses a still picture. Faces are found by {detector}.
The largest face decides; a photo without one counts as wrong. These are all photos of {set} in the test part, {photos:,} of
them. {without}

- accuracy: {accuracy} (95 % interval, every photo independent: {interval})
- photos whose face was missed: {missed}
- accuracy on the test photos where a face was found: {where_found}
- test photos in which more than one face was found: {several_faces:,}"""
_POINTS = """On {faces:,} faces whose points came with their set, made by a model there and poor on profiles. A face's
error is the mean distance of its points from the true ones over the distance between the true eyes: mean {mean} (95 % by
groups: {interval}), median {median}; {large} of the faces have more than 10 %.

{table}"""
_PRESENCE = """Where the app draws the line, at P(face) = {threshold:.1f}, on faces of the test part and on backgrounds
from the same photos: squares that Haar's cascade at
its laxest takes for a face, then random ones. They were chosen by their distance from the largest face alone, so they may
hold a second one.

{table}"""
_ROBUSTNESS = """Accuracy on at most {most:,} test faces of each set (seed {seed}), made harder. Tilts are the mean of
both directions; the box stays where the upright face's was, and whether a detector finds such a face was not measured.
"Aligned": a second look at the box turned by the tilt that the first look's eyes show. Sets of tight crops have nothing
round the face: their edge is repeated where they turn. Sets differ in resolution to begin with.

{table}

![Accuracy over blur, darkness, noise, size and rotation, a line for each set]({plot})"""


def _photos(f: Mapping[str, Any]) -> str:
    shares = {"accuracy": f["accuracy"], "missed": f["missed_share"], "where_found": f["accuracy_where_found"]}
    said = {name: percent(value) for name, value in shares.items()}
    usual = {"detector": "`face_recognition`, the default when this was measured"}
    return _PHOTOS.format(**{**usual, **f, **said, "interval": interval_text(f, "accuracy"), "without": _without_face(f)})


def _without_face(f: Mapping[str, Any]) -> str:
    """What became of the photos in which the dataset's search found no face."""
    count, found, one = f["without_face"], f["without_face_found"], f["without_face"] == 1
    if not count:
        return "The dataset's search found a face in every photo of the set."
    photos = "one photo" if one else f"{count:,} photos"
    there = f"{'one' if found else 'none'} there" if one else f"one in {found:,} of these" if found else "none in these"
    counts = "it, so it counts" if one else "them, so each counts"
    return (
        f"The dataset's search found no face in {photos} of the set, so {'that is' if one else 'these are'} in no part; "
        f"the app finds {there}.\n"
        f"Nothing was trained on {counts} {f['weight']:.3f}, the test part's share of all others."
    )


def _points(f: Mapping[str, Any]) -> str:
    said = {name: percent(f[name]) for name in ("mean", "median")}
    said |= {"interval": interval_text(f, "mean"), "large": percent(f["share_over_10_percent"])}
    return _POINTS.format(faces=f["faces"], **said, table=landmark_table(f))


def research_only(trained_on: Set[str]) -> str:
    """A sentence and a space where one of these sets limits what its network is for, or nothing."""
    research = sorted(trained_on & _RESEARCH_ONLY)
    return f"Because of {', '.join(research)} this file is for non-commercial research only. " if research else ""


def _licences(trained_on: Set[str]) -> str:
    return (
        f"{research_only(trained_on)}The pictures are not in this project.\n"
        "Part of the landmark targets of every set came from dlib's 68-point predictor, whose own training data, 300-W, "
        "excludes\ncommercial use; for another use it must be replaced, too."
    )
