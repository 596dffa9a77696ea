"""Constrained beams against a twin in plain Python, and against exhaustive search."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search import constraints as constraining
from keras_s2s.search.options import NEG_INF, Options, no_constraints

PAD, UNKNOWN, START, END = range(4)
VOCABULARY = 7
WORDS = (UNKNOWN, 4, 5, 6)


def table(seed, row, longest, sharpness=1.5):
    """A log-probability of its own, float32 [V], for every prefix."""
    random = np.random.default_rng([seed, row])
    found = {}
    for length in range(longest + 1):
        for prefix in itertools.product(WORDS, repeat=length):
            logits = random.normal(0, sharpness, VOCABULARY)
            found[prefix] = (logits - np.log(np.exp(logits).sum())).astype("float32")
    return found


class Case:
    """A row: its model, its beam, its constraints, and what else stands in the way."""

    def __init__(self, seed, row, size, longest, constraints=(), prefix=(), shortest=0):
        self.model = table(seed, row, longest)
        self.size, self.longest, self.prefix, self.shortest = size, longest, prefix, shortest
        self.constraints = tuple(map(tuple, constraints))

    def totals(self, total, tokens):
        """What each token would bring a hypothesis to, float32 [V]."""
        position = len(tokens)
        out = np.float32(total) + self.model[tokens]
        barred = np.isin(np.arange(VOCABULARY), [PAD, START])
        barred[END] = position < self.shortest
        if position < len(self.prefix):
            barred |= np.arange(VOCABULARY) != self.prefix[position]
        if position >= self.longest:
            barred |= np.arange(VOCABULARY) != END
        return np.where(barred, np.float32(2 * NEG_INF), out)


# The twin: lists, loops, and nothing remembered but the tokens.


def holds(tokens, run):
    return any(tokens[i : i + len(run)] == run for i in range(len(tokens) - len(run) + 1))


def unmet(case, tokens):
    return [c for c in case.constraints if not holds(tokens, c)]


def borders(tokens, constraint):
    return [p for p in range(len(constraint)) if tokens[len(tokens) - p :] == constraint[:p]]


def needed(case, tokens):
    missing = unmet(case, tokens)
    return sum(map(len, missing)) - max((max(borders(tokens, c)) for c in missing), default=0)


def allowed(case, live):
    """(total, slot, token, tokens) of every possible continuation, best first."""
    found = []
    for slot, (total, tokens) in enumerate(live):
        left = case.longest - len(tokens) - 1
        forced = len(tokens) < len(case.prefix)
        for token, reached in enumerate(case.totals(total, tokens)):
            fits = forced or needed(case, (*tokens, token)) <= left
            if token == END:
                fits = not unmet(case, tokens)
            if reached > NEG_INF / 2 and fits:
                found.append((reached, slot, token, (*tokens, token)))
    return sorted(found, key=lambda item: -item[0])


def looked_at(case, live, found):
    best = [next((f for f in found if f[1] == slot), None) for slot in range(len(live))]
    for place, item in enumerate(found):
        token, tokens = item[2], live[item[1]][1]
        carries = any(c[p] == token for c in unmet(case, tokens) for p in borders(tokens, c))
        if place < 2 * case.size or item in best or carries or token == END:
            yield item


def in_turn(case, items, best_first):
    """Items, sorted by total, in the order in which they get a slot."""
    banks = {}
    for item in items:
        banks.setdefault(needed(case, item[3]), []).append(item)
    out = [items[0]] if items and best_first else []
    while any(banks.values()):
        for bank in sorted(banks):
            if banks[bank]:
                item = banks[bank].pop(0)
                out += [] if item in out else [item]
    return out


def goes_freely(case, live):
    if case.size > 1:
        return True
    total, tokens = live[0]
    missing = unmet(case, tokens)
    room = sum(map(len, missing)) <= case.longest - len(tokens) - 1
    reached = case.totals(total, tokens)
    rather_ends = reached[END] >= np.delete(reached, END).max()
    return room and not rather_ends and not any(max(borders(tokens, c)) for c in missing)


def twin(case):
    """Steps of a beam: the sets of (total, tokens) that live and that end at each."""
    live, steps = [(np.float32(0), ())], []
    while live:
        items = list(looked_at(case, live, allowed(case, live)))
        leads = goes_freely(case, live)
        first = in_turn(case, items, leads)[: case.size]
        ended = {(t, tokens[:-1]) for t, _, token, tokens in first if token == END}
        lives = in_turn(case, [item for item in items if item[2] != END], leads)[: case.size]
        live = sorted(((t, tokens) for t, *_, tokens in lives), key=lambda item: -item[0])
        steps.append((live, ended))
    return steps


# The driver of what is tested.


def padded(cases):
    count = max((len(c.constraints) for c in cases), default=0)
    length = max((len(x) for c in cases for x in c.constraints), default=0)
    out = np.zeros([len(cases), count, length], "int32")
    for row, case in enumerate(cases):
        for place, constraint in enumerate(case.constraints):
            out[row, place, : len(constraint)] = constraint
    return tf.constant(out)


def settings(cases):
    size = tf.constant([case.size for case in cases], tf.int32)
    longest = tf.constant([case.longest for case in cases], tf.int32)
    penalty = tf.ones([len(cases)])
    options = Options(size, size, penalty, 5.0 * penalty, 0 * size, longest)
    forced = tf.constant([len(case.prefix) for case in cases], tf.int32)
    extras = no_constraints(len(cases))._replace(constraints=padded(cases), prefix_length=forced)
    return options, extras


def specs(rank, *dtypes):
    return [tf.TensorSpec([None] * rank, dtype) for dtype in dtypes]


REAL, WHOLE = tf.float32, tf.int32
SPECS = [*specs(3, REAL, WHOLE, tf.bool), *specs(0, WHOLE)]
SPECS += [Options(*specs(1, WHOLE, WHOLE, REAL, REAL, WHOLE, WHOLE))]
SPECS += [*specs(3, WHOLE), *specs(1, WHOLE)]


@tf.function(autograph=False, input_signature=SPECS)
def traced(totals, history, met, position, options, constraints, forced):
    extras = no_constraints(tf.shape(totals)[0])
    extras = extras._replace(constraints=constraints, prefix_length=forced)
    return constraining.constrain(totals, history, met, position, options, extras)


def in_graph(*given):
    return traced(*given[:-1], given[-1].constraints, given[-1].prefix_length)


def gather(x, index):
    return np.take_along_axis(x.numpy(), index.reshape(index.shape + (1,) * (x.ndim - 2)), 1)


def run(cases, step=constraining.constrain):
    """The same steps by `constrain`, rows side by side."""
    options, extras = settings(cases)
    width = max(case.size for case in cases)
    live = [[(np.float32(0), ())] for _ in cases]
    met = constraining.start(len(cases), width, extras.constraints)
    steps = [[] for _ in cases]
    for position in range(max(case.longest for case in cases) + 1):
        totals = np.full([len(cases), width, VOCABULARY], NEG_INF, "float32")
        history = np.zeros([len(cases), width, position], "int32")
        for row, case in enumerate(cases):
            for slot, (total, tokens) in enumerate(live[row]):
                totals[row, slot], history[row, slot] = case.totals(total, tokens), tokens
        given = tf.constant(totals), tf.constant(history), met, tf.constant(position)
        found, grown = step(*given, options, extras)
        chosen = tf.math.top_k(found.priority, width)[1].numpy()
        met = tf.constant(gather(grown, chosen))
        for row, here in enumerate(live):
            if here:
                live[row], ended = read(found, row, here, chosen[row])
                steps[row].append((live[row], ended))
                check(cases[row], live[row], met[row])
    return steps


def read(found, row, live, chosen):
    totals, tokens, parents, ending, priority = (x[row].numpy() for x in found)

    def grown(m):
        return totals[m], (*live[parents[m]][1], int(tokens[m]))

    ended = [(t, ids[:-1]) for t, ids in map(grown, np.flatnonzero(ending))]
    assert len(ended) == len(set(ended))
    return [grown(m) for m in chosen if priority[m] > NEG_INF / 2], set(ended)


def check(case, live, met):
    for (_, tokens), flags in zip(live, met.numpy()):
        here = [holds(tokens, c) for c in case.constraints]
        assert flags.tolist() == here + [True] * (len(flags) - len(here))


def random_case(random, seed, row, longest=4, size=None):
    size = size or int(random.integers(1, 6))
    constraints, room = [], longest
    prefix = tuple(random.choice(WORDS, random.integers(0, 2)).tolist())
    if random.random() < 0.3:  # held by the prefix, and one that may lie across its first token
        constraints += [prefix, (*prefix, 4)] if prefix else []
    room -= len(prefix) + bool(constraints)
    while room and random.random() < 0.75:
        length = int(random.integers(1, min(room, 3) + 1))
        constraint = tuple(random.choice(WORDS[:3], length).tolist())
        constraints += [constraint]
        room -= length
        if room >= length and random.random() < 0.2:
            constraints += [constraint]
            room -= length
    shortest = int(random.integers(0, 3))
    return Case(seed, row, size, longest, constraints, prefix, shortest)


def all_ended(steps):
    return {item for _, ended in steps for item in ended}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_twins(seed, graph):
    random = np.random.default_rng(seed)
    cases = [random_case(random, seed, row) for row in range(12)]
    found = run(cases, in_graph if graph else constraining.constrain)
    for case, steps in zip(cases, found):
        assert steps == twin(case)
        assert all_ended(steps)
        for _, tokens in all_ended(steps):
            assert all(holds(tokens, c) for c in case.constraints)


CONSTRAINTS = {
    "none": [],
    "one": [(4,)],
    "shared": [(4, 5), (5, 6)],
    "within": [(4, 4), (4,), (4, 4)],
    "full": [(4, 5), (6, 4)],
    "bordered": [(4, 4, 5)],
}


def exhaustive(case):
    found = set()
    for length in range(case.shortest, case.longest + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            # A hypothesis that lives on always has room for what it still needs.
            roomy = all(needed(case, tokens[:i]) <= case.longest - i for i in range(1, length + 1))
            if roomy and not unmet(case, tokens):
                total = np.float32(0)
                for place, token in enumerate((*tokens, END)):
                    total += case.model[tokens[:place]][token]
                found.add((total, tokens))
    return found


def test_a_beam_as_wide_as_the_space_is_exhaustive():
    cases = [Case(1, i, 400, 4, given) for i, given in enumerate(CONSTRAINTS.values())]
    for case, steps in zip(cases, run(cases)):
        assert all_ended(steps) == exhaustive(case)


def plain(case):
    live, steps = [(np.float32(0), ())], []
    while live:
        grown = [
            (total, tokens, token)
            for slot, tokens in live
            for token, total in enumerate(case.totals(slot, tokens))
            if total > NEG_INF / 2
        ]
        grown = sorted(grown, key=lambda item: -item[0])[: 2 * case.size]
        ended = {(total, tokens) for total, tokens, token in grown[: case.size] if token == END}
        live = [(t, (*tokens, token)) for t, tokens, token in grown if token != END][: case.size]
        steps.append((live, ended))
    return steps


def test_rows_without_constraints_are_plain_beams():
    cases = [Case(2, row, size, 4) for row, size in enumerate((1, 2, 3, 5))]
    beside = [*cases, Case(2, 9, 7, 4, [(4, 5), (6,)])]
    expected = [plain(case) for case in cases]
    assert run(cases) == expected
    assert run(beside)[:-1] == expected


def tilted(case, wish):
    """The model wants `wish` and then the end, whatever came before the part that it is at."""
    for prefix, log_probs in case.model.items():
        wanted = (*wish, END)[min(len(prefix), len(wish))]
        log_probs[:] = np.log(0.3 / VOCABULARY)
        log_probs[wanted] = np.log(0.7)
    return case


def greedy(constraints, wish, shortest=0):
    steps = run([tilted(Case(3, 0, 1, 4, constraints, (), shortest), wish)])[0]
    return next(tokens for _, ended in steps for _, tokens in ended)


def test_greedy_search_begins_a_constraint_where_the_model_would_or_before_its_end():
    assert greedy([(5,)], (4, 5)) == (4, 5)
    assert greedy([(6,)], (4, 5)) == (4, 5, 6)
    assert greedy([(6, 1)], (4, 5)) == (4, 5, 6, 1)
    assert greedy([(4, 1)], (4, 5)) == (4, 1)
    assert greedy([(6, 1)], (4, 4, 4, 4)) == (4, 4, 6, 1)
    assert greedy([(4,), (4, 5), (6,)], (6, 6, 6, 6), shortest=1) == (4, 5, 6, 6)


def test_the_best_of_all_lives_whatever_the_banks():
    case = tilted(Case(4, 0, 2, 5, [(5, 6, 1)]), (4, 4, 4, 4, 4))
    live = [{tokens for _, tokens in live} for live, _ in run([case])[0]]
    assert {(4,), (5,)} == live[0]
    assert (4, 4) in live[1]
    assert (5, 6) in live[1]


def test_a_hypothesis_far_behind_goes_on_and_ends_when_its_bank_is_its_own():
    options, extras = settings([Case(6, 0, 4, 3, [(5, 6, 1)])])
    options = options._replace(max_length=tf.constant([9]))
    history = tf.constant([[[4, 4, 4], [4, 4, 1], [5, 6, 1], [0, 0, 0]]])
    totals = np.full([1, 4, VOCABULARY], NEG_INF, "float32")
    totals[0, 0, [1, 4, 5, 6, END]] = -1.0, -1.1, -1.2, -1.3, -0.5
    totals[0, 1, [1, 4, 5, 6, END]] = -2.0, -2.1, -2.2, -2.3, -0.5
    totals[0, 2, [1, 4, 5, 6, END]] = -8.0, -7.0, -9.0, -9.0, -7.5
    met = tf.constant([[[False], [False], [True], [False]]])
    found, _ = constraining.constrain(totals, history, met, tf.constant(3), options, extras)
    items = list(zip(*(x[0].numpy().tolist() for x in found)))
    # In turn: the best of all, the banks of none and of two to go; then the end, or one of two.
    lives = {(parent, token) for _, token, parent, _, p in items if p > NEG_INF / 2}
    assert lives == {(0, 1), (2, 4), (0, 5), (1, 5)}
    assert [(parent, token) for _, token, parent, ends, _ in items if ends] == [(2, END)]


def test_constraints_that_do_not_fit_leave_nothing():
    steps = run([Case(5, 0, 3, 2, [(4, 5), (6,)])])[0]
    assert steps == [([], set())]


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("rows", [0, 1])
def test_empty_shapes(rows, count):
    for length in (0, 2):
        constraints = tf.zeros([rows, count, length], tf.int32)
        met = constraining.start(rows, 2, constraints)
        assert met.shape == (rows, 2, count)
        assert met.numpy().all()
        options, extras = settings([Case(6, 0, 2, 1)] * rows)
        extras = extras._replace(constraints=constraints)
        history = tf.zeros([rows, 2, 0], tf.int32)
        totals = tf.fill([rows, 2, VOCABULARY], -1.0)
        for step in (constraining.constrain, in_graph):
            found, grown = step(totals, history, met, tf.constant(0), options, extras)
            assert found.priority.shape == (rows, 8 + 2 * count * length)
            assert grown.shape == (rows, 8 + 2 * count * length, count)
