"""Small models that read or write frames, which the tests of exports and of serving share."""

import keras
import numpy as np

from keras_s2s import models as catalog
from keras_s2s.config import Decoding, ModelConfig, TokenizerConfig
from keras_s2s.heads import RegressionHead, SoftmaxHead
from keras_s2s.layers.features import FeatureProjection
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.seq2seq import Seq2Seq
from keras_s2s.tokenizers import Features, train
from keras_s2s.translator import Forecaster, Translator
from tests.conformance import models

F, G = 3, 2
ROWS = [np.random.default_rng(n).normal(size=(n, F)).astype("float32") for n in (5, 2)]


def letters(*rows):
    return train(TokenizerConfig(kind="whitespace", size=None), rows)


def randomize(model):
    """Weights large enough that every part matters."""
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign_add(random.normal(0, 0.25, weight.shape))
    return model


def make_translator():
    keras.utils.set_random_seed(3)
    target = letters("a b c d e f g")
    model = Seq2Seq(
        FeatureProjection(F, models.WIDTH),
        models.ENCODERS["bigru"](),
        TokenEmbedding(target.size, models.WIDTH),
        models.DECODERS["gru"](),
        SoftmaxHead(target.size),
    )
    decoding = Decoding(beam_size=2, max_length=6)
    return Translator(
        randomize(model), Features(F), target, decoding, {"max_length": 8, "frames": 12}
    )


def make_forecaster(loss="gaussian"):
    keras.utils.set_random_seed(3)
    model = Seq2Seq(
        FeatureProjection(F, models.WIDTH, norm=True),
        models.ENCODERS["pre"](),
        FeatureProjection(G, models.WIDTH),
        models.DECODERS["pre"](),
        RegressionHead(G, loss),
    )
    return Forecaster(
        randomize(model), Features(F), Features(G), Decoding(steps=4), {"max_length": 8}
    )


def make_speller():
    """Listen-Attend-Spell, whose memory has a place for eight frames."""
    keras.utils.set_random_seed(3)
    target = letters("a b c d e f g")
    sizes = {"encoder": {"units": 6}, "decoder": {"units": 8}}
    config = ModelConfig(preset="listen_attend_spell", embedding=8, **sizes)
    model = randomize(catalog.build(config, F, target.size, frames=(True, False)))
    decoding = Decoding(beam_size=2, max_length=6)
    return Translator(model, Features(F), target, decoding, {"max_length": 8, "frames": 40})
