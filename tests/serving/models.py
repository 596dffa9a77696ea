"""Tiny SavedModels in the shape of ours: strings in, strings out, tokenized in the graph.

They "translate" by upper-casing the words of a text, need no training, and count versions: the
word `version` becomes the number that the export was made with.
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
    """Hypothesis k of a text is its words in capitals, the last k of them left out.

    `sample` keeps them all and writes the seed plus k behind each; of the options it and
    `translate` obey those that a client's test can tell apart. `score` and `attention` give a
    token at place t the log-probability -t, and map a the weight a + t + s / 10. A target that
    holds the word `refuse` is an error of its row. A further signature, `slow`, takes as many
    steps of about 10 us as it is told to.
    """

    def __init__(self, version=1):
        super().__init__()
        self.penalty = tf.Variable(0.5)  # so that the export has something to restore
        self.names = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["version"], [str(version)]), default_value=""
        )

    def _shouted(self, text):
        words = tensorflow_text.WhitespaceTokenizer().tokenize(text)
        named = self.names.lookup(words.values)
        return words.with_values(tf.where(named == "", tf.strings.upper(words.values), named))

    def serving_default(self, text):
        joined = tf.strings.reduce_join(self._shouted(text), 1, separator=" ")
        return {"text": joined, "score": -self.penalty * tf.ones(tf.shape(text))}

    def slow(self, steps):
        most = tf.reduce_max(steps)
        count = tf.while_loop(lambda i: i < most, lambda i: [i + 1], [tf.constant(0)])[0]
        return {"steps": tf.fill(tf.shape(steps), count)}

    def translate(self, text, *options):
        given = _by_name(TRANSLATE, text, options)
        rank = _ranks(given["num_hypotheses"])  # [1, K]
        words = tf.concat([self._shouted(text), _lines(given["constraints"])], 1)
        words = _without(words, _lines(given["disallowed"]).to_tensor(""))
        log_prob = -tf.cast(rank, tf.float32) - self.penalty + tf.zeros([tf.shape(text)[0], 1])
        found = _limited(words, rank, given)
        return _found(text, found, rank < given["num_hypotheses"][:, None], log_prob) | {
            "score": tf.where(
                rank < given["num_hypotheses"][:, None],
                log_prob / (1.0 + given["length_penalty"][:, None]),
                MISSING_SCORE,
            ),
            "error": tf.where(
                given["num_hypotheses"] > given["beam_size"],
                "num_hypotheses must be at most beam_size",
                "",
            ),
        }

    def sample(self, text, *options):
        given = _by_name(SAMPLE, text, options)
        rank = _ranks(given["num_samples"])  # [1, K]
        draws = tf.strings.as_string(given["seed"][:, None] + rank)
        found = _limited(self._shouted(text), rank * 0, given, draws)
        log_prob = -self.penalty / given["temperature"][:, None] - tf.cast(rank, tf.float32)
        return _found(text, found, rank < given["num_samples"][:, None], log_prob) | {
            "error": tf.where(given["temperature"] <= 0, "temperature must be above 0", ""),
        }

    def score(self, text, target, target_tokens):
        tokens, error = _target(text, target, target_tokens)
        places = tf.range(tf.shape(tokens)[1], dtype=tf.float32)[None]
        log_probs = tf.where(tokens == "", MISSING_SCORE, -places)
        total = tf.reduce_sum(tf.where(tokens == "", 0.0, -places), 1)
        # one word of all tokens, where there are any, and the end
        bare = tf.where(tokens == END, "", tokens)
        word = tf.strings.strip(tf.strings.reduce_join(bare, 1, separator=" "))
        last = tf.reduce_sum(tf.where(tokens == END, -places, 0.0), 1)
        full = word != ""
        return {
            "log_prob": total,
            "tokens": tokens,
            "token_log_probs": log_probs,
            "words": tf.stack([tf.where(full, word, END), tf.where(full, END, "")], 1),
            "word_log_probs": tf.stack(
                [tf.where(full, total - last, last), tf.where(full, last, MISSING_SCORE)], 1
            ),
            "error": error,
        }

    def attention(self, text, target, target_tokens):
        tokens, error = _target(text, target, target_tokens)
        source = _source(text)
        high, wide = tf.shape(tokens)[1], tf.shape(source)[1]
        rows = tf.fill([tf.shape(text)[0], 1], "")
        return {
            "source_tokens": source,
            "tokens": tokens,
            "attention": _maps(text, 3, high, wide),
            "names": rows + [["layer 1", "layer 2", ""]],
            "encoder_attention": _maps(text, 1, wide, wide),
            "encoder_names": rows + [["encoder 1"]],
            "decoder_attention": _maps(text, 2, high, high),
            "decoder_names": rows + [["decoder 1", ""]],
            "error": error,
        }


def _by_name(signature, text, options):
    rows = tf.shape(text)[:1]
    return {
        name: tf.broadcast_to(option, rows)
        for name, option in zip(signature.options(), options, strict=True)
    }


def _ranks(counts):
    return tf.range(tf.reduce_max(tf.concat([counts, [1]], 0)))[None]


def _lines(text):
    """Strings of lines [B] -> ragged [B, None]; none of an empty string."""
    lines = tf.strings.split(text, "\n")
    return tf.ragged.boolean_mask(lines, lines != "")


def _without(words, unwanted):
    dense = words.to_tensor("")
    found = tf.reduce_any(dense[:, :, None] == unwanted[:, None], 2) | (dense == "")
    return tf.ragged.boolean_mask(dense, ~found)


def _limited(words, rank, given, draws=None):
    """Tokens [B, K, T], their lengths and whether no limit cut them: the prefix, then `words`."""
    prefix = tf.concat(
        [_lines(given["prefix_tokens"]), tf.strings.split(given["target_prefix"])], 1
    )
    size = tf.cast(prefix.row_lengths(), tf.int32)[:, None]
    known = tf.cast(tf.ragged.range(words.row_lengths()), tf.int32) < size
    rest = tf.ragged.boolean_mask(words, ~known)
    whole = tf.cast(tf.concat([prefix, rest], 1).row_lengths(), tf.int32)[:, None]
    prefix, rest = (  # with a place at least, [B, T]
        tf.pad(part.to_tensor(""), [[0, 0], [0, 1]]) for part in (prefix, rest)
    )
    rest = rest[:, None] + tf.zeros_like(rank, tf.string)[:, :, None]  # [B, K, R]
    if draws is not None:
        rest = tf.where(rest == "", "", rest + draws[:, :, None])
    prefix = tf.broadcast_to(
        prefix[:, None], tf.concat([tf.shape(rest)[:2], tf.shape(prefix)[1:]], 0)
    )
    both = tf.concat([prefix, rest], 2)
    tokens = tf.ragged.boolean_mask(both, both != "").to_tensor("")
    missing = tf.shape(rank)[1] - tf.shape(tokens)[1]  # of an empty batch
    tokens = tf.pad(tokens, [[0, 0], [0, missing], [0, 1]])
    limit = given["max_length"][:, None]
    new = given["max_new_tokens"][:, None]
    limit = tf.where(new > 0, tf.minimum(limit, size + new), limit)
    lengths = tf.maximum(whole - rank, 0)
    kept = tf.minimum(lengths, limit)
    tokens = tf.where(tf.range(tf.shape(tokens)[2]) < kept[:, :, None], tokens, "")
    return tokens, kept, lengths <= limit


def _found(text, found, real, log_prob):
    """What `translate` and `sample` give alike."""
    tokens, lengths, finished = found
    source = _source(text)
    steps = tf.range(tf.shape(tokens)[2] + 1)
    where = tf.range(tf.shape(source)[1])[None] == tf.range(tf.shape(tokens)[2])[:, None]
    return {
        "text": tf.strings.strip(tf.strings.reduce_join(tokens, 2, separator=" ")),
        "score": tf.where(real, log_prob, MISSING_SCORE),
        "log_prob": tf.where(real, log_prob, MISSING_SCORE),
        "tokens": tokens,
        "token_log_probs": tf.where(
            steps <= lengths[:, :, None], -tf.cast(steps, tf.float32), MISSING_SCORE
        ),
        "lengths": lengths,
        "finished": finished,
        "source_tokens": source,
        "alignment": tf.cast(where, tf.float32) * tf.ones_like(log_prob)[:, :, None, None],
    }


def _source(text):
    return _ended(tensorflow_text.WhitespaceTokenizer().tokenize(text))


def _target(text, target, target_tokens):
    """Tokens and the end [B, T], of the text or, where there are any, the list; and errors."""
    target, lines = (tf.broadcast_to(one, tf.shape(text)) for one in (target, target_tokens))
    words = tensorflow_text.WhitespaceTokenizer().tokenize(target)
    tokens = _ended(tf.concat([words, _lines(lines)], 1))
    refused = tf.reduce_any(tokens == "refuse", 1)
    return tokens, tf.where(refused, "target: refused", "")


def _ended(pieces):
    ends = tf.fill([pieces.nrows(), 1], END)
    return tf.concat([pieces, ends], 1).to_tensor("")


def _maps(text, count, height, width):
    places = tf.range(count)[:, None, None] + tf.range(height)[:, None]
    maps = tf.cast(places, tf.float32) + tf.range(width, dtype=tf.float32) / 10.0
    return maps + tf.zeros([tf.shape(text)[0], 1, 1, 1])


def export(directory: Path, version: int = 1, signatures=FEW) -> Path:
    """Writes `directory/version`, published by rename as our exporter does; returns it."""
    model = Shouter(version)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for signature in signatures:
        archive.add_endpoint(
            signature.name,
            tf.function(getattr(model, signature.name), autograph=False),
            input_signature=[
                tf.TensorSpec([None], one.dtype, name=one.name) for one in signature.inputs
            ],
        )
    unfinished = directory / f".tmp-{version}"
    archive.write_out(str(unfinished), verbose=False)
    _add_defaults(unfinished / "saved_model.pb", signatures)
    return unfinished.rename(directory / str(version))


def _add_defaults(path, signatures):
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for signature in signatures:
        exported = saved_model.meta_graphs[0].signature_def[signature.name]
        for name, field in signature.options().items():
            default = tf.make_tensor_proto([field.default], field.dtype)
            exported.defaults[name].CopyFrom(default)
    path.write_bytes(saved_model.SerializeToString())
