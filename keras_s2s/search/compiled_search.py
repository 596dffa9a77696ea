"""Beam search of one row as a single operation: the loop compiled by XLA, for a few sizes.

At batch 1 a step is hundreds of small operations, and starting them takes longer than their
arithmetic. A compiled search is one operation. XLA compiles anew for every shape, so a source is
padded to one of a few lengths, the beam has one of a few widths, and the number of steps is a
multiple of the source length. Other requests run in the plain loop, and so do searches that are not
finished after that number of steps.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.search.backtrace import Hypotheses
from keras_s2s.search.loop import search, search_fixed_shapes
from keras_s2s.search.options import ConstraintOptions, Options, has_constraints

__all__ = ["CompiledSearch"]

STEPS_PER_POSITION = 2  # steps for each position of a source


class CompiledSearch:
    """A function like `search` that compiles batches of one row where it can.

    Args:
        widths: beam sizes to compile for; a row takes the smallest that is large enough.
        sizes: source lengths to compile for, likewise.
        most: most steps that a target can need.

    Example:

    >>> from keras_s2s.search import CompiledSearch
    >>> compiled = CompiledSearch(widths={1, 4}, sizes=[16, 32], most=65)
    >>> compiled.widths, compiled.sizes
    ([1, 4], [16, 32])
    """

    def __init__(self, widths: Iterable[int], sizes: Iterable[int], most: int) -> None:
        self.widths, self.sizes, self.most = sorted({*widths}), sorted({*sizes}), most
        self._compiled = None

    def __call__(
        self,
        begin: Callable,
        step: Callable,
        source: dict[str, tf.Tensor],
        options: Options,
        constraint_options: ConstraintOptions | None = None,
        *,
        special: SpecialIds = SpecialIds(),
        alignment: bool = True,
    ) -> Hypotheses:
        """Searches; arguments and result as for `search`."""
        if self._compiled is None:  # one for all signatures: XLA identifies functions by name
            self._compiled = _compile(begin, step, special)
        mask = source["mask"]
        fits = tf.equal(tf.shape(mask)[0], 1) & (tf.shape(mask)[1] <= self.sizes[-1])
        fits &= tf.reduce_all(options.beam_size <= self.widths[-1])
        if constraint_options is not None:
            fits &= ~has_constraints(constraint_options)

        def run_plain_loop():
            hypotheses = search(
                begin,
                step,
                source,
                options,
                constraint_options,
                special=special,
                alignment=alignment,
            )
            return _tensors(hypotheses)

        is_final, *tensors = tf.cond(
            fits, lambda: self._run(source, options, alignment), lambda: _empty(alignment)
        )
        tensors = tf.cond(is_final, lambda: tensors, run_plain_loop)
        return Hypotheses(*tensors, *([] if alignment else [None]))

    def _run(self, source, options, alignment):
        """Whether the row's result is final, and the tensors of its `Hypotheses`."""
        length = tf.shape(source["mask"])[1]
        size = _smallest_fit(self.sizes, length)
        width = _smallest_fit(self.widths, tf.reduce_max(options.beam_size))
        padded = {name: _pad(x, size - length) for name, x in source.items()}
        row = [tf.ensure_shape(x, [1]) for x in options]
        max_steps = tf.minimum(STEPS_PER_POSITION * size, self.most)
        shape_carrier = tf.zeros([width, max_steps], tf.int32)  # only its shape is used
        is_final, hypotheses = self._compiled(padded, row, shape_carrier)
        return is_final, *_trim(hypotheses, options, length, alignment)


def _compile(begin, step, special):
    @tf.function(jit_compile=True, autograph=False)
    def compiled(source, options, shape_carrier):
        width, max_steps = tf.unstack(tf.shape(shape_carrier))
        return search_fixed_shapes(
            begin, step, source, Options(*options), width, max_steps, special=special
        )

    return compiled


def _smallest_fit(values, minimum):
    """The smallest of some values that is at least `minimum`."""
    values = tf.constant(values)
    return tf.reduce_min(tf.where(values >= minimum, values, values[-1]))


def _pad(x, count):
    """A row [1, S, ...] with `count` more positions."""
    x = tf.ensure_shape(x, [1, *x.shape[1:]])
    padded = tf.pad(x, [[0, 0], [0, count], *[[0, 0]] * (x.shape.rank - 2)])
    return tf.ensure_shape(padded, [1, None, *x.shape[2:]])


def _trim(hypotheses, options, length, alignment):
    """The tensors of `Hypotheses` without unused slots, tokens and source positions."""
    count = tf.reduce_max(options.num_hypotheses)
    longest = tf.reduce_max(hypotheses.lengths)
    trimmed = hypotheses._replace(
        ids=hypotheses.ids[:, :, :longest],
        token_log_probs=hypotheses.token_log_probs[:, :, : longest + 1],
        alignment=hypotheses.alignment[:, :, :longest, :length] if alignment else None,
    )
    return [x[:, :count] for x in _tensors(trimmed)]


def _empty(alignment):
    """The result of `CompiledSearch._run` for a search that does not fit."""
    lengths, scores = tf.zeros([1, 0], tf.int32), tf.zeros([1, 0])
    hypotheses = Hypotheses(
        ids=tf.zeros([1, 0, 0], tf.int32),
        lengths=lengths,
        score=scores,
        log_prob=scores,
        token_log_probs=tf.zeros([1, 0, 0]),
        finished=tf.zeros([1, 0], tf.bool),
        alignment=tf.zeros([1, 0, 0, 0]) if alignment else None,
    )
    return tf.constant(False), *_tensors(hypotheses)


def _tensors(hypotheses):
    return [x for x in hypotheses if x is not None]
