"""One update of the weights: over several batches, and only when it is finite."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.losses.token_weights import token_weights

__all__ = ["TrainingStep", "UpdateStats"]


class UpdateStats:
    """Loss and gradient norm of the last update, and whether it was applied; not saved.

    Example:

    >>> from keras_s2s.models.training_step import UpdateStats
    >>> stats = UpdateStats()
    >>> stats.record(loss=2.0, applied=False, norm=1.0)
    >>> stats.read()
    (2.0, False)
    """

    def __init__(self) -> None:
        self.values = tf.Variable([0.0, 1.0, 0.0], trainable=False, dtype=tf.float32)

    def record(self, loss: tf.Tensor, applied: tf.Tensor, norm: tf.Tensor) -> None:
        """Stores a scalar loss, a boolean and a gradient norm; works in a graph."""
        self.values.assign(tf.stack([tf.cast(x, tf.float32) for x in (loss, applied, norm)]))

    def read(self) -> tuple[float, bool]:
        """(loss, whether the update was applied)."""
        loss, applied, _ = self.values.numpy().tolist()
        return loss, bool(applied)

    def gradient_norm(self) -> float:
        """The norm of all gradients together, before clipping and without a loss scale."""
        return float(self.values.numpy()[2])


class TrainingStep(keras.Model):
    """A Keras model whose updates can span several batches and skip non-finite gradients.

    A new model trains as every Keras model does. After `configure_updates` an update takes
    `batches` batches [B, T] one after the other, so that memory is that of one batch, and its
    gradient is that of all their tokens together: sum(n_i g_i) / sum(n_i), n_i the weight of the
    tokens of batch i and g_i its gradient. (Keras' own `gradient_accumulation_steps` takes the mean
    of the g_i, which gives the tokens of a small batch more weight.) The weights do not change when
    the loss or a gradient is not finite; `update_stats` records it.

    Sub-classes define `_example_target`.
    """

    batches_per_update = 1
    update_stats = None

    def configure_updates(self, batches: int = 1) -> None:
        """Makes updates work as the class describes; call after `compile`.

        Args:
            batches: number of batches per update.

        Raises:
            ValueError: for fewer than one, or a strategy of several replicas, which add up
                gradients in their own way.
        """
        if batches < 1:
            raise ValueError(f"batches: expected at least 1, got {batches}")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("batches: expected one replica, got a strategy of several")
        self.batches_per_update, self.update_stats = batches, UpdateStats()
        self.train_function = None
        # Keras creates the variables of metrics at their first use; the update needs them before.
        self.compute_metrics(None, *self._example_target(), tf.ones([1, 1]))
        self.reset_metrics()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Context with the optimizer's moving averages (`use_ema`), if any, as the weights."""
        self._swap_moving_averages()
        try:
            yield
        finally:
            self._swap_moving_averages()

    def _swap_moving_averages(self):
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if not optimizer.use_ema or not int(optimizer.iterations):
            return
        averages = optimizer._model_variables_moving_average  # as Keras' SwapEMAWeights does
        for variable, average in zip(optimizer._trainable_variables, averages, strict=True):
            value = variable.numpy()
            variable.assign(average)
            average.assign(value)

    def make_train_function(self, force: bool = False) -> None:
        # Keras calls this function once per update, with the iterator.
        if self.update_stats is None:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = tf.function(self._update, autograph=False, reduce_retracing=True)

    def _update(self, iterator):
        variables = self.trainable_variables
        if self.batches_per_update == 1:
            loss, gradients, _, is_finite = self._measure(iterator.get_next(), variables)
            gradients = [_sum_repeated_rows(gradient) for gradient in gradients]
        else:
            loss, gradients, is_finite = self._accumulate(iterator, variables)
        norm = tf.linalg.global_norm([g for g in gradients if g is not None])
        is_applied = tf.logical_and(is_finite, self._may_apply(norm))
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        scale = self.optimizer.scale_loss(tf.constant(1.0))  # before the update changes it
        tf.cond(is_applied, lambda: self._apply(pairs), tf.no_op)
        self.update_stats.record(loss, is_applied, norm / scale)
        return self.get_metrics_result()

    def _accumulate(self, iterator, variables):
        def body(number, total_loss, total_weight, sums, is_finite):
            loss, gradients, weight, batch_is_finite = self._measure(iterator.get_next(), variables)
            sums = [_add_scaled(s, g, weight) for s, g in zip(sums, gradients)]
            total_loss, total_weight = total_loss + weight * loss, total_weight + weight
            return number + 1, total_loss, total_weight, sums, is_finite & batch_is_finite

        zeros = [tf.zeros(v.shape, tf.float32) for v in variables]
        _, total_loss, total_weight, sums, is_finite = tf.while_loop(
            lambda number, *_: number < self.batches_per_update,
            body,
            (0, 0.0, 0.0, zeros, True),
            parallel_iterations=1,
        )
        return total_loss / total_weight, [s / total_weight for s in sums], is_finite

    def _measure(self, data, variables):
        """(loss, its gradients, the weight of its tokens, whether it is finite) of one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self._training_outputs(x, y, sample_weight)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, variables)
        is_finite = tf.math.is_finite(loss)
        weight = _total_weight(y, sample_weight)

        before = [tf.identity(v) for v in self.metrics_variables]
        self._loss_tracker.update_state(loss, sample_weight=weight)
        self.compute_metrics(x, y, y_pred, sample_weight)
        # No branch: the graph would compute the parts of the loss again in one. And no weights of
        # zero: 0 * NaN is NaN.
        for variable, value in zip(self.metrics_variables, before, strict=True):
            variable.assign(tf.where(is_finite, variable, value))
        return tf.cast(loss, tf.float32), gradients, weight, is_finite

    def _training_outputs(self, x, y, sample_weight):
        """The `y_pred` of `compute_loss` for a batch in training."""
        return self(x, training=True)

    def test_step(self, data: Any) -> dict[str, Any]:
        if self.update_stats is None:
            return super().test_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        # As in training the mean is over tokens, where Keras counts the rows of a batch.
        self._loss_tracker.update_state(loss, sample_weight=_total_weight(y, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _may_apply(self, norm):
        """Whether the optimizer may have gradients of this norm, a scalar boolean."""
        is_finite = tf.math.is_finite(norm)
        scale = getattr(self.optimizer, "dynamic_scale", None)
        # An optimizer that scales the loss handles overflows itself, down to a scale of 1.
        return is_finite if scale is None else tf.logical_or(is_finite, scale > 1.0)

    def _apply(self, pairs):
        self.optimizer.apply_gradients(pairs)
        return tf.no_op()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Under a strategy Keras averages the replicas' first batches, and a mask has no mean.
        if iterator is not None and self._distribute_strategy is not None:
            local_results = self._distribute_strategy.experimental_local_results
            for _, _, batches in iterator:
                data_batch = tf.nest.map_structure(
                    lambda leaf: local_results(leaf)[0], next(batches)
                )
                break
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)


def _total_weight(y, sample_weight):
    """The weight of a batch's tokens, at least 1: the divisor of its loss."""
    return tf.maximum(tf.reduce_sum(token_weights(y, sample_weight)), 1.0)


def _add_scaled(total, gradient, factor):
    """`total + factor * gradient` of one variable; the gradient of a table may be sparse."""
    if gradient is None:
        return total
    if isinstance(gradient, tf.IndexedSlices):
        rows = tf.expand_dims(gradient.indices, 1)
        return tf.tensor_scatter_nd_add(total, rows, factor * gradient.values)
    return total + factor * gradient


def _sum_repeated_rows(gradient):
    """A sparse gradient with each row once, as norms and squares (Adam's) need it."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, segments = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, segments, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
