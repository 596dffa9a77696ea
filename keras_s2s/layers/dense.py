"""The dense layer and the normalisation that every part is made of."""

import numbers

import keras
import tensorflow as tf

__all__ = [
    "Dropout",
    "LayerNormalization",
    "Linear",
    "NormalizedLinear",
    "check_positive_integers",
    "leading_shape",
    "make_linear",
    "make_norm",
    "wide_product",
]


def check_positive_integers(**sizes):
    """Refuses what cannot be a width or a number of layers.

    Args:
        **sizes: name=value, the arguments to look at.

    Raises:
        ValueError: naming the first that is not a positive integer.
    """
    for name, value in sizes.items():
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ValueError(f"{name}: expected a positive integer, came {value!r}")


@keras.saving.register_keras_serializable("keras_s2s")
class Linear(keras.layers.Dense):
    """`keras.layers.Dense` whose product always runs on two-dimensional tensors.

    The leading axes are folded into one before the product. Inside a loop with unknown sizes that
    spares a dozen small operations a step, and XLA can differentiate it there, which it cannot do
    with the tensordot that Dense uses on three axes.

    Args:
        units: width of the output.
        **kwargs: as for `keras.layers.Dense` (`use_bias`, `activation`, `dtype`, ...).

    Call arguments:
        inputs: float tensor [..., D] with at least two axes.

    Output:
        float tensor [..., units].

    Raises:
        ValueError: from Keras, when the last axis of `inputs` is unknown at build time.
    """

    def call(self, inputs, training=None):
        if inputs.shape.rank == 2:
            return super().call(inputs, training=training)
        sizes = tf.shape(inputs)[:-1]
        flat = tf.reshape(inputs, [-1, inputs.shape[-1]])  # [N, D]
        outputs = super().call(flat, training=training)  # [N, units]
        outputs = tf.reshape(outputs, tf.concat([sizes, [self.units]], 0))
        outputs.set_shape([*inputs.shape[:-1], self.units])
        return outputs


@keras.saving.register_keras_serializable("keras_s2s")
class NormalizedLinear(Linear):
    """A `Linear` whose weights are a direction and a length: W = V diag(g / |v|).

    Each output has its own length g and a column v of V. g begins as |v|, so that the layer begins
    as a `Linear` of the same first weights.

    Args:
        units: width of the output.
        **kwargs: as for `Linear`.

    Call arguments:
        inputs: float tensor [..., D] with at least two axes.
        scale: None, or g / |v| from `scale`, [N, units] with N the rows of `inputs` [N, D] or 1:
            in a loop over steps it does not change, and is made before.

    Output:
        float tensor [..., units].

    Raises:
        ValueError: from Keras, when the last axis of `inputs` is unknown at build time.

    Reference: Salimans & Kingma 2016, arXiv:1602.07868, section 2.
    """

    _kept = None

    def build(self, inputs_shape):
        super().build(inputs_shape)
        self.gain = self.add_weight(
            name="gain", shape=(self.units,), initializer=lambda *a, **k: self._lengths()
        )

    def scale(self):
        """The numbers g / |v| that columns of V are multiplied by, float32 [units]."""
        if self._kept is not None:
            return tf.convert_to_tensor(self._kept())
        return tf.cast(tf.convert_to_tensor(self.gain), tf.float32) / self._lengths()

    def fix_scale(self):
        """Keeps `scale` as it is now, for a layer whose weights are final.

        A second call brings it up to date.

        Returns:
            the `tf.Variable` made, which is not saved; an export must track it.
        """
        made = self._kept() if self._kept else None
        self._kept = None
        if made is None:
            made = tf.Variable(self.scale(), trainable=False)
        else:
            made.assign(self.scale())
        self._kept = lambda: made  # behind a function: not part of what Keras saves
        return made

    def _lengths(self):
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), tf.float32)
        return tf.sqrt(tf.reduce_sum(tf.square(kernel), 0) + 1e-12)  # no division by a zero

    def call(self, inputs, scale=None, training=None):
        kernel, width = tf.cast(tf.convert_to_tensor(self.kernel), self.compute_dtype), self.units
        sizes = leading_shape(inputs, inputs.shape.rank - 1)
        outputs = tf.matmul(tf.reshape(inputs, [-1, kernel.shape[0]]), kernel)  # [N, units]
        # The product is scaled, not V, in training too: a step then rounds as the whole call does.
        outputs *= tf.cast(self.scale() if scale is None else scale, self.compute_dtype)
        if self.use_bias:
            bias = tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)
            outputs = tf.nn.bias_add(outputs, bias)
        return self.activation(tf.reshape(outputs, [*sizes, width]))

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)  # Dense knows of its own two alone

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


