"""The finder network: grey frame in, a map of faces out (see `faces.finder`).

It has only plain convolutions: bottlenecks (He et al. 2016) on the way down to cells of 32 pixels, which know the whole
frame, and two steps up again to cells of 8 (feature pyramid, Lin et al. 2017). Every layer works on any size that 32
divides.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from faces.alignment import TYPICAL_LANDMARKS
from faces.finder import CHANNELS


@dataclass(frozen=True)
class FinderConfig:
    """Channels at strides 2, 4, 8, 16 and 32, and bottlenecks at the last four."""

    channels: tuple[int, int, int, int, int] = (12, 24, 64, 80, 96)
    blocks: tuple[int, int, int, int] = (1, 2, 3, 2)


def build_finder(config: FinderConfig = FinderConfig()) -> keras.Model:
    """Grey levels float32 `(n, h, w, 1)` in 0 to 255 -> float32 `(n, h / 8, w / 8, 14)`; the score is a logit."""
    inputs = keras.Input((None, None, 1), name="gray")
    x = FrameNormalization(name="normalize")(inputs)
    x = _convolve(x, config.channels[0], kernel=5, stride=2)
    levels = []
    for channels, blocks in zip(config.channels[1:], config.blocks, strict=True):
        x = _convolve(x, channels, stride=2)
        for _ in range(blocks):
            x = _bottleneck(x)
        levels.append(x)
    for finer in levels[-2:0:-1]:
        x = _bottleneck(_convolve(layers.Concatenate()([finer, _upsampled(x)]), finer.shape[-1], kernel=1))
    x = _convolve(x, 48)
    return keras.Model(inputs, layers.Concatenate(dtype="float32", name="faces")(_outputs(x)), name="finder")


def _outputs(x) -> list:
    """Score, place and size, landmarks. They begin at usual values, so that no loss drowns another."""
    rare = keras.initializers.Constant(-4.0)
    usual = keras.initializers.Constant((TYPICAL_LANDMARKS - 0.5).ravel())
    box = keras.initializers.Constant([0.0, 0.0, 1.0])
    points = CHANNELS - 4
    small = keras.initializers.RandomNormal(stddev=0.01)
    return [
        layers.Conv2D(count, 1, kernel_initializer=small, bias_initializer=bias, name=name)(x)
        for name, count, bias in (("score", 1, rare), ("box", 3, box), ("landmarks", points, usual))
    ]


def _convolve(x, channels: int, *, kernel: int = 3, stride: int = 1, activate: bool = True):
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.98)(x)
    return layers.ReLU()(x) if activate else x


def _bottleneck(x):
    channels = x.shape[-1]
    changed = _convolve(_convolve(x, channels // 2, kernel=1), channels // 2)
    return layers.ReLU()(layers.Add()([x, _convolve(changed, channels, kernel=1, activate=False)]))


def _upsampled(x):
    """Doubles width and height by shuffling channels (Shi et al. 2016), so that the exported graph has no fixed size."""
    return Shuffle()(_convolve(x, 2 * x.shape[-1] // 8 * 8, kernel=1))


@keras.saving.register_keras_serializable("dad_jokes_for_smiles")
class Shuffle(layers.Layer):
    """`(n, h, w, 4 c)` -> `(n, 2 h, 2 w, c)`."""

    def call(self, x):
        import tensorflow as tf

        return tf.nn.depth_to_space(x, 2)

    def compute_output_shape(self, shape):
        return (shape[0], *(2 * side if side else None for side in shape[1:3]), shape[3] // 4)


@keras.saving.register_keras_serializable("dad_jokes_for_smiles")
class FrameNormalization(layers.Layer):
    """Two channels with mean 0 and deviation 1 over the frame: brightness and its logarithm. In the logarithm shade is a
    shift.
    """

    def call(self, x):
        ops = keras.ops
        both = ops.concatenate([x, 24 * ops.log(x + 6)], axis=-1)
        centred = both - ops.mean(both, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        return centred * ops.rsqrt(variance + 1)

    def compute_output_shape(self, shape):
        return (*shape[:3], 2)
