"""Options of a request as the tensors of a search, and the error of each row.

A row with a wrong option is searched at the lowest cost and gives its `error`; it does not affect
its neighbours. An option that no row of a batch uses costs one comparison.
"""

from collections.abc import Mapping

import tensorflow as tf

from keras_s2s import search
from keras_s2s.signatures.fields import FORECAST, SAMPLE, TRANSLATE
from keras_s2s.signatures.option_groups import constraint_options, constraint_tensors
from keras_s2s.signatures.options import OPTIONS
from keras_s2s.signatures.request_rules import (
    PHRASES,
    PREFIXES,
    ListValues,
    prefix_rules,
    search_rules,
    target_rules,
)
from keras_s2s.translator.list_options import ListOptions, text_or_tokens
from keras_s2s.translator.request_checks import bound_rules, first_error
from keras_s2s.translator.sources import FeatureSource, TextSource

__all__ = ["forecast_steps", "read_target", "sampling_options", "search_options"]

Values = Mapping[str, tf.Tensor]
Source = TextSource | FeatureSource
MAX_RATIO = 100.0  # keeps rows with a wrong ratio within int32


def search_options(values: Values, lists: ListOptions, source: Source) -> tuple:
    """Resolves the options of `translate`.

    Args:
        values: the options' tensors [B] by name.
        lists: the list options as ids.
        source: the request's source.

    Returns:
        `search.Options` and `search.ConstraintOptions` within their bounds, and the errors,
        string [B].
    """
    beam_size = tf.clip_by_value(values["beam_size"], 1, source.caps["beam_size"])
    has_alternatives = OPTIONS["alternatives_at"].is_active(values["alternatives_at"])
    min_length, max_length = _lengths(values, lists, source)
    bounded = {"beam_size": beam_size, "beam_groups": tf.maximum(values["beam_groups"], 1)}
    rules = [
        *bound_rules(TRANSLATE, values, source.caps),
        *source.rules(),
        *search_rules(
            dict(values) | bounded,
            _list_values(values, lists),
            max_length,
            source.caps,
        ),
    ]
    errors = first_error(rules, source.batch)
    is_valid = tf.equal(errors, "")
    num_hypotheses = tf.clip_by_value(values["num_hypotheses"], 1, beam_size)
    beam_size = tf.where(has_alternatives, num_hypotheses, beam_size)
    options = search.Options(
        beam_size=tf.where(is_valid, beam_size, 1),
        num_hypotheses=tf.where(is_valid, num_hypotheses, 1),
        length_penalty=tf.where(is_valid, values["length_penalty"], 0.0),
        length_offset=tf.where(is_valid, values["length_offset"], 5.0),
        min_length=tf.where(is_valid, min_length, 0),
        max_length=tf.where(is_valid, max_length, 0),
    )
    return options, _constraint_options(values, lists, is_valid), errors


def sampling_options(values: Values, lists: ListOptions, source: Source) -> tuple:
    """Resolves the options of `sample`; arguments as for `search_options`.

    Returns:
        `search.Options`, `search.SamplingOptions` and `search.ConstraintOptions`, and the errors,
        string [B].
    """
    max_length = _max_length(values, lists)
    prefix = ListValues(_num_bytes(values, PREFIXES), lists.prefix_length)
    rules = [
        *bound_rules(SAMPLE, values, source.caps),
        *source.rules(),
        *prefix_rules(values, prefix, max_length, source.caps),
    ]
    errors = first_error(rules, source.batch)
    is_valid = tf.equal(errors, "")
    num_samples = tf.where(is_valid, values["num_samples"], 1)
    zeros = tf.zeros([source.batch])
    options = search.Options(
        beam_size=num_samples,
        num_hypotheses=num_samples,
        length_penalty=zeros,
        length_offset=zeros + 5.0,
        min_length=tf.zeros_like(num_samples),
        max_length=tf.where(is_valid, max_length, 0),
    )
    names = [name for name in search.SamplingOptions._fields if name != "num_samples"]
    draws = {name: tf.where(is_valid, values[name], OPTIONS[name].inactive) for name in names}
    constraints = search.no_constraints(source.batch)._replace(
        prefix=lists.prefix, prefix_length=tf.where(is_valid, lists.prefix_length, 0)
    )
    return options, search.SamplingOptions(num_samples, **draws), constraints, errors


