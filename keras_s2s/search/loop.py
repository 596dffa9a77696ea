"""The search loop over positions, the same for every strategy and loop backend."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend, XLALoopBackend
from keras_s2s.search import beam_state
from keras_s2s.search.backtrace import Hypotheses, trace
from keras_s2s.search.beam_state import Beam
from keras_s2s.search.constrained_beam_search import ConstrainedBeamSearch
from keras_s2s.search.options import (
    ConstraintOptions,
    Options,
    SamplingOptions,
    has_constraints,
    no_constraints,
)
from keras_s2s.search.sampling_strategy import Sampling
from keras_s2s.search.strategies import BeamSearch, SearchStrategy

__all__ = ["advance_step", "sample", "search", "search_fixed_shapes"]

MIN_ROWS = 8  # batches smaller than this keep rows that are done
GROWTH = 16  # steps that tensors without TensorArrays grow by


def search(
    begin: Callable,
    step: Callable,
    source: dict[str, tf.Tensor],
    options: Options,
    constraint_options: ConstraintOptions | None = None,
    *,
    special: SpecialIds = SpecialIds(),
    alignment: bool = True,
    loop_backend: LoopBackend = TENSORFLOW,
) -> Hypotheses:
    """Searches for the best targets of a model by beam search.

    A row's result never depends on other rows: K, the width of the batch, is the largest beam size
    in it, and a row uses only the first of its K slots. Where no row of a batch has a constraint
    the plain loop runs, which computes nothing for constraints.

    Args:
        begin: `Seq2Seq.begin`: (source, K, max_length) -> (context, state).
        step: `Seq2Seq.next`: (ids, position, context, state, maps, normalize) -> (logits, state,
            alignment).
        source: the model's source dict, with `mask` bool [B, S].
        options: `Options` of [B] tensors.
        constraint_options: `ConstraintOptions`, or None when no row ever has a constraint.
        special: `SpecialIds`.
        alignment: whether to trace the attention of every token; the coverage penalty needs it.
        loop_backend: `LoopBackend` with dynamic shapes, the same that `begin` and `step` use.

    Returns:
        `Hypotheses`, with K the largest `num_hypotheses` of the batch.
    """
    limits = beam_state.limits(options, _width(options))
    source_mask = source["mask"] if alignment else None

    def run(strategy):
        return _search(strategy, begin, step, source, options, special, alignment, loop_backend)

    beam_search = BeamSearch(limits, special, loop_backend)
    if constraint_options is None:
        return run(beam_search)
    return tf.cond(
        has_constraints(constraint_options),
        lambda: run(
            ConstrainedBeamSearch(
                limits, special, options, constraint_options, source_mask, loop_backend
            )
        ),
        lambda: run(beam_search),
    )


def sample(
    begin: Callable,
    step: Callable,
    source: dict[str, tf.Tensor],
    options: Options,
    sampling_options: SamplingOptions,
    constraint_options: ConstraintOptions | None = None,
    *,
    special: SpecialIds = SpecialIds(),
    alignment: bool = True,
    loop_backend: LoopBackend = TENSORFLOW,
) -> Hypotheses:
    """Draws targets from a model at random; other arguments and result as for `search`.

    Args:
        options: `Options`; `beam_size` and `num_hypotheses` are the number of samples.
        sampling_options: `SamplingOptions`.
        constraint_options: `ConstraintOptions`, of which those that adjust log-probabilities count.
    """
    if constraint_options is None:
        constraint_options = no_constraints(tf.shape(source["mask"])[0])
    limits = beam_state.limits(options, _width(options))
    strategy = Sampling(limits, special, constraint_options, sampling_options, loop_backend)
    return _search(strategy, begin, step, source, options, special, alignment, loop_backend)


def search_fixed_shapes(
    begin: Callable,
    step: Callable,
    source: dict[str, tf.Tensor],
    options: Options,
    width: Any,
    max_steps: Any,
    *,
    special: SpecialIds = SpecialIds(),
) -> tuple[tf.Tensor, Hypotheses]:
    """Beam search for XLA, whose shapes depend on no value.

    Args:
        begin, step, source, options: as for `search`.
        width: K, at least the largest beam size; int or scalar, as `max_steps`.
        max_steps: number of steps that fit.
        special: `SpecialIds`.

    Returns:
        bool scalar, whether the results of all rows are final, and `Hypotheses` with K = `width`
        and T = `max_steps` - 1.
    """
    loop_backend = XLALoopBackend(max_steps)
    strategy = BeamSearch(beam_state.limits(options, width), special, loop_backend)
    done, ended, history = _run(strategy, begin, step, source, special, True, loop_backend)
    return tf.reduce_all(done), trace(ended, *history, options, loop_backend)


def _width(options):
    """The largest beam size of a batch, which may have no row."""
    return tf.maximum(tf.reduce_max(tf.concat([options.beam_size, [1]], 0)), 1)


def _search(strategy, begin, step, source, options, special, alignment, loop_backend):
    _, ended, history = _run(strategy, begin, step, source, special, alignment, loop_backend)
    records, attention = history if alignment else (*history, None)
    return trace(ended, records, attention, options, loop_backend)


def _run(strategy, begin, step, source, special, alignment, loop_backend):
    """Runs a strategy from the first step to the last.

    Returns:
        bool [B], the rows that are done, the ended hypotheses [B, K, 5], and the history: the
        records [t, B, K, 4] of all steps and, with alignment, their attention [t, B, K, S].
    """
    is_alive, carry = strategy.start()
    if not loop_backend.has_dynamic_shapes:  # the first step has the shapes of all others
        is_alive = strategy.first_slots()
    length = loop_backend.initial_cache_length
    context, state = begin(source, tf.shape(is_alive)[1], length)
    width, batch = tf.shape(strategy.limits.own)[1], tf.shape(is_alive)[0]
    beam = beam_state.initial_beam(is_alive, special.start, width)
    shapes = [[batch, width, 4]]
    shapes += [[batch, width, tf.shape(source["mask"])[1]]] if alignment else []
    history = [loop_backend.new_elements(shape) for shape in shapes]
    variables = (tf.constant(0), beam, history, carry, state)
    one_step = functools.partial(_one_step, step, alignment)
    if loop_backend.has_tensor_arrays and loop_backend.has_dynamic_shapes:
        run = _run_in_phases(one_step, strategy, context, variables, loop_backend)
    else:
        one_step = functools.partial(one_step, strategy, context)
        steps = _run_growing if loop_backend.max_steps is None else _run_steps
        _, beam, history, _, _ = steps(one_step, variables, loop_backend)
        run = beam.done, beam.ended, history
    done, ended, history = run
    return done, ended, [loop_backend.stack(elements) for elements in history]


def _run_in_phases(one_step, strategy, context, variables, loop_backend):
    """Runs phases of steps, and drops the rows that are done after each phase.

    Rows that are done cost as much as others, so a phase ends when half of its rows are done.
    """
    position, beam, history, carry, state = variables
    batch = tf.shape(beam.ids)[0]
    nests = (carry, state, context, strategy.row_tensors())

    def phase(position, rows, beam, history, ended, *leaves):
        carry, state, context, row_tensors = _pack(nests, leaves)
        phase_step = functools.partial(one_step, strategy.with_row_tensors(row_tensors), context)
        max_left = tf.where(tf.shape(rows)[0] >= MIN_ROWS, tf.shape(rows)[0] // 2, 0)
        position, beam, history, carry, state = _run_steps(
            phase_step,
            (position, beam, history, carry, state),
            loop_backend,
            max_left,
            functools.partial(_scatter_rows, rows, batch),
        )
        ended = tf.tensor_scatter_nd_update(ended, tf.expand_dims(rows, 1), beam.ended)
        not_done = tf.reshape(tf.where(~beam.done), [-1])
        rows, beam, *leaves = tf.nest.map_structure(
            lambda x: tf.gather(x, not_done),
            (rows, beam, *map(_leaves, (carry, state, context, row_tensors))),
        )
        return position, rows, beam, history, ended, *leaves

    first = (position, tf.range(batch), beam, history, beam.ended, *map(_leaves, nests))
    _, _, beam, history, ended, *_ = _while_loop(
        lambda position, rows, *_: tf.equal(position, 0) | (tf.shape(rows)[0] > 0), phase, first
    )
    return beam.done, ended, history


def _run_growing(one_step, variables, loop_backend):
    """Runs steps over tensors that grow by `GROWTH` columns at once.

    LiteRT plans the body of a loop anew after a step that changed a shape, which takes as long as
    the step.
    """
    axes = [list(x.shape).index(0) if 0 in x.shape else None for x in tf.nest.flatten(variables)]

    def body(*variables):
        leaves = [
            x if axis is None else loop_backend.grow(x, axis, GROWTH)
            for x, axis in zip(tf.nest.flatten(variables), axes, strict=True)
        ]
        variables = tf.nest.pack_sequence_as(variables, leaves)
        return _run_steps(one_step, variables, loop_backend, max_steps=GROWTH)

    def condition(position, beam, *_):
        return tf.equal(position, 0) | tf.reduce_any(~beam.done)

    return _while_loop(condition, body, variables)


def _run_steps(
    one_step, variables, loop_backend, max_left=0, write_rows=lambda x: x, max_steps=None
):
    """Runs steps until at most `max_left` rows are not done.

    Args:
        one_step: function (position, beam, carry, state) -> (beam, records, carry, state).
        variables: position, beam, history, carry and state.
        loop_backend: `LoopBackend` of the history.
        max_left: int or int32 scalar.
        write_rows: function of a record that makes it one of the whole batch.
        max_steps: most steps; that of the backend when None.
    """

    def condition(position, beam, *_):
        count = tf.reduce_sum(tf.cast(~beam.done, tf.int32))
        return tf.equal(position, 0) | (count > max_left)

    def body(position, beam, history, carry, state):
        beam, records, carry, state = one_step(position, beam, carry, state)
        history = [
            loop_backend.write(elements, position, write_rows(record))
            for elements, record in zip(history, records, strict=True)
        ]
        return position + 1, beam, history, carry, state

    max_steps = loop_backend.max_steps if max_steps is None else max_steps
    return _while_loop(condition, body, variables, max_steps)


def _one_step(step, alignment, strategy, context, position, beam, carry, state):
    """One step: the new beam, the records of the step, the new carry and the new state."""
    maps = "alignment" if alignment else "none"
    logits, new_state, attention = step(
        beam.ids, position, context, state, maps=maps, normalize=False
    )
    beam, record, carry = advance_step(strategy, beam, logits, attention, position, carry)
    parents = tf.cast(record[:, :, 1], tf.int32)  # [B, K]
    new_state = tf.nest.map_structure(
        lambda new, old: tf.cast(tf.gather(new, parents, axis=1, batch_dims=1), old.dtype),
        new_state,
        state,
    )
    records = [record]
    if alignment:
        # The first step may have a single slot, and the records of all steps are stacked.
        shape = tf.concat([tf.shape(record)[:2], tf.shape(attention)[2:]], 0)
        records.append(tf.broadcast_to(attention, shape))
    return beam, records, carry, new_state


def advance_step(
    strategy: SearchStrategy,
    beam: Beam,
    logits: tf.Tensor,
    attention: tf.Tensor | None,
    position: tf.Tensor,
    carry: dict[str, tf.Tensor],
) -> tuple[Beam, tf.Tensor, dict[str, tf.Tensor]]:
    """Advances a search by the logits of a step.

    Args:
        strategy: `SearchStrategy`.
        beam: `Beam` before the step.
        logits: float32 [B, K, V'].
        attention: float32 [B, K, S], or None.
        position: int32 scalar.
        carry: the strategy's carry before the step.

    Returns:
        The new `Beam`, the record float32 [B, K, 4] of the surviving hypotheses, see
        `beam_state.advance`, and the new carry.
    """
    result = strategy.select(beam, logits, attention, position, carry)
    beam, chosen, record = beam_state.advance(
        beam,
        result.candidates,
        result.log_probs,
        result.bonus,
        result.finished,
        position,
        strategy.limits,
    )
    return beam, record, strategy.update_carry(carry, result, chosen)


def _while_loop(condition, body, variables, max_steps=None):
    return tf.while_loop(
        condition,
        body,
        variables,
        shape_invariants=_loop_shapes(variables),
        parallel_iterations=1,
        maximum_iterations=max_steps,
    )


def _leaves(nest):
    """The tensors of a nest, which may also contain None."""
    return [x for x in tf.nest.flatten(nest) if x is not None]


def _pack(nests, leaves):
    """Nests with the structure of `nests` and other tensors."""
    packed = []
    for nest, tensors in zip(nests, map(iter, leaves)):
        flat = [None if x is None else next(tensors) for x in tf.nest.flatten(nest)]
        packed.append(tf.nest.pack_sequence_as(nest, flat))
    return packed


def _scatter_rows(rows, batch, x):
    """Writes a tensor [R, ...] of some rows into zeros [B, ...] of the whole batch."""
    shape = tf.concat([[batch], tf.shape(x)[1:]], 0)
    return tf.scatter_nd(tf.expand_dims(rows, 1), x, shape)


def _loop_shapes(variables):
    """Shapes of the loop's variables: batch, beam and axes that are empty at first may change."""

    def shape(x):
        if isinstance(x, tf.TensorArray):
            return None
        if x.shape.rank == 4 and x.shape[0] == 0:  # a growing history
            return tf.TensorShape([None, None, None, x.shape[3]])
        known = [None if size == 0 else size for size in x.shape[2:]]
        return tf.TensorShape([None] * min(x.shape.rank, 2) + known)

    return tf.nest.map_structure(shape, variables)
