"""Writes a LiteRT file for hosts of fixed shapes, such as LiteRT.js: RUN FILE [COLUMNS].

Its one signature `translate_fixed` takes `ids` int32 [1, COLUMNS], the end 3 included and 0 behind
it, and gives `found` int32 [1, T], `lengths` [1] and `score` [1] by the run's default options, of
which `max_length` is T. Ids beyond COLUMNS (64) have to be cut before. It is not proved as exports
are: compare a few answers with `keras-s2s translate`.
"""

import sys
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.errors import UserError
from keras_s2s.export.litert import converter
from keras_s2s.export.litert.default_search import ServingGraph, has_plain_search
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.layers import loop_backend
from keras_s2s.translator import load_run


def fixed(translator, columns) -> bytes:
    """The file of a `Translator` for sources of so many ids, their end included."""
    if not has_plain_search(translator):
        raise UserError("RUN: expected ids alone and options of a plain search, came others")
    found_columns = translator.defaults()["max_length"]
    search = ServingGraph(LiteRTSignatures(translator.model, translator.caps), translator)

    def translate_fixed(ids):
        given = tf.where(tf.equal(ids[0], SpecialIds().pad), 0, tf.range(1, columns + 1))
        size = tf.maximum(tf.reduce_max(given), 1)
        # Sizes that are known only when it runs, one of rows too: loops may grow in the file.
        rows = tf.minimum(size, 1)
        made = search.translate(tf.reshape(ids[0, :size], tf.stack([rows, size])))
        more = found_columns - tf.shape(made["found"])[1]
        return {
            "found": tf.reshape(tf.pad(made["found"], [[0, 0], [0, more]]), [1, found_columns]),
            "lengths": tf.reshape(made["lengths"], [1]),
            "score": tf.reshape(made["score"], [1]),
        }

    with loop_backend.growing():
        ids = tf.TensorSpec([1, columns], tf.int32, "ids")
        graph = tf.function(translate_fixed, autograph=False).get_concrete_function(ids=ids)
    content = converter.convert({"translate_fixed": graph}, translator.variables())
    converter.check_operations(content)
    return content


def main(run, path, columns="64"):
    """Writes the file of a run's best checkpoint."""
    if not columns.isdecimal() or int(columns) < 1:
        raise UserError(f"COLUMNS: expected a positive integer, came {columns}")
    Path(path).write_bytes(fixed(load_run(run, prepare=False), int(columns)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
