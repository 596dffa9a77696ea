"""Reference: beam search with every option in plain lists, and a table model to search."""

import math
from collections import Counter
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s import search
from keras_s2s.search.logits_processors import ATTENTION_FLOOR
from tests.search import constraint_reference
from tests.search.references import (
    END,
    NEG_INF,
    PAD,
    START,
    VOCABULARY,
    WORDS,
    forbidden_tokens,
    hypotheses,
)

SOURCE_LENGTH = 4


class TableModel:
    """A model with log-probabilities [V] and attention [S] for every prefix of every row.

    The state numbers the prefix: code' = 3 code + 1 + index of the word, 0 for no word.
    """

    def __init__(self, log_probs, attention, mask):
        self.log_probs, self.attention, self.source = log_probs, attention, {"mask": mask}

    def begin(self, source, width, max_length=None):
        rows = tf.range(tf.shape(source["mask"])[0])
        return {"row": rows}, {"code": tf.zeros(tf.stack([tf.size(rows), width]), tf.int32)}

    def step(self, ids, position, context, state, maps="alignment", normalize=True):
        index = tf.gather(tf.constant([0, 0, 0, 0, 1, 2]), tf.minimum(ids, VOCABULARY - 1))
        code = tf.where(position > 0, 3 * state["code"] + 1 + index, 0)
        code = tf.minimum(code, tf.shape(self.log_probs)[1] - 1)
        rows = tf.expand_dims(context["row"], 1) + tf.zeros_like(code)
        index = tf.stack([rows, code], 2)
        attention = None if maps == "none" else tf.gather_nd(self.attention, index)
        # Logits differ from log-probabilities by a constant, which must not matter.
        log_probs = tf.gather_nd(self.log_probs, index) + (0.0 if normalize else 1.5)
        return log_probs, {"code": code}, attention

    def after(self, row, tokens):
        """Log-probabilities and attention of the step after `tokens`."""
        code = 0
        for token in tokens:
            code = 3 * code + 1 + WORDS.index(token)
        return self.log_probs[row][code], self.attention[row][code]


def random_table(seed, rows, longest, sharpness=1.5):
    random = np.random.default_rng(seed)
    codes = (3 ** (longest + 1) - 1) // 2
    logits = random.normal(0, sharpness, (rows, codes, VOCABULARY))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    mask = np.arange(SOURCE_LENGTH) < random.integers(1, SOURCE_LENGTH + 1, (rows, 1))
    weights = random.gamma(0.5, 1.0, (rows, codes, SOURCE_LENGTH)) * mask[:, None] + 1e-9
    attention = weights / weights.sum(-1, keepdims=True)
    return TableModel(log_probs.astype("float32"), attention.astype("float32"), mask)


@dataclass
class RowOptions:
    """The options of a row."""

    beam_size: int = 3
    num_hypotheses: int = 3
    length_penalty: float = 0.0
    length_offset: float = 5.0
    min_length: int = 0
    max_length: int = 3
    coverage_penalty: float = 0.0
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    prefix: tuple = ()
    disallowed: tuple = ()
    constraints: tuple = ()
    beam_groups: int = 1
    diversity_penalty: float = 0.0
    alternatives_at: int = -1


DTYPES = {
    field.name: np.dtype(field.type).type for field in fields(RowOptions) if field.type is not tuple
}


def _pad(sequences, *shape):
    padded = np.zeros(shape, "int32")
    for index, sequence in enumerate(sequences):
        padded[index, : len(sequence)] = sequence
    return padded


def _pad_sequences(rows):
    count = max(map(len, rows), default=0)
    longest = max((len(s) for row in rows for s in row), default=0)
    stacked = [_pad(row, count, longest) for row in rows]
    return tf.constant(np.reshape(stacked, [len(rows), count, longest]), tf.int32)


def option_tensors(rows):
    """`Options` and `ConstraintOptions` of a list of `RowOptions`."""
    columns = {
        name: tf.constant(
            [getattr(row, name) for row in rows], "float32" if dtype is np.float64 else "int32"
        )
        for name, dtype in DTYPES.items()
    }
    prefixes = [row.prefix for row in rows]
    longest = max(map(len, prefixes), default=0)
    columns |= {
        "prefix": tf.constant(_pad(prefixes, len(prefixes), longest)),
        "prefix_length": tf.constant([len(p) for p in prefixes], tf.int32),
        "disallowed": _pad_sequences([row.disallowed for row in rows]),
        "constraints": _pad_sequences([row.constraints for row in rows]),
    }
    classes = search.Options, search.ConstraintOptions
    return [cls(*(columns[name] for name in cls._fields)) for cls in classes]


