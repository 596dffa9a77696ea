"""Callbacks that write attention, embeddings, settings and the graph for TensorBoard."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_s2s.callbacks import TensorBoardLogger
from keras_s2s.config import Config
from keras_s2s.data import read_pairs
from keras_s2s.tensorboard.attention_metrics import read_alignments
from keras_s2s.tensorboard.projector import EmbeddingProjector
from keras_s2s.tensorboard.summaries import AttentionSummary, RunDescription
from keras_s2s.training.session import Session

__all__ = ["hyperparameters", "tensorboard_callbacks"]


def tensorboard_callbacks(
    session: Session, curves: TensorBoardLogger, translator: Callable | None
) -> list[keras.callbacks.Callback]:
    """The callbacks that `training.tensorboard` configures; none with `attention: 0`.

    Args:
        session: the session.
        curves: the logger of the curves, a later callback in the list.
        translator: the result of `current_translator`.

    Raises:
        UserError: the file of alignments is invalid.
    """
    options = session.config.training.tensorboard
    if not options.attention or translator is None:
        return []
    pairs = list(itertools.islice(read_pairs(session.config.data.valid), options.attention))
    alignments = options.alignments and read_alignments(options.alignments, len(pairs))
    graphs: list[Any] = []

    def attend(sources: list, targets: list) -> list:
        with translator() as current:
            graphs[:] = [current.signature_graph("attention")]
            return current.attention(sources, targets, errors="return")[0]

    settings = hyperparameters(session.config)
    attention = AttentionSummary(
        attend,
        pairs,
        # A directory of its own: the table of HParams has a column for every scalar of "valid".
        lambda: curves.writer("attention"),
        every=options.every,
        images=options.images,
        alignments=alignments,
        step=lambda: session.progress.step,
    )
    description = RunDescription(
        lambda: curves.writer("valid"),
        settings,
        lambda: graphs.pop() if graphs else None,
        _row_name(session.run_dir, settings),
    )
    callbacks = [attention, description]
    if options.projector:
        directory = curves.directory / "valid"
        projector = EmbeddingProjector(directory, lambda: _embeddings(session), every=options.every)
        callbacks.append(projector)
    return callbacks


def hyperparameters(config: Config) -> dict[str, Any]:
    """The settings in which runs may differ, as {"section.key": value}, for the tab HParams."""
    raw = config.to_dict()
    sections = {
        "model": raw["model"],
        "training": raw["training"] | {"tensorboard": None},
        "data": {key: raw["data"][key] for key in ("batch_tokens", "max_length")},
    }
    return dict(_flatten(sections))


def _row_name(run_dir: Path, settings: dict[str, Any]) -> str:
    """The name of a run in the table of HParams, which merges rows of equal names."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()
    return f"{run_dir.resolve().name} {digest[:8]}"


def _flatten(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{path}{key}.")
        elif isinstance(value, bool | int | float | str):
            yield f"{path}{key}", value
        elif isinstance(value, list):
            yield f"{path}{key}", "+".join(map(str, value))


def _embeddings(session: Session) -> dict[str, tuple[Any, np.ndarray]]:
    """The tokens and the embedding table [V, D] of each vocabulary, or of the shared one."""
    model, embeddings = session.model, {}
    with model.averaged():
        for side, tokenizer in zip(("source", "target"), session.tokenizers, strict=True):
            table = getattr(getattr(model, side), "table", None)
            if table is not None and (side == "source" or model.target is not model.source):
                embeddings[f"{side}_embedding"] = tokenizer.vocabulary, table.numpy()
    return embeddings
