"""The options of a request as a search takes them, and what is wrong with each row's.

A row with a wrong option is searched as cheaply as can be and gives its `error`; it fails none of
its neighbours. What no row of a batch asks for costs one comparison.
"""

import tensorflow as tf

from keras_s2s import search
from keras_s2s.config import SpecialIds
from keras_s2s.signatures.fields import FORECAST, SAMPLE, TRANSLATE
from keras_s2s.tokenizers import UNKNOWN
from keras_s2s.translator.sources import beyond, said

__all__ = [
    "Lists",
    "forecast_steps",
    "read_lists",
    "read_target",
    "sampling_options",
    "search_options",
]


class Lists:
    """The lists of a request as ids: int32 `prefix` [B, P], `constraints` [B, C, L] and
    `disallowed` [B, D, L], padded with 0, and `prefix_length` [B].

    One row's lists pad those of all others, so that what is too much for a row is not here:
    `constraints` are cut to what a request may hold, of `constraint_tokens` [B], and `disallowed`
    has no sequences that are longer than any target. `strange`, string [B], is the first piece of
    the constraints that no target can hold, "" where there is none.
    """

    def __init__(self, prefix, prefix_length, constraints=None, disallowed=None):
        nothing = tf.zeros([tf.shape(prefix)[0], 0, 0], tf.int32)
        none = nothing, tf.zeros_like(prefix_length), tf.fill(tf.shape(prefix_length), "")
        self.prefix, self.prefix_length = prefix, prefix_length
        self.constraints, self.constraint_tokens, self.strange = constraints or none
        self.disallowed = nothing if disallowed is None else disallowed


def read_lists(given, source):
    """Reads prefix, constraints and disallowed tokens of a request.

    Args:
        given: dict of the options' tensors, [B].
        source: a `sources.Source` or `FrameSource`.

    Returns:
        `Lists`.
    """
    prefix, length = _prefix(given["target_prefix"], given["prefix_tokens"], source)
    if "constraints" not in given:
        return Lists(prefix, length)
    return Lists(
        prefix,
        length,
        _constraints(given["constraints"], source),
        _disallowed(given["disallowed"], source),
    )


def _when_any(texts, read, empty):
    """`read()` where any of the strings [B] holds something, otherwise the same shaped nothing."""
    return tf.cond(tf.reduce_any(tf.not_equal(texts, "")), read, empty)


def _items(texts):
    """Lines of strings [B], ragged [B, None], without empty ones."""
    lines = tf.strings.split(texts, "\n")
    return tf.ragged.boolean_mask(lines, tf.not_equal(lines, ""))


def _prefix(text, tokens, source):
    cap = source.caps["list_bytes"]

    target = source.tokenizers[1]

    def read():
        ids = source.ids(_either(target, _within(text, cap), _within(tokens, cap)))
        return ids.to_tensor(0), tf.cast(ids.row_lengths(), tf.int32)

    def empty():
        first = tf.reshape(target.ids(tf.constant(target.prefix_tokens, tf.string)), [1, -1])
        return tf.tile(first, [source.batch, 1]), tf.fill([source.batch], len(target.prefix_tokens))

    return _when_any(tf.strings.join([text, tokens]), read, empty)


def _either(tokenizer, text, tokens):
    """Pieces, ragged [B, None], of texts or, where there are some, the lines of `tokens`."""
    of_text = tokenizer.tokenize(text)
    if tokenizer.prefix_tokens:  # the empty text has pieces too
        alone = tf.repeat(tf.equal(tokens, ""), of_text.row_lengths())
        of_text = tf.ragged.boolean_mask(of_text, of_text.with_values(alone))
    return tf.concat([of_text, _items(tokens)], 1)


def _within(texts, cap):
    """Strings [B], empty where they have more bytes: such a row has an error."""
    return tf.where(tf.strings.length(texts) > cap, "", texts)