def make_linear(units, normalized=False, **kwargs):
    """A `NormalizedLinear` or a `Linear`; arguments as theirs."""
    return (NormalizedLinear if normalized else Linear)(units, **kwargs)


@keras.saving.register_keras_serializable("keras_s2s")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that draws half as many random numbers.

    On a CPU the random numbers are the cost of dropout, up to a sixth of a small Transformer's
    training. One 32-bit number decides over two elements here, and the rate holds to 2^-16.

    Args:
        rate: share of elements set to zero in training; the others grow by 1 / (1 - rate).
        **kwargs: as for `keras.layers.Dropout`, but for `noise_shape`, which is not supported.

    Call arguments:
        inputs: float tensor [...].
        training: whether to drop anything.

    Output:
        tensor of the inputs' shape and type.

    Reference: Srivastava et al. 2014, JMLR 15.
    """

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        seed = tf.bitcast(tf.cast(self.seed_generator.next(), tf.uint32), tf.int32)
        count = tf.size(inputs)
        numbers = tf.random.stateless_uniform(
            [(count + 1) // 2], seed, minval=None, maxval=None, dtype=tf.int32
        )
        numbers = tf.reshape(tf.bitcast(numbers, tf.int16), [-1])[:count]
        threshold = tf.constant(round(self.rate * 2**16) - 2**15, tf.int16)
        kept = tf.cast(tf.reshape(numbers, tf.shape(inputs)) >= threshold, inputs.dtype)
        return inputs * (kept * tf.cast(1.0 / (1.0 - self.rate), inputs.dtype))


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` over the last axis, in fewer passes over the inputs.

    Call arguments:
        inputs: float tensor [..., D].

    Output:
        tensor of the inputs' shape, in the layer's compute type.

    Reference: Ba et al. 2016, arXiv:1607.06450.
    """

    def call(self, inputs):
        x = tf.cast(inputs, tf.float32)
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon) * tf.convert_to_tensor(self.gamma)
        return tf.cast(centred * scale + tf.convert_to_tensor(self.beta), self.compute_dtype)


def make_norm(policy, epsilon=1e-6):
    """Layer normalisation as every part here uses it."""
    return LayerNormalization(epsilon=epsilon, dtype=policy)


def leading_shape(inputs, count):
    """The first `count` sizes of a tensor, each an int where it is known and a scalar elsewhere."""
    known = list(inputs.shape)[:count]
    dynamic = tf.shape(inputs) if None in known else None
    return [dynamic[i] if size is None else size for i, size in enumerate(known)]


def wide_product(inputs, weights, bias, transposed=False, gradient_dtype=tf.float32):
    """Vectors times a wide matrix plus a bias, exact in float32 whatever its gradients run in.

    A vocabulary layer's logits need float32, but its two gradient products bear half precision as
    every other layer's do under a mixed policy; they are two thirds of its work. Bias and product
    are one operation, and the bias's gradient a product: each spares a pass over [..., V].

    Args:
        inputs: float32 tensor [..., D].
        weights: float32 tensor [D, V], or [V, D] when `transposed`.
        bias: float32 tensor [V].
        gradient_dtype: of the gradient products.

    Returns:
        float32 tensor [..., V].
    """
    width, columns = weights.shape[::-1] if transposed else weights.shape
    flat = tf.reshape(inputs, [-1, width])  # [N, D]
    narrow = gradient_dtype if gradient_dtype == tf.bfloat16 else tf.float32
    product = _affine(flat, weights, bias, transposed, narrow)  # [N, V]
    product = tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [columns]], 0))
    return tf.ensure_shape(product, [*inputs.shape[:-1], columns])


def _affine(flat, weights, bias, transposed, narrow):
    @tf.custom_gradient
    def affine(flat, weights, bias):
        def gradient(upstream):
            up, x, w = (tf.cast(t, narrow) for t in (upstream, flat, weights))
            to_inputs = tf.matmul(up, w, transpose_b=not transposed)  # [N, D]
            if transposed:
                to_weights = tf.matmul(up, x, transpose_a=True)  # [V, D]
            else:
                to_weights = tf.matmul(x, up, transpose_a=True)  # [D, V]
            to_bias = tf.matmul(tf.ones([1, tf.shape(x)[0]]), upstream)[0]  # [V]
            return tf.cast(to_inputs, tf.float32), tf.cast(to_weights, tf.float32), to_bias

        return tf.nn.bias_add(tf.matmul(flat, weights, transpose_b=transposed), bias), gradient

    return affine(flat, weights, bias)
