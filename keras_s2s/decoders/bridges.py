"""Initial states of recurrent decoders."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.dense import Linear

__all__ = ["Bridge"]


@keras.saving.register_keras_serializable("keras_s2s")
class Bridge(keras.layers.Layer):
    """Initial states of a recurrent decoder from the output of the encoder.

    Args:
        cells: number of decoder layers.
        units: width U of their states.
        names: names of the states of one layer, such as `("h", "c")`.
        kind: `"dense"`: tanh(W summary + b) for every state; `"copy"`: the final states of the
            encoder; `"zero"`: zeros.

    Call arguments:
        summary: float tensor [B, D].
        states: the memory's states; used by `"copy"` only.

    Returns:
        {"layer_0": {"h": [B, U], ...}, ...}.

    Raises:
        ValueError: for another `kind`, or states that cannot be copied.

    Reference: dense: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2; copy: Sutskever et al.
    2014, arXiv:1409.3215.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.decoders import Bridge
    >>> Bridge(1, 4, ("h",))(tf.ones([2, 3]))["layer_0"]["h"].shape
    TensorShape([2, 4])
    """

    def __init__(
        self, cells: int, units: int, names: Sequence[str], kind: str = "dense", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if kind not in ("dense", "copy", "zero"):
            raise ValueError(f"bridge: expected 'dense', 'copy' or 'zero', got {kind!r}")
        self.cells, self.units, self.names, self.kind = cells, units, tuple(names), kind
        self.projection = None
        if kind == "dense":
            width = cells * len(self.names) * units
            self.projection = Linear(width, activation="tanh", dtype=self.dtype_policy)

    def build(self, summary_shape: Sequence[int | None], states_shape: Any = None) -> None:
        if self.projection is not None and not self.projection.built:
            self.projection.build((None, summary_shape[-1]))

    def call(self, summary: tf.Tensor, states: Any = None) -> dict[str, dict[str, tf.Tensor]]:
        count = self.cells * len(self.names)
        if self.kind == "dense":
            leaves = tf.split(self.projection(summary), count, 1)
        elif self.kind == "zero":
            leaves = [tf.zeros([tf.shape(summary)[0], self.units], self.compute_dtype)] * count
        else:
            self.check(states)
            leaves = [layer[name] for layer in states.values() for name in self.names]
        leaves = iter(leaves)
        return {
            f"layer_{i}": {name: next(leaves) for name in self.names} for i in range(self.cells)
        }

    def check(self, states: Any) -> None:
        """Checks that `"copy"` can use the states of a memory.

        Args:
            states: the memory's states.

        Raises:
            ValueError: when their widths, names or layers differ from the decoder's.
        """
        layers = dict(states or {}).values()
        widths = [{name: leaf.shape[-1] for name, leaf in layer.items()} for layer in layers]
        expected = [dict.fromkeys(self.names, self.units)] * self.cells
        if self.kind == "copy" and widths != expected:
            raise ValueError(
                f"bridge: 'copy' expected the encoder to end in states {expected}, got {widths};"
                " use 'dense' or equal sizes"
            )

    def get_config(self) -> dict[str, Any]:
        config = {"cells": self.cells, "units": self.units, "names": list(self.names)}
        return {**super().get_config(), **config, "kind": self.kind}
