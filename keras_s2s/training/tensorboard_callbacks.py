"""What a run shows in TensorBoard beside its curves: attention, embeddings, settings, graph."""

import hashlib
import itertools

from keras_s2s.config import Config
from keras_s2s.data import read_pairs
from keras_s2s.tensorboard.attention_metrics import read_alignments
from keras_s2s.tensorboard.projector import EmbeddingProjector
from keras_s2s.tensorboard.summaries import AttentionSummary, RunDescription

__all__ = ["hyperparameters", "tensorboard_callbacks"]


def tensorboard_callbacks(session, curves, current) -> list:
    """The callbacks that `training.tensorboard` asks for; none with `attention` 0.

    Args:
        session: `Session`.
        curves: `Summaries`, which stands behind them in the list of callbacks.
        current: see `validating.follower`.

    Raises:
        UserError: the file of alignments does not do.
    """
    wanted = session.config.training.tensorboard
    if not wanted.attention:
        return []
    pairs = list(itertools.islice(read_pairs(session.config.data.valid), wanted.attention))
    links = wanted.alignments and read_alignments(wanted.alignments, len(pairs))
    held = {}

    def attend(sources, targets):
        with current() as translator:
            held["graph"] = translator.signature_graph("attention")
            return translator.attention(sources, targets, errors="return")[0]

    chosen = hyperparameters(session.config)
    found = [
        # a run of its own: the table of HParams has a column for each scalar of "valid"
        AttentionSummary(
            attend,
            pairs,
            lambda: curves.writer("attention"),
            every=wanted.every,
            images=wanted.images,
            alignments=links,
            step=lambda: session.course.step,
        ),
        RunDescription(
            lambda: curves.writer("valid"),
            chosen,
            lambda: held.pop("graph", None),
            _name(session.run_dir, chosen),
        ),
    ]
    if wanted.projector:
        directory = curves.directory / "valid"
        found.append(EmbeddingProjector(directory, lambda: _tables(session), every=wanted.every))
    return found


def hyperparameters(config: Config) -> dict:
    """What one run may differ in from another, as {"section.key": value} for the tab HParams."""
    raw = config.to_dict()
    chosen = {"model": raw["model"], "training": raw["training"] | {"tensorboard": None}}
    chosen["data"] = {key: raw["data"][key] for key in ("batch_tokens", "max_length")}
    return dict(_flat(chosen))


def _name(run_dir, chosen):
    """Of a run in the table of HParams, where equal names are one row."""
    digest = hashlib.sha256(repr(sorted(chosen.items())).encode()).hexdigest()
    return f"{run_dir.resolve().name} {digest[:8]}"


def _flat(tree, path=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        elif isinstance(value, bool | int | float | str):
            yield f"{path}{key}", value
        elif isinstance(value, list):
            yield f"{path}{key}", "+".join(map(str, value))


def _tables(session):
    """The vectors of both vocabularies, or of the one that they share."""
    model, found = session.model, {}
    with model.averaged():
        for side, tokenizer in zip(("source", "target"), session.tokenizers, strict=True):
            table = getattr(getattr(model, side), "table", None)
            if table is not None and (side == "source" or model.target is not model.source):
                found[f"{side}_embedding"] = tokenizer.vocabulary, table.numpy()
    return found
