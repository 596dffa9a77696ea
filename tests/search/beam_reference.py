"""A beam with every option in plain lists, and a made-up model for it to search."""

import math
from collections import Counter
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s import search
from keras_s2s.search.logits_processors import ATTENTION_FLOOR
from tests.search import test_constraints as bound
from tests.search.references import forbidden

PAD, UNKNOWN, START, END = range(4)
VOCABULARY = 6
WORDS = (UNKNOWN, 4, 5)  # what a hypothesis may consist of
SOURCE = 4
LOW = search.NEG_INF


class Table:
    """A log-probability [V] and an attention [S] of its own for every prefix of every row.

    The state numbers the prefix: code' = 3 code + 1 + place of the word, 0 for no word.
    """

    def __init__(self, log_probs, attention, mask):
        self.log_probs, self.attention, self.source = log_probs, attention, {"mask": mask}

    def begin(self, source, width, most=None):
        rows = tf.range(tf.shape(source["mask"])[0])
        return {"row": rows}, {"code": tf.zeros(tf.stack([tf.size(rows), width]), tf.int32)}

    def step(self, ids, position, context, state, maps="alignment", normalize=True):
        place = tf.gather(tf.constant([0, 0, 0, 0, 1, 2]), tf.minimum(ids, VOCABULARY - 1))
        code = tf.where(position > 0, 3 * state["code"] + 1 + place, 0)
        code = tf.minimum(code, tf.shape(self.log_probs)[1] - 1)
        rows = tf.expand_dims(context["row"], 1) + tf.zeros_like(code)
        index = tf.stack([rows, code], 2)
        look = None if maps == "none" else tf.gather_nd(self.attention, index)
        # A constant added to all logits says nothing: what is not normalised has it.
        log_probs = tf.gather_nd(self.log_probs, index) + (0.0 if normalize else 1.5)
        return log_probs, {"code": code}, look

    def of(self, row, tokens):
        code = 0
        for token in tokens:
            code = 3 * code + 1 + WORDS.index(token)
        return self.log_probs[row][code], self.attention[row][code]


def table(seed, rows, longest, sharpness=1.5):
    random = np.random.default_rng(seed)
    codes = (3 ** (longest + 1) - 1) // 2
    logits = random.normal(0, sharpness, (rows, codes, VOCABULARY))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    mask = np.arange(SOURCE) < random.integers(1, SOURCE + 1, (rows, 1))
    weights = random.gamma(0.5, 1.0, (rows, codes, SOURCE)) * mask[:, None] + 1e-9
    attention = weights / weights.sum(-1, keepdims=True)
    return Table(log_probs.astype("float32"), attention.astype("float32"), mask)


@dataclass
class Wish:
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


KINDS = {field.name: np.dtype(field.type).type for field in fields(Wish) if field.type is not tuple}


def _padded(sequences, *shape):
    out = np.zeros(shape, "int32")
    for place, sequence in enumerate(sequences):
        out[place, : len(sequence)] = sequence
    return out


def _sequences(rows):
    count = max(map(len, rows), default=0)
    longest = max((len(s) for row in rows for s in row), default=0)
    stacked = [_padded(row, count, longest) for row in rows]
    return tf.constant(np.reshape(stacked, [len(rows), count, longest]), tf.int32)


def tensors(wishes):
    """`Options` and `Extras` of rows of `Wish`."""
    columns = {
        name: tf.constant(
            [getattr(w, name) for w in wishes], "float32" if kind is np.float64 else "int32"
        )
        for name, kind in KINDS.items()
    }
    prefixes = [w.prefix for w in wishes]
    longest = max(map(len, prefixes), default=0)
    columns |= {
        "prefix": tf.constant(_padded(prefixes, len(prefixes), longest)),
        "prefix_length": tf.constant([len(p) for p in prefixes], tf.int32),
        "disallowed": _sequences([w.disallowed for w in wishes]),
        "constraints": _sequences([w.constraints for w in wishes]),
    }
    kinds = search.Options, search.ConstraintOptions
    return [kind(*(columns[name] for name in kind._fields)) for kind in kinds]


def specs(kind):
    ranks = {"prefix": 2, "disallowed": 3, "constraints": 3}
    real = {name for name, type_ in KINDS.items() if type_ is np.float64}
    return kind(
        *(
            tf.TensorSpec([None] * ranks.get(name, 1), tf.float32 if name in real else tf.int32)
            for name in kind._fields
        )
    )


