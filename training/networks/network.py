"""The whole smile network, in one short file.

64x64 grey in; smile, presence and five landmarks out. It has plain 3x3 convolutions with shortcuts, because they are fast on
every CPU. The first layer removes each picture's own brightness and contrast, so a dim webcam looks like a studio photo.
Four more outputs exist only in training. They teach the shared layers what a face is made of: the kind of expression, if a
set names it, dlib's 68 points, and MediaPipe's dense points and blendshapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import keras
from keras import layers

from smile_recognition import CROP_SIZE, LANDMARKS, OUTPUTS

EXPRESSIONS = ("happy", "neutral", "sad", "anger", "surprise", "disgust", "fear")
DENSE_POINTS, BLENDSHAPES = 146, 52  # of training/data/dense.py
# How much each output's loss counts. The errors of points are hundredths, so theirs count more.
LOSS_WEIGHTS = {
    "smile": 1.0,
    "presence": 0.3,
    "landmarks": 5.0,
    "expression": 0.3,
    "shape68": 5.0,
    "mesh": 5.0,
    "shapes": 1.0,
}


@dataclass(frozen=True)
class NetworkConfig:
    """Channels of the four stages (32x32, 16x16, 8x8, 4x4 pixels) and dropout before the outputs."""

    channels: tuple[int, int, int, int] = (24, 48, 96, 160)
    dropout: float = 0.2


def build_network(config: NetworkConfig = NetworkConfig()) -> keras.Model:
    """Scaled crops float32 `(n, 64, 64, 1)` in 0 to 1 -> a dictionary of

    `smile` and `presence` float32 `(n, 1)`: logits; `landmarks` float32 `(n, 10)`: x, y of each point, 0 to 1 across the
    crop; `expression` float32 `(n, 7)`: logits in the order of `EXPRESSIONS`; `shape68` float32 `(n, 136)` and `mesh`
    `(n, 292)`: as landmarks; `shapes` float32 `(n, 52)`: logits of the blendshapes.
    """
    first, second, third, fourth = config.channels
    inputs = keras.Input((CROP_SIZE, CROP_SIZE, 1), name="scaled")
    x = PictureNormalization(name="normalize")(inputs)
    x = _convolve(x, first, kernel=5, stride=2)  # (n, 32, 32, 24)
    x = _convolve(x, second, stride=2)  # (n, 16, 16, 48)
    x = _residual(x, second)
    x = _convolve(x, third, stride=2)  # (n, 8, 8, 96)
    x = _residual(x, third)
    x = _convolve(x, fourth, stride=2)  # (n, 4, 4, 160)
    x = _residual(x, fourth)
    pooled = layers.Dropout(config.dropout)(layers.GlobalAveragePooling2D()(x))
    placed = layers.Flatten()(x)  # where things are matters to points
    return keras.Model(inputs, all_outputs(pooled, placed), name="smile")


def all_outputs(pooled, placed) -> dict:
    """The outputs by name. `pooled` `(n, channels)`: what is there; `placed` `(n, pixels * channels)`: what is where."""
    return {
        "smile": layers.Dense(1, name="smile", dtype="float32")(pooled),
        "presence": layers.Dense(1, name="presence", dtype="float32")(pooled),
        "landmarks": _points(len(LANDMARKS), name="landmarks")(placed),
        "expression": layers.Dense(len(EXPRESSIONS), name="expression", dtype="float32")(pooled),
        "shape68": _points(68, name="shape68")(placed),
        "mesh": _points(DENSE_POINTS, name="mesh")(placed),
        "shapes": layers.Dense(BLENDSHAPES, name="shapes", dtype="float32")(pooled),
    }


def losses(landmark_loss: str) -> dict:
    """What each output is trained to lessen, by name. `landmark_loss`: that of the landmarks."""
    return {
        "smile": keras.losses.BinaryCrossentropy(from_logits=True),
        "presence": keras.losses.BinaryCrossentropy(from_logits=True),
        "landmarks": landmark_loss,
        "expression": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
        "shape68": "mae",
        "mesh": "mae",
        "shapes": keras.losses.BinaryCrossentropy(from_logits=True),
    }


def shipped_part(model: keras.Model) -> keras.Model:
    """The network without the outputs that exist only in training."""
    return part_with(model, OUTPUTS)


def part_with(model: keras.Model, outputs: Iterable[str]) -> keras.Model:
    """The network with only these outputs, and with what these need."""
    return keras.Model(model.inputs, {name: model.output[name] for name in outputs}, name="smile")


def _points(count: int, *, name: str) -> layers.Dense:
    """x, y of points. They begin near the middle: begun all over the picture, their error would drown the other outputs."""
    small, middle = keras.initializers.RandomNormal(stddev=2e-4), keras.initializers.Constant(0.5)
    return layers.Dense(2 * count, kernel_initializer=small, bias_initializer=middle, name=name, dtype="float32")


def _convolve(x, channels: int, *, kernel: int = 3, stride: int = 1, activate: bool = True):
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.98)(x)
    return layers.ReLU()(x) if activate else x


def _residual(x, channels: int):
    """Two layers and a way round them (He et al. 2016)."""
    changed = _convolve(_convolve(x, channels), channels, activate=False)
    return layers.ReLU()(layers.Add()([x, changed]))


@keras.saving.register_keras_serializable("dad_jokes_for_smiles")
class PictureNormalization(layers.Layer):
    """Each picture to mean 0 and standard deviation 1; a flat picture stays 0."""

    def call(self, x):
        centred = x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
        variance = keras.ops.mean(keras.ops.square(centred), axis=(1, 2, 3), keepdims=True)
        return centred * keras.ops.rsqrt(variance + 1e-4)

    def compute_output_shape(self, input_shape):
        return input_shape
