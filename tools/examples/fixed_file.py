"""LiteRT file of fixed shapes for runtimes such as LiteRT.js: RUN FILE [COLUMNS].

The only signature `translate_fixed` takes `ids` int32 [1, COLUMNS], which end with 3 and are padded
with 0, and returns `found` int32 [1, T], `lengths` [1] and `score` [1] by the run's default
options, of which `max_length` is T. The caller truncates ids to COLUMNS (default 64). Unlike an
export the file is not verified: compare a few results with `keras-s2s translate`.
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
from keras_s2s.translator import Translator, load_run


def convert(translator: Translator, columns: int) -> bytes:
    """Returns the content of a LiteRT file.

    Args:
        translator: the translator.
        columns: number of source ids, the end included.

    Raises:
        UserError: if the model needs more than ids, or the options more than a plain search.
    """
    if not has_plain_search(translator):
        raise UserError("RUN: expected ids alone and options of a plain search, got others")
    max_length = translator.defaults()["max_length"]
    search = ServingGraph(LiteRTSignatures(translator.model, translator.caps), translator)

    def translate_fixed(ids):
        positions = tf.where(tf.equal(ids[0], SpecialIds().pad), 0, tf.range(1, columns + 1))
        length = tf.maximum(tf.reduce_max(positions), 1)
        # Dynamic sizes, of the batch too: the shapes in the file's loops may grow.
        num_rows = tf.minimum(length, 1)
        outputs = search.translate(tf.reshape(ids[0, :length], tf.stack([num_rows, length])))
        padding = max_length - tf.shape(outputs["found"])[1]
        padded = tf.pad(outputs["found"], [[0, 0], [0, padding]])
        return {
            "found": tf.reshape(padded, [1, max_length]),
            "lengths": tf.reshape(outputs["lengths"], [1]),
            "score": tf.reshape(outputs["score"], [1]),
        }

    with loop_backend.growing():
        ids = tf.TensorSpec([1, columns], tf.int32, "ids")
        graph = tf.function(translate_fixed, autograph=False).get_concrete_function(ids=ids)
    content = converter.convert({"translate_fixed": graph}, translator.variables())
    converter.check_operations(content)
    return content


def main(run: str | Path, path: str | Path, columns: str = "64") -> None:
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
