"""Layers and pure functions that encoders, decoders and heads are built from.

Names are imported on first access, because some layers build on `keras_s2s.attention`, which
builds on others.
"""

import importlib
from typing import Any

_LAZY = {
    "Dropout": "dropout",
    "FactoredEmbedding": "factored_embedding",
    "FeatureProjection": "features",
    "FeedForward": "feed_forward",
    "GRUCell": "recurrent",
    "GatedConvolution": "convolutions",
    "LSTMCell": "recurrent",
    "LayerNormGRUCell": "recurrent",
    "LayerNormLSTMCell": "recurrent",
    "LayerNormalization": "normalization",
    "LearnedPositions": "positions",
    "Linear": "dense",
    "MultiSourceEmbedding": "multi_source_embeddings",
    "NormalizedLinear": "dense",
    "ParallelEmbedding": "multi_source_embeddings",
    "PointerEmbedding": "pointer_embedding",
    "TokenEmbedding": "token_embedding",
    "TransformerLayer": "transformer",
    "sinusoidal_positions": "positions",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
