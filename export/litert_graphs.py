"""The signatures of a LiteRT file: the model and its search as functions of tensors of ids.

Every function is traced with tensors that grow in place of arrays, and takes what it is given with
care: an interpreter checks neither ids nor lengths before it reads memory by them.
"""

import tensorflow as tf

from keras_s2s import arrays, search
from keras_s2s.config import SpecialIds

__all__ = ["Graphs"]

SPECIAL = SpecialIds()
OPTIONS = {
    "beam_size": tf.int32,
    "num_hypotheses": tf.int32,
    "length_penalty": tf.float32,
    "length_offset": tf.float32,
    "min_length": tf.int32,
    "max_length": tf.int32,
}


class Graphs:
    """The signatures of one model.

    Args:
        model: a `Seq2Seq` or an `Ensemble`, in float32.
        caps: the most that the options `beam_size` and `max_length` may be.
    """

    def __init__(self, model, caps):
        self.model, self.caps = model, caps

    def concrete(self) -> dict:
        """Each signature's concrete function, by name."""
        functions = {"translate_ids": (self.translate_ids, self._source_specs() | _option_specs())}
        return {name: _trace(*parts) for name, parts in functions.items()}

    def translate_ids(self, ids, lengths, copy_ids=None, **options):
        """Source ids [B, S] -> the K best targets of each row, as `search.Hypotheses` has them."""
        source = self._source(ids, lengths, copy_ids)
        found = search.search(self.model.begin, self.model.next, source, self._options(options))
        return found._asdict()

    def _source_specs(self):
        names = ["ids", "copy_ids"] if self.model.copies else ["ids"]
        specs = {name: tf.TensorSpec([None, None], tf.int32, name) for name in names}
        return specs | {"lengths": tf.TensorSpec([None], tf.int32, "lengths")}

    def _source(self, ids, lengths, copy_ids):
        """The model's source dict; an id that there is not becomes `unknown`."""
        missing = [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]]
        ids = tf.pad(ids, missing)
        width = tf.shape(ids)[1]
        mask = tf.expand_dims(tf.range(width), 0) < tf.expand_dims(lengths, 1)
        made = {"ids": _known(ids, self.model.source.vocabulary_size), "mask": mask}
        if copy_ids is not None:
            copies = tf.pad(copy_ids, missing)
            made["copy_ids"] = _known(copies, self.model.vocabulary_size + width)
        return made

    def _options(self, given):
        beam = tf.clip_by_value(given["beam_size"], 1, self.caps["beam_size"])
        return search.Options(**{
            **given,
            "beam_size": beam,
            "num_hypotheses": tf.clip_by_value(given["num_hypotheses"], 1, beam),
            "max_length": tf.clip_by_value(given["max_length"], 0, self.caps["max_length"]),
        })


def _option_specs():
    return {name: tf.TensorSpec([None], dtype, name) for name, dtype in OPTIONS.items()}


def _known(ids, size):
    return tf.where((ids >= 0) & (ids < size), ids, SPECIAL.unknown)


def _trace(function, specs):
    with arrays.growing():
        return tf.function(function, autograph=False).get_concrete_function(**specs)
