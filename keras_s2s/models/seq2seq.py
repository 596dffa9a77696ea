"""`Seq2Seq`: the wiring of embeddings, encoder, decoder and head."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from keras_s2s.encoders import Memory
from keras_s2s.heads import spread_over_source
from keras_s2s.layers.features import last_frame
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend, loop_arguments
from keras_s2s.models.compatibility import check_parts
from keras_s2s.models.search_weights import SearchWeights
from keras_s2s.models.training_loss import TrainingLoss

__all__ = ["Seq2Seq"]

PARTS = ("source", "encoder", "target", "decoder", "head")


@keras.saving.register_keras_serializable("keras_s2s")
class Seq2Seq(TrainingLoss):
    """Any encoder with any decoder and any head.

    `fit` runs `call`; a search runs `begin` once and `next` at every position. Both run the same
    decoder, and agree up to rounding.

    `fit` expects sample_weight [B, T], 0 at padding; a weight per row, [B], counts for all its
    positions, and without weights every position counts.

    Args:
        source: layer for source ids, a `TokenEmbedding`, or for features, a `VectorProjection`.
        encoder: an `Encoder`.
        target: layer for target ids or features, likewise; a `PointerEmbedding` for a pointer
            network; features need a `RegressionHead`.
        decoder: a `Decoder`.
        head: a `Head`.
        tie: `"none"`; `"output"`: the head uses the target embedding's table; `"all"`: source and
            target also share one table.
        label_smoothing: share of the target probability spread over the vocabulary in training.

    Call arguments:
        inputs: {"source": {"ids": int32 [B, S], "mask": bool [B, S], "copy_ids": int32 [B, S] if
            the head copies}, "target": int32 [B, T], the start first}; real-valued sequences are
            float "features" [B, S, F] in place of ids, and a target [B, T, F], zeros first. With
            "labels" [B, T], and a head that `supports_target_log_probs`, only their probabilities
            are computed.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float32 logits [B, T, V'], V' = V, or V + S when the head copies; for features the outputs
        of the head, [B, T, F']. With maps: {"logits": ...,
        "attention": {"cross": [B, A, T, S], and with "all" "self": [B, A, T, T] and
        "encoder": [B, A, S, S], where the parts have such maps}}. With labels
        {"target_log_probs": float32 [B, T]}.

    Raises:
        ValueError: for another `tie`, tables that cannot be tied, parts that do not fit together,
            or a `label_smoothing` outside of [0, 1).

    Example:

    >>> import numpy as np
    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import build
    >>> model = build(ModelConfig(preset="gru_small"), source_size=20, target_size=30)
    >>> source = {"ids": np.array([[5, 6, 3]]), "mask": np.ones([1, 3], bool)}
    >>> model({"source": source, "target": np.array([[2, 7]])}).shape
    TensorShape([1, 2, 30])
    """

    def __init__(
        self,
        source: keras.layers.Layer,
        encoder: keras.layers.Layer,
        target: keras.layers.Layer,
        decoder: keras.layers.Layer,
        head: keras.layers.Layer,
        tie: str = "none",
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"KERAS_BACKEND: expected 'tensorflow', got {keras.backend.backend()!r}"
            )
        super().__init__(**kwargs)
        check_parts(source, encoder, target, decoder, head, tie)
        self.source = target if tie == "all" else source
        self.encoder, self.target, self.decoder, self.head = encoder, target, decoder, head
        self.tie, self.label_smoothing = tie, label_smoothing
        if tie != "none":
            head.tie(target)
        self.objectives()  # raises the error of a bad label_smoothing here, not in the first step

    @property
    def supports_copy(self) -> bool:
        """Whether the source needs `copy_ids` and logits have a column for each position."""
        return self.head.supports_copy

    @property
    def has_feature_targets(self) -> bool:
        """Whether targets are real-valued sequences, and outputs their means."""
        return self.target.input_key == "features"

    @property
    def vocabulary_size(self) -> int:
        """Number of target tokens V, or of features of a frame F."""
        return self.head.size

    @property
    def attention_names(self) -> dict[str, list[str]]:
        """Names of the maps that `call` returns with `maps="all"`, for each of its keys."""
        decoder = list(self.decoder.attention_names)
        return {"cross": decoder, "self": decoder, "encoder": list(self.encoder.attention_names)}

    def build(self, inputs_shape: Any = None) -> None:
        # All layers, also those that only `next` uses: a layer that is not built is not saved.
        features = (None,) if self.source.input_key == "features" else ()
        source = (None, None, self.source.units)
        target = (None, None, self.target.units)
        context = {"memory": {"values": (None, None, self.encoder.width)}}
        outputs = (None, None, self.decoder.width)
        for layer, *shapes in (
            (self.source, (None, None, *features)),
            (self.target, (None, None)),
            (self.encoder, source),
            (self.decoder, target, context),
            (self.head, outputs, target, None, context),
        ):
            if not layer.built:
                layer.build(*shapes)

    def encode(
        self,
        source: dict[str, Any],
        maps: str = "none",
        training: bool | None = False,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[Memory, dict[str, Any]]:
        """Encodes a source.

        Args:
            source: the dict of `call`'s `inputs["source"]`.
            maps: `"all"` adds the encoder's self-attention maps to the memory.
            training: whether dropout applies.
            loop_backend: `LoopBackend` of the loops in the encoder.

        Returns:
            the encoder's `Memory`, and the decoder's context, leaves [B, ...].
        """
        inputs = source[self.source.input_key]
        options = loop_arguments(self.encoder, loop_backend)
        if hasattr(self.source, "parts"):
            options["parts"] = self.source.parts(inputs)
        embedded = self.source(inputs)  # [B, S, D]
        memory = self.encoder(
            embedded, mask=source["mask"], maps=maps, training=training, **options
        )
        context = self.decoder.prepare(memory, source, training=training)
        self.head.check(context)
        return memory, context

    def call(
        self,
        inputs: dict[str, Any],
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tf.Tensor | dict[str, Any]:
        memory, context = self.encode(inputs["source"], maps, training, loop_backend)
        target = inputs["target"]
        if self.has_feature_targets:
            target = tf.concat([self._first_frames(context, target[:, :1]), target[:, 1:]], 1)
        embedded = self.target.embed(target, context)  # [B, T, E]
        decoder_maps = "alignment" if maps == "none" and self.head.needs_attention else maps
        options = loop_arguments(self.decoder, loop_backend)
        outputs, attention = self.decoder(
            embedded, context, maps=decoder_maps, training=training, **options
        )
        if "labels" in inputs:
            return {"target_log_probs": self.head.target_log_probs(outputs, inputs["labels"])}
        alignment = None
        if self.head.needs_attention:
            alignment = attention["cross"]
            if decoder_maps == "all":
                alignment = self.decoder.alignment(alignment)
        logits = self.head(outputs, embedded, alignment, context)
        if maps == "none":
            return logits
        return {"logits": logits, "attention": _source_maps(attention, memory, inputs["source"])}

    def _first_frames(self, context, frames):
        """The decoder's input at position 0 in place of the frames [B, K, F]."""
        if self.target.first == "zeros":
            return tf.zeros_like(frames)
        source = context["source"]
        last = last_frame(source["features"], source["mask"])  # [B, F]
        return tf.broadcast_to(tf.expand_dims(tf.cast(last, frames.dtype), 1), tf.shape(frames))

    def begin(
        self,
        source: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Encodes the source: everything that a search needs before its first step.

        Args:
            source: the dict of `call`'s `inputs["source"]`.
            num_hypotheses: K, int or scalar tensor.
            max_length: when given, fixes the size of what grows with the position.
            loop_backend: `LoopBackend` of the loops in the encoder.

        Returns:
            context, leaves [B, ...], and state, leaves [B, K, ...].
        """
        _, context = self.encode(source, loop_backend=loop_backend)
        return context, self.decoder.initial_state(context, num_hypotheses, max_length)

    def next(
        self,
        ids: tf.Tensor,
        position: tf.Tensor,
        context: dict[str, Any],
        state: dict[str, Any],
        maps: str = "alignment",
        normalize: bool = True,
        search_weights: SearchWeights | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor | None]:
        """One position of every hypothesis.

        Args:
            ids: int32 tensor [B, K], the previous tokens (the start at position 0), or
                float tensor [B, K, F], the previous frames (ignored at position 0).
            position: int32 scalar.
            context, state: from `begin` or the previous call.
            maps: `"alignment"`, or `"none"` for no alignment.
            normalize: False returns logits in place of log-probabilities, for a search that
                computes `heads.log_normalizer` itself.
            search_weights: from `make_search_weights`, used when `normalize` is False: the logits
                then have -1e9 in columns of padding, and `ids` and `copy_ids` count columns.
            loop_backend: `LoopBackend` of the loop that takes the steps.

        Returns:
            float32 log-probabilities [B, K, V'] (for features the head's outputs [B, K, F']), the
            new state, and the alignment [B, K, S] or None.
        """
        use_search_weights = search_weights is not None and not normalize
        if self.has_feature_targets:
            ids = tf.where(tf.equal(position, 0), self._first_frames(context, ids), ids)
        elif use_search_weights:
            ids = search_weights.token_ids(ids, context)
        embedded = self.target.embed(ids, context)  # [B, K, E]
        decoder_maps = "alignment" if self.head.needs_attention else maps
        outputs, state, attention = self.decoder.step(
            embedded,
            position,
            context,
            state,
            maps=decoder_maps,
            **loop_arguments(self.decoder, loop_backend),
        )
        if use_search_weights:
            logits = search_weights.logits(self.head, outputs, embedded, attention, context)
        else:
            logits = self.head(outputs, embedded, attention, context)
        log_probs = self.head.log_probs(logits) if normalize else logits
        if maps == "none":
            return log_probs, state, None
        source_index = context["memory"]["source_index"]
        length = tf.shape(context["source"]["mask"])[1]
        return log_probs, state, spread_over_source(attention[:, 0], source_index, length)

    def make_search_weights(
        self, tokens: Sequence[int] | None = None, multiple: int | None = None
    ) -> SearchWeights:
        """Weights for `next` in the layout that decodes fastest; an export must track them.

        Args:
            tokens, multiple: as for `SearchWeights`.
        """
        return SearchWeights(self, tokens, multiple)

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        config = {"tie": self.tie, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **parts, **config}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        config = dict(config)
        for name in PARTS:
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects)
        return cls(**config)


def _source_maps(attention, memory, source):
    """The maps of the decoder and the encoder, over source positions."""
    attention = dict(attention)
    if memory.source_index is not None:
        maps = attention["cross"]  # [B, A, T, M]
        shape, length = tf.shape(maps), tf.shape(source["mask"])[1]
        flat = tf.reshape(maps, [shape[0], shape[1] * shape[2], shape[3]])
        spread = spread_over_source(flat, memory.source_index, length)
        spread = tf.reshape(spread, tf.concat([shape[:3], [length]], 0))  # [B, A, T, S]
        attention["cross"] = spread
    if memory.attention is not None:
        attention["encoder"] = memory.attention
    return attention
