"""The greedy loop without ids: each step reads the mean that the step before it gave."""

from typing import NamedTuple

import tensorflow as tf

__all__ = ["Forecasts", "forecast"]


class Forecasts(NamedTuple):
    """What `forecast` gives; rows beyond their own number of steps hold zeros.

    Attributes:
        values: float32 tensor [B, T, F], T the most steps of a row.
        variances: float32 tensor [B, T, F] of a Gaussian, else None; each is that of its own step,
            given the means before it.
    """

    values: tf.Tensor
    variances: tf.Tensor | None


def forecast(begin, step, source, steps, features: int, *, most: int | None = None) -> Forecasts:
    """Continues vectors step by step over a model whose target is vectors.

    Args:
        begin: `Seq2Seq.begin`: (source, K, max_length) -> (context, state).
        step: `Seq2Seq.next`: (frames [B, 1, F], position, context, state, maps) -> (means
            [B, 1, F] or means and log-variances [B, 1, 2 F], state, None).
        source: the model's source dict, with `mask` bool [B, S].
        steps: int32 tensor [B], frames wanted of each row.
        features: numbers in a frame, F.
        most: int, the most steps; fixes the size of the state, as XLA wants it.

    Returns:
        `Forecasts`. A row's frames do not depend on its neighbours.
    """
    count = tf.maximum(tf.reduce_max(tf.concat([steps, [1]], 0)), 1)
    context, state = begin(source, 1, most)
    frames = tf.zeros([tf.shape(steps)[0], 1, features])

    def body(position, frames, notes, state):
        outputs, then, _ = step(frames, position, context, state, maps="none")
        then = tf.nest.map_structure(lambda new, old: tf.cast(new, old.dtype), then, state)
        notes = notes.write(position, outputs[:, 0])
        return position + 1, outputs[:, :, :features], notes, then

    size = {"size": 0, "dynamic_size": True} if most is None else {"size": most}
    notes = tf.TensorArray(tf.float32, **size, clear_after_read=False)
    variables = (tf.constant(0), frames, notes, state)
    _, _, notes, _ = tf.while_loop(
        lambda position, *_: position < count,
        body,
        variables,
        shape_invariants=(tf.TensorShape([]), frames.shape, None, _shapes(state)),
        parallel_iterations=1,
        maximum_iterations=most,
    )
    outputs = tf.transpose(notes.stack(), [1, 0, 2])[:, :count]  # [B, T, F']
    real = tf.expand_dims(tf.sequence_mask(steps, count), 2)
    means, logs = outputs[..., :features], outputs[..., features:]
    values = tf.where(real, means, 0.0)
    if outputs.shape[-1] == features:
        return Forecasts(values, None)
    return Forecasts(values, tf.where(real, tf.exp(logs), 0.0))


def _shapes(state):
    """A state's shapes, free where it may grow with the position."""

    def free(leaf):
        known = [None if size == 0 else size for size in leaf.shape[2:]]
        return tf.TensorShape([None, None, *known])

    return tf.nest.map_structure(free, state)
