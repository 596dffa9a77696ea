"""Forecasts of real-valued features: the greedy loop without ids."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["Forecasts", "forecast"]


class Forecasts(NamedTuple):
    """The result of `forecast`; rows beyond their own number of steps hold zeros.

    Attributes:
        values: float32 tensor [B, T, F], T the most steps of a row.
        variances: float32 tensor [B, T, F] of a Gaussian, else None; each is the variance of its
            own step, given the means before it.
    """

    values: tf.Tensor
    variances: tf.Tensor | None


def forecast(
    begin: Callable,
    step: Callable,
    source: dict[str, tf.Tensor],
    steps: tf.Tensor,
    features: int,
    *,
    loop_backend: LoopBackend = TENSORFLOW,
) -> Forecasts:
    """Continues a sequence of features, each step from the mean of the previous step.

    Args:
        begin: `Seq2Seq.begin`: (source, K, max_length) -> (context, state).
        step: `Seq2Seq.next`: (frames [B, 1, F], position, context, state, maps) -> (means
            [B, 1, F] or means and log-variances [B, 1, 2 F], state, None).
        source: the model's source dict, with `mask` bool [B, S].
        steps: int32 tensor [B], frames to forecast in each row.
        features: number of features in a frame, F.
        loop_backend: `LoopBackend`; that of XLA fixes the size of the state.

    Returns:
        `Forecasts`. A row's frames do not depend on other rows.
    """
    count = tf.maximum(tf.reduce_max(tf.concat([steps, [1]], 0)), 1)
    context, state = begin(source, 1, loop_backend.initial_cache_length)
    frames = tf.zeros([tf.shape(steps)[0], 1, features])

    def body(position, frames, elements, state):
        outputs, new_state, _ = step(frames, position, context, state, maps="none")
        new_state = tf.nest.map_structure(
            lambda new, old: tf.cast(new, old.dtype), new_state, state
        )
        elements = loop_backend.write(elements, position, outputs[:, 0])
        return position + 1, outputs[:, :, :features], elements, new_state

    elements = loop_backend.new_elements(None)
    variables = (tf.constant(0), frames, elements, state)
    _, _, elements, _ = tf.while_loop(
        lambda position, *_: position < count,
        body,
        variables,
        shape_invariants=(tf.TensorShape([]), frames.shape, None, _state_shapes(state)),
        parallel_iterations=1,
        maximum_iterations=loop_backend.max_steps,
    )
    outputs = tf.transpose(loop_backend.stack(elements), [1, 0, 2])[:, :count]  # [B, T, F']
    is_real = tf.expand_dims(tf.sequence_mask(steps, count), 2)
    means, log_variances = outputs[..., :features], outputs[..., features:]
    values = tf.where(is_real, means, 0.0)
    if outputs.shape[-1] == features:
        return Forecasts(values, None)
    return Forecasts(values, tf.where(is_real, tf.exp(log_variances), 0.0))


def _state_shapes(state):
    """Shapes of a state, unknown where they may grow with the position."""

    def shape(leaf):
        known = [None if size == 0 else size for size in leaf.shape[2:]]
        return tf.TensorShape([None, None, *known])

    return tf.nest.map_structure(shape, state)
