"""Model inputs from tokens, by ops that tf.data and a served graph run alike."""

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.tokenizers import UNKNOWN, Features, Tokenizer

__all__ = [
    "assemble",
    "encode",
    "make_example",
    "make_source",
    "target_ids",
    "target_strings",
]

_SPECIAL = SpecialIds()
_ABSENT = tf.int32.max  # the minimum over no positions


def make_source(
    tokens: tf.RaggedTensor, source: Tokenizer | Features, target: Tokenizer, copy: bool = False
) -> dict[str, tf.Tensor]:
    """Makes the encoder's inputs from the tokens of B texts.

    Every row ends with the `end` token, so that a text without tokens has one position too.

    A copy id is the output id that copies a source position (See et al. 2017, arXiv 1704.04368):
    the target id of its token or, where the target vocabulary lacks it, V + the first source
    position of that token, with V = `target.size`. At the end of a row it is `end`.

    Args:
        tokens: Strings, ragged [B, None]; or features, float32 ragged [B, None, F].
        source: The tokenizer of the source; `Features` where the tokens are features, whose rows
            have no end token.
        target: The tokenizer of the target, for `copy_ids`.
        copy: Whether to add `copy_ids`.

    Returns:
        `{"ids": int32 [B, S], "mask": bool [B, S]}`, and `"copy_ids"` int32 [B, S]. S is the
        longest row, end token included; padding is `pad`. For features it is
        `{"features": float32 [B, S, F], "mask": bool [B, S]}`, with padding 0.

    Example:

    >>> from keras_s2s.data import make_source
    >>> from keras_s2s.tokenizers import Whitespace
    >>> words = Whitespace(["a", "b"])
    >>> make_source(words.tokenize(["b a", ""]), words, words)["ids"].numpy().tolist()
    [[5, 4, 3], [3, 0, 0]]
    """
    if isinstance(source, Features):
        return {"features": _dense(tokens), "mask": _mask(_lengths(tokens))}
    inputs = {"ids": _append_end(source.ids(tokens)), "mask": _mask(_lengths(tokens) + 1)}
    if copy:
        surface = source.surface_forms(tokens)
        copy_ids = _copy_ids(surface, surface, target)
        # the separator between several sources has an empty surface form
        ids = tf.where(tf.equal(surface.values, ""), _SPECIAL.end, copy_ids.values)
        inputs["copy_ids"] = _append_end(copy_ids.with_values(ids))
    return inputs


def make_example(
    source_tokens: tf.RaggedTensor,
    target_tokens: tf.RaggedTensor,
    source: Tokenizer | Features,
    target: Tokenizer | Features,
    copy: bool = False,
    weights: tf.Tensor | None = None,
) -> tuple[dict, tf.Tensor, tf.Tensor]:
    """Makes a batch for `fit` from the tokens of B pairs.

    Args:
        source_tokens: Strings, ragged [B, None].
        target_tokens: Strings, ragged [B, None].
        source: The tokenizer of the source.
        target: The tokenizer of the target.
        copy: Whether the label of a target token outside the target vocabulary that occurs in the
            source is its copy id (see `make_source`) instead of `unknown`.
        weights: float32 [B], the weight of each pair in the loss; 1 by default.

    Returns:
        `(x, y, sample_weight)`. `x` is `{"source": make_source(...), "target": int32 [B, T]}`,
        where the target is `start` and the ids. `y`, int32 [B, T], is the ids and `end`.
        `sample_weight`, float32 [B, T], is the pair's weight at real tokens, `end` included, and 0
        at padding. Target features are float32 [B, T, F], with zeros instead of `start` and without
        an end.
    """
    rows = encode(source_tokens, target_tokens, source, target, copy)
    return assemble(rows if weights is None else rows | {"weight": weights})


def encode(
    source_tokens: tf.RaggedTensor,
    target_tokens: tf.RaggedTensor,
    source: Tokenizer | Features,
    target: Tokenizer | Features,
    copy: bool = False,
) -> dict[str, tf.Tensor]:
    """Computes the parts of B examples that do not depend on the other rows of their batch.

    The arguments are those of `make_example`. `assemble` makes a batch of the result.

    Returns:
        int32 `ids` and, with `copy`, `copy_ids` [B, S], `labels` [B, T], `source_length` and
        `target_length` [B], end tokens included. For features, `features` [B, S, F] and float32
        `labels` [B, T, F].
    """
    rows = make_source(source_tokens, source, target, copy)
    del rows["mask"]
    if isinstance(target, Features):
        labels = _dense(target_tokens)
    else:
        surface = source.surface_forms(source_tokens)
        labels = _append_end(target_ids(surface, target_tokens, target, copy))
    return rows | {
        "labels": labels,
        "source_length": _lengths(source_tokens) + (not isinstance(source, Features)),
        "target_length": _lengths(target_tokens) + (not isinstance(target, Features)),
    }


