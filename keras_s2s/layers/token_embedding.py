"""Tokens and positions as vectors."""

import math

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = [
    "SINUSOIDAL_KINDS",
    "FactoredEmbedding",
    "LearnedPositions",
    "MultiSourceEmbedding",
    "ParallelEmbedding",
    "PointerEmbedding",
    "TokenEmbedding",
    "add_positions",
    "sinusoidal_positions",
]

SINUSOIDAL_KINDS = ("sinusoidal", "vaswani")  # how the wave lengths run, see `sinusoidal_positions`


def sinusoidal_positions(positions, units, kind="sinusoidal"):
    """Sinusoidal position signal: sines in the first half of the width, cosines in the second.

    The wave lengths run geometrically from 2 pi to 10,000 * 2 pi, which the longest reaches, or in
    "vaswani" would with one more, as the paper's formula has it and Marian's models. Computed in
    float32: bfloat16 counts exactly only to 256.

    Args:
        positions: int tensor [N].
        units: width D, even.
        kind: one of `SINUSOIDAL_KINDS`.

    Returns:
        float32 tensor [N, D].

    Raises:
        ValueError: when `units` is odd.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (there interleaved).
    """
    if units % 2:
        raise ValueError(f"units: expected an even width for sinusoidal positions, came {units}")
    half = units // 2
    steps = max(half - 1, 1) if kind == "sinusoidal" else half
    rates = np.power(10000.0, -np.arange(half) / steps).astype("float32")
    angles = tf.expand_dims(tf.cast(positions, tf.float32), 1) * rates  # [N, D / 2]
    return tf.concat([tf.sin(angles), tf.cos(angles)], 1)


def add_positions(inputs, positions, kind="sinusoidal", scaled=True, table=None):
    """Vectors with their positions in them, as a Transformer's first layer takes them.

    Args:
        inputs: float tensor [..., N, D].
        positions: int tensor [N].
        kind: one of `SINUSOIDAL_KINDS`, or anything else for no sinusoids.
        scaled: whether the vectors are multiplied by the square root of D.
        table: `LearnedPositions` whose vectors are added.

    Returns:
        float tensor [..., N, D].
    """
    units = inputs.shape[-1]
    inputs = inputs * units**0.5 if scaled else inputs
    if table is not None:
        return inputs + tf.cast(table(positions), inputs.dtype)
    if kind not in SINUSOIDAL_KINDS:
        return inputs
    return inputs + tf.cast(sinusoidal_positions(positions, units, kind), inputs.dtype)


@keras.saving.register_keras_serializable("keras_s2s")
class LearnedPositions(keras.layers.Layer):
    """A learned vector for every position, always float32.

    Args:
        units: width D.
        max_length: number of positions; the last vector stands for all beyond.

    Call arguments:
        positions: int tensor [N].

    Output:
        float32 tensor [N, D].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, section 3.1.
    """

    def __init__(self, units, max_length=1024, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(units=units, max_length=max_length)
        self.units, self.max_length = units, max_length

    def build(self, positions_shape=None):
        self.table = self.add_weight(
            name="table",
            shape=(self.max_length, self.units),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )

    def call(self, positions):
        last = self.max_length - 1
        return tf.gather(tf.convert_to_tensor(self.table), tf.minimum(positions, last))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "max_length": self.max_length}


