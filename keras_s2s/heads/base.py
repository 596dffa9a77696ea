"""What every head is, and its layout for a search."""

import keras
import tensorflow as tf

from keras_s2s.layers import loop_backend
from keras_s2s.layers.dense import Linear, wide_product
from keras_s2s.layers.shapes import leading_shape

ABSENT = -1e9  # logit of a column that stands for no token
NEAR = 60.0  # e^60 summed over a trillion tokens is still a float32, and e^-60 a normal one


def log_normalizer(logits, row_max=None, fixed=False):
    """log sum exp over the last axis, safe for logits of any size.

    Where no exponential can leave the range of float32 they are summed as they are: half the time
    of anything that takes the largest logit off first. Other rows go by their largest probability,
    exp(max - normaliser), softmax having a kernel of its own; they are picked out, not branched
    to, for a loop's body that calls no function runs faster. A row's value never depends on others.

    Args:
        logits: float32 tensor [B, K, V].
        row_max: float32 tensor [B, K], the largest of each row, where it is known already.
        fixed: whether no shape may depend on values, as XLA wants it: all rows go the second way.

    Returns:
        float32 tensor [B, K].
    """
    if row_max is None:
        row_max = tf.reduce_max(logits, -1)
    if fixed or loop_backend.are_growing():  # and LiteRT's exponential is no match for its softmax
        return row_max - tf.math.log(tf.reduce_max(tf.nn.softmax(logits), -1))
    far = tf.where(~(tf.abs(row_max) < NEAR))  # [R, 2]
    picked = tf.reduce_max(tf.nn.softmax(tf.gather_nd(logits, far)), -1)  # [R]
    apart = tf.gather_nd(row_max, far) - tf.math.log(picked)
    summed = tf.math.log(tf.reduce_sum(tf.exp(logits), -1))
    return tf.tensor_scatter_nd_update(summed, far, apart)


