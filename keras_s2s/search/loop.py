"""The loop over positions: every search is this one, with another way to go on."""

import functools

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers import loop_backend
from keras_s2s.search import beam_state
from keras_s2s.search.backtrace import trace
from keras_s2s.search.options import Options, has_constraints, no_constraints
from keras_s2s.search.strategies import BeamSearch, ConstrainedBeamSearch, Sampling

__all__ = ["sample", "search", "search_fixed_shapes", "update"]

WORTHWHILE = 8  # rows, below which done ones stay
ROOM = 16  # steps


def search(
    begin, step, source, options, extras=None, *, special=SpecialIds(), alignment=True, most=None
):
    """Beam search over a model.

    A row's result never depends on its neighbours: K, the width of the batch, is the largest
    beam size in it, and a row uses the first of its K slots alone. Where no row of a batch asks
    for `Extras` the plain loop runs, which knows nothing of them.

    Args:
        begin: `Seq2Seq.begin`: (source, K, max_length) -> (context, state).
        step: `Seq2Seq.next`: (ids, position, context, state, maps, normalize) -> (logits, state,
            alignment).
        source: the model's source dict, with `mask` bool [B, S].
        options: `Options` of [B] tensors.
        extras: `Extras`, or None where there never are any.
        alignment: whether to trace the attention of every token; the coverage penalty needs it.
        most: int, the most steps; fixes the size of the state, as XLA wants it.

    Returns:
        `Hypotheses`, with K the largest `num_hypotheses` of the batch.
    """
    width = tf.maximum(tf.reduce_max(tf.concat([options.beam_size, [1]], 0)), 1)
    limits = beam_state.limits(options, width)

    def run(way):
        return _run(way, begin, step, source, options, special, alignment, most)

    if extras is None:
        return run(BeamSearch(limits, special))
    return tf.cond(
        has_constraints(extras),
        lambda: run(ConstrainedBeamSearch(limits, special, options, extras)),
        lambda: run(BeamSearch(limits, special)),
    )


def sample(
    begin,
    step,
    source,
    options,
    sampling,
    extras=None,
    *,
    special=SpecialIds(),
    alignment=True,
    most=None,
):
    """Draws targets from a model; arguments and result as for `search`.

    Args:
        options: `Options`; `beam_size` and `num_hypotheses` are the number of draws.
        sampling: `Sampling`.
        extras: `Extras`, of which a draw heeds those that adjust log-probabilities.
    """
    width = tf.maximum(tf.reduce_max(tf.concat([options.beam_size, [1]], 0)), 1)
    batch = tf.shape(source["mask"])[0]
    way = Sampling(
        beam_state.limits(options, width), special, extras or no_constraints(batch), sampling
    )
    return _run(way, begin, step, source, options, special, alignment, most)


def search_fixed_shapes(begin, step, source, options, width, most, *, special=SpecialIds()):
    """A plain beam search whose shapes depend on no value, as XLA wants it.

    Args:
        begin, step, source, options: as for `search`.
        width: K, at least the largest beam size; int or scalar, as `most`.
        most: steps that there is room for.

    Returns:
        bool scalar, whether all results are settled, and `Hypotheses` of K and T = `most` - 1.
    """
    way = BeamSearch(beam_state.limits(options, width), special, fixed=True)
    done, ended, notes = _follow(way, begin, step, source, special, True, most)
    return tf.reduce_all(done), trace(ended, *notes, options, whole=True)


def _run(way, begin, step, source, options: Options, special, alignment, most):
    _, ended, notes = _follow(way, begin, step, source, special, alignment, most)
    steps, looks = notes if alignment else (*notes, None)
    return trace(ended, steps, looks, options)


