"""The search against exhaustive search and against a plain beam, over made-up models."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import search
from tests.conformance import models

PAD, UNKNOWN, START, END = range(4)
VOCABULARY, LONGEST = 6, 4
WORDS = (UNKNOWN, 4, 5)  # what a hypothesis may consist of
LOW = search.NEG_INF


class Table:
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

    def begin(self, source, width, most=None):
        rows = tf.range(tf.shape(source["mask"])[0])
        return {"row": rows}, {"code": tf.zeros(tf.stack([tf.size(rows), width]), tf.int32)}

    def step(self, ids, position, context, state, maps="alignment", normalize=True):
        self.steps += 1
        code = state["code"] * VOCABULARY + ids
        rows = tf.expand_dims(context["row"], 1) + tf.zeros_like(code)
        log_probs = tf.gather_nd(self.log_probs, tf.stack([rows, code], 2))
        look = tf.stack([code, code + 1, rows], 2) if maps == "alignment" else None
        return log_probs, {"code": code}, None if look is None else tf.cast(look, tf.float32)

    def of(self, row, prefix):
        code = 0
        for token in (START, *prefix):
            code = code * VOCABULARY + token
        return self.log_probs[row, code], code

    def log_prob(self, row, tokens):
        steps = [(tokens[:i], token) for i, token in enumerate((*tokens, END))]
        return sum(float(self.of(row, prefix)[0][token]) for prefix, token in steps)


def options(beam_size, num_hypotheses, length_penalty, max_length):
    return search.Options(
        tf.constant(beam_size, tf.int32),
        tf.constant(num_hypotheses, tf.int32),
        tf.constant(length_penalty, tf.float32),
        tf.fill([len(beam_size)], 5.0),
        tf.zeros([len(beam_size)], tf.int32),
        tf.constant(max_length, tf.int32),
    )


def penalty(length, exponent):
    return ((5 + length) / 6) ** exponent


def every_sequence(longest):
    for length in range(longest + 1):
        yield from itertools.product(WORDS, repeat=length)


def exhaustive(table, row, exponent, longest):
    """All sequences, best first: (score, log_prob, tokens)."""
    found = []
    for tokens in every_sequence(longest):
        log_prob = table.log_prob(row, tokens)
        found.append((log_prob / penalty(len(tokens) + 1, exponent), log_prob, tokens))
    return sorted(found, reverse=True)


def plain_beam(table, row, size, exponent, longest):
    """A beam in a few lines of Python, without stopping before `size` have ended and what is live
    is behind."""
    live, ended = [(0.0, ())], []
    for position in range(longest + 1):
        grown = []
        for total, tokens in live:
            log_probs, _ = table.of(row, tokens)
            allowed = (END,) if position == longest else (*WORDS, END)
            grown += [(total + log_probs[token], tokens, token) for token in allowed]
        grown = sorted(grown, key=lambda item: -item[0])[: 2 * size]
        for total, tokens, token in grown[:size]:
            if token == END:
                ended.append((total / penalty(position + 1, exponent), total, tokens))
        live = [(t, (*tokens, token)) for t, tokens, token in grown if token != END][:size]
        best = max((score for score, *_ in ended), default=0)
        ahead = any(total / penalty(position + 2, exponent) > best for total, _ in live)
        if not live or (len(ended) >= size and (size == 1 or not ahead)):
            break
    return sorted(ended, reverse=True)


def hypotheses(found, row):
    """(score, log_prob, tokens) of a row, best first."""
    rows = zip(found.score[row], found.log_prob[row], found.ids[row], found.lengths[row])
    return [
        (float(s), float(p), tuple(int(i) for i in ids[:n])) for s, p, ids, n in rows if s > LOW / 2
    ]


@pytest.mark.parametrize("graph", [False, True])
def test_a_beam_as_wide_as_the_space_is_exhaustive(graph):
    table, exponents, longest = Table(4), [0.0, 0.6, 1.0, -0.5], [3, 3, 2, 3]
    given = options([40] * 4, [40] * 4, exponents, longest)
    run = tf.function(search.search, autograph=False) if graph else search.search
    found = run(table.begin, table.step, table.source, given)
    for row, (exponent, most) in enumerate(zip(exponents, longest)):
        expected = exhaustive(table, row, exponent, most)
        came = hypotheses(found, row)
        assert [tokens for *_, tokens in came] == [tokens for *_, tokens in expected]
        np.testing.assert_allclose([c[:2] for c in came], [e[:2] for e in expected], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("exponent", [0.0, 0.6, 2.0])
def test_the_best_of_a_narrow_beam_is_the_plain_beams(seed, exponent):
    sizes = [1, 2, 3, 4]
    table = Table(4, seed)
    found = search.search(
        table.begin,
        table.step,
        table.source,
        options(sizes, [1] * 4, [exponent] * 4, [LONGEST] * 4),
    )
    for row, size in enumerate(sizes):
        expected = plain_beam(table, row, size, exponent, LONGEST)[0]
        came = hypotheses(found, row)[0]
        assert came[2] == expected[2], f"row {row}"
        np.testing.assert_allclose(came[:2], expected[:2], atol=1e-5)


def test_a_beam_of_one_is_greedy_search():
    table = Table(6, sharpness=1.0)
    found = search.search(
        table.begin, table.step, table.source, options([1] * 6, [1] * 6, [0.6] * 6, [LONGEST] * 6)
    )
    for row in range(6):
        tokens = ()
        while len(tokens) < LONGEST:
            log_probs, _ = table.of(row, tokens)
            token = max((*WORDS, END), key=lambda t, p=log_probs: p[t])
            if token == END:
                break
            tokens += (token,)
        assert hypotheses(found, row)[0][2] == tokens


def test_a_row_does_not_depend_on_its_neighbours():
    table = Table(4, seed=3)
    given = [[1, 5, 2, 3], [1, 4, 2, 3], [0.6, 0.0, 1.0, 0.6], [4, 2, 0, 3]]
    together = search.search(table.begin, table.step, table.source, options(*given))
    for row in range(4):
        alone = Table(4, seed=3)
        alone.log_probs = table.log_probs[row : row + 1]
        x = {"mask": table.source["mask"][:1]}
        single = search.search(
            alone.begin, alone.step, x, options(*([column[row]] for column in given))
        )
        assert hypotheses(single, 0) == hypotheses(together, row)
        np.testing.assert_array_equal(single.finished[0], together.finished[row, : given[1][row]])


def test_alignment_belongs_to_the_tokens_it_stands_beside():
    table = Table(3, seed=4)
    given = options([4] * 3, [4] * 3, [0.6] * 3, [LONGEST] * 3)
    found = search.search(table.begin, table.step, table.source, given)
    for row in range(3):
        for k, (*_, tokens) in enumerate(hypotheses(found, row)):
            for place in range(len(tokens)):
                _, code = table.of(row, tokens[:place])
                np.testing.assert_array_equal(found.alignment[row, k, place], [code, code + 1, row])
            assert not found.alignment[row, k, len(tokens) :].numpy().any()
    without = search.search(table.begin, table.step, table.source, given, alignment=False)
    assert without.alignment is None
    np.testing.assert_array_equal(without.ids, found.ids)


def test_the_limit_forces_an_end_and_says_so():
    table = Table(40, seed=5)
    found = search.search(
        table.begin, table.step, table.source, options([2] * 40, [2] * 40, [0.0] * 40, [2] * 40)
    )
    cut = 0
    for row in range(40):
        for k, (_, log_prob, tokens) in enumerate(hypotheses(found, row)):
            chosen = int(np.argmax(table.of(row, tokens)[0])) == END
            assert bool(found.finished[row, k]) == (len(tokens) < 2 or chosen)
            assert log_prob == pytest.approx(table.log_prob(row, tokens), abs=1e-5)
            cut += not found.finished[row, k]
    assert cut > 5


def test_a_limit_of_no_token_gives_the_empty_target():
    table = Table(2)
    found = search.search(
        table.begin, table.step, table.source, options([3, 3], [3, 3], [0, 0], [0, 0])
    )
    assert found.ids.shape == (2, 3, 0)
    assert [len(hypotheses(found, row)) for row in range(2)] == [1, 1]


def test_no_rows():
    table = Table(0)
    found = search.search(table.begin, table.step, table.source, options([], [], [], []))
    assert found.ids.shape == (0, 1, 0)
    assert found.alignment.shape == (0, 1, 0, 3)


def test_padding_and_start_are_never_chosen():
    table = Table(3, seed=6)
    table.log_probs[..., [PAD, START]] = 0.0
    found = search.search(
        table.begin, table.step, table.source, options([9] * 3, [9] * 3, [0.0] * 3, [3] * 3)
    )
    for row in range(3):
        for *_, tokens in hypotheses(found, row):
            assert set(tokens) <= set(WORDS)


def test_the_search_stops_when_no_live_hypothesis_can_win():
    table = Table(1)
    table.log_probs[...] = -20.0
    table.log_probs[..., END] = -0.01
    search.search(table.begin, table.step, table.source, options([4], [1], [0.6], [LONGEST]))
    assert table.steps == 1


@pytest.mark.parametrize("exponent", [0.0, 0.6])
def test_a_live_hypothesis_that_is_far_ahead_is_not_given_up(exponent):
    """Hypotheses that end early and badly fill a beam while the good one has yet to end."""
    rows, sizes = 4, [2, 3, 4, 5]
    table = Table(rows, seed=7)
    random = np.random.default_rng(8)
    table.log_probs[..., END] = -6.0 - random.random(table.log_probs.shape[:2])
    for row in range(rows):
        tokens = ()
        for place in range(LONGEST + 1):  # one sequence is nearly certain, token by token
            _, code = table.of(row, tokens)
            token = END if place == LONGEST - 1 else WORDS[random.integers(3)]
            table.log_probs[row, code] = -7.0
            table.log_probs[row, code, token] = -0.0003
            tokens += (token,)
            if token == END:
                break

    def best(sizes):
        given = options(sizes, [1] * rows, [exponent] * rows, [LONGEST] * rows)
        found = search.search(table.begin, table.step, table.source, given)
        return [hypotheses(found, row)[0] for row in range(rows)]

    for greedy, beam in zip(best([1] * rows), best(sizes)):
        assert greedy[1] > -0.1
        assert beam[2] == greedy[2]


def test_fewer_hypotheses_than_asked_for_are_marked():
    table = Table(2)
    found = search.search(
        table.begin, table.step, table.source, options([9, 9], [9, 2], [0, 0], [1, 1])
    )
    assert [len(hypotheses(found, row)) for row in range(2)] == [4, 2]
    assert (found.score[0, 4:].numpy() == LOW).all()
    assert (found.log_prob[1, 2:].numpy() == LOW).all()


def test_length_penalty_is_gnmts():
    came = search.length_penalty(tf.constant([1, 7, 7, 7]), tf.constant([0.6, 0.6, 0.0, 1.0]))
    np.testing.assert_allclose(came, [1.0, 2**0.6, 1.0, 2.0], rtol=1e-6)
    average = search.length_penalty(tf.constant([7]), tf.constant([1.0]), offset=0.0)
    np.testing.assert_allclose(average, [7.0], rtol=1e-6)


@pytest.mark.parametrize("decoder", ["gru", "lstms", "pre"])
@pytest.mark.parametrize("head", ["softmax", "pointer"])
def test_log_prob_is_what_teacher_forcing_gives(decoder, head):
    model, x = models.make("bigru", decoder, head), models.source()
    batch = models.BATCH
    found = search.search(
        model.begin, model.next, x, options([3] * batch, [3] * batch, [0.6] * batch, [6] * batch)
    )
    for k in range(3):
        for row, n in enumerate(found.lengths[:, k].numpy()):
            ids = found.ids[row, k, :n].numpy().tolist()
            one = {name: value[row : row + 1] for name, value in x.items()}
            log_probs, _ = models.call_model(model, one, tf.constant([[START, *ids]]))
            total = sum(log_probs[0, place, token] for place, token in enumerate([*ids, END]))
            assert float(found.log_prob[row, k]) == pytest.approx(total, abs=1e-4)