def _phrases(texts, source):
    """Lines of strings [B], ragged [B, None], and pieces and ids of each, [B, None, None]."""
    items = _items(_within(texts, source.caps["list_bytes"]))
    cut = items.with_values(source.tokenizers[1].tokenize_phrases(items.values))
    return items, cut, cut.with_flat_values(source.ids(cut.merge_dims(1, 2)).values)


def _constraints(texts, source):
    """int32 [B, C, L], how many tokens they were before they were cut, int32 [B], and the first
    piece, string [B], that is unknown and no copy."""
    most = source.caps["constraints"]

    def read():
        _, pieces, ids = _phrases(texts, source)
        flat, flat_ids = pieces.merge_dims(1, 2), ids.merge_dims(1, 2)
        count = tf.cast(flat_ids.row_lengths(), tf.int32)
        unknown = tf.equal(flat_ids.values, SpecialIds().unknown) & (flat.values != UNKNOWN)
        strange = tf.ragged.boolean_mask(flat, flat.with_values(unknown))[:, :1].to_tensor("")
        return ids[:, :most, :most].to_tensor(0), count, tf.strings.reduce_join(strange, 1)

    def empty():
        none = tf.zeros([source.batch], tf.int32)
        return tf.zeros([source.batch, 0, 0], tf.int32), none, tf.fill([source.batch], "")

    return _when_any(texts, read, empty)


def _disallowed(texts, source):
    """int32 [B, D, L], each line cut, and each line as the one piece that it may be."""

    def read():
        items, _, ids = _phrases(texts, source)
        ids = tf.concat([ids, _as_pieces(items, source)], 1)
        short = ids.row_lengths(2) <= source.caps["max_length"]
        return tf.ragged.boolean_mask(ids, short).to_tensor(0)

    return _when_any(texts, read, lambda: tf.zeros([source.batch, 0, 0], tf.int32))


def _as_pieces(items, source):
    """The items that are pieces of the vocabulary, as sequences of one id; 0 for the others."""
    ids = source.ids(items)
    known = tf.not_equal(ids.values, SpecialIds().unknown) | (items.values == UNKNOWN)
    alone = tf.expand_dims(tf.where(known, ids.values, 0), 1)
    return items.with_values(tf.RaggedTensor.from_tensor(alone))


def search_options(given, lists, source):
    """What `translate` asks for.

    Args:
        given: dict of the options' tensors, [B].
        lists: `Lists`.
        source: a `sources.Source` or `FrameSource`.

    Returns:
        `search.Options` and `search.Extras` inside their caps, and string [B], "" where all was
        well.
    """
    beam = tf.clip_by_value(given["beam_size"], 1, source.caps["beam_size"])
    apart = given["alternatives_at"] >= 0
    shortest, longest = _lengths(given, lists, source)
    checks = [
        *_ranges(given, TRANSLATE, source.caps),
        *source.errors(),
        *_prefix_checks(given, lists, longest, source.caps),
        *_beam_checks(given, beam, apart, lists),
        *_phrase_checks(given, lists, apart, longest, source.caps),
    ]
    error = _first_error(checks, source.batch)
    good = tf.equal(error, "")
    wanted = tf.clip_by_value(given["num_hypotheses"], 1, beam)
    options = search.Options(
        beam_size=tf.where(good, tf.where(apart, wanted, beam), 1),
        num_hypotheses=tf.where(good, wanted, 1),
        length_penalty=tf.where(good, given["length_penalty"], 0.0),
        length_offset=tf.where(good, given["length_offset"], 5.0),
        min_length=tf.where(good, shortest, 0),
        max_length=tf.where(good, longest, 0),
    )
    return options, _extras(given, lists, good), error


