"""Client, server and LiteRT runner of exported models.

Names are imported on first access: the client needs no TensorFlow, the server does.
"""

import importlib
from typing import Any

_LAZY = {
    "Attention": "signatures.responses",
    "Client": "serving.client.client",
    "EdgeTranslator": "serving.edge.translator",
    "Hypothesis": "signatures.responses",
    "RowError": "serving.errors",
    "Score": "signatures.responses",
    "Server": "serving.server.server",
    "ServingError": "serving.errors",
    "StartError": "serving.errors",
    "serve": "serving.server.serve",
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


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"keras_s2s.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
