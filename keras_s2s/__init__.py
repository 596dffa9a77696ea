"""Sequence-to-sequence learning on TensorFlow and Keras: train, translate, export, serve.

Public names are imported on first access, so that the help of the command line and the client of
a served model start without TensorFlow. Everything else is imported from its package:
`keras_s2s.encoders`, `keras_s2s.decoders`, `keras_s2s.export`, `keras_s2s.serving`, ...
"""

import importlib
from pathlib import Path

from keras_s2s import module_aliases

__version__ = "0.1.0"

_MODULES = {
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

__all__ = sorted(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(f"{__name__}.config").choose_backend()
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _add_checkout_to_path(root: Path) -> None:
    """Makes `keras_s2s.export` and `keras_s2s.serving` importable from a source tree."""
    if (root / "setup.cfg").is_file() and (root / "export" / "__init__.py").is_file():
        __path__.append(str(root))


_add_checkout_to_path(Path(__file__).resolve().parent.parent)
module_aliases.install(__name__)
