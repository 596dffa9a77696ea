"""`Seq2Seq`: the wiring of embeddings, encoder, decoder and head."""

import keras
import tensorflow as tf

from keras_s2s import losses
from keras_s2s.heads import spread_over_source
from keras_s2s.layers.dense import NormalizedLinear
from keras_s2s.layers.features import last_frame
from keras_s2s.losses.criterion import Criterion
from keras_s2s.losses.token_weights import token_weights
from keras_s2s.models.training_step import TrainingStep

__all__ = ["Seq2Seq"]

PARTS = ("source", "encoder", "target", "decoder", "head")


@keras.saving.register_keras_serializable("keras_s2s")
class Seq2Seq(TrainingStep):
    """Any encoder under any decoder under any head.

    `fit` runs `call`; a search runs `begin` once and `next` at every position. Both are the same
    decoder, and they agree to rounding.

    Args:
        source: layer for source ids, a `TokenEmbedding`, or for frames, a `VectorProjection`.
        encoder: an `Encoder`.
        target: layer for target ids or frames, likewise; of a pointer network a
            `PointerEmbedding`; frames go with a `RegressionHead`.
        decoder: a `Decoder`.
        head: a `Head`.
        tie: `"none"`; `"output"`: the head uses the target embedding's table; `"all"`: source and
            target also share one table.
        label_smoothing: share of the target probability spread over the vocabulary in training.

    `fit` wants sample_weight [B, T], 0 at padding; a weight for each row, [B], counts for all its
    positions, and without any weight every position counts.

    Call arguments:
        inputs: {"source": {"ids": int32 [B, S], "mask": bool [B, S], "copy_ids": int32 [B, S] when
            the head copies}, "target": int32 [B, T], the start first}; frames are float
            "features" [B, S, F] in place of ids, and a target [B, T, F], zeros first. With
            "labels" [B, T], under a head that `skips`, no other token is computed.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float32 logits [B, T, V'], V' = V, or V + S when the head copies; of frames what the head
        gives, [B, T, F']. With maps: {"logits": ...,
        "attention": {"cross": [B, A, T, S], and with "all" "self": [B, A, T, T] and
        "encoder": [B, A, S, S], where the parts have such maps}}. With labels
        {"target_log_probs": float32 [B, T]}.

    Raises:
        ValueError: for another `tie`, tables that cannot be tied, parts that do not go together,
            or a `label_smoothing` outside of [0, 1).
    """

    criterion = None

    def __init__(
        self, source, encoder, target, decoder, head, tie="none", label_smoothing=0.0, **kwargs
    ):
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"KERAS_BACKEND: expected 'tensorflow', came {keras.backend.backend()!r}"
            )
        super().__init__(**kwargs)
        if tie not in ("none", "output", "all"):
            raise ValueError(f"tie: expected 'none', 'output' or 'all', came {tie!r}")
        _check_sides(source, target, head, tie)
        if tie == "all":
            if source.vocabulary_size != target.vocabulary_size:
                raise ValueError(
                    "tie: 'all' needs one vocabulary for both sides, came"
                    f" {source.vocabulary_size} and {target.vocabulary_size} tokens"
                )
            source = target
        self.source, self.encoder, self.target = source, encoder, target
        self.decoder, self.head = decoder, head
        self.tie, self.label_smoothing = tie, label_smoothing
        if head.needs_attention and not decoder.has_attention:
            raise ValueError(
                f"head: {type(head).__name__} expected a decoder with attention, came"
                f" {type(decoder).__name__} without"
            )
        self._check_pointers()
        if tie != "none":
            if target.units != decoder.width:
                raise ValueError(
                    f"tie: expected a target embedding of the decoder's width {decoder.width},"
                    f" came {target.units}"
                )
            head.tie(target)
        self.objectives()  # a bad label_smoothing is said here and not by the first step

    def _check_pointers(self):
        points, came = getattr(self.target, "points", False), type(self.target).__name__
        if self.head.is_pointer and not points:
            raise ValueError(f"target: expected a PointerEmbedding for this head, came a {came}")
        if points and not self.head.is_pointer:
            expected = "expected a PointerNetworkHead over a PointerEmbedding"
            raise ValueError(f"head: {expected}, came a {type(self.head).__name__}")
        if points and self.target.memory_units != self.encoder.width:
            raise ValueError(
                f"target: expected memory_units of the encoder's width {self.encoder.width},"
                f" came {self.target.memory_units}"
            )

    @property
    def supports_copy(self):
        """Whether the source needs `copy_ids` and logits have a column for each position."""
        return self.head.supports_copy

    @property
    def has_feature_targets(self):
        """Whether targets are real vectors, and outputs their means."""
        return self.target.input_key == "features"

    @property
    def vocabulary_size(self):
        """Number of target tokens V; of frames F."""
        return self.head.size

    @property
    def attention_names(self):
        """Names of the maps that `call` gives with `maps="all"`, for each of its keys."""
        decoder = list(self.decoder.attention_names)
        return {"cross": decoder, "self": decoder, "encoder": list(self.encoder.attention_names)}

    def build(self, inputs_shape=None):
        # Every part, those too that only `next` uses: what is not built here is not saved.
        frames = (None,) if self.source.input_key == "features" else ()
        source = (None, None, self.source.units)
        target = (None, None, self.target.units)
        context = {"memory": {"values": (None, None, self.encoder.width)}}
        outputs = (None, None, self.decoder.width)
        for layer, *shapes in (
            (self.source, (None, None, *frames)),
            (self.target, (None, None)),
            (self.encoder, source),
            (self.decoder, target, context),
            (self.head, outputs, target, None, context),
        ):
            if not layer.built:
                layer.build(*shapes)

    def call(self, inputs, maps="none", training=None):
        memory, context = self._read(inputs["source"], maps, training)
        given = inputs["target"]
        if self.has_feature_targets:
            given = tf.concat([self._first(context, given[:, :1]), given[:, 1:]], 1)
        embedded = self.target.embed(given, context)  # [B, T, E]
        wanted = "alignment" if maps == "none" and self.head.needs_attention else maps
        outputs, attention = self.decoder(embedded, context, maps=wanted, training=training)
        if "labels" in inputs:
            return {"target_log_probs": self.head.target_log_probs(outputs, inputs["labels"])}
        alignment = None
        if self.head.needs_attention:
            cross = attention["cross"]
            alignment = self.decoder.alignment(cross) if wanted == "all" else cross
        logits = self.head(outputs, embedded, alignment, context)
        if maps == "none":
            return logits
        given = dict(attention)
        index = context["memory"]["source_index"]
        if index is not None:
            given["cross"] = self._over_source(given["cross"], index, inputs["source"]["mask"])
        if memory.attention is not None:
            given["encoder"] = memory.attention
        return {"logits": logits, "attention": given}

    @staticmethod
    def _over_source(maps, index, mask):
        """Maps over memory places [B, A, T, M] as maps over source positions [B, A, T, S]."""
        shape, length = tf.shape(maps), tf.shape(mask)[1]
        flat = tf.reshape(maps, [shape[0], shape[1] * shape[2], shape[3]])
        spread = spread_over_source(flat, index, length)
        return tf.reshape(spread, tf.concat([shape[:3], [length]], 0))

    def _read(self, source, maps="none", training=False):
        given = source[self.source.input_key]
        parts = {"parts": self.source.parts(given)} if hasattr(self.source, "parts") else {}
        memory = self.encoder(
            self.source(given), mask=source["mask"], maps=maps, training=training, **parts
        )
        context = self.decoder.prepare(memory, source, training=training)
        self.head.check(context)
        return memory, context

    def _first(self, context, given):
        """What the decoder reads at position 0 in place of the frames [B, K, F] given."""
        if self.target.first == "zeros":
            return tf.zeros_like(given)
        source = context["source"]
        last = last_frame(source["features"], source["mask"])  # [B, F]
        return tf.broadcast_to(tf.expand_dims(tf.cast(last, given.dtype), 1), tf.shape(given))

    def begin(self, source, num_hypotheses, max_length=None):
        """Reads the source: all that a search needs before its first step.

        Args:
            source: the dict of `call`'s `inputs["source"]`.
            num_hypotheses: K, int or scalar tensor.
            max_length: fixes the size of what grows with the position, when given.

        Returns:
            context, leaves [B, ...], and state, leaves [B, K, ...].
        """
        _, context = self._read(source)
        return context, self.decoder.initial_state(context, num_hypotheses, max_length)

    def next(self, ids, position, context, state, maps="alignment", normalize=True):
        """One position of every hypothesis.

        Args:
            ids: int32 tensor [B, K], the tokens before this position (the start at position 0), or
                float tensor [B, K, F], the frames before it (anything at position 0).
            position: int32 scalar.
            context, state: from `begin` or the call before.
            maps: `"alignment"`, or `"none"` to do without it.
            normalize: False gives logits in place of log-probabilities, for a search that takes
                `heads.log_normalizer` itself; after `prepare_search` they have -1e9 in columns
                beyond V', up to the next multiple. `ids` and `copy_ids` then number its columns.

        Returns:
            float32 log-probabilities [B, K, V'] (of frames the head's outputs [B, K, F']), the new
            state, and the alignment [B, K, S] or None.
        """
        if self.has_feature_targets:
            ids = tf.where(tf.equal(position, 0), self._first(context, ids), ids)
        elif not normalize:
            ids = self.head.token_ids(ids, context)
        embedded = self.target.embed(ids, context)  # [B, K, E]
        wanted = "alignment" if self.head.needs_attention else maps
        outputs, state, attention = self.decoder.step(
            embedded, position, context, state, maps=wanted
        )
        if normalize:
            log_probs = self.head.log_probs(self.head(outputs, embedded, attention, context))
        else:
            log_probs = self.head.search_logits(outputs, embedded, attention, context)
        if maps == "none":
            return log_probs, state, None
        index = context["memory"]["source_index"]
        length = tf.shape(context["source"]["mask"])[1]
        return log_probs, state, spread_over_source(attention[:, 0], index, length)

    def prepare_search(self, multiple=None, tokens=None):
        """Lays the head's weights out for `next` with `normalize=False`, and keeps what normalises
        others.

        Only for a model whose weights are final, see `Head.prepare_search`.

        Args:
            multiple: columns of the logits are padded to a multiple of it; when None to one
                that the search can cut into blocks.
            tokens: the ids that a search may give, see `Head.prepare_search`; None is all.

        Returns:
            list of the `tf.Variable`s made; an export must track them.
        """
        if multiple is None:
            # A multiple of 16 near the square root of half the columns, see `search.choosing`.
            count = self.vocabulary_size if tokens is None else len(tokens)
            multiple = 16 * max(1, round((count / 2) ** 0.5 / 16))
        scaled = [x for x in self._flatten_layers() if isinstance(x, NormalizedLinear)]
        kept = [layer.prepare_search() for layer in scaled]
        return [*self.head.prepare_search(multiple, tokens), *kept]

    @property
    def smoothing(self):
        """The `label_smoothing` that holds: none for a head whose columns are positions."""
        return self.label_smoothing if self.head.supports_label_smoothing else 0.0

    def objectives(self):
        """The objectives whose sum is the loss, see `keras_s2s.losses`; in training
        `configure_objectives` puts others in their place."""
        if self.has_feature_targets:
            return [self.head.objective()]
        return [losses.cross_entropy(self.smoothing, self.vocabulary_size)]

    def configure_objectives(self, settings) -> None:
        """Has `fit` minimise other objectives; call after `compile`. A validation does not see it.

        Updates are then made as `configure_updates` says.

        Args:
            settings: `config.Objectives`.

        Raises:
            ValueError: an objective over the attention of a decoder without any; replicas.
        """
        criterion = None if settings.is_cross_entropy_only else Criterion(settings, self)
        if criterion is not None or self.criterion is not None:
            self.configure_updates(self.batches_per_update)
        self.criterion = criterion

    def _training_outputs(self, x, y, sample_weight):
        if self.criterion is None:
            if (
                self.head.supports_target_log_probs
                and not self.smoothing
                and self._compile_loss is None
            ):
                x = {**x, "labels": y}
            return super()._training_outputs(x, y, sample_weight)
        return self.criterion.outputs(x, y, sample_weight)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits = y_pred.get("logits") if isinstance(y_pred, dict) else y_pred
        if self._compile_loss is not None:
            return super().compute_loss(x, y, logits, sample_weight, training)
        weights = token_weights(y, sample_weight)  # [B, T]
        total, terms = 0.0, [(1.0, logits, objective) for objective in self.objectives()]
        if training and self.criterion is not None:
            terms = [(factor, y_pred, objective) for factor, objective in self.criterion.terms]
        elif logits is None:
            terms = [(1.0, y_pred, losses.likelihood())]
        for factor, outputs, objective in terms:
            value, count = objective(x, y, outputs, weights)
            value = value / tf.maximum(count, 1.0)
            total += value if factor == 1.0 else factor * value
        # Keras adds up the replicas' gradients, and does not divide a loss computed here.
        total /= tf.distribute.get_strategy().num_replicas_in_sync
        return total + sum(self._aggregate_additional_loss(loss) for loss in self.losses)

    def example(self):
        """A target of one position, [1, 1] or [1, 1, F], and outputs [1, 1, V'] for it."""
        outputs = tf.zeros([1, 1, self.vocabulary_size])
        return (outputs if self.has_feature_targets else tf.zeros([1, 1], tf.int32)), outputs

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Under a strategy Keras averages the replicas' first batches, and a mask has no mean.
        if iterator is not None and self._distribute_strategy is not None:
            local = self._distribute_strategy.experimental_local_results
            for _, _, batches in iterator:
                data_batch = tf.nest.map_structure(lambda leaf: local(leaf)[0], next(batches))
                break
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logits = y_pred.get("logits") if isinstance(y_pred, dict) else y_pred
        if logits is None:  # two columns: the target, and all the others as one
            target = y_pred["target_log_probs"]
            others = tf.math.log1p(-tf.exp(tf.minimum(target, -1e-6)))
            y, logits = tf.zeros_like(y), tf.stack([target, others], -1)
        return super().compute_metrics(x, y, logits, sample_weight)

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        own = {"tie": self.tie, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **parts, **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in PARTS:
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects)
        return cls(**config)


def _check_sides(source, target, head, tie):
    """Refuses tokens where frames belong, or the other way round."""
    of_vectors = target.input_key == "features"
    if of_vectors != hasattr(head, "objective"):
        expected = "a regression head" if of_vectors else "a head over a vocabulary"
        raise ValueError(f"head: expected {expected} for such a target, came {head.name}")
    if of_vectors and head.size != target.size:
        raise ValueError(f"head: expected frames of {target.size} numbers, came {head.size}")
    from_vectors = source.input_key == "features"
    if tie != "none" and (of_vectors or from_vectors and tie == "all"):
        raise ValueError(f"tie: expected 'none' beside frames, which have no table, came {tie!r}")
    if from_vectors and head.supports_copy:
        raise ValueError("head: expected one that does not copy, for a source of frames")
    if of_vectors and target.first == "source":
        size = source.size if from_vectors else "no"
        if size != target.size:
            raise ValueError(
                f"first: 'source' expected source frames of {target.size} numbers, came {size}"
            )