def option_specs(cls):
    ranks = {"prefix": 2, "disallowed": 3, "constraints": 3}
    real = {name for name, dtype in DTYPES.items() if dtype is np.float64}
    return cls(
        *(
            tf.TensorSpec([None] * ranks.get(name, 1), tf.float32 if name in real else tf.int32)
            for name in cls._fields
        )
    )


TABLE_SPEC = tf.TensorSpec([None, None, None], tf.float32)
MODEL_SPECS = [TABLE_SPEC, TABLE_SPEC, tf.TensorSpec([None, None], tf.bool)]


@tf.function(
    autograph=False,
    input_signature=[
        *MODEL_SPECS,
        option_specs(search.Options),
        option_specs(search.ConstraintOptions),
    ],
)
def _search_in_graph(log_probs, attention, mask, options, constraint_options):
    model = TableModel(log_probs, attention, mask)
    return search.search(model.begin, model.step, model.source, options, constraint_options)


def run_search(model, rows, graph=True):
    """`search.search` of a list of `RowOptions`: `Hypotheses` of arrays."""
    mask, options = tf.constant(model.source["mask"]), option_tensors(rows)
    if graph:
        result = _search_in_graph(model.log_probs, model.attention, mask, *options)
    else:
        result = search.search(model.begin, model.step, {"mask": mask}, *options)
    return search.Hypotheses(*(x.numpy() for x in result))


# The reference search: hypotheses store only tokens, everything else follows from them.


class Live(NamedTuple):
    total: float
    tokens: tuple
    group: int = 0


class RowReference:
    """The values of hypotheses in a row, from the model and the options of the row."""

    def __init__(self, model, row, options):
        self.model, self.row, self.options = model, row, options
        # Attributes that `constraint_reference` reads.
        self.size, self.longest, self.prefix = (
            options.beam_size,
            options.max_length,
            options.prefix,
        )
        self.constraints = tuple(map(tuple, options.constraints))

    def next_scores(self, tokens):
        """{token: what it adds to a total} of the possible next tokens."""
        options, position, scores = self.options, len(tokens), {}
        disallowed = [list(sequence) for sequence in options.disallowed]
        forbidden = set(
            forbidden_tokens(list(tokens), VOCABULARY, options.no_repeat_ngram, disallowed)
        )
        is_short = position < min(options.min_length, options.max_length)
        for token, value in enumerate(map(float, self.model.after(self.row, tokens)[0])):
            if token in (PAD, START) or (token == END and is_short):
                continue
            if position >= options.max_length and token != END:
                continue
            forced = options.prefix[position : position + 1]
            if forced == (token,) or (not forced and token not in forbidden):
                scores[token] = value * (options.repetition_penalty if token in tokens else 1.0)
        return scores

    def totals(self, total, tokens):
        totals = np.full([VOCABULARY], 2 * NEG_INF)
        for token, value in self.next_scores(tokens).items():
            totals[token] = total + value
        return totals

    def token_log_probs(self, tokens):
        """The model's own log-probability of each token and the end."""
        steps = [(tokens[:i], token) for i, token in enumerate((*tokens, END))]
        return [float(self.model.after(self.row, before)[0][token]) for before, token in steps]

    def total(self, tokens):
        """The total of a hypothesis that has ended; None where it is impossible."""
        steps = [self.next_scores(tokens[:i]).get(t) for i, t in enumerate((*tokens, END))]
        return None if None in steps else sum(steps)

    def score(self, total, tokens, has_ended=True):
        """The score of a total; the attention of the end counts if it `has_ended`."""
        options, count = self.options, len(tokens) + 1
        offset = options.length_offset
        penalty = ((offset + count) / (offset + 1)) ** options.length_penalty
        steps = range(len(tokens) + has_ended)
        attention = np.sum([self.model.after(self.row, tokens[:i])[1] for i in steps], 0)
        mask = self.model.source["mask"][self.row]
        covered = [min(max(x, ATTENTION_FLOOR), 1) for x, real in zip(attention, mask) if real]
        return total / penalty + options.coverage_penalty * sum(map(math.log, covered))

    def finished(self, tokens):
        likeliest = int(np.argmax(self.model.after(self.row, tokens)[0]))
        return likeliest == END or len(tokens) < self.options.max_length

    def hypothesis(self, total, tokens):
        """(score, log-probability, tokens)."""
        return self.score(total, tokens), sum(self.token_log_probs(tokens)), tokens


def _continuations(row, live):
    """(total, token, tokens before, group) of every continuation, best first."""
    items = [
        (h.total + value, token, h.tokens, h.group)
        for h in live
        for token, value in row.next_scores(h.tokens).items()
    ]
    return sorted(items, key=lambda item: -item[0])


