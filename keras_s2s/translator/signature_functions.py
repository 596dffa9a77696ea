"""The served signatures as functions of tensors: what Python, every export and every test run."""

import tensorflow as tf

from keras_s2s import search
from keras_s2s.data import make_example, make_source, target_strings
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.tokenizers import UNKNOWN
from keras_s2s.translator import request_options
from keras_s2s.translator.sources import FeatureSource, TextSource
from keras_s2s.translator.word_scores import score_words

__all__ = ["END_MARK", "SignatureFunctions"]

NOTHING = "options: expected a target that all of them allow, found none"
END_MARK = "</s>"  # names the end among tokens; it too can be attended to
SOURCE_MARK = "|||"  # names the end of one of several sources, but for the last


class SignatureFunctions:
    """The signatures of one model with its tokenizers.

    Every function takes the text [B], or features [B, S, F] and length [B], then options by name,
    tensors [B] or [1] for all rows, and gives the dict of
    outputs that `keras_s2s.signatures` describes.

    Args:
        model: a `Seq2Seq` or what can do the same.
        tokenizers: source and target `Tokenizer` or `Frames`.
        caps: see `keras_s2s.signatures.CAPS`.
        dictionary: `tf.lookup.StaticHashTable` of strings, what replaces an unknown token that
            looks at a source token; None where it is that token itself.
        shortlist: `tokenizers.Shortlist` of the target's tokens that a search may give, for a model
            whose `prepare_search` was given them; None is all.
    """

    def __init__(self, model, tokenizers, caps, dictionary=None, shortlist=None):
        self.model, self.tokenizers, self.caps = model, tokenizers, caps
        self.dictionary = dictionary
        # A search counts in the columns of its logits: its tokenizer numbers those.
        self.searched = tokenizers[0], shortlist or tokenizers[1]
        self.search = search.search  # or what gives the same

    def translate(self, *inputs, alignment=True, extras=True, **given):
        """The signature `translate`; without `extras` the options must have them off."""
        source, given = self._read(inputs, given, self.searched)
        lists = request_options.read_lists(given, source)
        options, wishes, error = request_options.search_options(given, lists, source)
        found = self.search(
            self.model.begin,
            self.model.next,
            self._source(source),
            options,
            wishes if extras else None,
            alignment=alignment,
        )
        replace = given.get("replace_unknown") if alignment else None
        return self._found(found, source, error, replace)

    def sample(self, *inputs, **given):
        """The signature `sample`."""
        source, given = self._read(inputs, given, self.searched)
        lists = request_options.read_lists(given, source)
        options, sampling, extras, error = request_options.sampling_options(given, lists, source)
        found = search.sample(
            self.model.begin,
            self.model.next,
            self._source(source),
            options,
            sampling,
            extras,
        )
        return self._found(found, source, error, None)

    def forecast(self, *inputs, **given):
        """The signature `forecast` of a model whose target is vectors."""
        source, given = self._read(inputs, given, self.tokenizers)
        steps, error = request_options.forecast_steps(given, source)
        found = search.forecast(
            self.model.begin, self.model.next, self._source(source), steps, self.tokenizers[1].size
        )
        kept = {name: value for name, value in found._asdict().items() if value is not None}
        return kept | {"lengths": steps, "error": error}

    def score(self, *inputs, **given):
        """The signature `score`."""
        source, pieces, error, (x, y, weights) = self._pair(inputs, given)
        logits = self.model(x, training=False)  # [B, T, V']
        log_probs = tf.gather(tf.nn.log_softmax(logits), y, batch_dims=2)  # [B, T]
        good = (tf.cast(weights, tf.bool)) & tf.expand_dims(tf.equal(error, ""), 1)
        tokens = tf.where(good, _with_end(pieces), "")
        words, sums = score_words(pieces, log_probs, self.tokenizers[1], END_MARK)
        wrong = tf.expand_dims(tf.not_equal(error, ""), 1)
        return {
            "log_prob": tf.where(
                wrong[:, 0], MISSING_SCORE, tf.reduce_sum(tf.where(good, log_probs, 0.0), 1)
            ),
            "tokens": tokens,
            "token_log_probs": tf.where(good, log_probs, MISSING_SCORE),
            "words": tf.where(wrong, "", words),
            "word_log_probs": tf.where(wrong, MISSING_SCORE, sums),
            "error": error,
        }

    def attention(self, *inputs, **given):
        """The signature `attention`."""
        source, pieces, error, (x, _, weights) = self._pair(inputs, given)
        maps = self.model(x, maps="all", training=False)["attention"]
        good = tf.equal(error, "")
        read = x["source"]["mask"] & tf.expand_dims(good, 1)
        written = (tf.cast(weights, tf.bool)) & tf.expand_dims(good, 1)
        names = self.model.attention_names
        outputs = {
            "source_tokens": tf.where(read, self._names(source), ""),
            "tokens": tf.where(written, _with_end(pieces), ""),
            "attention": _within(maps["cross"], written, read),
            "names": _names(names["cross"], good),
            "error": error,
        }
        for kind, key, mask in (("encoder", "encoder", read), ("decoder", "self", written)):
            if key in maps:
                outputs[f"{kind}_attention"] = _within(maps[key], mask, mask)
                outputs[f"{kind}_names"] = _names(names[key], good)
        return outputs

    def _read(self, inputs, given, tokenizers):
        kind = FeatureSource if len(inputs) > 1 else TextSource
        source = kind(*inputs, tokenizers, self.model.supports_copy, self.caps)
        rows = tf.expand_dims(source.batch, 0)
        return source, {name: tf.broadcast_to(value, rows) for name, value in given.items()}

    def _source(self, read):
        source = make_source(read.inputs, *self.searched, copy=self.model.supports_copy)
        if self.model.supports_copy and self.searched != self.tokenizers:
            whole = make_source(read.inputs, *self.tokenizers, copy=True)
            source["copied"] = whole["copy_ids"]
        # An empty batch has no longest row: give it one place, so that every loop has one.
        missing = tf.maximum(1 - tf.shape(source["mask"])[1], 0)
        return {
            name: tf.pad(x, [[0, 0], [0, missing], *[[0, 0]] * (x.shape.rank - 2)])
            for name, x in source.items()
        }

    def _names(self, source):
        """Names of source places, string [B, S]: tokens and their end, or numbers of frames."""
        if isinstance(source, TextSource):
            shown = source.pieces.values
            shown = tf.where(tf.equal(shown, ""), SOURCE_MARK, shown)
            return _with_end(source.pieces.with_values(shown))
        names = source.pieces.to_tensor("")
        return tf.pad(names, [[0, 0], [0, tf.maximum(1 - tf.shape(names)[1], 0)]])

    def _pair(self, inputs, given):
        """A source and its target: `TextSource`, target pieces, errors, and what `fit` takes."""
        source, given = self._read(inputs, given, self.tokenizers)
        pieces, error = request_options.read_target(given, source)
        example = make_example(
            source.inputs, pieces, *self.tokenizers, copy=self.model.supports_copy
        )
        return source, pieces, error, example

    def _found(self, found, source, error, replace):
        missing = found.score <= MISSING_SCORE / 2
        # What is disallowed, or may not repeat, can leave constraints that no target holds.
        none = tf.reduce_all(missing, 1) & tf.equal(error, "")
        error = tf.where(none, NOTHING, error)
        # A row with an error gives no hypothesis, and fails nobody else's.
        blank = missing | tf.expand_dims(tf.not_equal(error, ""), 1)  # [B, K]
        target = self.searched[1]
        tokens = target_strings(found.ids, source.pieces, target)  # [B, K, T]
        tokens = tf.where(_like(blank, 3), "", tokens)
        if replace is not None:
            tokens = self._replaced(tokens, found.alignment, source, replace)
        outputs = {
            "text": target.detokenize(tokens),
            "score": tf.where(blank, MISSING_SCORE, found.score),
            "log_prob": tf.where(blank, MISSING_SCORE, found.log_prob),
            "tokens": tokens,
            "token_log_probs": tf.where(_like(blank, 3), MISSING_SCORE, found.token_log_probs),
            "lengths": tf.where(blank, 0, found.lengths),
            "finished": found.finished & ~blank,
            "source_tokens": self._names(source),
            "error": error,
        }
        if found.alignment is not None:
            outputs["alignment"] = tf.where(_like(blank, 4), 0.0, found.alignment)
        return outputs

    def _replaced(self, tokens, alignment, source, replace):
        """Unknown tokens of the rows [B] that ask for it become what they look at."""
        unknown = tf.equal(tokens, UNKNOWN) & tf.reshape(replace, [-1, 1, 1])

        def replaced():
            rows = tf.pad(source.pieces.to_tensor(""), [[0, 0], [0, 1]])  # [B, S]
            real = tf.reshape(tf.not_equal(rows, ""), [tf.shape(rows)[0], 1, 1, -1])
            weights = tf.where(real, alignment, -1.0)
            seen = tf.gather(rows, tf.argmax(weights, 3, tf.int32), batch_dims=1)  # [B, K, T]
            looks = tf.reduce_max(weights, 3) > 0  # what has no attention looks at nothing
            seen = tf.where(tf.equal(seen, "") | ~looks, UNKNOWN, seen)
            if self.dictionary is not None:
                entry = self.dictionary.lookup(seen)
                seen = tf.where(tf.equal(entry, ""), seen, entry)
            return tf.where(unknown, seen, tokens)

        return tf.cond(tf.reduce_any(unknown), replaced, lambda: tokens)


def _like(mask, rank):
    """[B, K] with further axes of one, to stand beside a tensor of that rank."""
    return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (rank - 2)], 0))


def _with_end(pieces):
    """Ragged pieces -> string [B, S] with the end's mark behind each row's last piece."""
    ends = tf.fill([pieces.nrows(), 1], END_MARK)
    dense = tf.concat([pieces, tf.RaggedTensor.from_tensor(ends)], 1).to_tensor("")
    return tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)]])


def _within(maps, rows, columns):
    """Maps [B, A, N, M] with zeros outside of the real rows [B, N] and columns [B, M]."""
    inside = tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1)
    return tf.where(tf.expand_dims(inside, 1), maps, 0.0)


def _names(names, good):
    """string [B, A], empty in rows that are not good."""
    return tf.where(tf.expand_dims(good, 1), tf.constant([names], tf.string, [1, len(names)]), "")
