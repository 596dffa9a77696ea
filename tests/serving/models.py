"""Small SavedModels with the signatures of an export: strings in, strings out.

They "translate" by upper-casing the words of a text and need no training. The word `version`
becomes the version number of the export.
"""

from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.signatures.fields import (
    ATTENTION,
    MISSING_SCORE,
    SAMPLE,
    SCORE,
    SERVING_DEFAULT,
    TRANSLATE,
    Field,
    Signature,
)

SLOW = Signature(
    "slow",
    inputs=(Field("steps", "int32", ("B",)),),
    outputs=(Field("steps", "int32", ("B",)),),
)
FEW = (SERVING_DEFAULT, TRANSLATE, SLOW)
ALL = (*FEW, SAMPLE, SCORE, ATTENTION)
END = "</s>"


class Shouter(tf.Module):
    """Upper-cases words: hypothesis k of a text lacks the last k words.

    `sample` keeps all words and appends the seed plus k to each. `translate` and `sample`
    implement the options that the client's tests check. `score` and `attention` give the token at
    position t the log-probability -t, and map a the weight a + t + s / 10. A target with the word
    `refuse` is an error of its row. The signature `slow` runs the requested number of steps of
    about 10 us.
    """

    def __init__(self, version=1):
        super().__init__()
        self.penalty = tf.Variable(0.5)  # so that the export has something to restore
        self.names = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["version"], [str(version)]), default_value=""
        )

    def _upper_case(self, text):
        words = tensorflow_text.WhitespaceTokenizer().tokenize(text)
        named = self.names.lookup(words.values)
        return words.with_values(tf.where(named == "", tf.strings.upper(words.values), named))

    def serving_default(self, text):
        joined = tf.strings.reduce_join(self._upper_case(text), 1, separator=" ")
        return {"text": joined, "score": -self.penalty * tf.ones(tf.shape(text))}

    def slow(self, steps):
        max_steps = tf.reduce_max(steps)
        count = tf.while_loop(lambda i: i < max_steps, lambda i: [i + 1], [tf.constant(0)])[0]
        return {"steps": tf.fill(tf.shape(steps), count)}

    def translate(self, text, *values):
        options = _by_name(TRANSLATE, text, values)
        rank = _ranks(options["num_hypotheses"])  # [1, K]
        words = tf.concat([self._upper_case(text), _lines(options["constraints"])], 1)
        words = _without(words, _lines(options["disallowed"]).to_tensor(""))
        log_prob = -tf.cast(rank, tf.float32) - self.penalty + tf.zeros([tf.shape(text)[0], 1])
        targets = _limit(words, rank, options)
        return _outputs(text, targets, rank < options["num_hypotheses"][:, None], log_prob) | {
            "score": tf.where(
                rank < options["num_hypotheses"][:, None],
                log_prob / (1.0 + options["length_penalty"][:, None]),
                MISSING_SCORE,
            ),
            "error": tf.where(
                options["num_hypotheses"] > options["beam_size"],
                "num_hypotheses must be at most beam_size",
                "",
            ),
        }

    def sample(self, text, *values):
        options = _by_name(SAMPLE, text, values)
        rank = _ranks(options["num_samples"])  # [1, K]
        suffixes = tf.strings.as_string(options["seed"][:, None] + rank)
        targets = _limit(self._upper_case(text), rank * 0, options, suffixes)
        log_prob = -self.penalty / options["temperature"][:, None] - tf.cast(rank, tf.float32)
        return _outputs(text, targets, rank < options["num_samples"][:, None], log_prob) | {
            "error": tf.where(options["temperature"] <= 0, "temperature must be above 0", ""),
        }

    def score(self, text, target, target_tokens):
        tokens, error = _target(text, target, target_tokens)
        positions = tf.range(tf.shape(tokens)[1], dtype=tf.float32)[None]
        log_probs = tf.where(tokens == "", MISSING_SCORE, -positions)
        total = tf.reduce_sum(tf.where(tokens == "", 0.0, -positions), 1)
        # one word of all tokens, if there are any, and the end
        without_end = tf.where(tokens == END, "", tokens)
        word = tf.strings.strip(tf.strings.reduce_join(without_end, 1, separator=" "))
        last = tf.reduce_sum(tf.where(tokens == END, -positions, 0.0), 1)
        has_word = word != ""
        return {
            "log_prob": total,
            "tokens": tokens,
            "token_log_probs": log_probs,
            "words": tf.stack([tf.where(has_word, word, END), tf.where(has_word, END, "")], 1),
            "word_log_probs": tf.stack(
                [tf.where(has_word, total - last, last), tf.where(has_word, last, MISSING_SCORE)], 1
            ),
            "error": error,
        }

    def attention(self, text, target, target_tokens):
        tokens, error = _target(text, target, target_tokens)
        source = _source(text)
        target_length, source_length = tf.shape(tokens)[1], tf.shape(source)[1]
        rows = tf.fill([tf.shape(text)[0], 1], "")
        return {
            "source_tokens": source,
            "tokens": tokens,
            "attention": _maps(text, 3, target_length, source_length),
            "names": rows + [["layer 1", "layer 2", ""]],
            "encoder_attention": _maps(text, 1, source_length, source_length),
            "encoder_names": rows + [["encoder 1"]],
            "decoder_attention": _maps(text, 2, target_length, target_length),
            "decoder_names": rows + [["decoder 1", ""]],
            "error": error,
        }


def _by_name(signature, text, values):
    rows = tf.shape(text)[:1]
    return {
        name: tf.broadcast_to(value, rows)
        for name, value in zip(signature.options(), values, strict=True)
    }


