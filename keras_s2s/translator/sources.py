"""The source of a request, texts or frames, and what is wrong with each row's."""

import tensorflow as tf

from keras_s2s.data import target_ids

__all__ = ["FeatureSource", "TextSource", "beyond", "said"]


class TextSource:
    """The texts of a request, cut.

    Args:
        text: string tensor [B].
        tokenizers: source and target `Tokenizer`.
        copies: whether unknown pieces of targets may be copies.
        caps: see `keras_s2s.signatures.CAPS`.

    Attributes:
        inputs: what `data.make_source` takes, ragged string [B, None], the pieces, cut to
            `caps["source_length"]`.
        pieces: the same as they are shown and copied; "" at the end of one of several sources.
        length: int32 [B], number of pieces before that.
        sizes: int32 [B], bytes of each text.
    """

    def __init__(self, text, tokenizers, copies, caps):
        self.tokenizers, self.supports_copy, self.caps = tokenizers, copies, caps
        self.sizes = tf.strings.length(text)
        self.batch = tf.shape(text)[0]
        text = tf.strings.substr(text, 0, caps["text_bytes"])
        self.input_errors = list(tokenizers[0].input_errors(text))
        pieces = tokenizers[0].pieces(text)
        self.length = tf.cast(pieces.row_lengths(), tf.int32)
        self.inputs = pieces[:, : caps["source_length"]]
        self.pieces = tokenizers[0].surface_forms(self.inputs)

    def errors(self):
        """bool [B] and messages [B] of texts that are too long."""
        caps, bytes_ = self.caps, self.sizes
        yield beyond("text bytes", bytes_, caps["text_bytes"])
        yield beyond("text tokens", self.length, caps["source_length"])
        yield from self.input_errors

    def ids(self, pieces):
        """Ragged pieces [B, None] -> int32 target ids of the same shape, copies included."""
        return target_ids(self.pieces, pieces, self.tokenizers[1], self.supports_copy)


class FeatureSource:
    """The frames of a request; what `TextSource` is for texts.

    Args:
        features: float32 tensor [B, S, F].
        length: int32 tensor [B], real frames of each row.
        tokenizers: `Frames` and the target's `Tokenizer` or `Frames`.
        copies: not read: a frame cannot be copied.
        caps: see `keras_s2s.signatures.CAPS`.

    Attributes:
        inputs: float32, ragged [B, None, F]; a row with an error has no frame.
        pieces: ragged string [B, None], the numbers of the frames, from 0.
        length: int32 [B].
    """

    def __init__(self, features, length, tokenizers, copies, caps):
        self.tokenizers, self.caps = tokenizers, caps
        self.batch, self.width = tf.shape(features)[0], tf.shape(features)[1]
        self.length, self.given = tf.broadcast_to(length, [self.batch]), features
        real = tf.sequence_mask(self.length, self.width)
        wrong = real & ~tf.reduce_all(tf.math.is_finite(features), 2)  # [B, S]
        self.broken = tf.reduce_any(wrong, 1)
        self.beyond = (self.length < 0) | (self.length > self.width)
        kept = tf.where(self.broken | self.beyond, 0, tf.minimum(self.length, caps["frames"]))
        self.inputs = tf.RaggedTensor.from_tensor(features, lengths=kept)
        self.pieces = tf.strings.as_string(tf.ragged.range(kept))

    def errors(self):
        """bool [B] and messages [B] of rows that cannot be read."""
        yield (
            self.beyond,
            lambda: said(
                "length: expected 0 to ", self.width, ", the frames sent, came ", self.length
            ),
        )
        yield self.broken, lambda: "features: expected finite numbers in real frames"
        yield beyond("features frames", self.length, self.caps["frames"])

    def ids(self, pieces):
        """Ragged pieces [B, None] -> int32 target ids of the same shape."""
        return self.tokenizers[1].ids(pieces)


def beyond(name, value, high):
    """A check: rows bool [B] whose value [B] is above `high`, and their message, a function."""
    return value > high, lambda: said(f"{name}: expected 0 to {high}, came", value)


def said(*parts):
    """A message: Python strings and tensors [B] of numbers, which follow words after a blank."""
    first = [f"{parts[0]} ", *parts[1:]] if len(parts) == 2 else parts
    strings = [
        x if isinstance(x, str) else tf.strings.as_string(x, shortest=x.dtype.is_floating)
        for x in first
    ]
    return tf.strings.join(strings)