class Head(keras.layers.Layer):
    """What every head is: outputs [B, N, D] -> logits [B, N, V'].

    Args:
        vocabulary_size: number of target tokens V.
        tied: weights come from an embedding's table, given by `tie`, and only the bias is here.

    Attributes:
        vocabulary_size: number of target tokens V.
        copies: whether logits go on beyond V with one column for each source position, and the
            source needs `copy_ids`.
        needs_attention: whether it reads the alignment map.
        ties: whether it can use an embedding's table.
        points: whether its tokens are places of the source, which `PointerEmbedding` embeds.
        smooths: whether label smoothing makes sense: its columns are a vocabulary.
        skips: whether it has `target_log_probs`, which costs less than all columns.
    """

    supports_copy = False
    needs_attention = False
    ties = True
    is_pointer = False
    smooths = True
    skips = False

    def __init__(self, vocabulary_size, tied=False, **kwargs):
        # Arguments pass uncast: ids stay ids, and a half-precision output is widened here.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.vocabulary_size, self.tied = vocabulary_size, tied
        self.projection = self._table = self._search = self._tokens = None

    def tie(self, embedding):
        """Uses the transposed table of a `TokenEmbedding` as output weights [V, D].

        Raises:
            ValueError: when the table has another number of tokens, or when the head has been
                built with weights of its own.
        """
        if self.built and not self.tied:
            raise ValueError("tie: expected a head without weights, came one that is built")
        if embedding.vocabulary_size != self.vocabulary_size:
            raise ValueError(
                f"tie: expected an embedding of {self.vocabulary_size} tokens,"
                f" came {embedding.vocabulary_size}"
            )
        self.tied = True
        # Behind a function: the table belongs to the model, and is saved there alone.
        self._table = lambda: embedding

    def _build_vocabulary(self, width):
        if self.tied:
            self.bias = self.add_weight(
                name="bias", shape=(self.vocabulary_size,), initializer="zeros"
            )
        else:
            self.projection = Linear(self.vocabulary_size, dtype="float32")
            self.projection.build((None, width))

    def prepare_search(self, multiple=1, tokens=None):
        """Copies the vocabulary's weights in the layout that decodes fastest.

        A product with a transposed table takes up to twice the time. `search_logits` uses the
        copy, training and `call` do not. The copy is neither saved nor kept up to date: for a model
        whose weights are final. A second call brings it up to date.

        Args:
            multiple: columns are padded to a multiple of it, with a bias of -1e9.
            tokens: the ids that `search_logits` has a column for, ascending, the special ones among
                them; None is all. A search then counts in columns, see `token_ids`.

        Returns:
            list of the one `tf.Variable` made, [D + 1, V'], the bias in its last row: added within
            the product it takes no pass over the logits. An export must track it.
        """
        weights, bias = (tf.convert_to_tensor(x) for x in self._vocabulary())
        kernel = tf.transpose(weights) if self.tied else weights  # [D, V]
        self._tokens = tokens
        if tokens is not None:
            kernel, bias = tf.gather(kernel, tokens, axis=1), tf.gather(bias, tokens)
        more = -bias.shape[0] % multiple
        kernel = tf.pad(kernel, [[0, 0], [0, more]])
        bias = tf.pad(bias, [[0, more]], constant_values=ABSENT)
        kernel = tf.concat([kernel, tf.expand_dims(bias, 0)], 0)
        made = self._search() if self._search else None
        if made is not None and made.shape == kernel.shape:
            made.assign(kernel)
        else:
            made = tf.Variable(kernel, trainable=False)
        self._search = lambda: made  # behind a function: not part of what Keras saves
        return [made]

    def search_logits(self, outputs, inputs=None, attention=None, context=None):
        """What the call gives, from the weights that `prepare_search` laid out if it did.

        Args:
            outputs, inputs, attention, context: as for the call.

        Returns:
            float32 tensor [B, N, V'], with -1e9 in columns beyond those of the call.
        """
        if self._search is None:
            return self(outputs, inputs, attention, context)
        kernel = tf.convert_to_tensor(self._search())
        flat = tf.reshape(tf.cast(outputs, tf.float32), [-1, kernel.shape[0] - 1])  # [B * N, D]
        flat = tf.pad(flat, [[0, 0], [0, 1]], constant_values=1.0)  # for the bias
        logits = tf.reshape(tf.matmul(flat, kernel), [*leading_shape(outputs, 2), kernel.shape[1]])
        return self._finish(logits, outputs, inputs, attention, context)

    def check(self, context):
        """Refuses a decoder's context that the head can do nothing with."""

    def log_probs(self, logits):
        """Log-probabilities of logits [B, N, V'], float32."""
        return tf.nn.log_softmax(logits)

    @property
    def size(self):
        """Number of target tokens V, under the name that a head of frames has too."""
        return self.vocabulary_size

    def token_ids(self, columns, context):
        """The ids that columns of `search_logits` stand for.

        Args:
            columns: int32 tensor [B, K].
            context: the decoder's context; of a head that copies some of the tokens it reads
                `source["copied"]` [B, S], the `copy_ids` among all tokens.

        Returns:
            int32 tensor [B, K]; V for what is no token.
        """
        if self._tokens is None:
            return columns
        count = len(self._tokens)
        ids = tf.gather([*self._tokens, self.vocabulary_size], tf.minimum(columns, count))
        if not self.supports_copy:
            return ids
        copied = context["source"]["copied"]
        places = tf.clip_by_value(columns - count, 0, tf.shape(copied)[1] - 1)
        return tf.where(columns < count, ids, tf.gather(copied, places, batch_dims=1))

    def _finish(self, logits, outputs, inputs, attention, context):
        """What the head makes of the vocabulary's logits."""
        return logits

    def _vocabulary(self):
        if not self.tied:
            return self.projection.kernel, self.projection.bias
        if self._table is None:
            raise ValueError("tied: expected tie(embedding) before the first call, came none")
        return self._table().table, self.bias

    def _vocabulary_logits(self, outputs):
        weights, bias = self._vocabulary()
        # Outputs in half precision mean a mixed policy: its gradients may be so too.
        weights, bias = tf.convert_to_tensor(weights), tf.convert_to_tensor(bias)
        return wide_product(tf.cast(outputs, tf.float32), weights, bias, self.tied, outputs.dtype)

    def get_config(self):
        own = {"vocabulary_size": self.vocabulary_size, "tied": self.tied}
        return {**super().get_config(), **own}


def refuse_tokens(head, tokens):
    """Refuses a shortlist for a head without rows of a vocabulary that could be chosen.

    Raises:
        ValueError: there is one.
    """
    if tokens is not None:
        came = type(head).__name__
        raise ValueError(f"tokens: expected a head with a row for every token, came a {came}")