def assemble(rows: dict[str, tf.Tensor]) -> tuple[dict, tf.Tensor, tf.Tensor]:
    """Makes `(x, y, sample_weight)` of encoded rows, padded to the longest row of the batch.

    Args:
        rows: The result of `encode`, and optionally `weight`, float32 [B], the weight of each real
            token of a row.
    """
    mask, real = _mask(rows["source_length"]), _mask(rows["target_length"])
    source_length, target_length = tf.shape(mask)[1], tf.shape(real)[1]
    name = "features" if "features" in rows else "ids"
    source = {name: rows[name][:, :source_length], "mask": mask}
    if "copy_ids" in rows:
        source["copy_ids"] = rows["copy_ids"][:, :source_length]
    y = rows["labels"][:, :target_length]
    if y.dtype == tf.float32:
        shifted = tf.pad(y[:, :-1], [[0, 0], [1, 0], [0, 0]])  # [B, T, F]
    else:
        shifted = tf.pad(y[:, :-1], [[0, 0], [1, 0]], constant_values=_SPECIAL.start)
        shifted = tf.where(real, shifted, _SPECIAL.pad)  # [B, T]
    weights = tf.cast(real, tf.float32)
    if "weight" in rows:
        weights *= rows["weight"][:, None]
    return {"source": source, "target": shifted}, y, weights


def target_ids(
    source_tokens: tf.RaggedTensor,
    target_tokens: tf.RaggedTensor,
    target: Tokenizer,
    copy: bool = False,
) -> tf.RaggedTensor:
    """Returns the ids of target tokens, without an end token.

    Args:
        source_tokens: Strings, ragged [B, None].
        target_tokens: Strings, ragged [B, None].
        target: The tokenizer of the target.
        copy: Whether the id of an unknown token that occurs in the source is its copy id, see
            `make_source`.

    Returns:
        int32, ragged [B, None].
    """
    return _copy_ids(source_tokens, target_tokens, target) if copy else target.ids(target_tokens)


def target_strings(ids: tf.Tensor, source_tokens: tf.RaggedTensor, target: Tokenizer) -> tf.Tensor:
    """Returns the tokens of a model's output ids; copied tokens are read from the source.

    Args:
        ids: int32 [B, ...]; an id of V and more means source position id - V.
        source_tokens: Strings, ragged [B, None].
        target: The tokenizer of the target; V is its size.

    Returns:
        Strings of the shape of `ids`: "" for pad, start and end, and the `unknown` token for an id
        that neither the vocabulary nor the row's source holds.
    """
    rows = source_tokens.to_tensor("")
    rows = tf.pad(rows, [[0, 0], [0, 1]])  # at least one position, so that gather is valid
    width = tf.shape(rows)[1]
    flat = tf.reshape(ids, [tf.shape(rows)[0], -1])  # [B, N]
    positions = flat - target.size
    inside = tf.clip_by_value(positions, 0, width - 1)
    copied = tf.gather(rows, inside, batch_dims=1)
    valid = (positions < _lengths(source_tokens)[:, None]) & (copied != "")
    copied = tf.where(valid, copied, UNKNOWN)
    strings = tf.where(positions >= 0, copied, target.strings(flat))
    return tf.reshape(strings, tf.shape(ids))


def _lengths(tokens):
    return tf.cast(tokens.row_lengths(), tf.int32)


def _mask(lengths):
    return tf.sequence_mask(lengths, tf.reduce_max(tf.concat([lengths, [1]], 0)))


def _dense(features):
    """Ragged features [B, None, F] -> dense [B, S, F], S at least 1."""
    dense = features.to_tensor()
    return tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)], [0, 0]])


def _append_end(ids):
    """Ragged ids [B, None] -> dense [B, S] with `end` after each row; [0, 1] without rows."""
    end = tf.fill([ids.nrows(), 1], _SPECIAL.end)
    dense = tf.concat([ids, end], axis=1).to_tensor(_SPECIAL.pad)
    missing = tf.maximum(1 - tf.shape(dense)[1], 0)
    return tf.pad(dense, [[0, 0], [0, missing]])


def _copy_ids(source, queries, target):
    """The ids of `queries`, ragged [B, None]; copy ids for unknown ones that `source` holds."""
    ids = target.ids(queries.values)
    first = _first_positions(source, queries)
    copied = (ids == _SPECIAL.unknown) & (first != _ABSENT)
    # target.size + _ABSENT would overflow, even though tf.where discards it
    position = tf.where(copied, first, 0)
    return queries.with_values(tf.where(copied, target.size + position, ids))


def _first_positions(source, queries):
    """The first position of each query [N] in its own row of `source`, or _ABSENT.

    Strings are numbered, then (row, string) pairs are. This is linear in the number of tokens; a
    comparison of all pairs of positions [B, T, S] could exhaust the memory for one long text.
    """
    strings = tf.concat([source.values, queries.values], axis=0)
    rows = tf.concat([source.value_rowids(), queries.value_rowids()], axis=0)
    distinct, numbers = tf.unique(strings, out_idx=tf.int64)
    keys = tf.cast(rows, tf.int64) * (tf.size(distinct, tf.int64) + 1) + numbers
    groups, members = tf.unique(keys)
    positions = tf.ragged.range(_lengths(source)).values
    count = tf.size(source.values)
    first = tf.math.unsorted_segment_min(positions, members[:count], tf.size(groups))
    return tf.gather(first, members[count:])
