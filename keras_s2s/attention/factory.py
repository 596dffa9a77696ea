"""The attention of a recurrent decoder by name."""

import difflib
import inspect

import keras
import tensorflow as tf

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.coverage import CoverageAttention
from keras_s2s.attention.dot import DotAttention
from keras_s2s.attention.gated import GatedAttention
from keras_s2s.attention.linear import LinearAttention
from keras_s2s.attention.local import LocalAttention
from keras_s2s.attention.location import LocationAttention
from keras_s2s.attention.memory_attention import MemoryAttention, zero_weights
from keras_s2s.attention.monotonic import MonotonicAttention
from keras_s2s.attention.multi_head import CrossAttention

__all__ = ["ATTENTIONS", "MultiHeadAttention", "NoAttention", "make_attention"]


@keras.saving.register_keras_serializable("keras_s2s")
class MultiHeadAttention(MemoryAttention):
    """Multi-head attention as a recurrent decoder uses it: `CrossAttention` by steps.

    Args:
        units: width D of the context, a multiple of `num_heads`.
        num_heads: number of heads H; each has a map.

    Call arguments:
        query: float tensor [B, Q, D_q].
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D] and float32 weights [B, H, Q, M].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; over recurrent states: Chen et
    al. 2018, arXiv:1804.09849, section 4.
    """

    def __init__(self, units, num_heads=4, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads = units, num_heads
        self.map_names = tuple(f"head {i + 1}" for i in range(num_heads))
        self.cross = CrossAttention(units, num_heads, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        if not self.cross.built:
            self.cross.build(query_shape, values_shape)

    def context_width(self, memory_width):
        return self.units

    def prepare(self, memory):
        keys, values = self.cross.project(memory.values, memory.keys)
        return {"keys": keys, "head_values": values}

    def attend(self, query, sizes, memory, state, training=False):
        seen, weights = self.cross.step(
            query, sizes, memory["keys"], memory["head_values"], memory["mask"]
        )
        return seen, weights, state

    def call(self, query, values, mask=None, training=None):
        return self.cross(query, *self.cross.project(values), mask=mask, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "num_heads": self.num_heads}


@keras.saving.register_keras_serializable("keras_s2s")
class NoAttention(MemoryAttention):
    """The source as one vector at every position: the context is the encoder's summary.

    Call arguments:
        query: float tensor [B, Q, D_q].
        values: float tensor [B, M, D_m], of which the mean over real places is the summary.
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and zeros [B, Q, M].

    Reference: Cho et al. 2014, arXiv:1406.1078, section 2.2.
    """

    attends, map_names = False, ()

    def build(self, query_shape, keys_shape=None, values_shape=None):
        pass

    def prepare(self, memory):
        return {"summary": memory.summary}

    def attend(self, query, sizes, memory, state, training=False):
        seen = tf.repeat(memory["summary"], sizes[1], 0)  # [B * K, D_m]
        return seen, tf.expand_dims(zero_weights(memory, sizes[1]), 1), state

    def call(self, query, values, mask=None, training=None):
        mask = tf.ones(tf.shape(values)[:2], tf.bool) if mask is None else mask
        real = tf.cast(tf.expand_dims(mask, 2), values.dtype)
        mean = tf.reduce_sum(values * real, 1) / tf.maximum(tf.reduce_sum(real, 1), 1)
        length = tf.shape(query)[1]
        seen = tf.repeat(tf.expand_dims(mean, 1), length, 1)
        return seen, zero_weights({"mask": mask}, length)


ATTENTIONS = {
    "additive": AdditiveAttention,
    "concat": AdditiveAttention,
    "coverage": CoverageAttention,
    "dot": DotAttention,
    "gated": GatedAttention,
    "general": DotAttention,
    "linear": LinearAttention,
    "local": LocalAttention,
    "location": LocationAttention,
    "monotonic": MonotonicAttention,
    "multi_head": MultiHeadAttention,
    "none": NoAttention,
    "scaled": DotAttention,
}


def make_attention(attention, units, **kwargs):
    """The attention of a recurrent decoder.

    Args:
        attention: a name of `ATTENTIONS`, or a dict of it as `kind` and arguments of its class.
        units: the width for a kind that has one, unless the dict gives it.
        **kwargs: as for any layer.

    Returns:
        `MemoryAttention`.

    Raises:
        ValueError: for another name, with the nearest, or an argument that the kind lacks.
    """
    given = {"kind": attention} if not isinstance(attention, dict) else dict(attention)
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in ATTENTIONS:
        near = difflib.get_close_matches(str(kind), list(ATTENTIONS), 1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise ValueError(f"attention: expected one of {', '.join(ATTENTIONS)}, came {kind!r}{hint}")
    cls = ATTENTIONS[kind]
    parameters = inspect.signature(cls.__init__).parameters
    fixed = ("self", "args", "kwargs", "form" if cls is DotAttention else None)
    known = [p for p in parameters if p not in fixed]
    for name in given:
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "none"
            raise ValueError(f"attention.{name}: unknown key of {kind!r}, expected {expected}")
    if "units" in known:
        given.setdefault("units", units)
    if cls is DotAttention:
        given["form"] = kind
    return cls(**given, **kwargs)
