"""A larger network that only teaches the small one: dlib's face descriptor network, trained further.

It has seen three million faces, so it knows what a face is made of before it sees the first smile. Its weights come with the
package `face_recognition_models` (dlib_face_recognition_resnet_model_v1.dat, CC0, by Davis King), which the app installs
anyway.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
from keras import layers

from common.errors import DatasetError
from training.networks.network import all_outputs

TEACHER_SIZE = 112  # pixels; dlib's own are 150
# The size of a face's box in the picture. dlib's pictures of faces have so much room round the face.
TEACHER_VIEW = 0.72
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))  # channels, blocks, halved
_MEAN_COLOR = np.array([122.782, 117.001, 104.298], np.float32)  # dlib/dnn/input.h, input_rgb_image
_DEPTH = 256.0


def build_teacher(*, descriptor: bool = False, size: int = TEACHER_SIZE) -> keras.Model:
    """Scaled crops float32 `(n, size, size, 1)`, 0 to 1 -> the outputs of `training.networks.network.build_network`.

    Structure and weights are those of dlib's example dnn_face_recognition_ex.cpp, its affine layers folded into the
    convolutions and its first layer into one for grey. `descriptor`: dlib's own output, 128 numbers for each face, instead
    of ours. Raises DatasetError if dlib's file is missing or is another one.
    """
    convolutions, projection = _dlib_weights()
    remaining = iter(convolutions)
    inputs = keras.Input((size, size, 1), name="scaled")
    x = _convolve(inputs, _for_grey(*next(remaining)), stride=2, padding="valid")
    x = layers.MaxPooling2D(3, 2)(x)
    for channels, blocks, halved in _STAGES:
        for block in range(blocks):
            x = _block(x, channels, remaining, halved=halved and block == 0)
    pooled = layers.GlobalAveragePooling2D()(x)
    if descriptor:
        dense = layers.Dense(projection.shape[1], use_bias=False, name="descriptor")
        model = keras.Model(inputs, {"descriptor": dense(pooled)}, name="dlib")
        dense.set_weights([projection])
        return model
    pooled = layers.Dropout(0.3)(pooled)
    placed = layers.Dropout(0.2)(layers.Flatten()(x))
    return keras.Model(inputs, all_outputs(pooled, placed), name="teacher")


def _convolve(x, weights: tuple[np.ndarray, np.ndarray], *, stride: int = 1, padding: str = "same", activate: bool = True):
    kernel, bias = weights
    layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], stride, padding=padding)
    x = layer(x)
    layer.set_weights([kernel, bias])
    return layers.ReLU()(x) if activate else x


def _block(x, channels: int, weights, *, halved: bool):
    """Two layers and a shortcut round them. If the layers halve the picture, the shortcut takes means of 2x2 pixels."""
    changed = _convolve(x, next(weights), stride=2 if halved else 1, padding="valid" if halved else "same")
    changed = _convolve(changed, next(weights), activate=False)
    if halved:
        x = layers.AveragePooling2D(2)(x)
        # dlib adds pictures of two sizes as if the smaller one had zeros on its right, below and behind.
        missing = x.shape[1] - changed.shape[1]
        changed = layers.ZeroPadding2D(((0, missing), (0, missing)))(changed) if missing else changed
        if channels > x.shape[3]:
            x = layers.Concatenate()([x, ZerosLike(channels - x.shape[3])(x)])
    return layers.ReLU()(layers.Add()([x, changed]))


@keras.saving.register_keras_serializable("dad_jokes_for_smiles")
class ZerosLike(layers.Layer):
    """So many channels of zeros, as wide and high as the input."""

    def __init__(self, channels: int, **options) -> None:
        super().__init__(**options)
        self.channels = channels

    def call(self, x):
        return keras.ops.tile(keras.ops.zeros_like(x[..., :1]), (1, 1, 1, self.channels))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "channels": self.channels}


def _for_grey(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dlib's first layer, which reads (colour - mean) / 256, turned into one that reads a grey level from 0 to 1."""
    offset = np.einsum("hwio,i->o", kernel, _MEAN_COLOR / _DEPTH)
    return kernel.sum(axis=2, keepdims=True) * (255 / _DEPTH), bias - offset


@cache
def _dlib_weights() -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Kernels `(h, w, in, out)` with biases `(out,)`, first layer first, and the last matrix `(256, 128)`."""
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise DatasetError("The package face_recognition_models is missing; install requirements.txt.")
    path = Path(package.origin).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    try:
        data = path.read_bytes()
        found = [(match.group(1), _tensor(data, match.end())) for match in _LAYER.finditer(data)]
        convolutions, projection = _folded(found)
    except (OSError, ValueError, IndexError, ZeroDivisionError) as error:
        raise DatasetError(f"{path} can't be read; install face_recognition_models again.") from error
    if len(convolutions) != 29 or projection.shape != (256, 128):
        raise DatasetError(f"{path} is not the network that the teacher begins with; install face_recognition_models 0.3.0.")
    return convolutions, projection


def _folded(found: list[tuple[bytes, np.ndarray]]) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Layers by kind and numbers -> convolutions with the affine layer after each folded in, and the last matrix."""
    convolutions: list[tuple[np.ndarray, np.ndarray]] = []
    channels = 3
    projection = np.empty((0, 0), np.float32)
    for (kind, values), (_, after) in zip(found, [*found[1:], (b"", np.empty(0))], strict=True):
        if kind == b"con_":
            gamma, beta = after.reshape(2, -1)  # of the affine layer that follows it
            count = len(gamma)
            side = round((values[:-count].size / count / channels) ** 0.5)
            kernel = values[:-count].reshape(count, channels, side, side).transpose(2, 3, 1, 0)
            convolutions.append((kernel * gamma, values[-count:] * gamma + beta))
            channels = count
        elif kind == b"fc_":
            projection = values.reshape(-1, 128)
    return convolutions, projection


# A layer's name, in the last one's case also how many go in and out, and then the version of its tensor.
_LAYER = re.compile(rb"\x01.(con_|affine_|fc_)(?:4|2\x01\x80\x02\x00\x01|)(?=\x01\x02)", re.DOTALL)


def _tensor(data: bytes, at: int) -> np.ndarray:
    """The float32 numbers `(n,)` of a tensor as dlib/cuda/tensor_tools.cpp writes it: version, four lengths, numbers."""
    lengths = []
    for _ in range(5):
        size = data[at]  # of the whole number that follows, as dlib/serialize.h packs it
        lengths.append(int.from_bytes(data[at + 1 : at + 1 + size], "little"))
        at += 1 + size
    count = int(np.prod(lengths[1:]))
    return np.frombuffer(data, "<f4", count, at)
