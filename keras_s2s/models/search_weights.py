"""The vocabulary weights of a model in the layout that decodes fastest."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_s2s.layers.dense import NormalizedLinear
from keras_s2s.layers.shapes import leading_shape

__all__ = ["SearchWeights"]

ABSENT = -1e9  # logit of a column that stands for no token


class SearchWeights(tf.Module):
    """A copy of a model's vocabulary weights for `Seq2Seq.next` with `normalize=False`.

    A product with a transposed embedding table takes up to twice the time of one with this copy.
    The copy is not saved with the model, and training and `call` do not use it. It is for a model
    whose weights are final: later changes of them reach it through `update` alone. Creating it also
    fixes the scales of the model's `NormalizedLinear` layers, see `NormalizedLinear.fix_scale`.

    Args:
        model: a built `Seq2Seq`.
        tokens: ids that a search may produce, ascending, the special ones among them; None for
            all. A search then counts in columns of the logits, see `token_ids`.
        multiple: the number of columns is padded to a multiple of this one; when None, of one that
            lets the search divide the columns into blocks.

    Attributes:
        kernel: `tf.Variable` [D + 1, V'], the bias in its last row: added within the product it
            needs no pass over the logits. None for a head without `vocabulary_weights`.
        scales: list of `tf.Variable`, the fixed scales.

    Raises:
        ValueError: for `tokens` and a head without one row of weights per token.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import build
    >>> from keras_s2s.models.search_weights import SearchWeights
    >>> model = build(ModelConfig(preset="gru_small"), source_size=20, target_size=20)
    >>> SearchWeights(model).kernel.shape
    TensorShape([129, 32])
    """

    def __init__(
        self, model: Any, tokens: Sequence[int] | None = None, multiple: int | None = None
    ) -> None:
        super().__init__()
        head = model.head
        if tokens is not None and not head.has_vocabulary_weights:
            raise ValueError(
                f"tokens: expected a head with a row for every token, got a {type(head).__name__}"
            )
        self.tokens = None if tokens is None else tuple(int(token) for token in tokens)
        self.num_tokens = head.size if tokens is None else len(self.tokens)
        self.vocabulary_size, self.supports_copy = head.size, head.supports_copy
        if self.supports_copy:
            multiple = 1  # the columns of copies follow those of the vocabulary
        elif multiple is None:
            # A multiple of 16 near the square root of half the columns, see `search.top_k`.
            multiple = 16 * max(1, round((self.num_tokens / 2) ** 0.5 / 16))
        self.num_columns = self.num_tokens + -self.num_tokens % multiple
        self.kernel = None
        if head.has_vocabulary_weights:
            self.kernel = tf.Variable(self._layout(head), trainable=False)
        self.scales = _fix_scales(model)

    def update(self, model: Any) -> None:
        """Copies the weights of the model again.

        Args:
            model: the model that the weights were created from.
        """
        if self.kernel is not None:
            self.kernel.assign(self._layout(model.head))
        _fix_scales(model)

    def logits(
        self,
        head: Any,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None = None,
        attention: tf.Tensor | None = None,
        context: dict[str, Any] | None = None,
    ) -> tf.Tensor:
        """The logits of the head, computed with these weights.

        Args:
            head: the model's head.
            outputs, inputs, attention, context: as for the call of the head.

        Returns:
            float32 tensor [B, N, V'], with -1e9 in the columns of padding.
        """
        if self.kernel is None:
            return head(outputs, inputs, attention, context)
        kernel = tf.convert_to_tensor(self.kernel)
        flat = tf.reshape(tf.cast(outputs, tf.float32), [-1, kernel.shape[0] - 1])  # [B * N, D]
        flat = tf.pad(flat, [[0, 0], [0, 1]], constant_values=1.0)  # for the bias
        logits = tf.reshape(tf.matmul(flat, kernel), [*leading_shape(outputs, 2), kernel.shape[1]])
        return head.mix_logits(logits, outputs, inputs, attention, context)

    def token_ids(self, columns: tf.Tensor, context: dict[str, Any]) -> tf.Tensor:
        """The ids of the tokens that columns of the logits stand for.

        Args:
            columns: int32 tensor [B, K].
            context: the decoder's context; a head that copies, with `tokens`, needs
                `source["copied"]` [B, S], the `copy_ids` among all tokens.

        Returns:
            int32 tensor [B, K]; V for a column that stands for no token.
        """
        if self.tokens is None:
            return columns
        ids = [*self.tokens, self.vocabulary_size]
        ids = tf.gather(ids, tf.minimum(columns, self.num_tokens))
        if not self.supports_copy:
            return ids
        copied = context["source"]["copied"]
        positions = tf.clip_by_value(columns - self.num_tokens, 0, tf.shape(copied)[1] - 1)
        copied = tf.gather(copied, positions, batch_dims=1)
        return tf.where(columns < self.num_tokens, ids, copied)

    def _layout(self, head):
        """Weights and bias of the tokens and of padding, [D + 1, V']."""
        weights, bias = head.vocabulary_weights()
        kernel = tf.transpose(weights) if head.tied else weights  # [D, V]
        if self.tokens is not None:
            kernel, bias = tf.gather(kernel, self.tokens, axis=1), tf.gather(bias, self.tokens)
        padding = self.num_columns - self.num_tokens
        kernel = tf.pad(kernel, [[0, 0], [0, padding]])
        bias = tf.pad(bias, [[0, padding]], constant_values=ABSENT)
        return tf.concat([kernel, tf.expand_dims(bias, 0)], 0)


def _fix_scales(model):
    layers = [x for x in model._flatten_layers() if isinstance(x, NormalizedLinear)]
    return [layer.fix_scale() for layer in layers]
