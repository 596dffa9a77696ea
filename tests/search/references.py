"""What the search's parts do, in plain loops over NumPy arrays, straight from the definitions."""

import math

import numpy as np

LOW = -1e9
MASK = 0xFFFFFFFF


def adjust(log_probs, history, position, extras):
    """`adjusting.adjust` on arrays; `extras` has arrays as well."""
    out = np.array(log_probs, np.float64)
    for b, k in np.ndindex(out.shape[:2]):
        tokens = [int(token) for token in history[b, k]]
        for token in set(tokens):
            out[b, k, token] *= extras.repetition_penalty[b]
        penalised = out[b, k].copy()
        sequences = [[int(i) for i in sequence if i] for sequence in extras.disallowed[b]]
        for token in forbidden(tokens, out.shape[2], int(extras.no_repeat_ngram[b]), sequences):
            out[b, k, token] = LOW
        if position < extras.prefix_length[b]:
            token = extras.prefix[b, position]
            out[b, k] = LOW
            out[b, k, token] = penalised[token]
    return out


def forbidden(tokens, size, n, sequences):
    """Tokens that may not come next."""
    seen = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)} if n else set()
    for token in range(size):
        grown = [*tokens, token]
        again = tuple(grown[-n:]) in seen
        if again or any(grown[-len(sequence) :] == sequence for sequence in sequences if sequence):
            yield token


def coverage(attention_sum, mask, weight, floor):
    out = np.zeros(attention_sum.shape[:2])
    for b, k in np.ndindex(out.shape):
        for s in range(attention_sum.shape[2]):
            if mask[b, s]:
                out[b, k] += math.log(min(max(attention_sum[b, k, s], floor), 1.0))
        out[b, k] *= weight[b]
    return out


def finaliser(word):
    """MurmurHash3's `fmix32`, as in its C source."""
    word ^= word >> 16
    word = word * 0x85EBCA6B & MASK
    word ^= word >> 13
    word = word * 0xC2B2AE35 & MASK
    return word ^ word >> 16


def uniform(seed, step, count):
    out = np.zeros((len(seed), count))
    for b, k in np.ndindex(out.shape):
        word = 0x9E3779B9
        for part in (int(seed[b]), step, k):
            word = finaliser(word ^ part & MASK)
        out[b, k] = (word >> 8) / 2**24
    return out


def truncate(log_probs, temperature, top_k, top_p, min_p):
    """One distribution, log_probs [V], cut; as a list."""
    left = {i: x / temperature for i, x in enumerate(map(float, log_probs)) if x > LOW / 2}
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
    return [left.get(i, LOW) for i in range(len(log_probs))]


def draw(log_probs, uniform):
    """One token of log_probs [V]."""
    weights = [math.exp(x - max(log_probs)) if x > LOW / 2 else 0.0 for x in map(float, log_probs)]
    reached = 0.0
    for token, weight in enumerate(weights):
        reached += weight
        if reached > uniform * sum(weights):
            return token
    return 0
