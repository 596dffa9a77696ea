"""How one update of the weights is made: of several batches, and only when it is finite."""

import contextlib

import keras
import tensorflow as tf

__all__ = ["TrainingStep", "UpdateStats", "token_weights"]


def token_weights(y, sample_weight=None):
    """The weight of every target position.

    Args:
        y: int tensor [B, T], or float tensor [B, T, F] of frames.
        sample_weight: tensor [B, T]; [B], a weight for each row; or None, 1 everywhere.

    Returns:
        float32 tensor [B, T].
    """
    weights = tf.ones(tf.shape(y)[:2])
    if sample_weight is None:
        return weights
    given = tf.cast(sample_weight, tf.float32)
    return weights * (tf.expand_dims(given, 1) if given.shape.rank == 1 else given)


class UpdateStats:
    """The last update: its loss, whether it was made, its gradient's norm; no model variables."""

    def __init__(self):
        self.values = tf.Variable([0.0, 1.0, 0.0], trainable=False, dtype=tf.float32)

    def record(self, loss, made, norm):
        """Notes a scalar loss, a boolean and a norm, in a graph."""
        self.values.assign(tf.stack([tf.cast(x, tf.float32) for x in (loss, made, norm)]))

    def read(self) -> tuple[float, bool]:
        """(loss, whether the update was made)."""
        loss, made, _ = self.values.numpy().tolist()
        return loss, bool(made)

    def gradient_norm(self) -> float:
        """The norm of all gradients together, before clipping and without a loss scale."""
        return float(self.values.numpy()[2])


class TrainingStep(keras.Model):
    """A Keras model whose updates can take several batches and leave out what is not finite.

    As it is made it trains as every Keras model does. After `configure_updates` an update reads
    `batches` batches [B, T], one after the other, so that memory is one batch's, and its gradient
    is that of all their tokens together: sum(n_i g_i) / sum(n_i), n_i the weight of the tokens of
    batch i and g_i its gradient. (Keras' own `gradient_accumulation_steps` takes the mean of the
    g_i, which counts the tokens of a small batch for more.) The weights stay as they are where
    the loss or a gradient is not a number; `vitals` says so.
    """

    batches_per_update = 1
    vitals = None

    def configure_updates(self, batches: int = 1) -> None:
        """Call after `compile`: from now on updates are as the class says.

        Args:
            batches: that one update is made of.

        Raises:
            ValueError: fewer than one, or replicas, which add up gradients of their own.
        """
        if batches < 1:
            raise ValueError(f"batches: expected at least 1, came {batches}")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("batches: expected one replica, came a strategy of several")
        self.batches_per_update, self.update_stats, self.train_function = (
            batches,
            UpdateStats(),
            None,
        )
        # Keras makes the metrics' variables when they are first used, and here they exist before
        self.compute_metrics(None, *self.example(), tf.ones([1, 1]))
        self.reset_metrics()

    @contextlib.contextmanager
    def averaged(self):
        """Within it the weights are the optimizer's running means, if it keeps any (`use_ema`)."""
        self._swap_means()
        try:
            yield
        finally:
            self._swap_means()

    def _swap_means(self):
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if not optimizer.use_ema or not int(optimizer.iterations):
            return
        means = optimizer._model_variables_moving_average  # as Keras' SwapEMAWeights does
        for variable, mean in zip(optimizer._trainable_variables, means, strict=True):
            value = variable.numpy()
            variable.assign(mean)
            mean.assign(value)

    def make_train_function(self, force=False):
        # Keras calls this function once an update, with the iterator
        if self.update_stats is None:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = tf.function(self._update, autograph=False, reduce_retracing=True)

    def _update(self, iterator):
        variables = self.trainable_variables
        if self.batches_per_update == 1:
            loss, gradients, _, finite = self._measure(iterator.get_next(), variables)
            gradients = [_summed(g) for g in gradients]
        else:
            loss, gradients, finite = self._accumulate(iterator, variables)
        norm = tf.linalg.global_norm([g for g in gradients if g is not None])
        made = tf.logical_and(finite, self._may_apply(norm))
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        scale = self.optimizer.scale_loss(tf.constant(1.0))  # the update may change it
        tf.cond(made, lambda: self._apply(pairs), tf.no_op)
        self.update_stats.record(loss, made, norm / scale)
        return self.get_metrics_result()

    def _accumulate(self, iterator, variables):
        def body(number, total, tokens, sums, finite):
            loss, gradients, count, good = self._measure(iterator.get_next(), variables)
            sums = [_add(s, g, count) for s, g in zip(sums, gradients)]
            return number + 1, total + count * loss, tokens + count, sums, finite & good

        zeros = [tf.zeros(v.shape, tf.float32) for v in variables]
        _, total, tokens, sums, finite = tf.while_loop(
            lambda number, *_: number < self.batches_per_update,
            body,
            (0, 0.0, 0.0, zeros, True),
            parallel_iterations=1,
        )
        return total / tokens, [s / tokens for s in sums], finite

    def _measure(self, data, variables):
        """(loss, its gradients, the tokens it is of, whether it is finite) of one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self._training_outputs(x, y, sample_weight)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        finite = tf.math.is_finite(loss)
        count = _count(y, sample_weight)

        before = [tf.identity(v) for v in self.metrics_variables]
        self._loss_tracker.update_state(loss, sample_weight=count)
        self.compute_metrics(x, y, y_pred, sample_weight)
        # No branch: within one the graph would compute the loss's parts again. And no weights of
        # zero, by which a logit that is not a number stays one.
        for variable, value in zip(self.metrics_variables, before, strict=True):
            variable.assign(tf.where(finite, variable, value))
        return tf.cast(loss, tf.float32), gradients, count, finite

    def _training_outputs(self, x, y, sample_weight):
        """What `compute_loss` takes of a batch in training."""
        return self(x, training=True)

    def test_step(self, data):
        if self.update_stats is None:
            return super().test_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        # as in training the mean is over tokens, where Keras counts the rows of a batch
        self._loss_tracker.update_state(loss, sample_weight=_count(y, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _may_apply(self, norm):
        """Whether the optimizer should see gradients of this norm, a scalar boolean."""
        finite = tf.math.is_finite(norm)
        scale = getattr(self.optimizer, "dynamic_scale", None)
        # An optimizer that scales the loss deals with overflows itself, down to a scale of 1
        return finite if scale is None else tf.logical_or(finite, scale > 1.0)

    def _apply(self, pairs):
        self.optimizer.apply_gradients(pairs)
        return tf.no_op()


def _count(y, sample_weight):
    """What a batch's loss is a mean over: the weight of its tokens, 1 at least."""
    return tf.maximum(tf.reduce_sum(token_weights(y, sample_weight)), 1.0)


def _add(total, gradient, factor):
    """`total + factor * gradient` of one variable; a table's gradient names its rows alone."""
    if gradient is None:
        return total
    if isinstance(gradient, tf.IndexedSlices):
        rows = tf.expand_dims(gradient.indices, 1)
        return tf.tensor_scatter_nd_add(total, rows, factor * gradient.values)
    return total + factor * gradient


def _summed(gradient):
    """A table's gradient with each of its rows once, as norms and squares (Adam's) need it."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
