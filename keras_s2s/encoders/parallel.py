"""Encoders made of encoders: one after the other, and side by side."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, masked_mean

COMBINE = ("time", "sum", "depth")


class _Composition(Encoder):
    """What compositions share: a list of encoders as an argument."""

    def __init__(self, encoders, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(encoders, list | tuple) or not encoders:
            raise ValueError(f"encoders: expected a list of encoders, came {encoders!r}")
        for encoder in encoders:
            if not isinstance(encoder, Encoder):
                raise ValueError(
                    f"encoders: expected a list of encoders, came {type(encoder).__name__} in it"
                )
        self.encoders = list(encoders)

    def get_config(self):
        encoders = [keras.saving.serialize_keras_object(encoder) for encoder in self.encoders]
        return {**super().get_config(), "encoders": encoders}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        encoders = [
            keras.saving.deserialize_keras_object(encoder, custom_objects)
            for encoder in config["encoders"]
        ]
        return cls(**{**config, "encoders": encoders})


@keras.saving.register_keras_serializable("keras_s2s")
class SequentialEncoder(_Composition):
    """Encoders of which each reads the memory of the one before; the last one's is the memory.

    Self-attention maps are of the encoders that read the whole length of the source.

    Args:
        encoders: list of encoders, the first of which reads the source.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: `"all"` also gives self-attention maps.

    Output:
        `Memory` of the last encoder, source_index [B, M] over the positions of the source.

    Raises:
        ValueError: for anything but a list of encoders.

    Reference: Chen et al. 2018, arXiv:1804.09849 (cascaded encoders).
    """

    def __init__(self, encoders, **kwargs):
        super().__init__(encoders, **kwargs)
        self.width = self.encoders[-1].width
        self.has_source_index = any(encoder.has_source_index for encoder in self.encoders)
        self.attention_names = [
            f"encoder {number} {name}"
            for number, encoder in enumerate(self._with_maps(), 1)
            for name in encoder.attention_names
        ]

    def _with_maps(self):
        """The encoders up to the first that shortens."""
        for encoder in self.encoders:
            yield encoder
            if encoder.has_source_index:
                return

    def build(self, inputs_shape):
        for encoder in self.encoders:
            if not encoder.built:
                encoder.build(inputs_shape)
            inputs_shape = (None, None, encoder.width)

    def call(self, inputs, mask, maps="none", training=None):
        index, seen, asked = None, [], list(self._with_maps())
        for number, encoder in enumerate(self.encoders):
            wanted = maps if number < len(asked) else "none"
            memory = encoder(inputs, mask=mask, maps=wanted, training=training)
            inputs, mask = memory.values, memory.mask
            seen += [] if memory.attention is None else [memory.attention]
            if memory.source_index is None:
                continue
            if index is not None:
                index = tf.gather(index, memory.source_index, batch_dims=1)
            index = memory.source_index if index is None else index  # [B, M]
        attention = tf.concat(seen, 1) if seen else None
        return memory._replace(source_index=index, attention=attention)


def _over_row(maps, own, start):
    """Maps of one source [B, A, L, L] over the row [B, A, S, S] that it is part of.

    Args:
        own: bool [B, S], its positions.
        start: int32 [B, 1], the first of them.
    """
    places = tf.expand_dims(tf.range(tf.shape(own)[1]), 0) - start  # [B, S]
    placed = tf.one_hot(tf.where(own, places, -1), tf.shape(maps)[2], dtype=maps.dtype)
    return tf.einsum("bsl,balm,btm->bast", placed, maps, placed)


def _real_first(mask):
    """Places [B, M] of the real tokens of a mask [B, M] in their order, then those of padding.

    Attention that counts places or looks at neighbours would see padding between memories.
    """
    places = tf.expand_dims(tf.range(tf.shape(mask)[1]), 0)
    return tf.argsort(tf.where(mask, places, places + tf.shape(mask)[1]))


def _keys(memories):
    """The keys of each memory; None where all of them are its values."""
    if all(memory.keys is None for memory in memories):
        return None
    return [memory.attention_keys for memory in memories]


@keras.saving.register_keras_serializable("keras_s2s")
class ParallelEncoder(_Composition):
    """Encoders side by side over one source, or each over a source of its own.

    With several sources, `inputs` is a list of their vectors and `mask` all of their masks in a
    row; positions of the source are then counted over all of them, and the memory's places too.
    Or all stand in one row, and `parts` says where: self-attention maps are then of that row.

    Args:
        encoders: list of encoders.
        combine: `"time"`: the places of all memories in a row, which must be of one width;
            `"sum"`: the sum, place by place; `"depth"`: all vectors of a place side by side. The
            last two need one source and memories of one length.

    Call arguments:
        inputs: float tensor [B, S, D], or a list of tensors [B, S_i, D] with S the sum of S_i.
        mask: bool tensor [B, S], True = a real token.
        maps: `"all"` also gives self-attention maps, but of a list of sources.
        parts: int tensor [B, S] from 0 upwards, the source of each position of `inputs` [B, S, D].

    Output:
        `Memory` with values [B, M, D'], a summary combined as a place is (with `"time"` the mean
        over all places), and the states of all encoders side by side with `"depth"`, added up
        with `"sum"`, if they fit, otherwise and with `"time"` none.

    Raises:
        ValueError: for another `combine`, widths that differ where they may not, as many sources
            as there are not encoders, or several sources that are not combined over time.

    Reference: Chen et al. 2018, arXiv:1804.09849 (multi-column encoders); several
    sources: Zoph and Knight 2016, arXiv:1601.00710; over time: Libovicky and Helcl 2017,
    arXiv:1704.06567, section 3 (flat).
    """

    def __init__(self, encoders, combine="time", **kwargs):
        super().__init__(encoders, **kwargs)
        if combine not in COMBINE:
            raise ValueError(f"combine: expected one of {', '.join(COMBINE)}, came {combine!r}")
        widths = [encoder.width for encoder in self.encoders]
        if combine != "depth" and len(set(widths)) > 1:
            raise ValueError(f"encoders: expected one width to combine by {combine}, came {widths}")
        if combine != "time" and len({encoder.has_source_index for encoder in self.encoders}) > 1:
            raise ValueError(f"encoders: expected memories of one length to combine by {combine}")
        self.combine = combine
        self.width = sum(widths) if combine == "depth" else widths[0]
        self.has_source_index = combine == "time" or any(
            encoder.has_source_index for encoder in self.encoders
        )
        self.attention_names = [
            f"encoder {number} {name}"
            for number, encoder in enumerate(self.encoders, 1)
            for name in encoder.attention_names
        ]

    def build(self, inputs_shape):
        shapes = inputs_shape if isinstance(inputs_shape[0], list | tuple) else [inputs_shape]
        shapes = list(shapes) * (len(self.encoders) if len(shapes) == 1 else 1)
        for encoder, shape in zip(self.encoders, shapes):
            if not encoder.built:
                encoder.build(shape)

    def call(self, inputs, mask, maps="none", training=None, parts=None):
        several = isinstance(inputs, list | tuple)
        offsets = [0] * len(self.encoders)
        if several:
            read, offsets = self._apart(inputs, mask)
        elif parts is not None:
            read, offsets = self._out_of_a_row(inputs, mask, parts)
        else:
            read = [(inputs, mask)] * len(self.encoders)
        wanted = "none" if several else maps
        memories = [
            encoder(x, mask=m, maps=wanted, training=training)
            for encoder, (x, m) in zip(self.encoders, read)
        ]
        seen = [memory.attention for memory in memories if memory.attention is not None]
        if seen and parts is not None:
            given = [n for n, memory in enumerate(memories) if memory.attention is not None]
            seen = [
                _over_row(maps, mask & tf.equal(parts, n), offsets[n])
                for n, maps in zip(given, seen)
            ]
        combined = self._in_a_row(memories, offsets) if self.combine == "time" else None
        combined = combined or self._place_by_place(memories)
        if parts is not None:  # padding behind a source may point beyond the row
            last = tf.maximum(tf.shape(mask)[1] - 1, 0)
            combined = combined._replace(source_index=tf.minimum(combined.source_index, last))
        return combined._replace(attention=tf.concat(seen, 1) if seen else None)

    def _apart(self, inputs, mask):
        """Each source with its part of the mask, and where its positions begin."""
        if self.combine != "time" or len(inputs) != len(self.encoders):
            raise ValueError(
                f"inputs: expected one source, or {len(self.encoders)} to combine over time, came"
                f" {len(inputs)} to combine by {self.combine}"
            )
        lengths = [tf.shape(x)[1] for x in inputs]
        offsets = tf.unstack(tf.cumsum(tf.stack(lengths), exclusive=True), num=len(lengths))
        return list(zip(inputs, tf.split(mask, lengths, 1))), offsets

    def _out_of_a_row(self, inputs, mask, parts):
        """Each source of a row [B, S, D] from its first place on, and where it begins [B, 1]."""
        if self.combine != "time":
            raise ValueError(
                f"combine: expected 'time' for several sources in a row, came {self.combine!r}"
            )
        found, starts, start = [], [], tf.zeros([tf.shape(mask)[0], 1], tf.int32)
        for number in range(len(self.encoders)):
            own = tf.cast(mask & tf.equal(parts, number), tf.int32)
            lengths = tf.reduce_sum(own, 1, keepdims=True)  # [B, 1]
            # A batch may have no row, and a row nothing of a source: one place in any case.
            longest = tf.reduce_max(tf.concat([lengths, [[1]]], 0))
            places = tf.expand_dims(tf.range(longest), 0)
            inside = tf.minimum(start + places, tf.maximum(tf.shape(mask)[1] - 1, 0))
            found.append((tf.gather(inputs, inside, batch_dims=1), places < lengths))
            starts.append(start)
            start += lengths
        return found, starts

    @staticmethod
    def _in_a_row(memories, offsets):
        index = []
        for memory, offset in zip(memories, offsets):
            places = memory.source_index
            if places is None:
                shape = tf.shape(memory.mask)
                places = tf.broadcast_to(tf.expand_dims(tf.range(shape[1]), 0), shape)
            index.append(places + offset)
        values, mask = (tf.concat(x, 1) for x in zip(*(memory[:2] for memory in memories)))
        keys, order = _keys(memories), _real_first(mask)
        if keys is not None:
            keys = tf.gather(tf.concat(keys, 1), order, batch_dims=1)
        values = tf.gather(values, order, batch_dims=1)  # [B, M, D]
        mask, index = (tf.gather(x, order, batch_dims=1) for x in (mask, tf.concat(index, 1)))
        return Memory(values, mask, masked_mean(values, mask), source_index=index, keys=keys)

    def _place_by_place(self, memories):
        def joined(leaves):
            return tf.concat(leaves, -1) if self.combine == "depth" else tf.add_n(leaves)

        first, states = memories[0], ()
        shapes = [
            tf.nest.map_structure(lambda leaf: leaf.shape[-1], memory.states) for memory in memories
        ]
        if all(shape == shapes[0] for shape in shapes):
            states = tf.nest.map_structure(
                lambda *leaves: joined(leaves), *(memory.states for memory in memories)
            )
        values = joined([memory.values for memory in memories])
        summary = joined([memory.summary for memory in memories])
        mask = first.mask
        for memory in memories[1:]:
            mask = tf.logical_and(mask, memory.mask)
        keys = _keys(memories)
        keys = None if keys is None else joined(keys)
        return Memory(values, mask, summary, states, first.source_index, keys=keys)

    def get_config(self):
        return {**super().get_config(), "combine": self.combine}