def sampling_options(given, lists, source):
    """What `sample` asks for: `search.Options`, `Sampling` and `Extras`, and string [B]."""
    longest = _longest(given, lists, source)
    checks = [
        *_ranges(given, SAMPLE, source.caps),
        *source.errors(),
        *_prefix_checks(given, lists, longest, source.caps),
    ]
    error = _first_error(checks, source.batch)
    good = tf.equal(error, "")
    count = tf.where(good, given["num_samples"], 1)
    zeros = tf.zeros([source.batch])
    options = search.Options(
        count, count, zeros, zeros + 5.0, tf.zeros_like(count), tf.where(good, longest, 0)
    )
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 0}
    draws = {name: tf.where(good, given[name], value) for name, value in off.items()}
    extras = search.no_constraints(source.batch)._replace(
        prefix=lists.prefix, prefix_length=tf.where(good, lists.prefix_length, 0)
    )
    return options, search.SamplingOptions(count, **draws), extras, error


def forecast_steps(given, source):
    """What `forecast` asks for: int32 [B], frames of each row, and string [B], the errors."""
    checks = [*_ranges(given, FORECAST, source.caps), *source.errors()]
    error = _first_error(checks, source.batch)
    return tf.where(tf.equal(error, ""), given["steps"], 0), error


def _longest(given, lists, source):
    new = given["max_new_tokens"]
    return tf.where(
        new > 0, tf.minimum(given["max_length"], lists.prefix_length + new), given["max_length"]
    )


def _lengths(given, lists, source):
    """Fewest and most tokens of each row, int32 [B]."""
    size = tf.cast(source.length, tf.float32)

    def share(name):
        return tf.cast(tf.math.ceil(tf.clip_by_value(given[name], 0.0, 100.0) * size), tf.int32)

    shortest = tf.maximum(given["min_length"], share("min_length_ratio"))
    longest = _longest(given, lists, source)
    ratio = given["max_length_ratio"]
    longest = tf.where(ratio > 0.0, tf.minimum(longest, share("max_length_ratio")), longest)
    # Only two lengths that are both given can contradict: a ratio gives way.
    return tf.where(shortest > longest, tf.minimum(shortest, longest), shortest), longest


def _extras(given, lists, good):
    def kept(value, off):
        return tf.where(tf.reshape(good, [-1] + [1] * (value.shape.rank - 1)), value, off)

    return search.ConstraintOptions(
        coverage_penalty=kept(given["coverage_penalty"], 0.0),
        no_repeat_ngram=kept(given["no_repeat_ngram"], 0),
        repetition_penalty=kept(given["repetition_penalty"], 1.0),
        prefix=lists.prefix,
        prefix_length=kept(lists.prefix_length, 0),
        disallowed=kept(lists.disallowed, 0),
        constraints=kept(lists.constraints, 0),
        beam_groups=kept(given["beam_groups"], 1),
        diversity_penalty=kept(given["diversity_penalty"], 0.0),
        alternatives_at=kept(given["alternatives_at"], -1),
    )


def _ranges(given, signature, caps):
    """Each number against the range that the signature's table gives it."""
    ranges = {
        name: (field.low, caps.get(field.high, field.high))
        for name, field in signature.options().items()
        if field.low is not None
    }
    wrong = {}
    for dtype in sorted({given[name].dtype for name in ranges}, key=str):
        names = [name for name in ranges if given[name].dtype == dtype]
        values = tf.stack([given[name] for name in names])  # [N, B]: one comparison for all
        low, high = (tf.constant([[ranges[name][i]] for name in names], dtype) for i in (0, 1))
        # Also true of a NaN, for which no comparison holds.
        outside = ~((values >= low) & (values <= high))
        wrong |= zip(names, tf.unstack(outside, num=len(names)), strict=True)
    for name, bounds in ranges.items():
        low, most = (f"{x:g}" if isinstance(x, float) else x for x in bounds)
        expected, value = f"{name}: expected {low} to {most}, came", given[name]
        yield wrong[name], lambda expected=expected, value=value: said(expected, value)


def _prefix_checks(given, lists, longest, caps):
    both = tf.not_equal(given["target_prefix"], "") & tf.not_equal(given["prefix_tokens"], "")
    yield both, lambda: "target_prefix: expected none beside prefix_tokens"
    for name in ("target_prefix", "prefix_tokens"):
        yield beyond(f"{name} bytes", tf.strings.length(given[name]), caps["list_bytes"])
    length = lists.prefix_length
    yield (
        length > longest,
        lambda: said(
            "target_prefix: expected at most ", longest, " tokens, the maximum, came ", length
        ),
    )


