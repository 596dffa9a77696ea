"""Loading of a run directory as a translator or a forecaster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_s2s import tokenizers
from keras_s2s.config import Config
from keras_s2s.tokenizers import Features
from keras_s2s.translator.forecaster import Forecaster
from keras_s2s.translator.translator import Translator

__all__ = ["load_run"]


def load_run(
    run: Path | str | Sequence[Path | str],
    checkpoint: str = "best",
    shortlist: Any = None,
    prepare: bool = True,
) -> Translator | Forecaster:
    """Loads a run by the kind of its target; arguments and errors as for `Translator.load`."""
    first = Path(run[0] if isinstance(run, list | tuple) else run)
    Config.from_run(first)  # raises a clear error for what is no run directory
    target = tokenizers.load_pair(first / "tokenizers")[1]
    kind = Forecaster if isinstance(target, Features) else Translator
    return kind.load(run, checkpoint, shortlist, prepare)
