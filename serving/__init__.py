"""The client of a served model and a server to run in a process.

Names are loaded when they are first asked for: the client needs no TensorFlow, the server does.
"""

import importlib

_ROOMS = {
    "Attention": "signatures.responses",
    "Client": "serving.client.client",
    "EdgeTranslator": "serving.edge.translator",
    "Hypothesis": "signatures.responses",
    "RowError": "serving.errors",
    "Score": "signatures.responses",
    "Server": "serving.server.server",
    "ServingError": "serving.errors",
    "StartError": "serving.errors",
    "serve": "serving.server.server",
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


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"keras_s2s.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
