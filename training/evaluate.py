"""Judge a trained network on faces it has never seen, and write down what came out.

    python -m training.evaluate                    # judges models/, writes metrics.json, unseen.csv, MODEL_CARD.md
    python -m training.evaluate --model runs/mine --data datasets/mine.npz

Looks at the dataset's test part only: whole groups of near-copies and persons that training and choosing never touched.
Reads the exported LiteRT file through the app's own `predict_smile`, so what is judged is what runs.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from errors import DatasetError, SmileError
from smile_recognition import CROP_SIZE, SMILE_THRESHOLD, SmileRecognizer
from training.dataset import SPLITS, Faces

CALIBRATION_BINS = 15


def wilson_interval(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), 0 to 1."""
    share = right / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return center - half, center + half


def calibration_error(smile: np.ndarray, probability: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error (Guo et al. 2017) of P(smile) `(n,)` against labels 0/1 `(n,)`, in equal-width bins."""
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[which == b].mean() - smile[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))


def predict(recognizer: SmileRecognizer, faces: Faces) -> np.ndarray:
    """P(smile) `(n,)` of every crop of `faces`."""
    whole = (0, CROP_SIZE, CROP_SIZE, 0)
    return np.array([recognizer.predict_smile(gray, [whole])[0] for gray in faces.gray], np.float32)


def evaluate(recognizer: SmileRecognizer, faces: Faces) -> dict[str, dict[str, float]]:
    """Figures for each set of the test part. Raises DatasetError when there is none."""
    test = faces.part("test")
    if not len(test.smile):
        raise DatasetError("The dataset has no test part; build it again from more pictures.")
    probability = predict(recognizer, test)
    figures = {}
    for source in np.unique(test.source):
        chosen = test.source == source
        smile, p = test.smile[chosen], probability[chosen]
        decided = p >= SMILE_THRESHOLD
        right = int((decided == (smile > 0)).sum())
        low, high = wilson_interval(right, len(smile))
        both = len(np.unique(smile)) == 2
        figures[str(source)] = {
            "faces": len(smile),
            "accuracy": right / len(smile),
            "accuracy_low": low,
            "accuracy_high": high,
            "balanced_accuracy": float(balanced_accuracy_score(smile, decided)) if both else math.nan,
            "roc_auc": float(roc_auc_score(smile, p)) if both else math.nan,
            "calibration_error": calibration_error(smile, p),
        }
    return figures


def write_unseen(test: Faces, path: Path) -> None:
    """Names, not pictures, of what the network has never seen, so that others can judge it on the same faces."""
    rows = sorted(f"{source},{name}" for source, name in zip(test.source, test.name, strict=True))
    path.write_text("source,name\n" + "\n".join(rows) + "\n")


def table(figures: dict[str, dict[str, float]]) -> str:
    """`figures` as a Markdown table."""
    rows = [
        "| set | unseen faces | accuracy (95 % interval) | balanced | ROC AUC | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    for source, f in figures.items():
        rows.append(
            f"| {source} | {f['faces']} | {f['accuracy']:.1%} ({f['accuracy_low']:.1%} to {f['accuracy_high']:.1%}) "
            f"| {f['balanced_accuracy']:.1%} | {f['roc_auc']:.3f} | {f['calibration_error']:.1%} |"
        )
    return "\n".join(rows)


_CARD = """# Model card: smile.tflite

Made by `python -m training.evaluate`; change that command, not this file.

## What it is
A convolutional network of {weights:,} weights that reads one 64x64 grey face crop (a face_recognition box, nothing round it)
and gives P(smile). MinMaxScaler, network and calibration temperature ({temperature:.2f}) are one file, `smile.tflite`;
`my_model.keras` and `scaler.save` are the same network and scaler for training on.

## What it is for
Telling a smiling from a not smiling face, for fun, on frontal faces of about 40 pixels and more. It sees an expression,
not a mood, an intent or an emotion. Don't use it to judge people.

## How good it is
On faces that were used neither for training nor for choosing anything. Within each set near-copies are on one side of the
split, and so are pictures of one person as far as a face descriptor can tell. {blurred}A person may appear in more than one
set. The intervals count every face as independent, which pictures of one person are not. Labels may be wrong themselves.

{table}

These are accuracies on found faces. Of the whole photos, the default detector missed:

{missed}

## What it was trained on
{trained_on}

{licence}

## Known limits
- Faces turned far to the side or strongly tilted were not measured; the default detector loses them.
- Accuracy by age, gender or skin colour was not measured: the sets have no such labels.
- Which kinds of smile it gets wrong was not studied.

Seed {seed}, {epochs} epochs.
"""


_RESEARCH_ONLY = {"rafdb": "RAF-DB", "celeba64": "CelebA", "fer": "FER2013"}


def model_card(figures: dict, training: dict, report: dict) -> str:
    """The text of MODEL_CARD.md."""
    sets = report.get("sets", {})
    missed = [
        f"- {name}: {entry['no_face']} of {sum(entry[key] for key in ('no_face', 'dropped', *SPLITS))}"
        for name, entry in sets.items()
        if "no_face" in entry
    ]
    blurred = sorted({"rafdb", "fer"} & set(figures))
    research = [name for key, name in _RESEARCH_ONLY.items() if key in training["trained_on"]]
    return _CARD.format(
        blurred=f"In {' and '.join(blurred)} the pictures are too blurred for that: a person or a retouched copy may be on "
        "both sides, so take those figures as optimistic. "
        if blurred
        else "",
        licence=f"{', '.join(research)}: for non-commercial research only, and so is this file. The pictures are not in "
        "this project. For other uses train it again from pictures with another licence; the README says how."
        if research
        else "What this file may be used for depends on the licence of these pictures.",
        weights=training["weights"],
        temperature=training["temperature"],
        table=table(figures),
        missed="\n".join(missed) or "- none (only crops)",
        trained_on="\n".join(f"- {name}: {count:,} faces" for name, count in training["trained_on"].items()),
        seed=training["seed"],
        epochs=training["epochs"],
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Judge a trained smile network.")
    parser.add_argument("--model", type=Path, default=Path("models"), help="folder with smile.tflite and training.json")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    options = parser.parse_args(argv)
    try:
        faces = Faces.load(options.data)
        recognizer = SmileRecognizer(options.model / "smile.tflite")
        figures = evaluate(recognizer, faces)
        training = json.loads((options.model / "training.json").read_text())
        report_file = options.data.with_suffix(".json")
        report = json.loads(report_file.read_text()) if report_file.is_file() else {}
        (options.model / "metrics.json").write_text(json.dumps({"test": figures, "dataset": report}, indent=1) + "\n")
        write_unseen(faces.part("test"), options.model / "unseen.csv")
        (options.model / "MODEL_CARD.md").write_text(model_card(figures, training, report))
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.model} can't be judged: {error}. Train it with `python -m training.train`.", file=sys.stderr)
        return 2
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
