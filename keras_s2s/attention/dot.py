"""Multiplicative attention."""

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import MemoryAttention, build_layers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class DotAttention(MemoryAttention):
    """Multiplicative attention: `"dot"`: e_ij = q_i . k_j; `"scaled"`: divided by the square root
    of the width; `"general"`: q_i . W k_j, for a memory of any width.

    Args:
        form: `"dot"`, `"scaled"` or `"general"`.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, D_q], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Raises:
        ValueError: for another `form`; when built, for a memory of another width than the query
            unless `"general"`.

    Reference: Luong et al. 2015, arXiv:1508.04025, section 3.1; scaled: Vaswani et al. 2017,
    arXiv:1706.03762, equation 1.
    """

    def __init__(self, form="dot", **kwargs):
        super().__init__(**kwargs)
        if form not in ("dot", "scaled", "general"):
            raise ValueError(f"form: expected 'dot', 'scaled' or 'general', came {form!r}")
        self.form, self.key_projection = form, None
        self._scale = 1.0

    def build(self, query_shape, keys_shape=None, values_shape=None):
        width, memory = query_shape[-1], values_shape[-1]
        if self.form == "general":
            self.key_projection = Linear(width, use_bias=False, dtype=self.dtype_policy)
            build_layers((self.key_projection, memory))
        elif memory != width:
            raise ValueError(
                f"attention: '{self.form}' expected a memory of the query's width {width}, came"
                f" {memory}; use 'general', or an encoder of that width"
            )
        elif self.form == "scaled":
            self._scale = width**-0.5

    def project(self, values):
        """W k of a memory, or k: [B, M, D_m] -> [B, M, D_q]."""
        return values if self.key_projection is None else self.key_projection(values)

    def _query(self, query):
        return query * self._scale

    def _scores(self, query, keys):
        return tf.matmul(query, keys, transpose_b=True)

    def get_config(self):
        return {**super().get_config(), "form": self.form}
