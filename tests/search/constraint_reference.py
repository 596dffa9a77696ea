"""Reference: constrained beam search in lists and loops, which stores nothing but tokens."""

import itertools

import numpy as np

from keras_s2s.search.options import NEG_INF

PAD, UNKNOWN, START, END = range(4)
VOCABULARY = 7
WORDS = (UNKNOWN, 4, 5, 6)


def random_table(seed, row, longest, sharpness=1.5):
    """{prefix: log-probabilities float32 [V]}."""
    random = np.random.default_rng([seed, row])
    table = {}
    for length in range(longest + 1):
        for prefix in itertools.product(WORDS, repeat=length):
            logits = random.normal(0, sharpness, VOCABULARY)
            table[prefix] = (logits - np.log(np.exp(logits).sum())).astype("float32")
    return table


class Case:
    """A row: its model, its beam, its constraints, its prefix and its shortest length."""

    def __init__(self, seed, row, size, longest, constraints=(), prefix=(), shortest=0):
        self.model = random_table(seed, row, longest)
        self.size, self.longest, self.prefix, self.shortest = size, longest, prefix, shortest
        self.constraints = tuple(map(tuple, constraints))

    def totals(self, total, tokens):
        """The total of each continuation of a hypothesis, float32 [V]."""
        position = len(tokens)
        totals = np.float32(total) + self.model[tokens]
        is_forbidden = np.isin(np.arange(VOCABULARY), [PAD, START])
        is_forbidden[END] = position < self.shortest
        if position < len(self.prefix):
            is_forbidden |= np.arange(VOCABULARY) != self.prefix[position]
        if position >= self.longest:
            is_forbidden |= np.arange(VOCABULARY) != END
        return np.where(is_forbidden, np.float32(2 * NEG_INF), totals)


def contains(tokens, run):
    return any(tokens[i : i + len(run)] == run for i in range(len(tokens) - len(run) + 1))


def unmet(case, tokens):
    return [c for c in case.constraints if not contains(tokens, c)]


def borders(tokens, constraint):
    """Lengths of the beginnings of a constraint that the tokens end in."""
    return [p for p in range(len(constraint)) if tokens[len(tokens) - p :] == constraint[:p]]


def needed(case, tokens):
    missing = unmet(case, tokens)
    return sum(map(len, missing)) - max((max(borders(tokens, c)) for c in missing), default=0)


def possible_items(case, live):
    """(total, slot, token, tokens) of every possible continuation, best first."""
    items = []
    for slot, (total, tokens) in enumerate(live):
        left = case.longest - len(tokens) - 1
        is_forced = len(tokens) < len(case.prefix)
        for token, new_total in enumerate(case.totals(total, tokens)):
            fits = is_forced or needed(case, (*tokens, token)) <= left
            if token == END:
                fits = not unmet(case, tokens)
            if new_total > NEG_INF / 2 and fits:
                items.append((new_total, slot, token, (*tokens, token)))
    return sorted(items, key=lambda item: -item[0])


def candidates(case, live, items):
    best = [next((x for x in items if x[1] == slot), None) for slot in range(len(live))]
    for rank, item in enumerate(items):
        token, tokens = item[2], live[item[1]][1]
        continues = any(c[p] == token for c in unmet(case, tokens) for p in borders(tokens, c))
        if rank < 2 * case.size or item in best or continues or token == END:
            yield item


def deal(case, items, best_first):
    """Items, sorted by total, in the order in which they get a slot."""
    banks = {}
    for item in items:
        banks.setdefault(needed(case, item[3]), []).append(item)
    dealt = [items[0]] if items and best_first else []
    while any(banks.values()):
        for bank in sorted(banks):
            if banks[bank]:
                item = banks[bank].pop(0)
                dealt += [] if item in dealt else [item]
    return dealt


def takes_best_first(case, live):
    if case.size > 1:
        return True
    total, tokens = live[0]
    missing = unmet(case, tokens)
    has_room = sum(map(len, missing)) <= case.longest - len(tokens) - 1
    totals = case.totals(total, tokens)
    ends_rather = totals[END] >= np.delete(totals, END).max()
    return has_room and not ends_rather and not any(max(borders(tokens, c)) for c in missing)


def reference_steps(case):
    """Steps of a beam: the (total, tokens) that survive, and the set of those that end."""
    live, steps = [(np.float32(0), ())], []
    while live:
        items = list(candidates(case, live, possible_items(case, live)))
        best_first = takes_best_first(case, live)
        first = deal(case, items, best_first)[: case.size]
        ended = {(t, tokens[:-1]) for t, _, token, tokens in first if token == END}
        not_ended = [item for item in items if item[2] != END]
        survivors = deal(case, not_ended, best_first)[: case.size]
        live = sorted(((t, tokens) for t, *_, tokens in survivors), key=lambda item: -item[0])
        steps.append((live, ended))
    return steps
