"""Which network to train, on what and how: ours, and five simple ones of earlier projects for comparison.

The simple ones are rebuilt here from their descriptions and trained by the same command on the same split:
`lenet` (LeCun et al. 1998) is what smile tutorials train on SMILEs; `seed` a two-layer network on 100x100 Getty crops;
`minimal` one layer of 32 7x7 filters; `keypoints` a 96x96 regressor whose sigmoids are coordinates; `vgg19` (Simonyan &
Zisserman 2014) ImageNet features, frozen, under a new output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
from keras import layers

from common.errors import DatasetError
from smile_recognition import CROP_SIZE, LANDMARKS
from training.networks.network import build_network
from training.networks.teacher import TEACHER_SIZE, TEACHER_VIEW, build_teacher


@dataclass(frozen=True)
class Recipe:
    """`build` makes a network from scaled crops `(n, size, size, 1 or 3)` to a dictionary of outputs by name.

    `sources`: the sets it is meant for, None for all; `rate`: the highest learning rate of a cosine schedule;
    `plain_share`: the share of faces shown unchanged, whatever `augmented` says about the others; `guessed_weight`: how much
    landmarks count that dlib guessed, where measured ones count 3; `view_scale`: the size of a face's box in the network's
    view, below 1 for a network that also sees what is round it.
    """

    name: str
    build: Callable[[], keras.Model]
    size: int = CROP_SIZE
    color: bool = False
    sources: tuple[str, ...] | None = None
    augmented: bool = True
    epochs: int = 32
    batch: int = 64
    rate: float = 1.5e-3
    landmark_loss: str = "mae"
    plain_share: float = 0.0
    guessed_weight: float = 0.4
    view_scale: float = 1.0


def _convolution_stack(inputs, channels: tuple[int, ...], kernel: int, padding: str = "valid"):
    x = inputs
    for count in channels:
        x = layers.Conv2D(count, kernel, padding=padding, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return layers.Flatten()(x)


def build_lenet() -> keras.Model:
    inputs = keras.Input((28, 28, 1), name="scaled")
    x = layers.Dense(500, activation="relu")(_convolution_stack(inputs, (20, 50), 5, "same"))
    return keras.Model(inputs, {"smile": layers.Dense(1, name="smile")(x)}, name="lenet")


def build_seed() -> keras.Model:
    inputs = keras.Input((100, 100, 1), name="scaled")
    x = layers.Dense(64, activation="relu")(_convolution_stack(inputs, (32, 64), 3))
    return keras.Model(inputs, {"smile": layers.Dense(1, name="smile")(layers.Dropout(0.5)(x))}, name="seed")


def build_minimal() -> keras.Model:
    inputs = keras.Input((64, 64, 1), name="scaled")
    x = layers.Conv2D(32, 7)(layers.ZeroPadding2D(3)(inputs))
    x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(inputs, {"smile": layers.Dense(1, name="smile")(layers.Flatten()(x))}, name="minimal")


def build_keypoints() -> keras.Model:
    inputs = keras.Input((96, 96, 1), name="scaled")
    x = layers.Dense(256, activation="relu")(_convolution_stack(inputs, (32, 64, 128), 3))
    points = layers.Dense(2 * len(LANDMARKS), activation="sigmoid", name="landmarks")(layers.Dropout(0.2)(x))
    return keras.Model(inputs, {"landmarks": points}, name="keypoints")


def build_vgg19(weights: Path | None = None) -> keras.Model:
    """`weights`: Keras' file of ImageNet weights without the top; without it Keras downloads them. Raises DatasetError."""
    inputs = keras.Input((64, 64, 3), name="scaled")
    try:
        base = keras.applications.VGG19(include_top=False, weights=weights or "imagenet", input_shape=(64, 64, 3))
    except Exception as error:  # Keras wraps a lost network and a wrong file alike in bare exceptions
        raise DatasetError(
            "The ImageNet weights of VGG19 can't be fetched or read; give Keras' file "
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 with --imagenet-weights."
        ) from error
    base.trainable = False
    # What its authors trained it on: 0 to 255 less the mean colour of ImageNet (here grey, so the mean of the three).
    x = base(layers.Rescaling(255.0, offset=-113.8)(inputs), training=False)
    x = layers.Dropout(0.3)(layers.Dense(256, activation="relu")(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(inputs, {"smile": layers.Dense(1, name="smile")(x)}, name="vgg19")


_plain = partial(Recipe, augmented=False, rate=1e-3)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("smile", build_network),
        Recipe("teacher", build_teacher, TEACHER_SIZE, view_scale=TEACHER_VIEW, epochs=6, rate=3e-4, plain_share=0.3),
        _plain("lenet", build_lenet, 28, sources=("smiles",), epochs=15),
        _plain("seed", build_seed, 100, sources=("getty_faces",), epochs=10),
        _plain("minimal", build_minimal, sources=("genki", "smiles"), epochs=10),
        _plain("keypoints", build_keypoints, 96, sources=("keypoints",), epochs=40, landmark_loss="mse"),
        _plain("vgg19", build_vgg19, color=True, sources=("smiles",), epochs=10),
    )
}


def cosine_rate(recipe: Recipe, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Up for the first tenth (500 steps at most), then down along a cosine to nothing (Loshchilov & Hutter 2017)."""
    warmup = min(500, math.ceil(steps / 10))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=recipe.rate, warmup_steps=warmup
    )
