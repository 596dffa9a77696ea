"""Pieces to the model's inputs, by ops that tf.data and a served graph run alike."""

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
_ABSENT = tf.int32.max  # what a minimum over no position is


def make_source(pieces, source: Tokenizer, target: Tokenizer, copy: bool = False) -> dict:
    """What the encoder takes, from the pieces of B texts.

    Every row ends with `end`, so that a text without pieces has one position too.

    A copy id says what copying a position would write (See et al. 2017, arXiv 1704.04368): the
    target's id of that piece or, where its vocabulary lacks it, V + the first source position
    of that very string, V being `target.size`; at the end of a row it is `end`.

    Args:
        pieces: strings, ragged [B, None]; or frames, float32 ragged [B, None, F].
        source: gives `ids`; `Features` where the pieces are frames, whose rows have no end.
        target: gives `copy_ids`.
        copy: whether to give `copy_ids`.

    Returns:
        `{"ids": int32 [B, S], "mask": bool [B, S]}`, and `"copy_ids"` int32 [B, S]; S is the
        most pieces in a row and one for the end, and padding is `pad`. Of frames it is
        `{"features": float32 [B, S, F], "mask"}`, padding 0.
    """
    if isinstance(source, Features):
        return {"features": _dense(pieces), "mask": _mask(_lengths(pieces))}
    made = {"ids": _ended(source.ids(pieces)), "mask": _mask(_lengths(pieces) + 1)}
    if copy:
        shown = source.surface_forms(pieces)
        copies = _copy_ids(shown, shown, target)
        # the end of one of several sources has no text
        ids = tf.where(tf.equal(shown.values, ""), _SPECIAL.end, copies.values)
        made["copy_ids"] = _ended(copies.with_values(ids))
    return made


def make_example(
    source_pieces, target_pieces, source, target, copy: bool = False, weights=None
) -> tuple:
    """What `fit` takes, from the pieces of B pairs of texts.

    Args:
        source_pieces, target_pieces: strings, ragged [B, None].
        source, target: tokenizers.
        copy: whether a target piece outside the target's vocabulary that stands in the source is
            its copy id (see `make_source`) instead of `unknown`.
        weights: float32 [B], what each pair counts in the loss; 1 where it is not given.

    Returns:
        (x, y, sample_weight): x is `{"source": make_source(...), "target": int32 [B, T]}`, its
        target the ids after `start`; y int32 [B, T] the ids and `end`; sample_weight float32
        [B, T] is the pair's weight at real ids, `end` included, and 0 at padding. Target frames
        are float32 [B, T, F], zeros in place of `start`, and have no end.
    """
    rows = encode(source_pieces, target_pieces, source, target, copy)
    return assemble(rows if weights is None else rows | {"weight": weights})


def encode(source_pieces, target_pieces, source, target, copy: bool = False) -> dict:
    """The parts of B examples that do not depend on the rows beside them; see `assemble`.

    Returns:
        int32 `ids` and, with `copy`, `copy_ids` [B, S], `labels` [B, T], and
        `source_length` and `target_length` [B], ends included. Frames are `features` [B, S, F]
        and float32 `labels` [B, T, F].
    """
    made = make_source(source_pieces, source, target, copy)
    del made["mask"]
    if isinstance(target, Features):
        labels = _dense(target_pieces)
    else:
        shown = source.surface_forms(source_pieces)
        labels = _ended(target_ids(shown, target_pieces, target, copy))
    return made | {
        "labels": labels,
        "source_length": _lengths(source_pieces) + (not isinstance(source, Features)),
        "target_length": _lengths(target_pieces) + (not isinstance(target, Features)),
    }


