"""The same logits, ids, texts and scores as Transformers gives, where one is at hand.

The environment variable MARIAN_PYTHON names a Python that has transformers, torch and
sentencepiece; without it these tests are skipped.
"""

import itertools
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.data import make_example
from keras_s2s.importers.marian import import_marian
from keras_s2s.importers.pytorch_files import read_pytorch
from keras_s2s.importers.weight_reader import read_safetensors
from keras_s2s.translator import Translator
from tests.importers import marian_checkpoints as twin

PYTHON = os.environ.get("MARIAN_PYTHON")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="MARIAN_PYTHON names no Python with transformers"),
]
WORDS = {
    "the": "die",
    "cat": "Katze",
    "sees": "sieht",
    "a": "ein",
    "dog": "Hund",
    "red": "rotes",
    "house": "Haus",
    "long": "lange",
    "road": "Weg",
    "likes": "mag",
}


def pairs():
    """150 pairs, word by word, of which those with tags, unknown words and spaces come first."""
    rows = [
        (" ".join(one), " ".join(WORDS[word] for word in one))
        for one in itertools.permutations(WORDS, 3)
    ]
    odd = [">>fra<< the cat", ">>deu<<a dog", ">>xxx<< a cat", "  two   spaces ", "\u4e2d x \u00bd"]
    return [(text, "ein Hund mag Haus") for text in odd] + rows[::5][:145]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    directory = tmp_path_factory.mktemp("transformers") / "marian"
    twin.write(
        directory,
        d_model=64,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        decoder_layers=2,
        decoder_attention_heads=4,
    )
    (directory / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs()))
    program = Path(__file__).with_name("transformers_reference.py")
    subprocess.run([PYTHON, str(program), str(directory)], check=True, timeout=300)
    reference = json.loads((directory / "reference.json").read_text())
    run = import_marian(directory, directory.with_name("run"))
    vocabulary = json.loads((directory / "vocab.json").read_text())
    return Translator.load(run), reference, vocabulary, directory


def test_ids(case):
    translator, reference, vocabulary, _ = case
    names = {number: piece for piece, number in vocabulary.items()}
    source = translator.source_tokenizer
    for (text, _), expected in zip(pairs(), reference["source_ids"]):
        (ids,) = source.ids(source.tokenize(tf.constant([text]))).to_list()
        assert [source.vocabulary[i] for i in ids] == [names[i] for i in expected[:-1]]


def test_logits(case):
    translator, reference, vocabulary, _ = case
    source, target = translator.source_tokenizer, translator.target_tokenizer
    texts = list(zip(*pairs()[: len(reference["logits"])]))
    pieces = (side.tokenize(tf.constant(one)) for side, one in zip((source, target), texts))
    x, _, _ = make_example(*pieces, source, target)
    logits = translator.model(x).numpy()
    # the columns of the padding and of the start are ours, see `import_marian`
    kept = [1, *range(3, target.size)]
    theirs = [vocabulary[target.vocabulary[i]] for i in kept]
    for ours, expected in zip(logits, reference["logits"]):
        expected = np.array(expected)
        np.testing.assert_allclose(ours[: len(expected)][:, kept], expected[:, theirs], atol=1e-4)


def test_beam_search_texts_and_scores(case):
    translator, reference, *_ = case
    texts = [text for text, _ in pairs()[: len(reference["texts"])]]
    found = [best for best, *_ in translator.decode(texts)]
    assert [one.text for one in found] == reference["texts"]
    assert len(set(reference["texts"])) > 25
    np.testing.assert_allclose([one.score for one in found], reference["scores"], atol=1e-4)


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_file_formats(case, zipped):
    expected = read_safetensors(case[-1] / "model.safetensors")
    found = read_pytorch(case[-1] / f"zipped-{zipped}.bin")
    assert found.keys() >= expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
