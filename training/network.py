"""The smile network: one short file, the whole of it.

64x64 grey in, one logit out, about 400,000 weights. Plain 3x3 convolutions, because they are fast on every CPU; the first
layer takes away each picture's own brightness and contrast, so that a dim webcam looks like a studio photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from smile_recognition import CROP_SIZE


@dataclass(frozen=True)
class NetworkConfig:
    """Channels of the four stages (32x32, 16x16, 8x8, 4x4 pixels), layers in each, and dropout before the output."""

    channels: tuple[int, ...] = (32, 64, 112, 160)
    depths: tuple[int, ...] = (2, 2, 2, 1)
    dropout: float = 0.3


def build_network(config: NetworkConfig = NetworkConfig()) -> keras.Model:
    """Scaled crops float32 `(n, 64, 64, 1)` in 0 to 1 -> logits float32 `(n, 1)`; sigmoid of a logit is P(smile)."""
    inputs = keras.Input((CROP_SIZE, CROP_SIZE, 1), name="scaled")
    x = PictureNormalization(name="normalize")(inputs)
    for stage, (channels, depth) in enumerate(zip(config.channels, config.depths, strict=True)):
        for i in range(depth):
            first = stage == 0 and i == 0
            x = layers.Conv2D(channels, 5 if first else 3, 2 if first else 1, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
        if stage < len(config.channels) - 1:
            x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(config.dropout)(x)
    return keras.Model(inputs, layers.Dense(1, name="logit")(x), name="smile")


@keras.saving.register_keras_serializable("dad_jokes_for_smiles")
class PictureNormalization(layers.Layer):
    """Each picture to mean 0 and standard deviation 1; a flat picture stays 0."""

    def call(self, x):
        centred = x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
        variance = keras.ops.mean(keras.ops.square(centred), axis=(1, 2, 3), keepdims=True)
        return centred * keras.ops.rsqrt(variance + 1e-4)

    def compute_output_shape(self, input_shape):
        return input_shape