@keras.saving.register_keras_serializable("keras_s2s")
class TokenEmbedding(keras.layers.Layer):
    """A vector for every token of a vocabulary; a head can use the same table for its weights.

    Always float32: the table is the output layer's weight too when tied, and the layers that take
    the vectors cast them to their own precision.

    Args:
        vocabulary_size: number of tokens V. An id outside of 0 to V - 1 (a copied token) reads as
            unknown.
        units: width D.
        unknown: id of the unknown token.

    Call arguments:
        inputs: int tensor of ids, any shape [...].

    Output:
        float32 tensor [..., D].

    Raises:
        ValueError: for sizes that are not positive integers, or an `unknown` outside of 0 to V - 1.

    Reference for the tied use: Press and Wolf 2017, arXiv:1608.05859.
    """

    points = False  # whether ids are places of the source
    reads = "ids"  # the key of a source dict

    def __init__(self, vocabulary_size, units, unknown=SpecialIds().unknown, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(vocabulary_size=vocabulary_size, units=units)
        if not 0 <= unknown < vocabulary_size:
            raise ValueError(
                f"unknown: expected an id of 0 to {vocabulary_size - 1}, came {unknown}"
            )
        self.vocabulary_size, self.units, self.unknown = vocabulary_size, units, unknown

    @property
    def size(self):
        """Number of tokens V."""
        return self.vocabulary_size

    def build(self, inputs_shape=None):
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size, self.units),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )

    def embed(self, ids, context=None):
        """Vectors of target ids: [B, N] -> float32 [B, N, D]. `context` is for other targets."""
        return self(ids)

    def call(self, inputs):
        known = tf.logical_and(inputs >= 0, inputs < self.vocabulary_size)
        return tf.gather(tf.convert_to_tensor(self.table), tf.where(known, inputs, self.unknown))

    def get_config(self):
        own = ("vocabulary_size", "units", "unknown")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keras_s2s")
class PointerEmbedding(TokenEmbedding):
    """The target of a pointer network: an id of 4 + s reads as the memory at source position s.

    The special tokens have vectors of their own. A memory of another width is projected.

    Args:
        units: width D.
        memory_units: width of the memory; D when None.
        vocabulary_size: 4, the special tokens.

    Call arguments:
        inputs: int tensor of ids of special tokens, any shape [...]; others read as unknown.

    Output:
        float32 tensor [..., D].

    Raises:
        ValueError: for sizes that are not positive integers; from `embed`, without a context.

    Reference: Vinyals et al. 2015, arXiv:1506.03134, section 2.3.
    """

    points = True

    def __init__(self, units, memory_units=None, vocabulary_size=len(SpecialIds()), **kwargs):
        super().__init__(vocabulary_size, units, **kwargs)
        self.memory_units = units if memory_units is None else memory_units
        check_positive_integers(memory_units=self.memory_units)
        self.projection = None
        if self.memory_units != units:
            self.projection = Linear(units, dtype="float32")

    def build(self, inputs_shape=None):
        super().build(inputs_shape)
        if self.projection is not None and not self.projection.built:
            self.projection.build((None, self.memory_units))

    def embed(self, ids, context=None):
        """Vectors of target ids: [B, N] -> float32 [B, N, D].

        Args:
            ids: int tensor [B, N].
            context: the decoder's; reads `memory` and `source["mask"]`.
        """
        if context is None:
            raise ValueError("context: expected the memory that ids point into, came none")
        values = tf.cast(context["memory"]["values"], tf.float32)  # [B, S, D_m]
        positions, last = ids - self.vocabulary_size, tf.shape(values)[1] - 1
        inside = tf.clip_by_value(positions, 0, last)
        real = tf.gather(context["source"]["mask"], inside, batch_dims=1)
        pointed = (positions >= 0) & (positions <= last) & real
        there = tf.gather(values, inside, batch_dims=1)  # [B, N, D_m]
        if self.projection is not None:
            there = self.projection(there)
        return tf.where(tf.expand_dims(pointed, 2), there, self(ids))

    def get_config(self):
        return {**super().get_config(), "memory_units": self.memory_units}


@keras.saving.register_keras_serializable("keras_s2s")
class MultiSourceEmbedding(TokenEmbedding):
    """Vectors of several sources in one row of ids, for a `ParallelEncoder`.

    Every source but the last ends with one and the same id, which no other place has.

    Args:
        vocabulary_size: number of tokens V of all sources together.
        units: width D.
        separator: that id.

    Call arguments:
        inputs: int tensor of ids [B, S].

    Output:
        float32 tensor [B, S, D].
    """

    def __init__(self, vocabulary_size, units, separator=len(SpecialIds()), **kwargs):
        super().__init__(vocabulary_size, units, **kwargs)
        self.separator = separator

    def parts(self, ids):
        """Ids [B, S] -> int32 [B, S], which source each position belongs to, from 0."""
        ends = tf.cast(tf.equal(ids, self.separator), tf.int32)
        return tf.cumsum(ends, axis=1) - ends

    def get_config(self):
        return {**super().get_config(), "separator": self.separator}


