"""Tiny SavedModels in the shape of ours: strings in, strings out, tokenized in the graph.

They "translate" by upper-casing the words of a text, need no training, and count versions: the
word `version` becomes the number that the export was made with.
"""

from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.signatures import MISSING_SCORE, SERVING_DEFAULT, TRANSLATE, Field, Signature

SLOW = Signature(
    "slow",
    inputs=(Field("steps", "int32", ("B",)),),
    outputs=(Field("steps", "int32", ("B",)),),
)


class Shouter(tf.Module):
    """Hypothesis k of a text is its words in capitals, the last k of them left out.

    A second signature, `slow`, takes as many steps of about 10 us as it is told to.
    """

    def __init__(self, version=1):
        super().__init__()
        self.penalty = tf.Variable(0.5)  # so that the export has something to restore
        self.names = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["version"], [str(version)]), default_value=""
        )

    def _words(self, text):
        words = tensorflow_text.WhitespaceTokenizer().tokenize(text).to_tensor("")
        named = self.names.lookup(words)
        words = tf.where(named == "", tf.strings.upper(words), named)
        return tf.concat([words, tf.fill([tf.shape(text)[0], 1], "")], 1)  # [B, T], T >= 1

    def serving_default(self, text):
        joined = tf.strings.reduce_join(self._words(text), 1, separator=" ")
        score = -self.penalty * tf.ones(tf.shape(text))
        return {"text": tf.strings.strip(joined), "score": score}

    def slow(self, steps):
        most = tf.reduce_max(steps)
        count = tf.while_loop(lambda i: i < most, lambda i: [i + 1], [tf.constant(0)])[0]
        return {"steps": tf.fill(tf.shape(steps), count)}

    def translate(self, text, beam_size, num_hypotheses, length_penalty, max_length):
        rows = tf.shape(text)[0]
        options = (beam_size, num_hypotheses, length_penalty, max_length)
        beam_size, num_hypotheses, length_penalty, max_length = (
            tf.broadcast_to(option, [rows]) for option in options
        )
        rank = tf.range(tf.reduce_max(tf.concat([num_hypotheses, [1]], 0)))[None]  # [1, K]
        words = tensorflow_text.WhitespaceTokenizer().tokenize(text)
        tokens = self._words(text)
        lengths = tf.maximum(tf.cast(words.row_lengths(), tf.int32)[:, None] - rank, 0)
        kept = tf.minimum(lengths, max_length[:, None])
        tokens = tf.where(
            tf.range(tf.shape(tokens)[1])[None, None] < kept[:, :, None], tokens[:, None], ""
        )  # [B, K, T]
        source = tf.concat([words, tf.fill([rows, 1], "</s>")], 1).to_tensor("")
        real = rank < num_hypotheses[:, None]
        log_prob = -tf.cast(rank, tf.float32) - self.penalty + tf.zeros([rows, 1])
        score = log_prob / (1.0 + length_penalty[:, None])
        where = tf.range(tf.shape(source)[1])[None] == tf.range(tf.shape(tokens)[2])[:, None]
        ones = tf.ones([rows, tf.shape(rank)[1], 1, 1])
        return {
            "text": tf.strings.strip(tf.strings.reduce_join(tokens, 2, separator=" ")),
            "score": tf.where(real, score, MISSING_SCORE),
            "log_prob": tf.where(real, log_prob, MISSING_SCORE),
            "tokens": tokens,
            "lengths": kept,
            "finished": lengths <= max_length[:, None],
            "source_tokens": source,
            "alignment": tf.cast(where, tf.float32) * ones,
            "error": tf.where(
                num_hypotheses > beam_size, "num_hypotheses must be at most beam_size", ""
            ),
        }


def export(directory: Path, version: int = 1) -> Path:
    """Writes `directory/version`, published by rename as our exporter does; returns it."""
    model = Shouter(version)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for signature in (SERVING_DEFAULT, TRANSLATE, SLOW):
        archive.add_endpoint(
            signature.name,
            tf.function(getattr(model, signature.name), autograph=False),
            input_signature=[
                tf.TensorSpec([None], one.dtype, name=one.name) for one in signature.inputs
            ],
        )
    unfinished = directory / f".tmp-{version}"
    archive.write_out(str(unfinished), verbose=False)
    _add_defaults(unfinished / "saved_model.pb")
    return unfinished.rename(directory / str(version))


def _add_defaults(path):
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signature = saved_model.meta_graphs[0].signature_def[TRANSLATE.name]
    for one in TRANSLATE.inputs:
        if one.default is not None:
            default = tf.make_tensor_proto([one.default], one.dtype)
            signature.defaults[one.name].CopyFrom(default)
    path.write_bytes(saved_model.SerializeToString())
