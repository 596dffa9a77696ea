"""Fusion of the memories of several encoders into one."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_s2s.encoders.base import Memory, masked_mean

__all__ = ["concat_memories", "merge_memories", "pad_maps", "split_packed_sources"]


def concat_memories(memories: Sequence[Memory], offsets: Sequence[tf.Tensor | int]) -> Memory:
    """Memories one after the other over time, the real positions of a row before its padding.

    Attention that counts positions or looks at neighbours would see padding between memories.

    Args:
        memories: memories with values [B, M_i, D].
        offsets: first source position of each, scalar or int32 tensor [B, 1].

    Returns:
        `Memory` with values [B, M, D], M the sum of M_i, its mean as the summary and no states.
    """
    source_index = []
    for memory, offset in zip(memories, offsets):
        index = memory.source_index
        if index is None:
            shape = tf.shape(memory.mask)
            index = tf.broadcast_to(tf.expand_dims(tf.range(shape[1]), 0), shape)
        source_index.append(index + offset)
    values = tf.concat([memory.values for memory in memories], 1)
    mask = tf.concat([memory.mask for memory in memories], 1)
    keys, order = _keys(memories), _real_positions_first(mask)
    if keys is not None:
        keys = tf.gather(tf.concat(keys, 1), order, batch_dims=1)
    values = tf.gather(values, order, batch_dims=1)  # [B, M, D]
    mask = tf.gather(mask, order, batch_dims=1)
    source_index = tf.gather(tf.concat(source_index, 1), order, batch_dims=1)
    return Memory(values, mask, masked_mean(values, mask), source_index=source_index, keys=keys)


def merge_memories(
    memories: Sequence[Memory], join: Callable[[list[tf.Tensor]], tf.Tensor]
) -> Memory:
    """Memories of one length merged position by position.

    Args:
        memories: memories with values [B, M, D_i].
        join: function of a list of tensors of equal shape, but perhaps for the last axis.

    Returns:
        `Memory` with values [B, M, D'], its mask True where all masks are, and joined states if
        the states of all memories have one structure.
    """
    states = ()
    structures = [
        tf.nest.map_structure(lambda leaf: leaf.shape[-1], memory.states) for memory in memories
    ]
    if all(structure == structures[0] for structure in structures):
        states = tf.nest.map_structure(
            lambda *leaves: join(leaves), *(memory.states for memory in memories)
        )
    values = join([memory.values for memory in memories])
    summary = join([memory.summary for memory in memories])
    mask = memories[0].mask
    for memory in memories[1:]:
        mask = tf.logical_and(mask, memory.mask)
    keys = _keys(memories)
    keys = None if keys is None else join(keys)
    return Memory(values, mask, summary, states, memories[0].source_index, keys=keys)


def split_packed_sources(
    inputs: tf.Tensor, mask: tf.Tensor, parts: tf.Tensor, num_sources: int
) -> tuple[list[tuple[tf.Tensor, tf.Tensor]], list[tf.Tensor]]:
    """The sources that follow one another in each row.

    Args:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        parts: int tensor [B, S], the source of each position, ascending.
        num_sources: number of sources.

    Returns:
        for each source its vectors [B, L, D] and mask [B, L], and its first position [B, 1].
    """
    sources, starts, start = [], [], tf.zeros([tf.shape(mask)[0], 1], tf.int32)
    for number in range(num_sources):
        is_own = tf.cast(mask & tf.equal(parts, number), tf.int32)
        lengths = tf.reduce_sum(is_own, 1, keepdims=True)  # [B, 1]
        # A batch may have no rows, and a row no token of a source: one position in any case.
        longest = tf.reduce_max(tf.concat([lengths, [[1]]], 0))
        positions = tf.expand_dims(tf.range(longest), 0)
        index = tf.minimum(start + positions, tf.maximum(tf.shape(mask)[1] - 1, 0))
        sources.append((tf.gather(inputs, index, batch_dims=1), positions < lengths))
        starts.append(start)
        start += lengths
    return sources, starts


def pad_maps(maps: tf.Tensor, is_own: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Self-attention maps of one packed source, padded to the row that contains it.

    Args:
        maps: float tensor [B, A, L, L].
        is_own: bool tensor [B, S], True at the source's positions.
        start: int32 tensor [B, 1], the first of them.

    Returns:
        float tensor [B, A, S, S].
    """
    positions = tf.expand_dims(tf.range(tf.shape(is_own)[1]), 0) - start  # [B, S]
    selection = tf.one_hot(tf.where(is_own, positions, -1), tf.shape(maps)[2], dtype=maps.dtype)
    return tf.einsum("bsl,balm,btm->bast", selection, maps, selection)


def _real_positions_first(mask):
    """Indices [B, M] of the real positions of a mask [B, M] in order, then those of padding."""
    positions = tf.expand_dims(tf.range(tf.shape(mask)[1]), 0)
    return tf.argsort(tf.where(mask, positions, positions + tf.shape(mask)[1]))


def _keys(memories):
    """The keys of each memory; None if every memory uses its values as keys."""
    if all(memory.keys is None for memory in memories):
        return None
    return [memory.attention_keys for memory in memories]
