"""Sources of a request: texts or features, and the errors of their rows."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from keras_s2s.data import target_ids
from keras_s2s.signatures.request_rules import Rule, limit_rule

__all__ = ["FeatureSource", "TextSource"]


class TextSource:
    """The texts of a request, tokenized.

    Args:
        text: string tensor [B].
        tokenizers: source and target `Tokenizer`.
        copies: whether unknown target tokens may be copies of source tokens.
        caps: see `keras_s2s.signatures.CAPS`.

    Attributes:
        inputs: ragged string [B, None], the tokens that `data.make_source` takes, at most
            `caps["source_length"]` of each row.
        pieces: the same tokens as they are shown and copied; "" at the end of one of several
            sources.
        length: int32 [B], number of tokens before they are truncated.
        num_bytes: int32 [B], size of each text.
    """

    def __init__(self, text: tf.Tensor, tokenizers: Sequence, copies: bool, caps: dict[str, int]):
        self.tokenizers, self.supports_copy, self.caps = tokenizers, copies, caps
        self.num_bytes = tf.strings.length(text)
        self.batch = tf.shape(text)[0]
        text = tf.strings.substr(text, 0, caps["text_bytes"])
        self.input_errors = list(tokenizers[0].input_errors(text))
        pieces = tokenizers[0].tokenize(text)
        self.length = tf.cast(pieces.row_lengths(), tf.int32)
        self.inputs = pieces[:, : caps["source_length"]]
        self.pieces = tokenizers[0].surface_forms(self.inputs)

    def rules(self) -> Iterator[Rule]:
        """Yields the rules of `signatures.request_rules` that a row's text must follow."""
        yield limit_rule("text bytes", self.num_bytes, self.caps["text_bytes"])
        yield limit_rule("text tokens", self.length, self.caps["source_length"])
        for is_broken, message in self.input_errors:
            yield is_broken, (message,)

    def ids(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns target ids, copies included, of ragged tokens [B, None], in their shape."""
        return target_ids(self.pieces, pieces, self.tokenizers[1], self.supports_copy)


class FeatureSource:
    """The features of a request; the counterpart of `TextSource`.

    Args:
        features: float32 tensor [B, S, F].
        length: int32 tensor [B], real frames of each row.
        tokenizers: `Frames` and the target's `Tokenizer` or `Frames`.
        copies: unused: a frame cannot be copied.
        caps: see `keras_s2s.signatures.CAPS`.

    Attributes:
        inputs: float32, ragged [B, None, F]; a row with an error has no frame.
        pieces: ragged string [B, None], the numbers of the frames, from 0.
        length: int32 [B].
    """

    def __init__(
        self,
        features: tf.Tensor,
        length: tf.Tensor,
        tokenizers: Sequence,
        copies: bool,
        caps: dict[str, int],
    ):
        self.tokenizers, self.caps = tokenizers, caps
        self.batch, self.width = tf.shape(features)[0], tf.shape(features)[1]
        self.length = tf.broadcast_to(length, [self.batch])
        is_real = tf.sequence_mask(self.length, self.width)
        is_broken = is_real & ~tf.reduce_all(tf.math.is_finite(features), 2)  # [B, S]
        self.has_broken_frame = tf.reduce_any(is_broken, 1)
        self.has_wrong_length = (self.length < 0) | (self.length > self.width)
        has_error = self.has_broken_frame | self.has_wrong_length
        lengths = tf.where(has_error, 0, tf.minimum(self.length, caps["frames"]))
        self.inputs = tf.RaggedTensor.from_tensor(features, lengths=lengths)
        self.pieces = tf.strings.as_string(tf.ragged.range(lengths))

    def rules(self) -> Iterator[Rule]:
        """Yields the rules of `signatures.request_rules` that a row's features must follow."""
        expected = "length: expected 0 to "
        yield self.has_wrong_length, (expected, self.width, ", the frames sent, got ", self.length)
        yield self.has_broken_frame, ("features: expected finite numbers in real frames",)
        yield limit_rule("features frames", self.length, self.caps["frames"])

    def ids(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns target ids of ragged tokens [B, None], in their shape."""
        return self.tokenizers[1].ids(pieces)
