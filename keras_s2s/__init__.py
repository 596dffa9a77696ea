"""Sequence-to-sequence learning on TensorFlow and Keras: train, translate, export, serve.

The public names are loaded when they are first asked for, so that the command line's help and
the client of a served model start without TensorFlow. Everything else is imported from its
room: `keras_s2s.encoders`, `keras_s2s.decoders`, `keras_s2s.export`, `keras_s2s.serving`, ...
"""

import importlib
from pathlib import Path

__version__ = "0.1.0"

_ROOMS = {
    "AttentionSummary": "tensorboard.summaries",
    "Config": "config",
    "Forecaster": "translator",
    "Seq2Seq": "models.seq2seq",
    "Translator": "translator",
    "UserError": "errors",
    "build": "models",
    "plot_attention": "tensorboard.figures",
    "train": "training",
}

__all__ = sorted(_ROOMS)


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(f"{__name__}.config").choose_backend()
    value = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})


def _join_checkout(root: Path) -> None:
    """Let `keras_s2s.export` and `keras_s2s.serving` be found when this is a source tree."""
    if (root / "setup.cfg").is_file() and (root / "export" / "__init__.py").is_file():
        __path__.append(str(root))


_join_checkout(Path(__file__).resolve().parent.parent)
