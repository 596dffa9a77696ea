"""What `fit` leaves for TensorBoard of attention, and of what the run is."""

import logging
import math

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.tensorboard.figures import plot_attention
from keras_s2s.tensorboard.measures import of_heads
from keras_s2s.tensorboard.records import AttentionRecord, metadata, pack

__all__ = ["AttentionSummary", "Description", "record_of"]

log = logging.getLogger(__name__)

PICTURE_DPI = 80
DRAWN = 64  # heads: a quarter of a second each on a busy machine


class _Writing(keras.callbacks.Callback):
    """A callback with a writer: that of its `directory`, or what it gives when called."""

    def __init__(self, directory, step):
        super().__init__()
        self.directory, self.step, self._writer = directory, step, None

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self):
        if callable(self.directory):
            return self.directory()
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.directory))
        return self._writer


class AttentionSummary(_Writing):
    """After an epoch of `fit`: what the model attends to over the same pairs of sentences.

    Of each pair a record for the tab "Attention" (tag `attention/N`) and heat maps of the
    attention over the source (`attention_map/N`), heads as a grid; of all pairs together
    scalars of every head (see `measures.of_heads`). `AttentionSummary(translator.attention, pairs,
    "logs/valid")` is all that a model of one's own needs.

    Args:
        attend: `attend(sources, targets)` gives an `Attention` for each, such as
            `Translator.attention`.
        pairs: list of (source, target) texts; the target is read, not searched for.
        directory: of the event files; or a function that gives an open `tf.summary` writer, for a
            run that has one: TensorBoard follows the newest file of a directory only.
        every: epochs between two looks.
        images: whether to draw heat maps, which takes most of the time: of a model with many heads
            those of the first pairs, up to 64 heads, or of the first pair.
        alignments: for each pair a collection of (source, target) places of tokens, for the
            alignment error rate of every head; None without.
        step: `step()` gives the updates made; by default the optimizer's count of them.
    """

    def __init__(self, attend, pairs, directory, *, every=1, images=True, alignments=None,
                 step=None):  # fmt: skip
        super().__init__(directory, step)
        if alignments is not None and len(alignments) != len(pairs):
            raise ValueError(
                f"alignments: expected {len(pairs)}, one for each pair, came {len(alignments)}"
            )
        self.attend, self.pairs, self.every = attend, list(pairs), every
        self.images, self.alignments = images, alignments

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 and self.pairs:
            self.look()

    def look(self):
        """Looks now, and writes what was seen at the step of now."""
        sources, targets = map(list, zip(*self.pairs, strict=True))
        seen = self.attend(sources, targets)
        good = [number for number, one in enumerate(seen) if _is_whole(one)]
        step = int(self.model.optimizer.iterations) if self.step is None else self.step()
        writer = self._opened()
        with writer.as_default(step=step):
            for number in good:
                self._write(number + 1, seen[number], self.pairs[number][1])
            links = None if self.alignments is None else [self.alignments[n] for n in good]
            for tag, value in of_heads([seen[n] for n in good], links).items():
                if math.isfinite(value):
                    tf.summary.scalar(tag, value)
        writer.flush()

    def _write(self, number, one, target):
        record = record_of(one, target)
        try:
            tf.summary.write(f"attention/{number}", pack(record), metadata=metadata(record))
        except ValueError as error:  # it is larger than a page could show
            log.warning("attention/%d: left out: %s", number, error)
        if self.images and number <= max(1, DRAWN // len(one.names)):
            figure = plot_attention(
                one.attention, one.source_tokens, one.tokens, names=one.names
            )
            tf.summary.image(f"attention_map/{number}", figure.pixels(PICTURE_DPI)[np.newaxis])


class Description(_Writing):
    """What the run is: its settings for the tab "HParams", its graph for the tab "Graphs".

    Args:
        directory: as for `AttentionSummary`.
        settings: {name: number, text or truth value}.
        graph: `graph()` gives a `tf.Graph`, or None as long as there is none; asked after an epoch.
    """

    def __init__(self, directory, settings, graph=None):
        super().__init__(directory, None)
        self.settings, self.graph = settings, graph

    def on_train_begin(self, logs=None):
        from tensorboard.plugins.hparams import api

        with self._opened().as_default(step=0):
            api.hparams(self.settings)

    def on_epoch_end(self, epoch, logs=None):
        graph = self.graph() if self.graph is not None else None
        if graph is not None:
            with self._opened().as_default(step=0):
                tf.summary.graph(graph)
            self.graph = None


def record_of(attention, target=None, reference=None, score=None) -> AttentionRecord:
    """An `Attention` as what the tab "Attention", and its page in one file, show.

    Args:
        attention: `Attention`, with maps `[A, T, S]`.
        target: the target's text.
        reference: the one that was wanted.
        score: a number for the target.

    Raises:
        ValueError: a weight is not finite.
    """
    maps = {"cross": (attention.names, attention.attention)}
    for kind, weights, names in (
        ("self", attention.decoder_attention, attention.decoder_names),
        ("encoder", attention.encoder_attention, attention.encoder_names),
    ):
        if weights is not None:
            maps[kind] = (names, weights)
    return AttentionRecord(
        attention.source_tokens, attention.tokens, maps,
        reference=reference, text=target, score=score,
    )  # fmt: skip


def _is_whole(one):
    """Whether there is anything to show: a pair with an error has no tokens."""
    maps = (one.attention, one.decoder_attention, one.encoder_attention)
    finite = all(np.isfinite(weights).all() for weights in maps if weights is not None)
    return bool(one.source_tokens) and bool(one.tokens) and finite