NUMBERS = tf.TensorSpec([None, None, None], tf.float32)
MASK = tf.TensorSpec([None, None], tf.bool)


@tf.function(
    autograph=False,
    input_signature=[
        NUMBERS,
        NUMBERS,
        MASK,
        specs(search.Options),
        specs(search.ConstraintOptions),
    ],
)
def _traced(log_probs, attention, mask, options, extras):
    model = Table(log_probs, attention, mask)
    return search.search(model.begin, model.step, model.source, options, extras)


def run(model, wishes, graph=True):
    """`search.search` over rows of wishes: `Hypotheses` of arrays."""
    source = tf.constant(model.source["mask"])
    if graph:
        found = _traced(model.log_probs, model.attention, source, *tensors(wishes))
    else:
        found = search.search(model.begin, model.step, {"mask": source}, *tensors(wishes))
    return search.Hypotheses(*(x.numpy() for x in found))


# The twin: a hypothesis remembers nothing but its tokens, all else follows from them.


class Live(NamedTuple):
    total: float
    tokens: tuple
    group: int = 0


class Row:
    """What a row's model and wish say of hypotheses."""

    def __init__(self, model, row, wish):
        self.model, self.row, self.wish = model, row, wish
        # What the constrained beam's twin reads.
        self.size, self.longest, self.prefix = wish.beam_size, wish.max_length, wish.prefix
        self.constraints = tuple(map(tuple, wish.constraints))

    def ranked(self, tokens):
        """What each possible next token adds to a total."""
        wish, position, found = self.wish, len(tokens), {}
        never = set(
            forbidden(
                list(tokens), VOCABULARY, wish.no_repeat_ngram, [list(s) for s in wish.disallowed]
            )
        )
        for token, value in enumerate(map(float, self.model.of(self.row, tokens)[0])):
            short = position < min(wish.min_length, wish.max_length)
            if token in (PAD, START) or (token == END and short):
                continue
            if position >= wish.max_length and token != END:
                continue
            forced = wish.prefix[position : position + 1]
            if forced == (token,) or (not forced and token not in never):
                found[token] = value * (wish.repetition_penalty if token in tokens else 1.0)
        return found

    def totals(self, total, tokens):
        out = np.full([VOCABULARY], 2 * LOW)
        for token, value in self.ranked(tokens).items():
            out[token] = total + value
        return out

    def each(self, tokens):
        """The model's own log-probability of each token and the end."""
        steps = [(tokens[:i], token) for i, token in enumerate((*tokens, END))]
        return [float(self.model.of(self.row, before)[0][token]) for before, token in steps]

    def total(self, tokens):
        """What a hypothesis that has ended is ranked by; None where it is impossible."""
        steps = [self.ranked(tokens[:i]).get(t) for i, t in enumerate((*tokens, END))]
        return None if None in steps else sum(steps)

    def score(self, total, tokens, looking=1):
        """A total as a score; what the end looks at counts, unless it is yet to come."""
        wish, count = self.wish, len(tokens) + 1
        penalty = ((wish.length_offset + count) / (wish.length_offset + 1)) ** wish.length_penalty
        steps = range(len(tokens) + looking)
        looks = np.sum([self.model.of(self.row, tokens[:i])[1] for i in steps], 0)
        mask = self.model.source["mask"][self.row]
        covered = [min(max(x, ATTENTION_FLOOR), 1) for x, real in zip(looks, mask) if real]
        return total / penalty + wish.coverage_penalty * sum(map(math.log, covered))

    def finished(self, tokens):
        chosen = int(np.argmax(self.model.of(self.row, tokens)[0])) == END
        return chosen or len(tokens) < self.wish.max_length

    def hypothesis(self, total, tokens):
        """(score, log-probability, tokens)."""
        return self.score(total, tokens), sum(self.each(tokens)), tokens


def _grown(row, live):
    """(total, token, tokens before, group) of every continuation, best first."""
    found = [
        (h.total + value, token, h.tokens, h.group)
        for h in live
        for token, value in row.ranked(h.tokens).items()
    ]
    return sorted(found, key=lambda item: -item[0])


def _parted(items):
    """Items as live hypotheses, and as (total, tokens) those that end."""
    live = [Live(total, (*before, t), group) for total, t, before, group in items if t != END]
    return live, [(total, before) for total, token, before, _ in items if token == END]


