"""References for the parts of a search: plain loops over NumPy arrays, from the definitions."""

import itertools
import math

import numpy as np
import tensorflow as tf

from keras_s2s import search

NEG_INF = -1e9
BITS_32 = 0xFFFFFFFF
PAD, UNKNOWN, START, END = range(4)
VOCABULARY, LONGEST = 6, 4
WORDS = (UNKNOWN, 4, 5)  # the tokens of a hypothesis


def adjust(log_probs, history, position, options):
    """`logits_processors.adjust` on arrays, `options` included."""
    out = np.array(log_probs, np.float64)
    for b, k in np.ndindex(out.shape[:2]):
        tokens = [int(token) for token in history[b, k]]
        for token in set(tokens):
            out[b, k, token] *= options.repetition_penalty[b]
        penalized = out[b, k].copy()
        sequences = [[int(i) for i in sequence if i] for sequence in options.disallowed[b]]
        ngram = int(options.no_repeat_ngram[b])
        for token in forbidden_tokens(tokens, out.shape[2], ngram, sequences):
            out[b, k, token] = NEG_INF
        if position < options.prefix_length[b]:
            token = options.prefix[b, position]
            out[b, k] = NEG_INF
            out[b, k, token] = penalized[token]
    return out


def forbidden_tokens(tokens, size, n, sequences):
    """Tokens that must not come next."""
    ngrams = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)} if n else set()
    for token in range(size):
        grown = [*tokens, token]
        repeats = tuple(grown[-n:]) in ngrams
        if repeats or any(grown[-len(seq) :] == seq for seq in sequences if seq):
            yield token


def coverage(attention_sum, mask, weight, floor):
    out = np.zeros(attention_sum.shape[:2])
    for b, k in np.ndindex(out.shape):
        for s in range(attention_sum.shape[2]):
            if mask[b, s]:
                out[b, k] += math.log(min(max(attention_sum[b, k, s], floor), 1.0))
        out[b, k] *= weight[b]
    return out


def fmix32(word):
    """MurmurHash3's `fmix32`, as in its C source."""
    word ^= word >> 16
    word = word * 0x85EBCA6B & BITS_32
    word ^= word >> 13
    word = word * 0xC2B2AE35 & BITS_32
    return word ^ word >> 16


def uniform(seed, step, count):
    out = np.zeros((len(seed), count))
    for b, k in np.ndindex(out.shape):
        word = 0x9E3779B9
        for part in (int(seed[b]), step, k):
            word = fmix32(word ^ part & BITS_32)
        out[b, k] = (word >> 8) / 2**24
    return out


def truncate(log_probs, temperature, top_k, top_p, min_p):
    """One truncated distribution, log_probs [V], as a list."""
    left = {i: x / temperature for i, x in enumerate(map(float, log_probs)) if x > NEG_INF / 2}
    if top_k:
        left = {i: x for i, x in left.items() if sum(y > x for y in left.values()) < top_k}
    if top_p < 1:
        best = max(left.values(), default=0)
        mass = {i: math.exp(x - best) for i, x in left.items()}
        before = {i: sum(y for y in mass.values() if y > x) for i, x in mass.items()}
        total = sum(mass.values())
        left = {i: x for i, x in left.items() if before[i] < top_p * total or x == best}
    if min_p:
        best = max(left.values(), default=0)
        left = {i: x for i, x in left.items() if math.exp(x - best) >= min_p or x == best}
    return [left.get(i, NEG_INF) for i in range(len(log_probs))]


def draw(log_probs, uniform):
    """One token of log_probs [V]."""
    best = max(log_probs)
    weights = [math.exp(x - best) if x > NEG_INF / 2 else 0.0 for x in map(float, log_probs)]
    cumulative = 0.0
    for token, weight in enumerate(weights):
        cumulative += weight
        if cumulative > uniform * sum(weights):
            return token
    return 0


class PrefixTable:
    """A model with a log-probability of its own for every prefix of every row.

    The state numbers the prefix: code' = code * V + id.
    """

    def __init__(self, rows, seed=0, sharpness=1.5):
        random = np.random.default_rng(seed)
        codes = VOCABULARY ** (LONGEST + 1) + START * VOCABULARY ** (LONGEST + 1)
        logits = random.normal(0, sharpness, (rows, codes, VOCABULARY))
        self.log_probs = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype("float32")
        self.source = {"mask": tf.ones([rows, 3], tf.bool)}
        self.steps = 0

    def begin(self, source, width, max_length=None):
        rows = tf.range(tf.shape(source["mask"])[0])
        return {"row": rows}, {"code": tf.zeros(tf.stack([tf.size(rows), width]), tf.int32)}

    def step(self, ids, position, context, state, maps="alignment", normalize=True):
        self.steps += 1
        code = state["code"] * VOCABULARY + ids
        rows = tf.expand_dims(context["row"], 1) + tf.zeros_like(code)
        log_probs = tf.gather_nd(self.log_probs, tf.stack([rows, code], 2))
        if maps == "none":
            return log_probs, {"code": code}, None
        attention = tf.cast(tf.stack([code, code + 1, rows], 2), tf.float32)
        return log_probs, {"code": code}, attention

    def log_probs_after(self, row, prefix):
        """Log-probabilities [V] of the next token, and the code of the prefix."""
        code = 0
        for token in (START, *prefix):
            code = code * VOCABULARY + token
        return self.log_probs[row, code], code

    def log_prob(self, row, tokens):
        steps = [(tokens[:i], token) for i, token in enumerate((*tokens, END))]
        return sum(float(self.log_probs_after(row, prefix)[0][token]) for prefix, token in steps)


def options(beam_size, num_hypotheses, length_penalty, max_length):
    return search.Options(
        tf.constant(beam_size, tf.int32),
        tf.constant(num_hypotheses, tf.int32),
        tf.constant(length_penalty, tf.float32),
        tf.fill([len(beam_size)], 5.0),
        tf.zeros([len(beam_size)], tf.int32),
        tf.constant(max_length, tf.int32),
    )


def length_penalty(length, exponent):
    return ((5 + length) / 6) ** exponent


def exhaustive_search(table, row, exponent, longest):
    """All sequences, best first: (score, log_prob, tokens)."""
    sequences = []
    for length in range(longest + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            log_prob = table.log_prob(row, tokens)
            score = log_prob / length_penalty(len(tokens) + 1, exponent)
            sequences.append((score, log_prob, tokens))
    return sorted(sequences, reverse=True)


def hypotheses(result, row):
    """(score, log_prob, tokens) of a row of `Hypotheses`, best first."""
    rows = zip(result.score[row], result.log_prob[row], result.ids[row], result.lengths[row])
    return [
        (float(score), float(log_prob), tuple(int(i) for i in ids[:length]))
        for score, log_prob, ids, length in rows
        if score > NEG_INF / 2
    ]
