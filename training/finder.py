"""Train the finder network, which sees all faces of a frame at once.

    python -m training.finder ../shared/data/{genki,affect,keypoints,celeba64,getty_originals_sample,backgrounds}.zip
    python -m training.finder                 # the pictures are there already: train, or go on where it was stopped
    python -m training.finder --start-from models/finder.keras --rate 1e-3 --out runs/longer     # more frames for this one
    python -m training.finder --export-only   # the last checkpoint, while a training runs or after it was stopped

Making the pictures needs YuNet's file as a teacher (--teacher). `python -m training.finder_probe` judges the result.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.commands import command, said_plainly
from common.errors import DatasetError
from common.whole_files import write_whole
from faces.finder import HEIGHT, WIDTH
from training.judging.records import read_json, write_json
from training.quiet import tensorflow_quiet

_TEACHER = Path("../shared/models/face_detection_yunet_2026may.onnx")
_MADE = "finder_training.json"


def export_finder(model, path: Path) -> None:
    """Writes `path`: grey levels float32 `(1, 128, 160, 1)` in 0 to 255 -> float32 `(1, 16, 20, 14)`.

    Another size that 32 divides may be set before use. Weights are stored as whole numbers of 8 bits for each channel.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, HEIGHT, WIDTH, 1), tf.float32, name="gray")])
    def find(gray):
        maps = model(gray, training=False)
        return tf.concat([tf.sigmoid(maps[..., :1]), maps[..., 1:]], axis=-1)

    owner = tf.Module()  # keeps the network's weights alive in a form that the converter can follow
    owner.weights = [weight.value for weight in model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([find.get_concrete_function()], owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    write_whole(path, converter.convert())


def _made(options: argparse.Namespace, model) -> dict:
    """What the card says about a training."""
    from training.finding.pictures import Pictures

    pictures, history = Pictures.load(options.data), read_json(options.out / "history.json")
    trained = pictures.source[pictures.split == "train"]
    begun = options.start_from.with_name(_MADE) if options.start_from else None  # with what an earlier training learned
    earlier = int(read_json(begun)["frames"]) if begun and begun.is_file() else 0
    return {
        "trained_on": {str(name): int((trained == name).sum()) for name in sorted(set(trained.tolist()))},
        "weights": model.count_params(),
        "frames": earlier + history["history"][-1]["step"] * history["recipe"]["batch"],
        **history,
    }


def _prepare(options: argparse.Namespace) -> None:
    """Makes the file of pictures unless it is there. Raises DatasetError."""
    from training.data.splits import read_split
    from training.finding.pictures import read_pictures

    if options.data.is_file():
        if options.sets:
            print(f"{options.data} is there already; delete it to have its pictures read again.")
        return
    if not options.sets:
        raise DatasetError(f"There are no pictures at {options.data} yet; name sets such as ../shared/data/genki.zip.")
    split = read_split(options.split) if options.split else {}
    read_pictures(options.sets, split, options.teacher, workers=options.workers + 1).save(options.data)


@tensorflow_quiet()
@said_plainly("The network could not be written", "Stopped. The same command goes on after the last checkpoint.")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.finder", description="Train the finder network.")
    parser.add_argument(
        "sets", nargs="*", type=Path, metavar="ZIP", help="photos of faces, and backgrounds.zip without faces"
    )
    parser.add_argument("--data", type=Path, default=Path("datasets/finder.npz"), help="file for their pictures")
    parser.add_argument("--teacher", type=Path, default=_TEACHER, help="YuNet, which says where the faces are")
    parser.add_argument(
        "--split", type=Path, default=Path("models/split.csv.gz"), help="which part the known pictures belong to"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/finder"), help="folder to write (default: runs/finder)")
    parser.add_argument("--frames", type=int, default=400_000, help="frames to train on in all (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--start-from", type=Path, metavar="FILE", help="begin with this finder.keras' weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that make frames (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads that train (default: %(default)s)")
    parser.add_argument("--export-only", action="store_true", help="only write finder.tflite of the last checkpoint")
    options = parser.parse_args(argv)
    if options.frames < 1 or options.workers < 1 or options.threads < 1:
        raise DatasetError("--frames, --workers and --threads must be 1 or more.")
    if not options.export_only:
        _prepare(options)
    import tensorflow as tf

    from training.finding.fit import FinderRecipe, fit, load_trained
    from training.fitting.progress import save_network

    if not options.export_only:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        recipe = FinderRecipe(options.frames, rate=options.rate, seed=options.seed, workers=options.workers)
        fit(options.data, options.out, recipe, options.start_from)
    model = load_trained(options.out)  # without the parts that only a training needs
    export_finder(model, options.out / "finder.tflite")
    save_network(model, options.out / "finder.keras")
    write_json(options.out / _MADE, _made(options, model))
    print(f"Wrote {options.out}/finder.tflite; judge it with:")
    photos = next((path for path in options.sets if path.stem == "genki"), "genki.zip")
    print(command("training.finder_probe", photos, data=options.data, finder=options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
