"""Client, server and LiteRT runner of exported models.

Names are imported on first access: the client needs no TensorFlow, the server does.
"""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {
    "Attention": "keras_s2s.signatures.responses",
    "Client": "keras_s2s.serving.client.client",
    "EdgeTranslator": "keras_s2s.serving.edge.translator",
    "Hypothesis": "keras_s2s.signatures.responses",
    "RowError": "keras_s2s.serving.errors",
    "Score": "keras_s2s.signatures.responses",
    "Server": "keras_s2s.serving.server.server",
    "ServingError": "keras_s2s.serving.errors",
    "StartError": "keras_s2s.serving.errors",
    "serve": "keras_s2s.serving.server.serve",
}

__all__ = [
    "Attention",
    "Client",
    "EdgeTranslator",
    "Hypothesis",
    "RowError",
    "Score",
    "Server",
    "ServingError",
    "StartError",
    "serve",
]


__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
