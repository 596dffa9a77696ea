"""Keras metrics against NumPy, scores against sacrebleu and a plain reference."""

import random

import keras
import numpy as np
import pytest
import sacrebleu
import tensorflow as tf

from keras_s2s import __version__
from keras_s2s.config.training import TEXT_METRICS
from keras_s2s.metrics import (
    SCORERS,
    Perplexity,
    TokenAccuracy,
    higher_is_better,
    score,
    signatures,
)


def made_up_batch(seed=0, b=3, t=5, v=7):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(b, t, v)).astype("float32") * 3
    y = rng.integers(0, v, size=(b, t)).astype("int32")
    y[:, :2] = logits[:, :2].argmax(-1)  # else a wrong accuracy could be nearly right
    weights = (np.arange(t) < rng.integers(1, t + 1, size=(b, 1))).astype("float32")
    return y, logits, weights


def numpy_accuracy(y, logits, weights):
    picked = np.take_along_axis(logits, y[..., None], -1)[..., 0]
    return np.sum((picked == logits.max(-1)) * weights) / np.sum(weights)


def numpy_perplexity(y, logits, weights):
    logits = logits.astype("float64")
    log_z = np.log(np.sum(np.exp(logits), -1))
    losses = log_z - np.take_along_axis(logits, y[..., None], -1)[..., 0]
    return np.exp(np.sum(losses * weights) / np.sum(weights))


