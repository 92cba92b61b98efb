"""Fold scaler, network and calibration into the one LiteRT file that the app loads.

The MinMaxScaler is affine, so it becomes a multiplication and an addition in front of the network. The temperature becomes a
division before the sigmoid. So the app needs neither scikit-learn nor a pickle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.preprocessing import MinMaxScaler

from common.judged import Judged, attach
from common.whole_files import write_whole
from smile_recognition import CROP_SIZE, OUTPUTS


def export_network(model, scaler: MinMaxScaler, temperature: float, path: Path, judged: Judged | None = None) -> None:
    """Writes `path`, which carries `judged`: grey levels float32 `(1, 64, 64, 1)` in 0 to 255 -> float32 `(1, 12)`.

    The twelve, in the order of `smile_recognition.OUTPUTS`: calibrated P(smile), P(face), x and y of five landmarks, 0 to 1
    across the crop. Weights are stored as whole numbers of 8 bits for each channel, and each layer's input is rounded to as
    many while it runs: a quarter of the time. Tests hold the outputs to the Keras network's.
    """
    import tensorflow as tf

    shape = (1, CROP_SIZE, CROP_SIZE, 1)
    factor = tf.constant(scaler.scale_.reshape(shape).astype(np.float32))
    offset = tf.constant(scaler.min_.reshape(shape).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="gray")])
    def smile(gray):
        read = model(gray * factor + offset, training=False)
        read["smile"] /= temperature
        return tf.concat([read[name] if name == "landmarks" else tf.sigmoid(read[name]) for name in OUTPUTS], axis=1)

    owner = tf.Module()  # keeps the network's weights alive in a form that the converter can follow
    owner.weights = [weight.value for weight in model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([smile.get_concrete_function()], owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    network = bytes(converter.convert())
    write_whole(path, attach(network, judged) if judged else network)
