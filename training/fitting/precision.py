"""Whether this computer can compute with short floats."""

from __future__ import annotations

from common.errors import SettingsError


def require_precision(precision: str) -> None:
    """`precision`: the name of a Keras policy. Raises SettingsError where TensorFlow has no convolution for it."""
    if precision != "mixed_bfloat16":
        return
    import tensorflow as tf

    try:
        tf.nn.conv2d(tf.zeros((1, 8, 8, 1), tf.bfloat16), tf.zeros((3, 3, 1, 8), tf.bfloat16), 1, "SAME")
    except tf.errors.OpError as error:
        raise SettingsError(
            f"TensorFlow can't compute with {precision} on this computer, or ONEDNN_MAX_CPU_ISA forbids it; "
            "leave out --precision."
        ) from error
