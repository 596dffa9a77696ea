"""Served signatures as functions of tensors, shared by Python, the exports and the tests."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_s2s import search
from keras_s2s.data import make_example, make_source, target_strings
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.tokenizers import UNKNOWN
from keras_s2s.translator.list_options import no_lists, tokenize_lists
from keras_s2s.translator.request_options import (
    forecast_steps,
    read_target,
    sampling_options,
    search_options,
)
from keras_s2s.translator.sources import FeatureSource, TextSource
from keras_s2s.translator.word_scores import score_words

__all__ = ["END_MARK", "SignatureFunctions"]

NO_TARGET = "options: expected a target that all of them allow, found none"
END_MARK = "</s>"  # names the end among tokens; it too can be attended to
SOURCE_MARK = "|||"  # names the end of one of several sources, except the last

Outputs = dict[str, tf.Tensor]


class SignatureFunctions:
    """The signatures of one model with its tokenizers.

    Every function takes the text [B], or features [B, S, F] and length [B], then options by name,
    tensors [B], or [1] for all rows. It returns the outputs that `keras_s2s.signatures` describes.

    Args:
        model: a `Seq2Seq` or an `Ensemble`.
        tokenizers: source and target `Tokenizer` or `Frames`.
        caps: see `keras_s2s.signatures.CAPS`.
        dictionary: `tf.lookup.StaticHashTable` of strings: the replacement of an unknown token by
            the source token that it attends to; None replaces it by that token itself.
        shortlist: `tokenizers.Shortlist` of the target tokens that a search may use, for a model
            whose `search_weights` were made for them; None is all.

    Attributes:
        search_weights: `SearchWeights` of the model, or None.
    """

    def __init__(
        self,
        model: Any,
        tokenizers: Sequence,
        caps: dict[str, int],
        dictionary: Any = None,
        shortlist: Any = None,
    ):
        self.model, self.tokenizers, self.caps = model, tokenizers, caps
        self.dictionary = dictionary
        # Ids of a search are columns of its logits, which a shortlist numbers anew.
        self.search_tokenizers = tokenizers[0], shortlist or tokenizers[1]
        self.search = search.search  # an export may set another function of the same kind
        self.search_weights = None

    def next(self, *args: Any, **kwargs: Any) -> tuple:
        """`Seq2Seq.next` for ids int32 [B, K], with the search weights if there are any."""
        return self.model.next(*args, search_weights=self.search_weights, **kwargs)

    def translate(
        self,
        *inputs: tf.Tensor,
        alignment: bool = True,
        constrained: bool = True,
        **options: tf.Tensor,
    ) -> Outputs:
        """The signature `translate`.

        Args:
            *inputs: the source.
            alignment: whether the outputs have the alignment, which `replace_unknown` needs.
            constrained: False leaves lists and constrained beam search out of the graph; the
                options that need it must be inactive, and the target tokenizer without prefix.
            **options: tensors by name.
        """
        source, values = self._read(inputs, options, self.search_tokenizers)
        lists = tokenize_lists(values, source) if constrained else no_lists(source)
        options, constraints, errors = search_options(values, lists, source)
        hypotheses = self.search(
            self.model.begin,
            self.next,
            self._model_source(source),
            options,
            constraints if constrained else None,
            alignment=alignment,
        )
        replace_unknown = values.get("replace_unknown") if alignment else None
        return self._hypotheses(hypotheses, source, errors, replace_unknown)

    def sample(self, *inputs: tf.Tensor, **options: tf.Tensor) -> Outputs:
        """The signature `sample`."""
        source, values = self._read(inputs, options, self.search_tokenizers)
        lists = tokenize_lists(values, source)
        options, sampling, constraints, errors = sampling_options(values, lists, source)
        hypotheses = search.sample(
            self.model.begin,
            self.next,
            self._model_source(source),
            options,
            sampling,
            constraints,
        )
        return self._hypotheses(hypotheses, source, errors, None)

    def forecast(self, *inputs: tf.Tensor, **options: tf.Tensor) -> Outputs:
        """The signature `forecast` of a model whose target is features."""
        source, values = self._read(inputs, options, self.tokenizers)
        steps, errors = forecast_steps(values, source)
        frames = search.forecast(
            self.model.begin,
            self.next,
            self._model_source(source),
            steps,
            self.tokenizers[1].size,
        )
        outputs = {name: value for name, value in frames._asdict().items() if value is not None}
        return outputs | {"lengths": steps, "error": errors}

    def score(self, *inputs: tf.Tensor, **options: tf.Tensor) -> Outputs:
        """The signature `score`."""
        _, pieces, errors, (x, y, weights) = self._example(inputs, options)
        logits = self.model(x, training=False)  # [B, T, V']
        log_probs = tf.gather(tf.nn.log_softmax(logits), y, batch_dims=2)  # [B, T]
        is_token = tf.cast(weights, tf.bool) & tf.expand_dims(tf.equal(errors, ""), 1)
        words, word_log_probs = score_words(pieces, log_probs, self.tokenizers[1], END_MARK)
        has_error = tf.not_equal(errors, "")
        log_prob = tf.reduce_sum(tf.where(is_token, log_probs, 0.0), 1)
        rows_with_error = tf.expand_dims(has_error, 1)
        return {
            "log_prob": tf.where(has_error, MISSING_SCORE, log_prob),
            "tokens": tf.where(is_token, _with_end(pieces), ""),
            "token_log_probs": tf.where(is_token, log_probs, MISSING_SCORE),
            "words": tf.where(rows_with_error, "", words),
            "word_log_probs": tf.where(rows_with_error, MISSING_SCORE, word_log_probs),
            "error": errors,
        }

    def attention(self, *inputs: tf.Tensor, **options: tf.Tensor) -> Outputs:
        """The signature `attention`."""
        source, pieces, errors, (x, _, weights) = self._example(inputs, options)
        maps = self.model(x, maps="all", training=False)["attention"]
        is_valid = tf.equal(errors, "")
        source_mask = x["source"]["mask"] & tf.expand_dims(is_valid, 1)
        target_mask = tf.cast(weights, tf.bool) & tf.expand_dims(is_valid, 1)
        names = self.model.attention_names
        outputs = {
            "source_tokens": tf.where(source_mask, self._position_names(source), ""),
            "tokens": tf.where(target_mask, _with_end(pieces), ""),
            "attention": _mask_maps(maps["cross"], target_mask, source_mask),
            "names": _map_names(names["cross"], is_valid),
            "error": errors,
        }
        for kind, key, mask in (
            ("encoder", "encoder", source_mask),
            ("decoder", "self", target_mask),
        ):
            if key in maps:
                outputs[f"{kind}_attention"] = _mask_maps(maps[key], mask, mask)
                outputs[f"{kind}_names"] = _map_names(names[key], is_valid)
        return outputs

    def _read(self, inputs, options, tokenizers):
        """The source of a request, and its options as tensors [B]."""
        source_class = FeatureSource if len(inputs) > 1 else TextSource
        source = source_class(*inputs, tokenizers, self.model.supports_copy, self.caps)
        shape = tf.expand_dims(source.batch, 0)
        return source, {name: tf.broadcast_to(value, shape) for name, value in options.items()}

    def _model_source(self, source) -> Outputs:
        """What the model reads of a source, at least one position wide."""
        inputs = make_source(source.inputs, *self.search_tokenizers, copy=self.model.supports_copy)
        if self.model.supports_copy and self.search_tokenizers != self.tokenizers:
            whole = make_source(source.inputs, *self.tokenizers, copy=True)
            inputs["copied"] = whole["copy_ids"]
        # An empty batch has no longest row: with one position, every loop has a step.
        missing = tf.maximum(1 - tf.shape(inputs["mask"])[1], 0)
        return {
            name: tf.pad(x, [[0, 0], [0, missing], *[[0, 0]] * (x.shape.rank - 2)])
            for name, x in inputs.items()
        }

    def _position_names(self, source) -> tf.Tensor:
        """Names of source positions, string [B, S]: tokens and the end, or numbers of frames."""
        if isinstance(source, TextSource):
            pieces = source.pieces.values
            pieces = tf.where(tf.equal(pieces, ""), SOURCE_MARK, pieces)
            return _with_end(source.pieces.with_values(pieces))
        names = source.pieces.to_tensor("")
        return tf.pad(names, [[0, 0], [0, tf.maximum(1 - tf.shape(names)[1], 0)]])

    def _example(self, inputs, options):
        """A source with its target: the source, target tokens, errors, and what `fit` takes."""
        source, values = self._read(inputs, options, self.tokenizers)
        pieces, errors = read_target(values, source)
        example = make_example(
            source.inputs, pieces, *self.tokenizers, copy=self.model.supports_copy
        )
        return source, pieces, errors, example

    def _hypotheses(self, hypotheses, source, errors, replace_unknown) -> Outputs:
        """The outputs of `translate` and `sample`."""
        is_missing = hypotheses.score <= MISSING_SCORE / 2
        # `disallowed` or `no_repeat_ngram` can leave constraints that no target meets.
        has_none = tf.reduce_all(is_missing, 1) & tf.equal(errors, "")
        errors = tf.where(has_none, NO_TARGET, errors)
        # A row with an error has no hypothesis, and does not affect other rows.
        is_blank = is_missing | tf.expand_dims(tf.not_equal(errors, ""), 1)  # [B, K]
        target = self.search_tokenizers[1]
        tokens = target_strings(hypotheses.ids, source.pieces, target)  # [B, K, T]
        tokens = tf.where(_expand_to(is_blank, 3), "", tokens)
        if replace_unknown is not None:
            tokens = self._replace_unknown(tokens, hypotheses.alignment, source, replace_unknown)
        log_probs = hypotheses.token_log_probs
        outputs = {
            "text": target.detokenize(tokens),
            "score": tf.where(is_blank, MISSING_SCORE, hypotheses.score),
            "log_prob": tf.where(is_blank, MISSING_SCORE, hypotheses.log_prob),
            "tokens": tokens,
            "token_log_probs": tf.where(_expand_to(is_blank, 3), MISSING_SCORE, log_probs),
            "lengths": tf.where(is_blank, 0, hypotheses.lengths),
            "finished": hypotheses.finished & ~is_blank,
            "source_tokens": self._position_names(source),
            "error": errors,
        }
        if hypotheses.alignment is not None:
            outputs["alignment"] = tf.where(_expand_to(is_blank, 4), 0.0, hypotheses.alignment)
        return outputs

    def _replace_unknown(self, tokens, alignment, source, is_requested) -> tf.Tensor:
        """Replaces unknown tokens, in rows bool [B], by the source tokens they attend to."""
        is_unknown = tf.equal(tokens, UNKNOWN) & tf.reshape(is_requested, [-1, 1, 1])

        def replace():
            rows = tf.pad(source.pieces.to_tensor(""), [[0, 0], [0, 1]])  # [B, S]
            is_real = tf.reshape(tf.not_equal(rows, ""), [tf.shape(rows)[0], 1, 1, -1])
            weights = tf.where(is_real, alignment, -1.0)
            aligned = tf.gather(rows, tf.argmax(weights, 3, tf.int32), batch_dims=1)  # [B, K, T]
            has_attention = tf.reduce_max(weights, 3) > 0
            aligned = tf.where(tf.equal(aligned, "") | ~has_attention, UNKNOWN, aligned)
            if self.dictionary is not None:
                entry = self.dictionary.lookup(aligned)
                aligned = tf.where(tf.equal(entry, ""), aligned, entry)
            return tf.where(is_unknown, aligned, tokens)

        return tf.cond(tf.reduce_any(is_unknown), replace, lambda: tokens)


def _expand_to(mask: tf.Tensor, rank: int) -> tf.Tensor:
    """A mask [B, K] with further axes of size one, to broadcast to a tensor of that rank."""
    return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (rank - 2)], 0))


def _with_end(pieces: tf.RaggedTensor) -> tf.Tensor:
    """Ragged tokens -> string [B, S] with the end mark after each row's last token."""
    ends = tf.fill([pieces.nrows(), 1], END_MARK)
    dense = tf.concat([pieces, tf.RaggedTensor.from_tensor(ends)], 1).to_tensor("")
    return tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)]])


def _mask_maps(maps: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Maps [B, A, N, M] with zeros outside of the real rows [B, N] and columns [B, M]."""
    is_real = tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1)
    return tf.where(tf.expand_dims(is_real, 1), maps, 0.0)


def _map_names(names: list[str], is_valid: tf.Tensor) -> tf.Tensor:
    """Names of maps, string [B, A], empty in rows with an error."""
    rows = tf.constant([names], tf.string, [1, len(names)])
    return tf.where(tf.expand_dims(is_valid, 1), rows, "")