KERAS = [(TokenAccuracy, numpy_accuracy), (Perplexity, numpy_perplexity)]


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_over_two_batches_of_different_width(metric, reference):
    one, two = made_up_batch(0), made_up_batch(1, b=2, t=8)
    measured = metric()
    measured.update_state(*one)
    measured.update_state(*two)
    joined = [np.concatenate([_wide(a, 8), _wide(b, 8)]) for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(measured.result(), reference(*joined), rtol=1e-5)
    assert measured.result().dtype == "float32"


def _wide(array, width):
    gap = width - array.shape[1]
    return np.pad(array, [(0, 0), (0, gap)] + [(0, 0)] * (array.ndim - 2))


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_without_weights_and_after_reset(metric, reference):
    y, logits, weights = made_up_batch(2)
    measured = metric()
    measured.update_state(*made_up_batch(3))
    measured.reset_state()
    measured.update_state(y, logits)
    expected = reference(y, logits, np.ones_like(weights))
    np.testing.assert_allclose(measured.result(), expected, rtol=1e-5)


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_count_a_token_by_its_weight(metric, reference):
    y, logits, weights = made_up_batch(4)
    weights = weights * np.float32([[0.25], [2.0], [1.0]])
    measured = metric()
    measured.update_state(y, logits, weights)
    np.testing.assert_allclose(measured.result(), reference(y, logits, weights), rtol=1e-5)


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_stay_in_float32_under_a_mixed_policy(metric, reference):
    y, logits, weights = made_up_batch(5, b=40, t=50)
    half = tf.cast(logits, tf.bfloat16)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        measured = metric()
    finally:
        keras.config.set_dtype_policy("float32")
    measured.update_state(y, half, weights)
    expected = reference(y, tf.cast(half, tf.float32).numpy(), weights)
    np.testing.assert_allclose(measured.result(), expected, rtol=1e-5)
    assert measured.result().dtype == "float32"


def test_perplexity_ignores_what_has_no_weight():
    y, logits, weights = made_up_batch(6)
    measured, spoiled = Perplexity(), logits.copy()
    spoiled[weights == 0] = np.inf
    measured.update_state(y, spoiled, weights)
    np.testing.assert_allclose(measured.result(), numpy_perplexity(y, logits, weights), rtol=1e-5)


@pytest.mark.parametrize("metric", [TokenAccuracy, Perplexity])
def test_keras_metrics_come_back_from_their_configuration(metric):
    again = keras.metrics.deserialize(keras.metrics.serialize(metric(name="mine")))
    assert type(again) is metric
    assert again.name == "mine"


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_in_compile_see_the_weights(metric, reference):
    y, logits, weights = made_up_batch(7)
    model = keras.Sequential([keras.layers.Activation("linear")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, weighted_metrics=[metric()])
    found = model.evaluate(logits, y, sample_weight=weights, verbose=0, return_dict=True)
    np.testing.assert_allclose(found[metric().name], reference(y, logits, weights), rtol=1e-5)


def made_up_lines(seed, count=60):
    """Lines of made-up phones, some sources repeated with other references."""
    r = random.Random(seed)

    def line(low):
        return " ".join(
            r.choice(["AA", "B", "K", "IY", "ß", "😀"]) for _ in range(r.randint(low, 6))
        )

    sources = [f"word{r.randrange(count // 2)}" for _ in range(count)]
    references = [line(1) for _ in range(count)]
    first = {source: n for n, source in reversed(list(enumerate(sources)))}
    hypotheses = [
        r.choice([references[first[s]], references[n], line(0)]) for n, s in enumerate(sources)
    ]
    return hypotheses, references, sources


def plain_edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def plain_rates(hypotheses, references, sources, symbols):
    """(items wrong, edit rate) as grapheme-to-phoneme papers count them."""
    wanted, given = {}, {}
    for h, r, s in zip(hypotheses, references, sources, strict=True):
        wanted.setdefault(s, []).append(symbols(r))
        given.setdefault(s, symbols(h))
    wrong = edits = total = 0
    for s, rows in wanted.items():
        wrong += given[s] not in rows
        nearest = min((plain_edits(given[s], row), len(row)) for row in rows)
        edits, total = edits + nearest[0], total + nearest[1]
    return 100 * wrong / len(wanted), 100 * edits / total


@pytest.mark.parametrize("seed", range(5))
def test_error_rates_equal_the_plain_count(seed):
    lines = made_up_lines(seed)
    found = score(["wer", "per", "cer", "exact"], *lines)
    wer, per = plain_rates(*lines, str.split)
    assert 0 < wer < 100
    assert found["wer"] == pytest.approx(wer)
    assert found["exact"] == pytest.approx(100 - wer)
    assert found["per"] == pytest.approx(per)
    assert found["cer"] == pytest.approx(plain_rates(*lines, str)[1])


def test_error_rates_without_sources_take_every_line_for_itself():
    hypotheses, references, sources = made_up_lines(9)
    found = score(["wer", "per"], hypotheses, references)
    rates = plain_rates(hypotheses, references, range(len(references)), str.split)
    assert (found["wer"], found["per"]) == pytest.approx(rates)
    assert found["wer"] != pytest.approx(score(["wer"], hypotheses, references, sources)["wer"])


def test_error_rates_by_hand():
    hypotheses, references = ["A  B C", "A", "", "x"], ["A B C", "A B", "C", "x y"]
    found = score(["wer", "per", "exact"], hypotheses, references, ["1", "2", "3", "4"])
    assert found == pytest.approx({"wer": 75.0, "per": 100 * 3 / 8, "exact": 25.0})
    several = score(["wer", "per"], ["A B", "no"], ["A C", "A B"], ["same", "same"])
    assert several == {"wer": 0.0, "per": 0.0}


def test_error_rates_of_empty_references():
    assert score(["per", "cer", "wer"], [""], [""]) == {"per": 0.0, "cer": 0.0, "wer": 0.0}
    assert score(["per"], ["a b"], [""]) == {"per": 200.0}


@pytest.mark.parametrize("seed", range(3))
def test_bleu_chrf_and_ter_are_sacrebleu_line_by_line(seed):
    hypotheses, references, sources = made_up_lines(seed)
    found = score(["bleu", "chrf", "ter"], hypotheses, references, sources)
    assert found["bleu"] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert found["chrf"] == sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert found["ter"] == sacrebleu.corpus_ter(hypotheses, [references]).score
    same = score(["bleu", "ter"], references, references)
    assert same == pytest.approx({"bleu": 100.0, "ter": 0.0})


def test_ter_counts_a_shift_once():
    assert score(["ter"], ["d a b c"], ["a b c d"]) == {"ter": 25.0}


def plain_overlap(given, wanted):
    """F1 of two lists as multisets."""
    left, matched = list(wanted), 0
    for item in given:
        if item in left:
            left.remove(item)
            matched += 1
    return harmonic(matched, len(given), len(wanted))


def plain_subsequence(given, wanted):
    """F1 of the longest common subsequence, by the table of its textbook recursion."""
    table = np.zeros((len(given) + 1, len(wanted) + 1), int)
    for i, x in enumerate(given):
        for j, y in enumerate(wanted):
            longer = max(table[i, j + 1], table[i + 1, j])
            table[i + 1, j + 1] = table[i, j] + 1 if x == y else longer
    return harmonic(table[-1, -1], len(given), len(wanted))


def harmonic(matched, given, wanted):
    if not matched:
        return 0.0
    precision, recall = matched / given, matched / wanted
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(3))
def test_rouge_equals_the_plain_count(seed):
    r = random.Random(seed)
    rows = [
        [[r.choice("abcde") for _ in range(r.randrange(9))] for _ in range(40)] for _ in range(2)
    ]
    lines = [[" ".join(words) for words in side] for side in rows]
    found = score(["rouge1", "rouge2", "rougeL"], *lines)
    pairs = [[list(zip(w, w[1:], strict=False)) for w in side] for side in rows]
    assert found["rouge1"] == pytest.approx(100 * np.mean(list(map(plain_overlap, *rows))))
    assert found["rouge2"] == pytest.approx(100 * np.mean(list(map(plain_overlap, *pairs))))
    assert found["rougeL"] == pytest.approx(100 * np.mean(list(map(plain_subsequence, *rows))))


def test_rouge_of_lins_example():
    # section 3.1: both share three words with the reference, police killed the gunman
    ours = ["police kill the gunman", "the gunman kill police"]
    found = [score(["rouge2", "rougeL"], [text], ["police killed the gunman"]) for text in ours]
    assert [one["rougeL"] for one in found] == pytest.approx([75.0, 50.0])
    assert [one["rouge2"] for one in found] == pytest.approx([100 / 3, 100 / 3])


def test_rouge_reads_words_of_any_script():
    names = ["rouge1"]
    assert score(names, ["Mädchen, laut!"], ["mädchen LAUT"]) == {"rouge1": 100.0}
    assert score(names, ["नमस्ते"], ["नमस्ते दुनिया"])["rouge1"] == pytest.approx(200 / 3)
    assert score(names, ["a_b"], ["a b"]) == {"rouge1": 100.0}
    assert score(names, ["...", ""], ["...", "a"]) == {"rouge1": 0.0}


def test_signatures_say_how_and_by_which_version():
    found = signatures(SCORERS)
    assert list(found) == list(SCORERS) == list(TEXT_METRICS)
    version = sacrebleu.__version__
    bleu = sacrebleu.metrics.BLEU(references=[["-"]]).get_signature()
    assert found["bleu"] == f"BLEU|{bleu}"
    assert found["chrf"].startswith("chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|")
    assert found["ter"].startswith("TER|nrefs:1|case:lc|tok:tercom|")
    for name in ("bleu", "chrf", "ter"):
        assert found.pop(name).endswith(f"|version:{version}")
    found |= signatures(["accuracy", "perplexity"])
    assert len(set(found.values())) == 9
    for name, text in found.items():
        assert text.split("|")[0].lower().replace("-", "") == name.lower()
        assert text.endswith(f"|version:keras_s2s-{__version__}")
    with pytest.raises(ValueError, match="came 'blue'"):
        signatures(["blue"])


def test_score_names_what_is_wrong():
    with pytest.raises(ValueError, match="names: expected some of bleu, .*, came 'blue'"):
        score(["blue"], ["a"], ["a"])
    with pytest.raises(ValueError, match="'hypotheses': 1, 'references': 2"):
        score(["wer"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="'sources': 2"):
        score(["wer"], ["a"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="references: expected at least one line"):
        score(["wer"], [], [])


def test_direction_of_every_score():
    better = {name: higher_is_better(name) for name in (*SCORERS, "accuracy", "loss", "perplexity")}
    expected = ["bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact", "accuracy"]
    assert [name for name, up in better.items() if up] == expected
    with pytest.raises(ValueError, match="came 'f1'"):
        higher_is_better("f1")
