"""List options of a request as ids: the prefix, constraints and disallowed sequences."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.tokenizers import UNKNOWN
from keras_s2s.translator.sources import FeatureSource, TextSource

__all__ = ["ListOptions", "no_lists", "text_or_tokens", "tokenize_lists"]

Source = TextSource | FeatureSource


class ListOptions(NamedTuple):
    """The list options of a request as ids, padded with 0.

    The lists of one row pad those of all others. What exceeds the caps is therefore left out:
    `constraints` are truncated to the number of tokens that a request may have, and `disallowed`
    has no sequence longer than any target.

    Attributes:
        prefix: int32 [B, P].
        prefix_length: int32 [B].
        constraints: int32 [B, C, L].
        num_constraint_tokens: int32 [B], tokens of the constraints before they are truncated.
        unknown: string [B], the first token of the constraints that no target can hold, or "".
        disallowed: int32 [B, D, L].
    """

    prefix: tf.Tensor
    prefix_length: tf.Tensor
    constraints: tf.Tensor
    num_constraint_tokens: tf.Tensor
    unknown: tf.Tensor
    disallowed: tf.Tensor


def tokenize_lists(values: Mapping[str, tf.Tensor], source: Source) -> ListOptions:
    """Tokenizes the prefix, the constraints and the disallowed sequences of a request.

    Args:
        values: the options' tensors [B] by name; of `sample`, which has no constraints, too.
        source: the request's source.
    """
    prefix, prefix_length = _prefix(values["target_prefix"], values["prefix_tokens"], source)
    if "constraints" in values:
        constraints = _constraints(values["constraints"], source)
        disallowed = _disallowed(values["disallowed"], source)
    else:
        disallowed = _no_sequences(source)
        constraints = disallowed, tf.zeros_like(prefix_length), _no_texts(source)
    return ListOptions(prefix, prefix_length, *constraints, disallowed)


def no_lists(source: Source) -> ListOptions:
    """Returns the list options of a request that has none, without operations on strings."""
    zeros, none = tf.zeros([source.batch], tf.int32), _no_sequences(source)
    no_ids = tf.zeros([source.batch, 0], tf.int32)
    return ListOptions(no_ids, zeros, none, zeros, _no_texts(source), none)


def text_or_tokens(tokenizer: Any, text: tf.Tensor, tokens: tf.Tensor) -> tf.RaggedTensor:
    """Returns the tokens, ragged [B, None], of texts, or the lines of `tokens` where there are any.

    Args:
        tokenizer: the target's.
        text, tokens: string [B].
    """
    pieces = tokenizer.tokenize(text)
    if tokenizer.prefix_tokens:  # the empty text has tokens too
        is_alone = tf.repeat(tf.equal(tokens, ""), pieces.row_lengths())
        pieces = tf.ragged.boolean_mask(pieces, pieces.with_values(is_alone))
    return tf.concat([pieces, _items(tokens)], 1)


def _no_sequences(source: Source) -> tf.Tensor:
    return tf.zeros([source.batch, 0, 0], tf.int32)


def _no_texts(source: Source) -> tf.Tensor:
    return tf.fill([source.batch], "")


def _unless_empty(texts: tf.Tensor, tokenize: Callable, empty: Callable):
    """`tokenize()` if any of the strings [B] is not empty, otherwise `empty()`."""
    return tf.cond(tf.reduce_any(tf.not_equal(texts, "")), tokenize, empty)


def _items(texts: tf.Tensor) -> tf.RaggedTensor:
    """Lines of strings [B], ragged [B, None], without empty ones."""
    lines = tf.strings.split(texts, "\n")
    return tf.ragged.boolean_mask(lines, tf.not_equal(lines, ""))


def _within(texts: tf.Tensor, cap: int) -> tf.Tensor:
    """Strings [B], empty where they have more bytes than the cap: such a row has an error."""
    return tf.where(tf.strings.length(texts) > cap, "", texts)


def _prefix(text: tf.Tensor, tokens: tf.Tensor, source: Source):
    """The prefix, int32 [B, P], and its length, int32 [B]."""
    cap, target = source.caps["list_bytes"], source.tokenizers[1]

    def tokenize():
        ids = source.ids(text_or_tokens(target, _within(text, cap), _within(tokens, cap)))
        return ids.to_tensor(0), tf.cast(ids.row_lengths(), tf.int32)

    def empty():
        opening = tf.reshape(target.ids(tf.constant(target.prefix_tokens, tf.string)), [1, -1])
        lengths = tf.fill([source.batch], len(target.prefix_tokens))
        return tf.tile(opening, [source.batch, 1]), lengths

    return _unless_empty(tf.strings.join([text, tokens]), tokenize, empty)


def _phrases(texts: tf.Tensor, source: Source):
    """Lines of strings [B], ragged [B, None], and tokens and ids of each, [B, None, None]."""
    items = _items(_within(texts, source.caps["list_bytes"]))
    pieces = items.with_values(source.tokenizers[1].tokenize_phrases(items.values))
    return items, pieces, pieces.with_flat_values(source.ids(pieces.merge_dims(1, 2)).values)


def _constraints(texts: tf.Tensor, source: Source):
    """`constraints`, `num_constraint_tokens` and `unknown` of `ListOptions`."""
    most = source.caps["constraints"]

    def tokenize():
        _, pieces, ids = _phrases(texts, source)
        flat, flat_ids = pieces.merge_dims(1, 2), ids.merge_dims(1, 2)
        count = tf.cast(flat_ids.row_lengths(), tf.int32)
        is_unknown = tf.equal(flat_ids.values, SpecialIds().unknown) & (flat.values != UNKNOWN)
        unknown = tf.ragged.boolean_mask(flat, flat.with_values(is_unknown))[:, :1].to_tensor("")
        return ids[:, :most, :most].to_tensor(0), count, tf.strings.reduce_join(unknown, 1)

    def empty():
        return _no_sequences(source), tf.zeros([source.batch], tf.int32), _no_texts(source)

    return _unless_empty(texts, tokenize, empty)


def _disallowed(texts: tf.Tensor, source: Source) -> tf.Tensor:
    """int32 [B, D, L]: each line tokenized, and each line that is a token itself as that token."""

    def tokenize():
        items, _, ids = _phrases(texts, source)
        ids = tf.concat([ids, _single_tokens(items, source)], 1)
        is_short = ids.row_lengths(2) <= source.caps["max_length"]
        return tf.ragged.boolean_mask(ids, is_short).to_tensor(0)

    return _unless_empty(texts, tokenize, lambda: _no_sequences(source))


def _single_tokens(items: tf.RaggedTensor, source: Source) -> tf.RaggedTensor:
    """Items that are tokens of the vocabulary, as sequences of one id; 0 for other items."""
    ids = source.ids(items)
    is_known = tf.not_equal(ids.values, SpecialIds().unknown) | (items.values == UNKNOWN)
    single = tf.expand_dims(tf.where(is_known, ids.values, 0), 1)
    return items.with_values(tf.RaggedTensor.from_tensor(single))
