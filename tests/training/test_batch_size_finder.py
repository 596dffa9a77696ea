"""The search of a size of batches: what it tries, what it takes, and that it leaves no trace."""

import io

import numpy as np
import pytest

from keras_s2s import checkpoints
from keras_s2s.config import Config, Corpus, TokenizerConfig
from keras_s2s.data import longest_batch, scan_corpora
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import train as train_tokenizer
from keras_s2s.training import batch_size_finder, memory, train
from keras_s2s.training.batch_size_finder import fastest_size
from keras_s2s.training.update_meter import Measurement
from tests.training.toy_runs import changed, small


def trial(batch_tokens, speed):
    return Measurement(batch_tokens, 1, 1, 1.0, speed, 1, 1.0, True)


def test_the_fastest_is_chosen_and_the_smallest_of_equals():
    assert fastest_size([trial(512, 10.0), trial(1024, 20.0), trial(2048, 19.0)]) == 1024
    assert fastest_size([trial(512, 10.0), trial(1024, 99.0), trial(2048, 100.0)]) == 1024


def test_a_forecast_is_the_line_through_the_last_two():
    assert memory.estimate_memory([(0, 5), (10, 100), (20, 150)], 40) == 250
    assert memory.estimate_memory([(10, 100), (20, 90)], 40) == 90


def test_memory_is_measured():
    peak = memory.PeakMemory()
    before = peak.now()
    block = np.ones(2**25)  # 256 MB
    assert peak.now() - before > 2e8
    del block
    assert peak.most() - before > 2e8
    assert memory.PeakMemory().most() - before < 1e8
    assert memory.free_memory() > 0
    assert [memory.format_bytes(size) for size in (999, 1234, 2.5e9)] == [
        "999 bytes",
        "1.23 kB",
        "2.5 GB",
    ]


@pytest.mark.parametrize("cached", [False, True])
def test_the_longest_batch_holds_the_longest_pairs(tmp_path, cached):
    texts = ["a" * length for length in (3, 9, 2, 9, 5, 4, 30, 6)]
    (tmp_path / "x.tsv").write_text("".join(f"{text}\t{text.upper()}\n" for text in texts))
    corpus = Corpus(pairs=str(tmp_path / "x.tsv"))
    side = train_tokenizer(TokenizerConfig(kind="characters", size=None), ["aA"])
    cache = str(tmp_path / "cache") if cached else None
    statistics = scan_corpora(corpus, side, side, 20, cache=cache)

    def lengths(batch_tokens):
        x, y, weight = longest_batch(
            corpus, side, side, statistics=statistics, batch_tokens=batch_tokens
        )
        assert x["source"]["ids"].shape == y.shape == weight.shape
        return sorted(weight.numpy().sum(axis=1).astype(int).tolist())

    assert lengths(10) == [10]
    assert lengths(40) == [6, 7, 10, 10]
    assert lengths(1000) == [3, 4, 5, 6, 7, 10, 10]


def auto(corpora, **training):
    return changed(small(corpora, updates=3, **training), data__batch_tokens="auto")


@pytest.mark.slow
def test_the_search_leaves_no_trace_but_its_number(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(batch_size_finder, "SIZES", (64, 128, 2**40))
    expect = batch_size_finder.UpdateMeter.expect
    monkeypatch.setattr(
        batch_size_finder.UpdateMeter, "expect", lambda *given: expect(*given) + 10**15
    )
    said = io.StringIO()
    train(auto(corpora), tmp_path / "auto", stream=said)
    chosen = Config.load(tmp_path / "auto" / "config.yml").data.batch_tokens
    assert chosen in (64, 128)
    assert f"data.batch_tokens: {chosen} chosen\n" in said.getvalue()
    assert said.getvalue().count(" target tokens/s, ") == 2
    assert "data.batch_tokens: 1,099,511,627,776: would take 1e+03 TB of " in said.getvalue()
    train(changed(auto(corpora), data__batch_tokens=chosen), tmp_path / "given", stream=said)
    ours, theirs = (checkpoints.load_model(tmp_path / run / "last") for run in ("auto", "given"))
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    monkeypatch.setattr(batch_size_finder, "SIZES", ())  # a resumed run looks no more
    more = changed(auto(corpora), training__updates=4, data__memory_limit=50)
    train(more, tmp_path / "auto", stream=io.StringIO())
    assert Config.load(tmp_path / "auto" / "config.yml").data.batch_tokens == chosen


@pytest.mark.slow
def test_nothing_that_fits(tmp_path, corpora):
    config = changed(auto(corpora), data__memory_limit=0.01)
    expected = r"data.batch_tokens: auto: out of memory at 512 tokens; lower data.max_length \(10\)"
    with pytest.raises(UserError, match=expected):
        train(config, tmp_path / "run", stream=io.StringIO())


def test_words_that_are_no_size():
    expected = "data.batch_tokens: expected an integer of at least 1 or auto, came 'automatic'"
    with pytest.raises(UserError, match=expected):
        Config.from_dict({"data": {"batch_tokens": "automatic"}})
    assert Config.from_dict({"data": {"batch_tokens": "auto"}}).data.batch_tokens == "auto"
