"""A network that stands for ours where only training itself is tested: it is ready for training in a third of the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import pytest

from training.networks.recipes import RECIPES

SIZES = {"smile": 1, "presence": 1, "landmarks": 10, "expression": 7, "shape68": 136, "mesh": 292, "shapes": 52}


def build_small() -> keras.Model:
    """All outputs of our network over two layers, and its dropout, whose random state Keras does not keep in its files."""
    inputs = x = keras.Input((64, 64, 1), name="scaled")
    for channels, kernel in ((8, 8), (16, 4)):
        x = keras.layers.Conv2D(channels, kernel, kernel // 2, activation="relu")(x)
        x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(x))
    return keras.Model(inputs, {name: keras.layers.Dense(n, name=name)(x) for name, n in SIZES.items()})


def in_place_of_ours() -> Iterator[None]:
    """For a fixture: the small network is trained where ours, which takes seconds to be made ready, would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "smile", replace(RECIPES["smile"], build=build_small))
        yield
