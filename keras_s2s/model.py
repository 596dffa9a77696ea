"""`Seq2Seq`: the wiring of embeddings, encoder, decoder and head."""

import keras
import tensorflow as tf

from keras_s2s import losses
from keras_s2s.heads import spread_over_source
from keras_s2s.updates import Updates, token_weights

__all__ = ["Seq2Seq"]

PARTS = ("source", "encoder", "target", "decoder", "head")


@keras.saving.register_keras_serializable("keras_s2s")
class Seq2Seq(Updates):
    """Any encoder under any decoder under any head.

    `fit` runs `call`; a search runs `begin` once and `next` at every position. Both are the same
    decoder, and they agree to rounding.

    Args:
        source: layer for source ids, a `TokenEmbedding`.
        encoder: an `Encoder`.
        target: layer for target ids, a `TokenEmbedding`.
        decoder: a `Decoder`.
        head: a `Head`.
        tie: `"none"`; `"output"`: the head uses the target embedding's table; `"all"`: source and
            target also share one table.
        label_smoothing: share of the target probability spread over the vocabulary in training.

    `fit` wants sample_weight [B, T], 0 at padding; a weight for each row, [B], counts for all its
    positions, and without any weight every position counts.

    Call arguments:
        inputs: {"source": {"ids": int32 [B, S], "mask": bool [B, S], "copy_ids": int32 [B, S] when
            the head copies}, "target": int32 [B, T], the start first}.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float32 logits [B, T, V'], V' = V, or V + S when the head copies. With maps: {"logits": ...,
        "attention": {"cross": [B, A, T, S], and with "all" "self": [B, A, T, T] and
        "encoder": [B, A, S, S], where the parts have such maps}}.

    Raises:
        ValueError: for another `tie`, tables that cannot be tied, or a `label_smoothing` outside
            of [0, 1).
    """

    def __init__(self, source, encoder, target, decoder, head, tie="none", label_smoothing=0.0,
                 **kwargs):  # fmt: skip
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"KERAS_BACKEND: expected 'tensorflow', came {keras.backend.backend()!r}"
            )
        super().__init__(**kwargs)
        if tie not in ("none", "output", "all"):
            raise ValueError(f"tie: expected 'none', 'output' or 'all', came {tie!r}")
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
        if tie != "none":
            if target.units != decoder.width:
                raise ValueError(
                    f"tie: expected a target embedding of the decoder's width {decoder.width},"
                    f" came {target.units}"
                )
            head.tie(target)
        self.objectives()  # a bad label_smoothing is said here and not by the first step

    @property
    def copies(self):
        """Whether the source needs `copy_ids` and logits have a column for each position."""
        return self.head.copies

    @property
    def vocabulary_size(self):
        """Number of target tokens V."""
        return self.head.vocabulary_size

    @property
    def attention_names(self):
        """Names of the maps that `call` gives with `maps="all"`, for each of its keys."""
        decoder = list(self.decoder.attention_names)
        return {"cross": decoder, "self": decoder, "encoder": list(self.encoder.attention_names)}

    def build(self, inputs_shape=None):
        # Every part, those too that only `next` uses: what is not built here is not saved.
        source = (None, None, self.source.units)
        target = (None, None, self.target.units)
        context = {"memory": {"values": (None, None, self.encoder.width)}}
        outputs = (None, None, self.decoder.width)
        for layer, *shapes in (
            (self.source, (None, None)),
            (self.target, (None, None)),
            (self.encoder, source),
            (self.decoder, target, context),
            (self.head, outputs, target, None, context),
        ):
            if not layer.built:
                layer.build(*shapes)

    def call(self, inputs, maps="none", training=None):
        memory, context = self._read(inputs["source"], maps, training)
        embedded = self.target.embed(inputs["target"], context)  # [B, T, E]
        wanted = "alignment" if maps == "none" and self.head.needs_attention else maps
        outputs, attention = self.decoder(embedded, context, maps=wanted, training=training)
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
        vectors = self.source(source["ids"])  # [B, S, E]
        memory = self.encoder(vectors, mask=source["mask"], maps=maps, training=training)
        return memory, self.decoder.prepare(memory, source, training=training)

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
            ids: int32 tensor [B, K], the tokens before this position (the start at position 0).
            position: int32 scalar.
            context, state: from `begin` or the call before.
            maps: `"alignment"`, or `"none"` to do without it.
            normalize: False gives logits in place of log-probabilities, for a search that takes
                `heads.log_normalizer` itself; after `prepare_search` they have -1e9 in columns
                beyond V', up to the next multiple. `ids` and `copy_ids` then number its columns.

        Returns:
            float32 log-probabilities [B, K, V'], the new state, and the alignment [B, K, S] or
            None.
        """
        ids = ids if normalize else self.head.token_ids(ids, context)
        embedded = self.target.embed(ids, context)  # [B, K, E]
        wanted = "alignment" if self.head.needs_attention else maps
        outputs, state, attention = self.decoder.step(
            embedded, position, context, state, maps=wanted
        )
        if normalize:
            log_probs = tf.nn.log_softmax(self.head(outputs, embedded, attention, context))
        else:
            log_probs = self.head.search_logits(outputs, embedded, attention, context)
        if maps == "none":
            return log_probs, state, None
        index = context["memory"]["source_index"]
        length = tf.shape(context["source"]["mask"])[1]
        return log_probs, state, spread_over_source(attention[:, 0], index, length)

    def prepare_search(self, multiple=None, tokens=None):
        """Lays the head's weights out for `next` with `normalize=False`.

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
        return self.head.prepare_search(multiple, tokens)

    def objectives(self):
        """The objectives whose sum `fit` minimises, see `keras_s2s.losses`."""
        return [losses.cross_entropy(self.label_smoothing, self.vocabulary_size)]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits = y_pred["logits"] if isinstance(y_pred, dict) else y_pred
        if self._compile_loss is not None:
            return super().compute_loss(x, y, logits, sample_weight, training)
        weights = token_weights(y, sample_weight)  # [B, T]
        total = 0.0
        for objective in self.objectives():
            value, count = objective(x, y, logits, weights)
            total += value / tf.maximum(count, 1.0)
        # Keras adds up the replicas' gradients, and does not divide a loss computed here.
        total /= tf.distribute.get_strategy().num_replicas_in_sync
        return total + sum(self._aggregate_additional_loss(loss) for loss in self.losses)

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
        logits = y_pred["logits"] if isinstance(y_pred, dict) else y_pred
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