def _follow(way, begin, step, source, special, alignment, most):
    """Rows that are done, the ended hypotheses, and what was noted of every step.

    Phases of steps. Rows that are done cost as much as others, so after each phase, when half of
    the rows are, the search drops them and goes on with the rest.
    """
    alive, memory = way.start(source, alignment)
    if most is not None:  # fixes all sizes, those of the first step too
        alive = way.first_slots()
    room = 0 if most is None and loop_backend.are_growing() else most
    context, state = begin(source, tf.shape(alive)[1], room)
    width = tf.shape(way.limits.own)[1]
    beam, batch = beam_state.start(alive, special.start, width), tf.shape(alive)[0]
    notes = [_array([batch, width, 4], most)]
    notes += [_array([batch, width, tf.shape(source["mask"])[1]], most)] if alignment else []
    nests = (memory, state, context, way.rows())

    def phase(position, rows, beam, notes, ended, *flat):
        memory, state, context, of_rows = _packed(nests, flat)
        take = functools.partial(_take, step, way.with_rows(of_rows), context, alignment)
        least = tf.where(tf.shape(rows)[0] >= WORTHWHILE, tf.shape(rows)[0] // 2, 0)
        position, beam, notes, memory, state = _steps(
            take, (position, beam, notes, memory, state), (rows, batch), least
        )
        ended = tf.tensor_scatter_nd_update(ended, tf.expand_dims(rows, 1), beam.ended)
        going = tf.reshape(tf.where(~beam.done), [-1])
        rows, beam, *kept = tf.nest.map_structure(
            lambda x: tf.gather(x, going),
            (rows, beam, *map(_leaves, (memory, state, context, of_rows))),
        )
        return position, rows, beam, notes, ended, *kept

    if most is None and not loop_backend.are_growing():
        first = (tf.constant(0), tf.range(batch), beam, notes, beam.ended, *map(_leaves, nests))
        _, _, beam, notes, ended, *_ = _loop(
            lambda position, rows, *_: tf.equal(position, 0) | (tf.shape(rows)[0] > 0), phase, first
        )
    else:
        take = functools.partial(_take, step, way, context, alignment)
        first = (tf.constant(0), beam, notes, memory, state)
        run = _in_rooms(take, first) if most is None else _steps(take, first, None, 0, most)
        _, beam, notes, _, _ = run
        ended = beam.ended
    return beam.done, ended, [loop_backend.whole(note) for note in notes]


def _loop(going, body, variables, most=None):
    return tf.while_loop(
        going,
        body,
        variables,
        shape_invariants=_shapes(variables),
        parallel_iterations=1,
        maximum_iterations=most,
    )


def _leaves(nest):
    """The tensors of a nest, which may hold None beside them."""
    return [x for x in tf.nest.flatten(nest) if x is not None]


def _packed(nests, flat):
    """Nests as `nests` with other tensors."""
    packed = []
    for nest, leaves in zip(nests, map(iter, flat)):
        whole = [None if x is None else next(leaves) for x in tf.nest.flatten(nest)]
        packed.append(tf.nest.pack_sequence_as(nest, whole))
    return packed


def _steps(take, variables, spread, least, most=None):
    """Steps until no more than `least` rows go on."""

    def going(position, beam, *_):
        count = tf.reduce_sum(tf.cast(~beam.done, tf.int32))
        return tf.equal(position, 0) | (count > least)

    def body(position, beam, notes, memory, state):
        beam, noted, memory, state = take(position, beam, memory, state)
        notes = [
            loop_backend.write(note, position, x if spread is None else _spread(x, *spread))
            for note, x in zip(notes, noted, strict=True)
        ]
        return position + 1, beam, notes, memory, state

    return _loop(going, body, variables, most)


def _in_rooms(take, variables):
    """Steps over tensors that grow by `ROOM` places at once.

    LiteRT plans a loop's body anew after a step that changed a shape, and that takes as long as
    the step.
    """
    axes = [list(x.shape).index(0) if 0 in x.shape else None for x in tf.nest.flatten(variables)]

    def body(*variables):
        leaves = [
            x if axis is None else loop_backend.roomier(x, axis, ROOM)
            for x, axis in zip(tf.nest.flatten(variables), axes, strict=True)
        ]
        return _steps(take, tf.nest.pack_sequence_as(variables, leaves), None, 0, ROOM)

    def going(position, beam, *_):
        return tf.equal(position, 0) | tf.reduce_any(~beam.done)

    return _loop(going, body, variables)


def _take(step, way, context, alignment, position, beam, memory, state):
    """One step: the new beam, what to note of it, and what hypotheses carry on."""
    maps = "alignment" if alignment else "none"
    logits, then, attention = step(beam.ids, position, context, state, maps=maps, normalize=False)
    beam, packed, memory = update(way, beam, logits, attention, position, memory)
    parents = tf.cast(packed[:, :, 1], tf.int32)  # [B, K]
    then = tf.nest.map_structure(
        lambda new, old: tf.cast(tf.gather(new, parents, axis=1, batch_dims=1), old.dtype),
        then,
        state,
    )
    noted = [packed]
    if alignment:
        # Of the first step there may be one slot only; notes of all steps are stacked.
        wide = tf.concat([tf.shape(packed)[:2], tf.shape(attention)[2:]], 0)
        noted.append(tf.broadcast_to(attention, wide))
    return beam, noted, memory, then


def update(way, beam, logits, attention, position, memory):
    """What a search makes of the logits of a step.

    Args:
        way: of `ways`.
        beam: `Beam` before the step.
        logits: float32 [B, K, V'].
        attention: float32 [B, K, S], or None.
        position: int32 scalar.
        memory: what the way remembers, a dict.

    Returns:
        The new `Beam`, float32 [B, K, 4] of those that live on, as `beams.advance` gives it, and
        what the way remembers.
    """
    look = way.look(beam, logits, attention, position, memory)
    beam, chosen, packed = beam_state.advance(
        beam, look.candidates, look.log_probs, look.bonus, look.finished, position, way.limits
    )
    return beam, packed, look.remember(chosen)


def _spread(x, rows, batch):
    """What is noted of some `rows` as rows of the whole batch."""
    shape = tf.concat([[batch], tf.shape(x)[1:]], 0)
    return tf.scatter_nd(tf.expand_dims(rows, 1), x, shape)


def _array(shape, most):
    """Where each step notes a tensor of that shape; of a fixed size when that is known."""
    if loop_backend.are_growing():
        return tf.zeros([0, *shape])
    shape = [size if isinstance(size, int) else None for size in shape]
    size = {"size": 0, "dynamic_size": True} if most is None else {"size": most}
    return tf.TensorArray(tf.float32, **size, element_shape=shape)


def _shapes(variables):
    """Shapes of the loop's variables: batch, beam and whatever starts empty may change."""

    def free(x):
        if isinstance(x, tf.TensorArray):
            return None
        if x.shape.rank == 4 and x.shape[0] == 0:  # notes that grow
            return tf.TensorShape([None, None, None, x.shape[3]])
        known = [None if size == 0 else size for size in x.shape[2:]]
        return tf.TensorShape([None] * min(x.shape.rank, 2) + known)

    return tf.nest.map_structure(free, variables)
