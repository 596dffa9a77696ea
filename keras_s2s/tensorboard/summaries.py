"""TensorBoard callbacks for attention, hyperparameters and the graph."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.tensorboard.attention_metrics import head_metrics
from keras_s2s.tensorboard.attention_records import attention_maps, make_record, metadata, pack
from keras_s2s.tensorboard.figures import attention_grid, plot_attention

__all__ = ["AttentionSummary", "RunDescription"]

log = logging.getLogger(__name__)

PICTURE_DPI = 80
MAX_HEADS = 64  # heads to draw; each takes up to a quarter of a second
TAGS = {"cross": "attention_map", "self": "self_attention_map", "encoder": "encoder_attention_map"}


class _SummaryCallback(keras.callbacks.Callback):
    """A callback with a summary writer for a directory, or of a function that returns one."""

    def __init__(self, directory, step):
        super().__init__()
        self.directory, self.step, self._writer = directory, step, None

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _get_writer(self):
        if callable(self.directory):
            return self.directory()
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.directory))
        return self._writer


class AttentionSummary(_SummaryCallback):
    """Writes the attention over fixed pairs of sentences after epochs of `fit`.

    For each pair it writes a record for the attention tab (tag `attention/N`) and heat maps as a
    grid of heads (`attention_map/N`, `self_attention_map/N`, `encoder_attention_map/N`), and for
    all pairs together scalars of every head (see `attention_metrics.head_metrics`). With another
    callback that has an open writer, such as `callbacks.Summaries`, put this callback before it
    in the list and pass `directory=lambda: summaries.writer("attention")`.

    Args:
        attend: function of (sources, targets) that returns an `Attention` for each pair, such as
            `Translator.attention`.
        pairs: list of (source, target) texts. The target is forced, not searched.
        directory: directory of the event files, preferably separate from those of other scalars,
            because the HParams tab of TensorBoard has a column for every scalar of a run; or a
            function that returns an open `tf.summary` writer, because TensorBoard follows only
            the newest event file of a directory.
        every: number of epochs between two writes.
        images: kinds of maps to draw as heat maps, some of "cross", "self" and "encoder". True
            is ["cross"], False is []. Drawing takes most of the time, so at most 64 heads of a
            kind are drawn, or those of the first pair.
        alignments: for each pair a collection of (source, target) token positions, for the
            alignment error rate of every head; None without.
        step: function that returns the number of updates. Defaults to the iterations of the
            optimizer.

    Example:

    >>> from keras_s2s import AttentionSummary
    >>> callback = AttentionSummary(lambda sources, targets: [], [("a", "b")], "logs/attention")
    """

    def __init__(
        self,
        attend: Callable,
        pairs: Sequence,
        directory: Path | str,
        *,
        every: int = 1,
        images: Any = True,
        alignments: Sequence | None = None,
        step: Callable[[], int] | None = None,
    ):
        super().__init__(directory, step)
        if alignments is not None and len(alignments) != len(pairs):
            raise ValueError(
                f"alignments: expected {len(pairs)}, one for each pair, got {len(alignments)}"
            )
        self.attend, self.pairs, self.every = attend, list(pairs), every
        self.images, self.alignments = _kinds(images), alignments

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0 and self.pairs:
            self.write()

    def write(self) -> None:
        """Computes the attention of all pairs and writes it at the current step."""
        sources, targets = map(list, zip(*self.pairs, strict=True))
        attentions = self.attend(sources, targets)
        valid = [number for number, attention in enumerate(attentions) if _is_valid(attention)]
        step = int(self.model.optimizer.iterations) if self.step is None else self.step()
        writer = self._get_writer()
        with writer.as_default(step=step):
            for number in valid:
                self._write_pair(number + 1, attentions[number], self.pairs[number][1])
            links = None if self.alignments is None else [self.alignments[n] for n in valid]
            for tag, value in head_metrics([attentions[n] for n in valid], links).items():
                if math.isfinite(value):
                    tf.summary.scalar(tag, value)
        writer.flush()

    def _write_pair(self, number, attention, target):
        record = make_record(attention, target)
        maps = attention_maps(attention)
        try:
            tf.summary.write(f"attention/{number}", pack(record), metadata=metadata(record))
        except ValueError as error:  # larger than the page can show
            log.warning("attention/%d: left out: %s", number, error)
        for kind in self.images:
            if kind in maps and number <= max(1, MAX_HEADS // len(maps[kind][0])):
                image = plot_attention(**attention_grid(attention, kind)).pixels(PICTURE_DPI)
                tf.summary.image(f"{TAGS[kind]}/{number}", image[np.newaxis])


class RunDescription(_SummaryCallback):
    """Writes the hyperparameters of a run for the HParams tab and its graph for the Graphs tab.

    Args:
        directory: as for `AttentionSummary`.
        settings: dict of names to numbers, strings and booleans.
        graph: function that returns a `tf.Graph`, or None if there is none yet; called after
            epochs.
        name: name of the run in the HParams tab. Defaults to a hash of the settings.
    """

    def __init__(
        self, directory: Path | str, settings: str, graph: Any = None, name: str | None = None
    ):
        super().__init__(directory, None)
        self.settings, self.graph, self.name = settings, graph, name

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        from tensorboard.plugins.hparams import api

        with self._get_writer().as_default(step=0):
            api.hparams(self.settings, trial_id=self.name)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        graph = self.graph() if self.graph is not None else None
        if graph is not None:
            with self._get_writer().as_default(step=0):
                tf.summary.graph(graph)
            self.graph = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        from tensorboard.plugins.hparams import api_pb2, summary

        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        with self._get_writer().as_default(step=0):
            tf.summary.experimental.write_raw_pb(ended.SerializeToString())
        super().on_train_end(logs)


def _kinds(images):
    """Returns the kinds of maps to draw."""
    kinds = {True: ["cross"], False: []}.get(images) if isinstance(images, bool) else list(images)
    if isinstance(images, str) or not set(kinds) <= set(TAGS):
        expected = f"True, False or some of {', '.join(TAGS)}"
        raise ValueError(f"images: expected {expected}, got {images!r}")
    return kinds


def _is_valid(attention):
    """Whether the attention can be shown; a pair with an error has no tokens."""
    maps = attention_maps(attention).values()
    is_finite = all(np.isfinite(weights).all() for _, weights in maps)
    return bool(attention.source_tokens) and bool(attention.tokens) and is_finite
