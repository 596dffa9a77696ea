"""Writes a LiteRT file for hosts of fixed shapes, such as LiteRT.js: RUN FILE [COLUMNS].

Its signature `translate_fixed` takes `ids` int32 [1, COLUMNS], with the end token 3 and padded with
0, and returns `found` int32 [1, T], `lengths` [1] and `score` [1] for the default options of the
run, whose `max_length` is T. Longer sources must be truncated to COLUMNS (default: 64). The file is
not verified as exports are: compare some results with `keras-s2s translate`.
"""

import sys
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import SpecialIds, UserError
from keras_s2s.export.litert import converter
from keras_s2s.export.litert.default_search import DefaultSearch, has_plain_search
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.translator import Translator, load_run


def convert(translator: Translator, columns: int) -> bytes:
    """Converts a `Translator` to a file for sources of `columns` ids, the end token included."""
    if not has_plain_search(translator):
        raise UserError("RUN: expected ids alone and options of a plain search, got others")
    max_length = translator.defaults()["max_length"]
    search = DefaultSearch(LiteRTSignatures(translator.model, translator.caps), translator)

    def translate_fixed(ids):
        positions = tf.where(tf.equal(ids[0], SpecialIds().pad), 0, tf.range(1, columns + 1))
        length = tf.reduce_max(positions)
        width = tf.maximum(length, 1)
        # Sizes that are not constant, the batch size too: loops may grow tensors in the file.
        rows = tf.minimum(width, 1)
        source = tf.reshape(ids[0, :width], tf.stack([rows, width]))
        hypotheses = search(source, tf.fill([rows], length))
        best = hypotheses["ids"][:, 0]  # [1, T]
        missing = max_length - tf.shape(best)[1]
        return {
            "found": tf.reshape(tf.pad(best, [[0, 0], [0, missing]]), [1, max_length]),
            "lengths": tf.reshape(hypotheses["lengths"][:, 0], [1]),
            "score": tf.reshape(hypotheses["score"][:, 0], [1]),
        }

    ids = tf.TensorSpec([1, columns], tf.int32, "ids")
    graph = tf.function(translate_fixed, autograph=False).get_concrete_function(ids=ids)
    content = converter.convert({"translate_fixed": graph}, translator.variables())
    converter.check_operations(content)
    return content


def main(run: str, path: str, columns: str = "64") -> None:
    """Writes the file of a run's best checkpoint."""
    if not columns.isdecimal() or int(columns) < 1:
        raise UserError(f"COLUMNS: expected a positive integer, got {columns}")
    Path(path).write_bytes(convert(load_run(run, prepare=False), int(columns)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