def _plainly(row, live):
    found, size = _grown(row, live), row.size
    lives, _ = _parted(found)
    return lives[:size], _parted(found[:size])[1]


def _constrained(row, live):
    pairs = [(h.total, h.tokens) for h in live]
    items = list(bound.looked_at(row, pairs, bound.allowed(row, pairs)))
    leads = bool(live) and bound.goes_freely(row, pairs)
    first = bound.in_turn(row, items, leads)[: row.size]
    lives = bound.in_turn(row, [i for i in items if i[2] != END], leads)[: row.size]
    ended = [(total, tokens[:-1]) for total, _, token, tokens in first if token == END]
    return [Live(total, tokens) for total, _, _, tokens in lives], ended


def _diverse(row, live):
    """Vijayakumar et al. 2018, algorithm 1: each group after those that chose before it."""
    chosen, lives, ended = Counter(), [], []
    size = row.size // row.wish.beam_groups
    for group in range(row.wish.beam_groups):
        members = [h for h in live if h.group == group or not h.tokens]
        found = _grown(row, members)
        found.sort(key=lambda item: -(item[0] - row.wish.diversity_penalty * chosen[item[1]]))
        here = [h._replace(group=group) for h in _parted(found)[0][:size]]
        ended += _parted(found[:size])[1]
        lives += here
        chosen.update(h.tokens[-1] for h in here)
    return lives, ended


def _alternatives(row, live):
    """Greedy to the position, the best tokens there, and each greedy on."""
    position = len(live[0].tokens)
    if position < row.wish.alternatives_at:
        return _parted(_grown(row, live)[:1])
    if position == row.wish.alternatives_at:
        return _parted(_grown(row, live)[: row.size])
    return _parted([item for h in live for item in _grown(row, [h])[:1]])


def _enough(row, live, pool):
    """Whether `beam_size` have ended, and what is live is behind even if it ends for nothing."""
    if len(pool) < row.size:
        return False
    worst = pool[row.wish.num_hypotheses - 1][0]
    ahead = any(row.score(h.total, h.tokens, looking=0) > worst for h in live)
    return row.size == 1 or not ahead


def plain_search(model, row, wish):
    """The hypotheses of a row, best first: (score, log-probability, tokens) of each."""
    row = Row(model, row, wish)
    way = _constrained if wish.constraints else _plainly
    way = _diverse if wish.beam_groups > 1 else way
    way = _alternatives if wish.alternatives_at >= 0 else way
    live, pool = [Live(0.0, ())], []
    while live and not _enough(row, live, pool):
        live, ended = way(row, live)
        pool = sorted([*pool, *(row.hypothesis(*item) for item in ended)], reverse=True)
        pool = pool[: wish.beam_size]
    return pool[: wish.num_hypotheses]


def hypotheses(found, row):
    """(score, log-probability, tokens) of a row of `Hypotheses`."""
    rows = zip(found.score[row], found.log_prob[row], found.ids[row], found.lengths[row])
    return [
        (float(s), float(p), tuple(int(i) for i in ids[:n])) for s, p, ids, n in rows if s > LOW / 2
    ]


def check(found, row, expected, model, wish):
    """A row of a result against (score, log-probability, tokens), best first, and the model."""
    came, of = hypotheses(found, row), Row(model, row, wish)
    assert [tokens for *_, tokens in came] == [tokens for *_, tokens in expected], (row, wish)
    np.testing.assert_allclose(
        [c[:2] for c in came], [e[:2] for e in expected], rtol=1e-4, atol=1e-4
    )
    for k, (_, log_prob, tokens) in enumerate(came):
        count = len(tokens)
        each = found.token_log_probs[row, k]
        np.testing.assert_allclose(each[: count + 1], of.each(tokens), atol=1e-4)
        np.testing.assert_allclose(each[: count + 1].sum(), log_prob, atol=1e-4)
        assert (each[count + 1 :] == LOW).all()
        looks = [model.of(row, tokens[:i])[1] for i in range(count)]
        np.testing.assert_array_equal(
            found.alignment[row, k, :count], np.reshape(looks, [count, SOURCE])
        )
        assert not found.alignment[row, k, count:].any()
        assert bool(found.finished[row, k]) == of.finished(tokens)
    assert (found.score[row, len(came) :] == LOW).all()
    assert (found.log_prob[row, len(came) :] == LOW).all()
    assert not found.finished[row, len(came) :].any()
