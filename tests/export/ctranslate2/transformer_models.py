"""Random Transformers for tests of exports to CTranslate2."""

import keras
import numpy as np

from keras_s2s import tokenizers
from keras_s2s.config import TokenizerConfig
from keras_s2s.decoders import TransformerDecoder
from keras_s2s.encoders import TransformerEncoder
from keras_s2s.heads import SoftmaxHead
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.seq2seq import Seq2Seq

LETTERS = TokenizerConfig(kind="whitespace", size=None)
PAIR = tokenizers.train(LETTERS, ["a b c d e f g h i"]), tokenizers.train(LETTERS, ["A B C D E"])


def make(encoder, decoder, tie, pair, spread=0.7, **more):
    """A random model that, like trained ones, emits no padding and no start token, but an end."""
    keras.utils.set_random_seed(3)
    width = 8 if tie == "all" else 12
    source, target = (side.size for side in pair)
    model = Seq2Seq(
        TokenEmbedding(source, width),
        TransformerEncoder(width, 2, 4, norm=encoder, **more),
        TokenEmbedding(target, 8),
        TransformerDecoder(8, 3, 2, 20, norm=decoder, **more),
        SoftmaxHead(target),
        tie,
    )
    model.build()
    random = np.random.default_rng(17)
    for weight in model.trainable_variables:
        centre, own = weight.path.endswith("gamma"), spread if len(weight.shape) > 1 else 0.3
        weight.assign(random.normal(centre, own, weight.shape))
    # Gains of both signs: otherwise a tied head prefers the previous token.
    last = model.decoder.final_norm or model.decoder.layers[-1].feed_norm
    last.gamma.assign(random.normal(0, 1.5, last.gamma.shape))
    bias = model.head.bias if model.head.tied else model.head.projection.bias
    bias.assign(np.concatenate([[-20, bias[1], -20, 1], bias[4:]]))
    return model