class _Embeddings(keras.layers.Layer):
    """Several tables in one layer, always float32; no table can be shared with a target's."""

    reads = "ids"  # the key of a source dict
    vocabulary_size = None

    def __init__(self, embeddings, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not isinstance(embeddings, list | tuple) or not embeddings:
            raise ValueError(f"embeddings: expected a list of embeddings, came {embeddings!r}")
        self.embeddings = list(embeddings)

    def build(self, inputs_shape=None):
        for embedding in self.embeddings:
            if not embedding.built:
                embedding.build()

    def _check_widths(self):
        widths = [embedding.units for embedding in self.embeddings]
        if len(set(widths)) > 1:
            raise ValueError(f"embeddings: expected one width, came {widths}")
        return widths[0]

    def get_config(self):
        parts = [keras.saving.serialize_keras_object(part) for part in self.embeddings]
        return {**super().get_config(), "embeddings": parts}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = [
            keras.saving.deserialize_keras_object(part, custom_objects)
            for part in config["embeddings"]
        ]
        return cls(**{**config, "embeddings": parts})


@keras.saving.register_keras_serializable("keras_s2s")
class FactoredEmbedding(_Embeddings):
    """Vectors of tokens with factors: case, part of speech, each with a table of its own.

    Args:
        embeddings: list of F `TokenEmbedding`s, the tokens' own first.
        combine: `"sum"` or `"concat"` of the F vectors.

    Call arguments:
        inputs: int tensor of ids [B, S, F]; or [B, S], the F ids of a token as the one number
            id_0 + V_0 * (id_1 + V_1 * (id_2 + ...)).

    Output:
        float32 tensor [B, S, D], D the tables' width or the sum of their widths.

    Raises:
        ValueError: for another `combine`, or tables of several widths that are added up.

    Reference: Sennrich and Haddow 2016, arXiv:1606.02892 (concatenated).
    """

    def __init__(self, embeddings, combine="concat", **kwargs):
        super().__init__(embeddings, **kwargs)
        if combine not in ("sum", "concat"):
            raise ValueError(f"combine: expected 'sum' or 'concat', came {combine!r}")
        self.combine = combine
        if combine == "sum":
            self.units = self._check_widths()
        else:
            self.units = sum(embedding.units for embedding in self.embeddings)

    @property
    def size(self):
        """How many numbers the ids of a token make: the product of the vocabularies."""
        return math.prod(embedding.size for embedding in self.embeddings)

    def call(self, inputs):
        if inputs.shape.rank == 3:
            parts = tf.unstack(inputs, num=len(self.embeddings), axis=2)
        else:
            parts = self._apart(inputs)
        vectors = [embedding(ids) for embedding, ids in zip(self.embeddings, parts)]
        return tf.concat(vectors, 2) if self.combine == "concat" else tf.add_n(vectors)

    def _apart(self, ids):
        for embedding in self.embeddings:
            yield ids % embedding.size
            ids //= embedding.size

    def get_config(self):
        return {**super().get_config(), "combine": self.combine}


@keras.saving.register_keras_serializable("keras_s2s")
class ParallelEmbedding(_Embeddings):
    """Vectors of several sources, for a `ParallelEncoder`.

    A model's source dict then has a list of `ids`, and `mask` (and `copy_ids`) of all sources in
    a row: [B, S] with S the sum of the S_i.

    Args:
        embeddings: list of `TokenEmbedding`s of one width, one a source; the same one may stand
            there twice.

    Call arguments:
        inputs: list of int tensors of ids [B, S_i].

    Output:
        list of float32 tensors [B, S_i, D].

    Raises:
        ValueError: for tables of several widths.

    Reference: Zoph and Knight 2016, arXiv:1601.00710.
    """

    def __init__(self, embeddings, **kwargs):
        super().__init__(embeddings, **kwargs)
        self.units = self._check_widths()

    def call(self, inputs):
        return [embedding(ids) for embedding, ids in zip(self.embeddings, inputs)]
