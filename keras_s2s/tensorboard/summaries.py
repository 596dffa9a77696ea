"""What `fit` leaves for TensorBoard of attention, and of what the run is."""

import logging
import math

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.tensorboard.attention_metrics import head_metrics
from keras_s2s.tensorboard.attention_records import attention_maps, make_record, metadata, pack
from keras_s2s.tensorboard.figures import attention_grid, plot_attention

__all__ = ["AttentionSummary", "RunDescription"]

log = logging.getLogger(__name__)

PICTURE_DPI = 80
DRAWN = 64  # heads: a quarter of a second each on a busy machine
TAGS = {"cross": "attention_map", "self": "self_attention_map", "encoder": "encoder_attention_map"}


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

    Of each pair a record for the tab "Attention" (tag `attention/N`) and heat maps, heads as a
    grid (`attention_map/N`, `self_attention_map/N`, `encoder_attention_map/N`); of all pairs
    together scalars of every head (see `measures.of_heads`). That is all that a model of one's own
    needs: `AttentionSummary(translator.attention, pairs, "logs/attention")`; beside
    `callbacks.Summaries`, which has the loss, the learning rate and the gradient's norm, and
    stands behind this one, `directory` may be `lambda: summaries.writer("attention")`.

    Args:
        attend: `attend(sources, targets)` gives an `Attention` for each, such as
            `Translator.attention`.
        pairs: list of (source, target) texts; the target is read, not searched for.
        directory: of the event files, best a run of its own, as TensorBoard's tab "HParams" has a
            column for every scalar of a run; or a function that gives an open `tf.summary` writer,
            for a run that has one: TensorBoard follows the newest file of a directory only.
        every: epochs between two looks.
        images: what to draw heat maps of, some of "cross", "self" and "encoder"; True is the
            first, the attention over the source, and False nothing. Drawing takes most of the
            time: of a model with many heads are drawn those of the first pairs, up to 64 heads of
            a kind, or of the first pair.
        alignments: for each pair a collection of (source, target) places of tokens, for the
            alignment error rate of every head; None without.
        step: `step()` gives the updates made; by default the optimizer's count of them.
    """

    def __init__(
        self, attend, pairs, directory, *, every=1, images=True, alignments=None, step=None
    ):
        super().__init__(directory, step)
        if alignments is not None and len(alignments) != len(pairs):
            raise ValueError(
                f"alignments: expected {len(pairs)}, one for each pair, came {len(alignments)}"
            )
        self.attend, self.pairs, self.every = attend, list(pairs), every
        self.images, self.alignments = _kinds(images), alignments

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
            for tag, value in head_metrics([seen[n] for n in good], links).items():
                if math.isfinite(value):
                    tf.summary.scalar(tag, value)
        writer.flush()

    def _write(self, number, one, target):
        record = make_record(one, target)
        try:
            tf.summary.write(f"attention/{number}", pack(record), metadata=metadata(record))
        except ValueError as error:  # it is larger than a page could show
            log.warning("attention/%d: left out: %s", number, error)
        for kind in self.images:
            if kind in attention_maps(one) and number <= max(
                1, DRAWN // len(attention_maps(one)[kind][0])
            ):
                picture = plot_attention(**attention_grid(one, kind)).pixels(PICTURE_DPI)
                tf.summary.image(f"{TAGS[kind]}/{number}", picture[np.newaxis])


class RunDescription(_Writing):
    """What the run is: its settings for the tab "HParams", its graph for the tab "Graphs".

    Args:
        directory: as for `AttentionSummary`.
        settings: {name: number, text or truth value}.
        graph: `graph()` gives a `tf.Graph`, or None as long as there is none; asked after an epoch.
        name: the run's in the tab "HParams", whose columns are settings and the scalars of this
            directory; by default a hash of the settings.
    """

    def __init__(self, directory, settings, graph=None, name=None):
        super().__init__(directory, None)
        self.settings, self.graph, self.name = settings, graph, name

    def on_train_begin(self, logs=None):
        from tensorboard.plugins.hparams import api

        with self._opened().as_default(step=0):
            api.hparams(self.settings, trial_id=self.name)

    def on_epoch_end(self, epoch, logs=None):
        graph = self.graph() if self.graph is not None else None
        if graph is not None:
            with self._opened().as_default(step=0):
                tf.summary.graph(graph)
            self.graph = None

    def on_train_end(self, logs=None):
        from tensorboard.plugins.hparams import api_pb2, summary

        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        with self._opened().as_default(step=0):
            tf.summary.experimental.write_raw_pb(ended.SerializeToString())
        super().on_train_end(logs)


def _kinds(images):
    """The kinds of maps to draw."""
    kinds = {True: ["cross"], False: []}.get(images) if isinstance(images, bool) else list(images)
    if isinstance(images, str) or not set(kinds) <= set(TAGS):
        expected = f"True, False or some of {', '.join(TAGS)}"
        raise ValueError(f"images: expected {expected}, came {images!r}")
    return kinds


def _is_whole(one):
    """Whether there is anything to show: a pair with an error has no tokens."""
    finite = all(np.isfinite(weights).all() for _, weights in attention_maps(one).values())
    return bool(one.source_tokens) and bool(one.tokens) and finite
