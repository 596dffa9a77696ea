"""Layers and pure functions that encoders, decoders and heads are built from.

Names are imported on first access, because some layers build on `keras_s2s.attention`, which
builds on others.
"""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {
    "Dropout": ".dropout",
    "FactoredEmbedding": ".factored_embedding",
    "FeatureProjection": ".features",
    "FeedForward": ".feed_forward",
    "GRUCell": ".recurrent",
    "GatedConvolution": ".convolutions",
    "LSTMCell": ".recurrent",
    "LayerNormGRUCell": ".recurrent",
    "LayerNormLSTMCell": ".recurrent",
    "LayerNormalization": ".normalization",
    "LearnedPositions": ".positions",
    "Linear": ".dense",
    "MultiSourceEmbedding": ".multi_source_embeddings",
    "NormalizedLinear": ".dense",
    "ParallelEmbedding": ".multi_source_embeddings",
    "PointerEmbedding": ".pointer_embedding",
    "TokenEmbedding": ".token_embedding",
    "TransformerLayer": ".transformer",
    "sinusoidal_positions": ".positions",
}

__all__ = sorted(_LAZY)


__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