def _split(items):
    """Items as live hypotheses, and as (total, tokens) those that end."""
    live = [Live(total, (*before, t), group) for total, t, before, group in items if t != END]
    return live, [(total, before) for total, token, before, _ in items if token == END]


def _plain_step(row, live):
    items, size = _continuations(row, live), row.size
    return _split(items)[0][:size], _split(items[:size])[1]


def _constrained_step(row, live):
    pairs = [(h.total, h.tokens) for h in live]
    possible = constraint_reference.possible_items(row, pairs)
    items = list(constraint_reference.candidates(row, pairs, possible))
    best_first = bool(live) and constraint_reference.takes_best_first(row, pairs)
    first = constraint_reference.deal(row, items, best_first)[: row.size]
    not_ended = [item for item in items if item[2] != END]
    survivors = constraint_reference.deal(row, not_ended, best_first)[: row.size]
    ended = [(total, tokens[:-1]) for total, _, token, tokens in first if token == END]
    return [Live(total, tokens) for total, _, _, tokens in survivors], ended


def _diverse_step(row, live):
    """Vijayakumar et al. 2018, algorithm 1: each group after the earlier ones."""
    counts, survivors, ended = Counter(), [], []
    size = row.size // row.options.beam_groups
    for group in range(row.options.beam_groups):
        members = [h for h in live if h.group == group or not h.tokens]
        items = _continuations(row, members)
        items.sort(key=lambda item: -(item[0] - row.options.diversity_penalty * counts[item[1]]))
        chosen = [h._replace(group=group) for h in _split(items)[0][:size]]
        ended += _split(items[:size])[1]
        survivors += chosen
        counts.update(h.tokens[-1] for h in chosen)
    return survivors, ended


def _alternatives_step(row, live):
    """Greedy to the position, the best tokens there, and each greedy afterwards."""
    position = len(live[0].tokens)
    if position < row.options.alternatives_at:
        return _split(_continuations(row, live)[:1])
    if position == row.options.alternatives_at:
        return _split(_continuations(row, live)[: row.size])
    return _split([item for h in live for item in _continuations(row, [h])[:1]])


def _has_enough(row, live, ended):
    """Whether `beam_size` have ended, and no live one is ahead even if it ends at no cost."""
    if len(ended) < row.size:
        return False
    worst = ended[row.options.num_hypotheses - 1][0]
    is_ahead = any(row.score(h.total, h.tokens, has_ended=False) > worst for h in live)
    return row.size == 1 or not is_ahead


def reference_search(model, row, options):
    """The hypotheses of a row, best first: (score, log-probability, tokens) of each."""
    row = RowReference(model, row, options)
    step = _constrained_step if options.constraints else _plain_step
    step = _diverse_step if options.beam_groups > 1 else step
    step = _alternatives_step if options.alternatives_at >= 0 else step
    live, ended = [Live(0.0, ())], []
    while live and not _has_enough(row, live, ended):
        live, new = step(row, live)
        ended = sorted([*ended, *(row.hypothesis(*item) for item in new)], reverse=True)
        ended = ended[: options.beam_size]
    return ended[: options.num_hypotheses]


def check(result, row, expected, model, options):
    """Compares a row of a result with the expected hypotheses, best first, and with the model."""
    actual, reference = hypotheses(result, row), RowReference(model, row, options)
    assert [tokens for *_, tokens in actual] == [tokens for *_, tokens in expected], (row, options)
    np.testing.assert_allclose(
        [a[:2] for a in actual], [e[:2] for e in expected], rtol=1e-4, atol=1e-4
    )
    for k, (_, log_prob, tokens) in enumerate(actual):
        count = len(tokens)
        log_probs = result.token_log_probs[row, k]
        np.testing.assert_allclose(
            log_probs[: count + 1], reference.token_log_probs(tokens), atol=1e-4
        )
        np.testing.assert_allclose(log_probs[: count + 1].sum(), log_prob, atol=1e-4)
        assert (log_probs[count + 1 :] == NEG_INF).all()
        attention = [model.after(row, tokens[:i])[1] for i in range(count)]
        np.testing.assert_array_equal(
            result.alignment[row, k, :count], np.reshape(attention, [count, SOURCE_LENGTH])
        )
        assert not result.alignment[row, k, count:].any()
        assert bool(result.finished[row, k]) == reference.finished(tokens)
    assert (result.score[row, len(actual) :] == NEG_INF).all()
    assert (result.log_prob[row, len(actual) :] == NEG_INF).all()
    assert not result.finished[row, len(actual) :].any()
