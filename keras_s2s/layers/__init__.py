"""Layers and pure functions that encoders, decoders and heads are built from.

`keras_s2s.layers.transformer` and `keras_s2s.layers.transformer_stack` are not imported here: they
use `keras_s2s.attention`, which itself uses the layers of this package.
"""

from keras_s2s.layers.convolutions import GatedConvolution
from keras_s2s.layers.dense import Linear, NormalizedLinear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.factored_embedding import FactoredEmbedding
from keras_s2s.layers.features import FeatureProjection
from keras_s2s.layers.feed_forward import FeedForward
from keras_s2s.layers.multi_source_embeddings import MultiSourceEmbedding, ParallelEmbedding
from keras_s2s.layers.normalization import LayerNormalization
from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.positions import LearnedPositions, sinusoidal_positions
from keras_s2s.layers.token_embedding import TokenEmbedding

__all__ = [
    "Dropout",
    "FactoredEmbedding",
    "FeatureProjection",
    "FeedForward",
    "GatedConvolution",
    "LayerNormalization",
    "LearnedPositions",
    "Linear",
    "MultiSourceEmbedding",
    "NormalizedLinear",
    "ParallelEmbedding",
    "PointerEmbedding",
    "TokenEmbedding",
    "sinusoidal_positions",
]