def assemble(rows: dict) -> tuple:
    """(x, y, sample_weight) of what `encode` gave, padded no wider than its longest row.

    Where `rows` holds `weight`, float32 [B], it is what each real id of a row weighs.
    """
    mask, real = _mask(rows["source_length"]), _mask(rows["target_length"])
    s, t = tf.shape(mask)[1], tf.shape(real)[1]
    name = "features" if "features" in rows else "ids"
    source = {name: rows[name][:, :s], "mask": mask}
    if "copy_ids" in rows:
        source["copy_ids"] = rows["copy_ids"][:, :s]
    y = rows["labels"][:, :t]
    if y.dtype == tf.float32:
        shifted = tf.pad(y[:, :-1], [[0, 0], [1, 0], [0, 0]])  # [B, T, F]
    else:
        before = tf.pad(y[:, :-1], [[0, 0], [1, 0]], constant_values=_SPECIAL.start)
        shifted = tf.where(real, before, _SPECIAL.pad)
    weights = tf.cast(real, tf.float32)
    if "weight" in rows:
        weights *= rows["weight"][:, None]
    return {"source": source, "target": shifted}, y, weights


def target_ids(source_pieces, target_pieces, target, copy: bool = False):
    """The ids of target pieces, without an end.

    Args:
        source_pieces, target_pieces: strings, ragged [B, None].
        target: gives the ids.
        copy: whether an unknown piece that stands in the source is its copy id, see `make_source`.

    Returns:
        int32, ragged [B, None].
    """
    return _copy_ids(source_pieces, target_pieces, target) if copy else target.ids(target_pieces)


def target_strings(ids, source_pieces, target: Tokenizer):
    """The pieces that a model's output ids stand for, copied ones read from the source.

    Args:
        ids: int32 [B, ...]; an id of V and more means source position id - V.
        source_pieces: strings, ragged [B, None].
        target: V is its size.

    Returns:
        Strings shaped as `ids`: "" for pad, start and end, and what `unknown` gives for an id
        that neither the vocabulary nor the row's source holds.
    """
    rows = source_pieces.to_tensor("")
    rows = tf.pad(rows, [[0, 0], [0, 1]])  # a position to read from, whatever the source
    width = tf.shape(rows)[1]
    flat = tf.reshape(ids, [tf.shape(rows)[0], -1])  # [B, N]
    positions = flat - target.size
    inside = tf.clip_by_value(positions, 0, width - 1)
    copied = tf.gather(rows, inside, batch_dims=1)
    found = (positions < _lengths(source_pieces)[:, None]) & (copied != "")
    copied = tf.where(found, copied, UNKNOWN)
    strings = tf.where(positions >= 0, copied, target.strings(flat))
    return tf.reshape(strings, tf.shape(ids))


def _lengths(pieces):
    return tf.cast(pieces.row_lengths(), tf.int32)


def _mask(lengths):
    return tf.sequence_mask(lengths, tf.reduce_max(tf.concat([lengths, [1]], 0)))


def _dense(frames):
    """Ragged frames [B, None, F] -> dense [B, S, F], S at least 1."""
    dense = frames.to_tensor()
    return tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)], [0, 0]])


def _ended(ids):
    """Ragged ids [B, None] with `end` after each row -> dense [B, S]; without rows [0, 1]."""
    end = tf.fill([ids.nrows(), 1], _SPECIAL.end)
    dense = tf.concat([ids, end], axis=1).to_tensor(_SPECIAL.pad)
    missing = tf.maximum(1 - tf.shape(dense)[1], 0)
    return tf.pad(dense, [[0, 0], [0, missing]])


def _copy_ids(source, queries, target):
    """The ids of `queries`, ragged [B, None]; unknown ones that `source` holds as copies."""
    ids = target.ids(queries.values)
    first = _first_positions(source, queries)
    copied = (ids == _SPECIAL.unknown) & (first != _ABSENT)
    # the sum of an absent position would overflow, though `where` drops it
    position = tf.where(copied, first, 0)
    return queries.with_values(tf.where(copied, target.size + position, ids))


def _first_positions(source, queries):
    """Where each query [N] first stands in its own row of `source`; _ABSENT where it does not.

    Strings are numbered, then (row, string) is: linear in the number of pieces, where comparing
    all pairs of positions [B, T, S] would let one long text exhaust the memory.
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
