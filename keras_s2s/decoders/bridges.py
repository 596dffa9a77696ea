"""First states of recurrent decoders."""

import keras
import tensorflow as tf

from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class Bridge(keras.layers.Layer):
    """First states of a recurrent decoder from what the encoder gives.

    Args:
        cells: number of decoder layers.
        units: width U of their states.
        names: names of the states of one layer, such as `("h", "c")`.
        kind: `"dense"`: tanh(W summary + b) for every state; `"copy"`: the encoder's own final
            states; `"zero"`: zeros.

    Call arguments:
        summary: float tensor [B, D].
        states: the memory's states; read by `"copy"` alone.

    Output:
        {"layer_0": {"h": [B, U], ...}, ...}.

    Raises:
        ValueError: for another `kind`, or a copy of states that do not fit.

    Reference: dense: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2; copy: Sutskever et al.
    2014, arXiv:1409.3215.
    """

    def __init__(self, cells, units, names, kind="dense", **kwargs):
        super().__init__(**kwargs)
        if kind not in ("dense", "copy", "zero"):
            raise ValueError(f"bridge: expected 'dense', 'copy' or 'zero', came {kind!r}")
        self.cells, self.units, self.names, self.kind = cells, units, tuple(names), kind
        self.projection = None
        if kind == "dense":
            width = cells * len(self.names) * units
            self.projection = Linear(width, activation="tanh", dtype=self.dtype_policy)

    def build(self, summary_shape, states_shape=None):
        if self.projection is not None and not self.projection.built:
            self.projection.build((None, summary_shape[-1]))

    def call(self, summary, states=None):
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

    def check(self, states):
        """Refuses a memory's states that `"copy"` cannot take over.

        Raises:
            ValueError: when they are of other widths, names or layers than the decoder's own.
        """
        layers = dict(states or {}).values()
        widths = [{name: leaf.shape[-1] for name, leaf in layer.items()} for layer in layers]
        wanted = [dict.fromkeys(self.names, self.units)] * self.cells
        if self.kind == "copy" and widths != wanted:
            raise ValueError(
                f"bridge: 'copy' expected the encoder to end in states {wanted}, came {widths};"
                " use 'dense' or equal sizes"
            )

    def get_config(self):
        own = {"cells": self.cells, "units": self.units, "names": list(self.names)}
        return {**super().get_config(), **own, "kind": self.kind}
