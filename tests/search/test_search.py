"""Beam search against exhaustive search and against a plain beam, over table models."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import search
from tests.conformance import models
from tests.search.references import (
    END,
    LONGEST,
    NEG_INF,
    PAD,
    START,
    WORDS,
    PrefixTable,
    exhaustive_search,
    hypotheses,
    length_penalty,
    options,
)


def plain_beam(table, row, size, exponent, longest):
    """Beam search in a few lines of Python that stops when `size` have ended and none is ahead."""
    live, ended = [(0.0, ())], []
    for position in range(longest + 1):
        continuations = []
        for total, tokens in live:
            log_probs, _ = table.log_probs_after(row, tokens)
            allowed = (END,) if position == longest else (*WORDS, END)
            continuations += [(total + log_probs[token], tokens, token) for token in allowed]
        continuations = sorted(continuations, key=lambda item: -item[0])[: 2 * size]
        for total, tokens, token in continuations[:size]:
            if token == END:
                ended.append((total / length_penalty(position + 1, exponent), total, tokens))
        live = [(t, (*tokens, token)) for t, tokens, token in continuations if token != END][:size]
        best = max((score for score, *_ in ended), default=0)
        is_ahead = any(total / length_penalty(position + 2, exponent) > best for total, _ in live)
        if not live or (len(ended) >= size and (size == 1 or not is_ahead)):
            break
    return sorted(ended, reverse=True)


@pytest.mark.parametrize("graph", [False, True])
def test_a_beam_as_wide_as_the_space_is_exhaustive(graph):
    table, exponents, longest = PrefixTable(4), [0.0, 0.6, 1.0, -0.5], [3, 3, 2, 3]
    values = options([40] * 4, [40] * 4, exponents, longest)
    run = tf.function(search.search, autograph=False) if graph else search.search
    result = run(table.begin, table.step, table.source, values)
    for row, (exponent, most) in enumerate(zip(exponents, longest)):
        expected = exhaustive_search(table, row, exponent, most)
        actual = hypotheses(result, row)
        assert [tokens for *_, tokens in actual] == [tokens for *_, tokens in expected]
        np.testing.assert_allclose([a[:2] for a in actual], [e[:2] for e in expected], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("exponent", [0.0, 0.6, 2.0])
def test_the_best_of_a_narrow_beam_equals_the_plain_beam(seed, exponent):
    sizes = [1, 2, 3, 4]
    table = PrefixTable(4, seed)
    result = search.search(
        table.begin,
        table.step,
        table.source,
        options(sizes, [1] * 4, [exponent] * 4, [LONGEST] * 4),
    )
    for row, size in enumerate(sizes):
        expected = plain_beam(table, row, size, exponent, LONGEST)[0]
        actual = hypotheses(result, row)[0]
        assert actual[2] == expected[2], f"row {row}"
        np.testing.assert_allclose(actual[:2], expected[:2], atol=1e-5)


def test_a_beam_of_one_is_greedy_search():
    table = PrefixTable(6, sharpness=1.0)
    result = search.search(
        table.begin, table.step, table.source, options([1] * 6, [1] * 6, [0.6] * 6, [LONGEST] * 6)
    )
    for row in range(6):
        tokens = ()
        while len(tokens) < LONGEST:
            log_probs, _ = table.log_probs_after(row, tokens)
            token = max((*WORDS, END), key=lambda t, p=log_probs: p[t])
            if token == END:
                break
            tokens += (token,)
        assert hypotheses(result, row)[0][2] == tokens


def test_a_row_does_not_depend_on_its_neighbours():
    table = PrefixTable(4, seed=3)
    values = [[1, 5, 2, 3], [1, 4, 2, 3], [0.6, 0.0, 1.0, 0.6], [4, 2, 0, 3]]
    together = search.search(table.begin, table.step, table.source, options(*values))
    for row in range(4):
        alone = PrefixTable(4, seed=3)
        alone.log_probs = table.log_probs[row : row + 1]
        x = {"mask": table.source["mask"][:1]}
        single = search.search(
            alone.begin, alone.step, x, options(*([column[row]] for column in values))
        )
        assert hypotheses(single, 0) == hypotheses(together, row)
        np.testing.assert_array_equal(single.finished[0], together.finished[row, : values[1][row]])


def test_alignment_is_that_of_each_token():
    table = PrefixTable(3, seed=4)
    values = options([4] * 3, [4] * 3, [0.6] * 3, [LONGEST] * 3)
    result = search.search(table.begin, table.step, table.source, values)
    for row in range(3):
        for k, (*_, tokens) in enumerate(hypotheses(result, row)):
            for position in range(len(tokens)):
                _, code = table.log_probs_after(row, tokens[:position])
                alignment = result.alignment[row, k, position]
                np.testing.assert_array_equal(alignment, [code, code + 1, row])
            assert not result.alignment[row, k, len(tokens) :].numpy().any()
    without = search.search(table.begin, table.step, table.source, values, alignment=False)
    assert without.alignment is None
    np.testing.assert_array_equal(without.ids, result.ids)


def test_the_limit_forces_an_end_and_marks_it():
    table = PrefixTable(40, seed=5)
    result = search.search(
        table.begin, table.step, table.source, options([2] * 40, [2] * 40, [0.0] * 40, [2] * 40)
    )
    num_cut = 0
    for row in range(40):
        for k, (_, log_prob, tokens) in enumerate(hypotheses(result, row)):
            chosen = int(np.argmax(table.log_probs_after(row, tokens)[0])) == END
            assert bool(result.finished[row, k]) == (len(tokens) < 2 or chosen)
            assert log_prob == pytest.approx(table.log_prob(row, tokens), abs=1e-5)
            num_cut += not result.finished[row, k]
    assert num_cut > 5


def test_a_limit_of_zero_tokens_gives_the_empty_target():
    table = PrefixTable(2)
    result = search.search(
        table.begin, table.step, table.source, options([3, 3], [3, 3], [0, 0], [0, 0])
    )
    assert result.ids.shape == (2, 3, 0)
    assert [len(hypotheses(result, row)) for row in range(2)] == [1, 1]


def test_no_rows():
    table = PrefixTable(0)
    result = search.search(table.begin, table.step, table.source, options([], [], [], []))
    assert result.ids.shape == (0, 1, 0)
    assert result.alignment.shape == (0, 1, 0, 3)


def test_padding_and_start_are_never_chosen():
    table = PrefixTable(3, seed=6)
    table.log_probs[..., [PAD, START]] = 0.0
    result = search.search(
        table.begin, table.step, table.source, options([9] * 3, [9] * 3, [0.0] * 3, [3] * 3)
    )
    for row in range(3):
        for *_, tokens in hypotheses(result, row):
            assert set(tokens) <= set(WORDS)


def test_the_search_stops_when_no_live_hypothesis_can_win():
    table = PrefixTable(1)
    table.log_probs[...] = -20.0
    table.log_probs[..., END] = -0.01
    search.search(table.begin, table.step, table.source, options([4], [1], [0.6], [LONGEST]))
    assert table.steps == 1


def test_the_search_goes_on_while_a_longer_target_can_win():
    """The penalty of the longest target counts, not only that of the next length."""
    table, word = PrefixTable(1), WORDS[0]
    table.log_probs[...] = -20.0
    table.log_probs[..., word] = -0.001
    table.log_probs[0, START, [END, word]] = -0.45, -1.05
    _, code = table.log_probs_after(0, (word,) * LONGEST)
    table.log_probs[0, code, [END, word]] = -0.001, -20.0
    result = search.search(table.begin, table.step, table.source, options([2], [1], [3], [LONGEST]))
    assert hypotheses(result, 0)[0][2] == (word,) * LONGEST


@pytest.mark.parametrize("exponent", [0.0, 0.6])
def test_a_live_hypothesis_that_is_far_ahead_is_not_dropped(exponent):
    """Bad hypotheses that end early fill the beam before the good one ends."""
    rows, sizes = 4, [2, 3, 4, 5]
    table = PrefixTable(rows, seed=7)
    random = np.random.default_rng(8)
    table.log_probs[..., END] = -6.0 - random.random(table.log_probs.shape[:2])
    for row in range(rows):
        tokens = ()
        for position in range(LONGEST + 1):  # one sequence is nearly certain, token by token
            _, code = table.log_probs_after(row, tokens)
            token = END if position == LONGEST - 1 else WORDS[random.integers(3)]
            table.log_probs[row, code] = -7.0
            table.log_probs[row, code, token] = -0.0003
            tokens += (token,)
            if token == END:
                break

    def best(sizes):
        values = options(sizes, [1] * rows, [exponent] * rows, [LONGEST] * rows)
        result = search.search(table.begin, table.step, table.source, values)
        return [hypotheses(result, row)[0] for row in range(rows)]

    for greedy, beam in zip(best([1] * rows), best(sizes)):
        assert greedy[1] > -0.1
        assert beam[2] == greedy[2]


def test_missing_hypotheses_are_marked():
    table = PrefixTable(2)
    result = search.search(
        table.begin, table.step, table.source, options([9, 9], [9, 2], [0, 0], [1, 1])
    )
    assert [len(hypotheses(result, row)) for row in range(2)] == [4, 2]
    assert (result.score[0, 4:].numpy() == NEG_INF).all()
    assert (result.log_prob[1, 2:].numpy() == NEG_INF).all()


def test_length_penalty_equals_gnmt():
    actual = search.length_penalty(tf.constant([1, 7, 7, 7]), tf.constant([0.6, 0.6, 0.0, 1.0]))
    np.testing.assert_allclose(actual, [1.0, 2**0.6, 1.0, 2.0], rtol=1e-6)
    average = search.length_penalty(tf.constant([7]), tf.constant([1.0]), offset=0.0)
    np.testing.assert_allclose(average, [7.0], rtol=1e-6)


@pytest.mark.parametrize("decoder", ["gru", "lstms", "pre"])
@pytest.mark.parametrize("head", ["softmax", "pointer"])
def test_log_prob_equals_teacher_forcing(decoder, head):
    model, x = models.make("bigru", decoder, head), models.source()
    batch = models.BATCH
    result = search.search(
        model.begin, model.next, x, options([3] * batch, [3] * batch, [0.6] * batch, [6] * batch)
    )
    for k in range(3):
        for row, n in enumerate(result.lengths[:, k].numpy()):
            ids = result.ids[row, k, :n].numpy().tolist()
            one = {name: value[row : row + 1] for name, value in x.items()}
            log_probs, _ = models.call_model(model, one, tf.constant([[START, *ids]]))
            total = sum(log_probs[0, position, token] for position, token in enumerate([*ids, END]))
            assert float(result.log_prob[row, k]) == pytest.approx(total, abs=1e-4)
