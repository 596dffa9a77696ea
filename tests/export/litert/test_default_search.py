"""Plain search with a translator's default options."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding
from keras_s2s.export.litert.default_search import DefaultSearch, has_plain_search
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.serving.edge.edge_file import EdgeFile
from tests.export.tiny_models import make_translator

DECODING = Decoding(beam_size=3, max_length=8)


@pytest.fixture(scope="module")
def translator():
    return make_translator(DECODING)


def test_ids_are_translated_as_texts_are(translator):
    texts = ["a b c", "d", "h i a b"]
    vocabulary = translator.source_tokenizer.vocabulary
    rows = [[*map(vocabulary.index, text.split()), 3] for text in texts]
    ids = np.zeros([3, 5], np.int32)
    for padded, row in zip(ids, rows, strict=True):
        padded[: len(row)] = row
    search = DefaultSearch(LiteRTSignatures(translator.model, translator.caps), translator)
    found = search(tf.constant(ids), tf.constant([len(row) for row in rows]))
    assert found["ids"].shape[:2] == (3, 1)
    names = translator.target_tokenizer.vocabulary
    for row, (best, *_) in enumerate(translator.decode(texts)):
        tokens = [names[i] for i in found["ids"][row, 0, : found["lengths"][row, 0]]]
        assert tokens == list(best.tokens)
        np.testing.assert_allclose(found["score"][row, 0], best.score, atol=1e-4)


def test_copying_models_and_constrained_defaults_have_no_plain_search(copying_file, translator):
    assert has_plain_search(translator)
    assert not has_plain_search(copying_file[0])
    constrained = Decoding(beam_size=3, max_length=8, no_repeat_ngram=2)
    assert not has_plain_search(make_translator(constrained))


def test_removed_signature_is_not_exported(copying_file):
    assert "serving_ids" not in EdgeFile(copying_file[1] / "model.tflite").description["signatures"]
