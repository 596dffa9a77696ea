"""Beam search of one row as a single operation: the loop compiled by XLA, for a few sizes.

At batch 1 a step is hundreds of small operations, and starting them takes longer than their
arithmetic. Compiled, a whole search is one. XLA compiles anew for every shape, so a source is
padded to one of a few sizes, the beam has one of a few widths, and a target has room for a multiple
of the source. What does not fit takes the plain loop, and so does what has no end when its room is
full.
"""

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.search.backtrace import Hypotheses
from keras_s2s.search.loop import search, search_fixed_shapes
from keras_s2s.search.options import Options, has_constraints

__all__ = ["CompiledSearch"]

ROOM = 2  # steps for each place of a source


class CompiledSearch:
    """A function as `search`, of which a batch of one row is compiled where it can be.

    Args:
        widths: beam sizes to compile for; a row takes the next that is no smaller.
        sizes: lengths to pad sources to.
        most: steps that no target needs more of.
    """

    def __init__(self, widths, sizes, most):
        self.widths, self.sizes, self.most = sorted({*widths}), sorted({*sizes}), most
        self._compiled = None

    def __call__(
        self, begin, step, source, options, extras=None, *, special=SpecialIds(), alignment=True
    ):
        if self._compiled is None:  # one for all signatures: XLA knows functions by their names
            self._compiled = _compile(begin, step, special)
        mask = source["mask"]
        fits = tf.equal(tf.shape(mask)[0], 1) & (tf.shape(mask)[1] <= self.sizes[-1])
        fits &= tf.reduce_all(options.beam_size <= self.widths[-1])
        if extras is not None:
            fits &= ~has_constraints(extras)

        def plainly():
            found = search(
                begin, step, source, options, extras, special=special, alignment=alignment
            )
            return _tensors(found)

        settled, *found = tf.cond(
            fits, lambda: self._run(source, options, alignment), lambda: _nothing(mask, alignment)
        )
        found = tf.cond(settled, lambda: found, plainly)
        return Hypotheses(*found, *([] if alignment else [None]))

    def _run(self, source, options, alignment):
        """Whether the row's result is settled, and the tensors of its `Hypotheses`."""
        length = tf.shape(source["mask"])[1]
        size = _next_of(self.sizes, length)
        width = _next_of(self.widths, tf.reduce_max(options.beam_size))
        padded = {name: _padded(x, size - length) for name, x in source.items()}
        row = [tf.ensure_shape(x, [1]) for x in options]
        room = tf.minimum(ROOM * size, self.most)
        form = tf.zeros([width, room], tf.int32)  # only its shape is looked at
        settled, found = self._compiled(padded, row, form)
        return settled, *_cut(found, options, length, alignment)


def _compile(begin, step, special):
    @tf.function(jit_compile=True, autograph=False)
    def compiled(source, options, form):
        width, most = tf.unstack(tf.shape(form))
        return search_fixed_shapes(
            begin, step, source, Options(*options), width, most, special=special
        )

    return compiled


def _next_of(values, wanted):
    """The smallest of some values that is not below `wanted`."""
    values = tf.constant(values)
    return tf.reduce_min(tf.where(values >= wanted, values, values[-1]))


def _padded(x, more):
    """A row [1, S, ...] with so many more places."""
    x = tf.ensure_shape(x, [1, *x.shape[1:]])
    padded = tf.pad(x, [[0, 0], [0, more], *[[0, 0]] * (x.shape.rank - 2)])
    return tf.ensure_shape(padded, [1, None, *x.shape[2:]])


def _cut(found, options, length, alignment):
    """The tensors of `Hypotheses` without the slots, positions and places that hold nothing."""
    wanted = tf.reduce_max(options.num_hypotheses)
    longest = tf.reduce_max(found.lengths)
    cut = found._replace(
        ids=found.ids[:, :, :longest],
        token_log_probs=found.token_log_probs[:, :, : longest + 1],
        alignment=found.alignment[:, :, :longest, :length] if alignment else None,
    )
    return [x[:, :wanted] for x in _tensors(cut)]


def _nothing(mask, alignment):
    """What a search that does not fit gives in place of `CompiledSearch._run`."""
    whole, real = tf.zeros([1, 0], tf.int32), tf.zeros([1, 0])
    found = Hypotheses(
        ids=tf.zeros([1, 0, 0], tf.int32),
        lengths=whole,
        score=real,
        log_prob=real,
        token_log_probs=tf.zeros([1, 0, 0]),
        finished=tf.zeros([1, 0], tf.bool),
        alignment=tf.zeros([1, 0, 0, 0]) if alignment else None,
    )
    return tf.constant(False), *_tensors(found)


def _tensors(found):
    return [x for x in found if x is not None]