def forecast_steps(values: Values, source: Source) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the number of frames of each row, int32 [B], and the errors, string [B]."""
    rules = [*bound_rules(FORECAST, values, source.caps), *source.rules()]
    errors = first_error(rules, source.batch)
    return tf.where(tf.equal(errors, ""), values["steps"], 0), errors


def read_target(values: Values, source: Source) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Tokenizes the target of `score` and `attention`.

    Args:
        values: `target` and `target_tokens`, string [B].
        source: the request's source.

    Returns:
        The tokens, ragged [B, None], none of a row with an error, and the errors, string [B].
    """
    cap, tokenizer = source.caps["text_bytes"], source.tokenizers[1]
    text, tokens = values["target"], values["target_tokens"]
    pieces = text_or_tokens(tokenizer, *(tf.strings.substr(x, 0, cap) for x in (text, tokens)))
    length = tf.cast(pieces.row_lengths(), tf.int32)
    sizes = {"target": tf.strings.length(text), "target_tokens": tf.strings.length(tokens)}
    is_given = tf.not_equal(text, ""), tf.not_equal(tokens, "")
    rules = [*source.rules(), *target_rules(*is_given, sizes, length, source.caps)]
    errors = first_error(rules, source.batch)
    is_valid = tf.repeat(tf.equal(errors, ""), pieces.row_lengths())
    return tf.ragged.boolean_mask(pieces, pieces.with_values(is_valid)), errors


def _max_length(values: Values, lists: ListOptions) -> tf.Tensor:
    new = values["max_new_tokens"]
    longest = tf.minimum(values["max_length"], lists.prefix_length + new)
    return tf.where(new > 0, longest, values["max_length"])


def _lengths(values: Values, lists: ListOptions, source: Source) -> tuple[tf.Tensor, tf.Tensor]:
    """Minimum and maximum length of each row, int32 [B]."""
    size = tf.cast(source.length, tf.float32)

    def share(name: str) -> tf.Tensor:
        ratio = tf.clip_by_value(values[name], 0.0, MAX_RATIO)
        return tf.cast(tf.math.ceil(ratio * size), tf.int32)

    shortest = tf.maximum(values["min_length"], share("min_length_ratio"))
    longest = _max_length(values, lists)
    has_ratio = values["max_length_ratio"] > 0.0
    longest = tf.where(has_ratio, tf.minimum(longest, share("max_length_ratio")), longest)
    # Only `min_length` and `max_length` can contradict each other: a ratio gives way.
    return tf.where(shortest > longest, tf.minimum(shortest, longest), shortest), longest


def _constraint_options(values: Values, lists: ListOptions, is_valid: tf.Tensor):
    """`search.ConstraintOptions`, inactive in rows with an error."""

    def where_valid(value: tf.Tensor, inactive) -> tf.Tensor:
        rows = tf.reshape(is_valid, [-1] + [1] * (value.shape.rank - 1))
        return tf.where(rows, value, inactive)

    numbers = {option.name: option.inactive for option in constraint_options()}
    ids = [name for name in constraint_tensors() if name not in numbers and name != "prefix"]
    return search.ConstraintOptions(
        prefix=lists.prefix,  # of which `prefix_length` tokens count
        **{name: where_valid(values[name], inactive) for name, inactive in numbers.items()},
        **{name: where_valid(getattr(lists, name), 0) for name in ids},
    )


def _num_bytes(values: Values, names: tuple[str, ...]) -> dict[str, tf.Tensor]:
    return {name: tf.strings.length(values[name]) for name in names}


def _list_values(values: Values, lists: ListOptions) -> ListValues:
    """What the rules of a request read of its lists."""
    num_missing, is_contradiction = _constraint_conflicts(lists)
    return ListValues(
        num_bytes=_num_bytes(values, (*PREFIXES, *PHRASES)),
        prefix_length=lists.prefix_length,
        num_constraint_tokens=lists.num_constraint_tokens,
        num_missing_tokens=num_missing,
        has_unknown=tf.not_equal(lists.unknown, ""),
        unknown=lists.unknown,
        is_contradiction=is_contradiction,
    )


def _constraint_conflicts(lists: ListOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """Constraint tokens that the prefix lacks, int32 [B], and whether any is disallowed, bool."""
    count = lists.num_constraint_tokens
    nothing = tf.zeros_like(count), tf.zeros_like(count, tf.bool)
    if lists.constraints.shape[1] == 0:  # of `no_lists`
        return nothing
    constraints = search.no_constraints(tf.shape(count)[0])._replace(
        constraints=lists.constraints,
        disallowed=lists.disallowed,
        prefix=lists.prefix,
        prefix_length=lists.prefix_length,
    )
    return tf.cond(
        tf.reduce_any(count > 0),
        lambda: (search.required_tokens(constraints), search.has_disallowed(constraints)),
        lambda: nothing,
    )