def _beam_checks(given, beam, apart, lists):
    wanted, groups = given["num_hypotheses"], given["beam_groups"]
    yield wanted > beam, lambda: said("num_hypotheses: expected 1 to ", beam, ", came ", wanted)
    divided = tf.maximum(groups, 1)
    yield (
        tf.not_equal(beam % divided, 0),
        lambda: said("beam_groups: expected a divisor of beam_size, ", beam, ", came ", groups),
    )
    least, most = given["min_length"], given["max_length"]
    yield (
        least > most,
        lambda: said("min_length: expected at most max_length, ", most, ", came ", least),
    )
    place = given["alternatives_at"]
    yield (
        apart & (place < lists.prefix_length),
        lambda: said(
            "alternatives_at: expected at least the prefix's length, ",
            lists.prefix_length,
            ", came ",
            place,
        ),
    )
    yield apart & (groups > 1), lambda: "alternatives_at: expected none beside beam_groups"


def _phrase_checks(given, lists, apart, longest, caps):
    for name in ("constraints", "disallowed"):
        yield beyond(f"{name} bytes", tf.strings.length(given[name]), caps["list_bytes"])
    extras = search.no_constraints(tf.shape(apart)[0])._replace(
        constraints=lists.constraints,
        disallowed=lists.disallowed,
        prefix=lists.prefix,
        prefix_length=lists.prefix_length,
    )
    size = lists.constraint_tokens
    yield beyond("constraints tokens", size, caps["constraints"])
    yield (
        tf.not_equal(lists.strange, ""),
        lambda: tf.strings.join(
            ["constraints: expected tokens that a target can hold, came ", lists.strange]
        ),
    )
    other = (size > 0) & (apart | (given["beam_groups"] > 1))
    yield other, lambda: "constraints: expected none beside beam_groups or alternatives_at"
    needed, barred = tf.cond(
        tf.reduce_any(size > 0),
        lambda: (search.required_tokens(extras), search.has_disallowed(extras)),
        lambda: (tf.zeros_like(size), tf.zeros_like(other)),
    )
    yield (
        needed > longest - lists.prefix_length,
        lambda: said(
            "constraints: expected room for ", needed, " tokens below the maximum of ", longest
        ),
    )
    yield barred, lambda: "constraints: expected nothing that is disallowed"


def _first_error(checks, batch):
    """string [B]: the message of the first check that a row fails, "" where it fails none."""
    wrong = tf.stack([flags for flags, _ in checks])  # [N, B]

    def messages():
        error = tf.fill([batch], "")
        for flags, message in checks:
            error = tf.where(flags & tf.equal(error, ""), message(), error)
        return error

    return tf.cond(tf.reduce_any(wrong), messages, lambda: tf.fill([batch], ""))


def read_target(given, source):
    """The target of `score` and `attention`: ragged pieces [B, None], and string [B], the errors.

    A row with an error has no pieces.
    """
    cap, tokenizer = source.caps["text_bytes"], source.tokenizers[1]
    text, tokens = given["target"], given["target_tokens"]
    pieces = _either(tokenizer, *(tf.strings.substr(x, 0, cap) for x in (text, tokens)))
    length = tf.cast(pieces.row_lengths(), tf.int32)
    both = tf.not_equal(text, "") & tf.not_equal(tokens, "")
    checks = [
        *source.errors(),
        (both, lambda: "target: expected none beside target_tokens"),
        beyond("target bytes", tf.strings.length(text), cap),
        beyond("target_tokens bytes", tf.strings.length(tokens), cap),
        beyond("target tokens", length, source.caps["source_length"]),
    ]
    error = _first_error(checks, source.batch)
    good = tf.expand_dims(tf.equal(error, ""), 1)
    kept = tf.ragged.boolean_mask(
        pieces, pieces.with_values(tf.repeat(good[:, 0], pieces.row_lengths()))
    )
    return kept, error
