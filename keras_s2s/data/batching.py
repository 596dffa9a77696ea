"""A corpus as batches of (x, y, sample_weight): shuffled, bucketed by length, prefetched."""

import tensorflow as tf

from keras_s2s.config import Corpus, UserError
from keras_s2s.data.examples import assemble, encode
from keras_s2s.data.readers import name, read_blocks
from keras_s2s.data.surveys import BLOCK, Survey, batch_sizes, keep, length_buckets, survey
from keras_s2s.tokenizers import Tokenizer

__all__ = ["batches", "length_buckets"]

_SHUFFLED = 1 << 17  # lines in the shuffle buffer, as text


def batches(
    corpus: Corpus,
    source: Tokenizer,
    target: Tokenizer,
    *,
    batch_tokens: int,
    max_length: int,
    seed: int = 1,
    copy: bool = False,
    training: bool = True,
    surveyed: Survey | None = None,
) -> tf.data.Dataset:
    """Batches of pairs of like length, as `make_example` gives them.

    A batch holds `batch_tokens` // longest pairs, `longest` being that of its bucket (see
    `length_buckets`); pairs with an empty or over-long side are left out. With `training` the
    pairs come shuffled and for ever: give `fit` its `steps_per_epoch`. Without, it is one pass
    whose number of batches the dataset knows. The same seed gives the same batches.

    Args:
        corpus: files of pairs.
        source, target: tokenizers of the two sides.
        batch_tokens: most tokens of the longer side in a batch, padding included; a pair longer
            than that is a batch of its own.
        max_length: most pieces of a side, the end not counted.
        seed: of the shuffling.
        copy: whether to give copy ids.
        training: whether to shuffle and repeat.
        surveyed: this corpus' survey at this `max_length`; made here where it is not given, so
            that bad input is reported now and not from within `fit`.

    Raises:
        UserError: as `read_pairs`, or no pair is left.
        ValueError: `batch_tokens` or `max_length` below 1, or a survey of another `max_length`.
    """
    _check(batch_tokens, max_length, surveyed)
    surveyed = surveyed or survey(corpus, source, target, max_length)
    _require_pairs(corpus, surveyed)
    rows = _lines(corpus, seed, training)
    rows = rows.map(_encoder(source, target, max_length, copy), tf.data.AUTOTUNE).unbatch()
    made = _by_length(rows, length_buckets(max_length), batch_tokens)
    made = made.map(assemble, tf.data.AUTOTUNE)
    if not training:
        count = surveyed.count_batches(batch_tokens)
        made = made.apply(tf.data.experimental.assert_cardinality(count))
    return made.prefetch(tf.data.AUTOTUNE)


def _check(batch_tokens, max_length, surveyed):
    for argument, value in (("batch_tokens", batch_tokens), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{argument}: expected at least 1, came {value}")
    if surveyed and surveyed.max_length != max_length:
        expected = f"expected one made with max_length {max_length}"
        raise ValueError(f"surveyed: {expected}, came {surveyed.max_length}")


def _require_pairs(corpus, surveyed):
    if not surveyed.kept:
        raise UserError(
            f"{name(corpus)}: expected a pair of 1 to {surveyed.max_length} pieces a side, came"
            f" {surveyed.empty} with an empty side and {surveyed.too_long} that are longer"
        )


def _lines(corpus, seed, training):
    """Blocks of (sources [B], targets [B]); in training shuffled, anew in every round."""
    spec = tf.TensorSpec([None], tf.string)
    blocks = tf.data.Dataset.from_generator(
        lambda: read_blocks(corpus, BLOCK), output_signature=(spec, spec)
    )
    if not training:
        return blocks
    lines = blocks.unbatch().shuffle(_SHUFFLED, seed, reshuffle_each_iteration=True)
    return lines.repeat().batch(BLOCK)


def _encoder(source, target, max_length, copy):
    """Lines [B] -> the pairs kept as rows padded alike, each with the index of its bucket."""
    buckets = tf.constant(length_buckets(max_length))

    def encoded(sources, targets):
        left, right = source.pieces(sources), target.pieces(targets)
        kept = keep(left.row_lengths(), right.row_lengths(), max_length)
        left, right = tf.ragged.boolean_mask(left, kept), tf.ragged.boolean_mask(right, kept)
        rows = encode(left, right, source, target, copy)
        longer = tf.maximum(rows["source_length"], rows["target_length"])
        bucket = tf.searchsorted(buckets, longer, out_type=tf.int64)
        return rows | {"bucket": bucket}

    return encoded


def _by_length(rows, buckets, batch_tokens):
    sizes = tf.constant(batch_sizes(buckets, batch_tokens))
    return rows.group_by_window(
        key_func=lambda row: row["bucket"],
        reduce_func=lambda bucket, window: window.padded_batch(sizes[bucket]),
        window_size_func=lambda bucket: sizes[bucket],
    )