def _ranks(counts):
    return tf.range(tf.reduce_max(tf.concat([counts, [1]], 0)))[None]


def _lines(text):
    """Splits strings [B] into lines, ragged [B, None]; an empty string has none."""
    lines = tf.strings.split(text, "\n")
    return tf.ragged.boolean_mask(lines, lines != "")


def _without(words, unwanted):
    dense = words.to_tensor("")
    is_unwanted = tf.reduce_any(dense[:, :, None] == unwanted[:, None], 2) | (dense == "")
    return tf.ragged.boolean_mask(dense, ~is_unwanted)


def _limit(words, rank, options, suffixes=None):
    """The prefix and `words` as tokens [B, K, T], their lengths, and whether none was cut."""
    prefix = tf.concat(
        [_lines(options["prefix_tokens"]), tf.strings.split(options["target_prefix"])], 1
    )
    prefix_length = tf.cast(prefix.row_lengths(), tf.int32)[:, None]
    is_forced = tf.cast(tf.ragged.range(words.row_lengths()), tf.int32) < prefix_length
    rest = tf.ragged.boolean_mask(words, ~is_forced)
    full_length = tf.cast(tf.concat([prefix, rest], 1).row_lengths(), tf.int32)[:, None]
    prefix, rest = (  # [B, T], T > 0
        tf.pad(part.to_tensor(""), [[0, 0], [0, 1]]) for part in (prefix, rest)
    )
    rest = rest[:, None] + tf.zeros_like(rank, tf.string)[:, :, None]  # [B, K, R]
    if suffixes is not None:
        rest = tf.where(rest == "", "", rest + suffixes[:, :, None])
    prefix = tf.broadcast_to(
        prefix[:, None], tf.concat([tf.shape(rest)[:2], tf.shape(prefix)[1:]], 0)
    )
    both = tf.concat([prefix, rest], 2)
    tokens = tf.ragged.boolean_mask(both, both != "").to_tensor("")
    missing = tf.shape(rank)[1] - tf.shape(tokens)[1]  # of an empty batch
    tokens = tf.pad(tokens, [[0, 0], [0, missing], [0, 1]])
    limit = options["max_length"][:, None]
    new = options["max_new_tokens"][:, None]
    limit = tf.where(new > 0, tf.minimum(limit, prefix_length + new), limit)
    lengths = tf.maximum(full_length - rank, 0)
    cut_lengths = tf.minimum(lengths, limit)
    tokens = tf.where(tf.range(tf.shape(tokens)[2]) < cut_lengths[:, :, None], tokens, "")
    return tokens, cut_lengths, lengths <= limit


def _outputs(text, targets, is_hypothesis, log_prob):
    """The outputs that `translate` and `sample` share."""
    tokens, lengths, finished = targets
    source = _source(text)
    steps = tf.range(tf.shape(tokens)[2] + 1)
    is_aligned = tf.range(tf.shape(source)[1])[None] == tf.range(tf.shape(tokens)[2])[:, None]
    return {
        "text": tf.strings.strip(tf.strings.reduce_join(tokens, 2, separator=" ")),
        "score": tf.where(is_hypothesis, log_prob, MISSING_SCORE),
        "log_prob": tf.where(is_hypothesis, log_prob, MISSING_SCORE),
        "tokens": tokens,
        "token_log_probs": tf.where(
            steps <= lengths[:, :, None], -tf.cast(steps, tf.float32), MISSING_SCORE
        ),
        "lengths": lengths,
        "finished": finished,
        "source_tokens": source,
        "alignment": tf.cast(is_aligned, tf.float32) * tf.ones_like(log_prob)[:, :, None, None],
    }


def _source(text):
    return _with_end(tensorflow_text.WhitespaceTokenizer().tokenize(text))


def _target(text, target, target_tokens):
    """The tokens [B, T] of the text or of the list, with the end token; and errors [B]."""
    target, lines = (tf.broadcast_to(x, tf.shape(text)) for x in (target, target_tokens))
    words = tensorflow_text.WhitespaceTokenizer().tokenize(target)
    tokens = _with_end(tf.concat([words, _lines(lines)], 1))
    is_refused = tf.reduce_any(tokens == "refuse", 1)
    return tokens, tf.where(is_refused, "target: refused", "")


def _with_end(tokens):
    ends = tf.fill([tokens.nrows(), 1], END)
    return tf.concat([tokens, ends], 1).to_tensor("")


def _maps(text, count, height, width):
    rows = tf.range(count)[:, None, None] + tf.range(height)[:, None]
    maps = tf.cast(rows, tf.float32) + tf.range(width, dtype=tf.float32) / 10.0
    return maps + tf.zeros([tf.shape(text)[0], 1, 1, 1])


def export(directory: Path, version: int = 1, signatures=FEW) -> Path:
    """Writes `directory/version` and renames it into place as the exporter does; returns it."""
    model = Shouter(version)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for signature in signatures:
        archive.add_endpoint(
            signature.name,
            tf.function(getattr(model, signature.name), autograph=False),
            input_signature=[
                tf.TensorSpec([None], field.dtype, name=field.name) for field in signature.inputs
            ],
        )
    unfinished = directory / f".tmp-{version}"
    archive.write_out(str(unfinished), verbose=False)
    _add_defaults(unfinished / "saved_model.pb", signatures)
    return unfinished.rename(directory / str(version))


def _add_defaults(path, signatures):
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for signature in signatures:
        signature_def = saved_model.meta_graphs[0].signature_def[signature.name]
        for name, field in signature.options().items():
            default = tf.make_tensor_proto([field.default], field.dtype)
            signature_def.defaults[name].CopyFrom(default)
    path.write_bytes(saved_model.SerializeToString())
