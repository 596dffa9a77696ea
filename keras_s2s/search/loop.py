"""The loop over positions: every search is this one, with another way to go on."""

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.search import beams
from keras_s2s.search.options import Options, in_use, no_extras
from keras_s2s.search.tracing import trace
from keras_s2s.search.ways import Draws, Plain, Wishes

__all__ = ["sample", "search"]


def search(begin, step, source, options, extras=None, *, special=SpecialIds(), alignment=True,
           most=None):  # fmt: skip
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
    limits = beams.limits(options, width)

    def run(way):
        return _run(way, begin, step, source, options, special, alignment, most)

    if extras is None:
        return run(Plain(limits, special))
    return tf.cond(
        in_use(extras),
        lambda: run(Wishes(limits, special, options, extras)),
        lambda: run(Plain(limits, special)),
    )


def sample(begin, step, source, options, sampling, extras=None, *, special=SpecialIds(),
           alignment=True, most=None):  # fmt: skip
    """Draws targets from a model; arguments and result as for `search`.

    Args:
        options: `Options`; `beam_size` and `num_hypotheses` are the number of draws.
        sampling: `Sampling`.
        extras: `Extras`, of which a draw heeds those that adjust log-probabilities.
    """
    width = tf.maximum(tf.reduce_max(tf.concat([options.beam_size, [1]], 0)), 1)
    batch = tf.shape(source["mask"])[0]
    way = Draws(beams.limits(options, width), special, extras or no_extras(batch), sampling)
    return _run(way, begin, step, source, options, special, alignment, most)


def _run(way, begin, step, source, options: Options, special, alignment, most):
    alive, memory = way.start(source, alignment)
    context, state = begin(source, tf.shape(alive)[1], most)
    beam = beams.start(alive, special.start)
    maps = "alignment" if alignment else "none"
    notes = [_array([None, None, 4], most)]
    notes += [_array([None, None, None], most)] if alignment else []
    variables = (tf.constant(0), beam, notes, tf.nest.flatten(memory), tf.nest.flatten(state))

    def going(position, beam, *_):
        return tf.equal(position, 0) | ~tf.reduce_all(beam.done)

    def body(position, beam, notes, kept, leaves):
        here, then = (tf.nest.pack_sequence_as(a, b) for a, b in ((memory, kept), (state, leaves)))
        logits, then, attention = step(
            beam.ids, position, context, then, maps=maps, normalize=False
        )
        look = way.look(beam, logits, attention, position, here)
        beam, chosen, packed = beams.advance(
            beam, look.candidates, look.log_probs, look.bonus, look.finished, position, way.limits
        )
        parents = tf.cast(packed[:, :, 1], tf.int32)  # [B, K]
        notes = [
            note.write(position, x) for note, x in zip(notes, (packed, attention), strict=False)
        ]
        kept = _like(tf.nest.flatten(look.remember(chosen)), kept)
        leaves = _like([_follow(x, parents) for x in tf.nest.flatten(then)], leaves)
        return position + 1, beam, notes, kept, leaves

    variables = tf.while_loop(
        going, body, variables, shape_invariants=_shapes(variables), parallel_iterations=1,
        maximum_iterations=most,
    )  # fmt: skip
    _, beam, notes, *_ = variables
    steps, *looks = [note.stack() for note in notes]
    return trace(beam.ended, steps, looks[0] if looks else None, options)


def _array(shape, most):
    """Where each step notes a tensor; of a fixed size when that is known."""
    size = {"size": 0, "dynamic_size": True} if most is None else {"size": most}
    return tf.TensorArray(tf.float32, **size, element_shape=shape)


def _follow(leaf, parents):
    return tf.gather(leaf, parents, axis=1, batch_dims=1)


def _like(new, old):
    return [tf.cast(n, o.dtype) for n, o in zip(new, old, strict=True)]


def _shapes(variables):
    """Shapes of the loop's variables: batch, beam and whatever starts empty may change."""

    def free(x):
        if isinstance(x, tf.TensorArray):
            return None
        known = [None if size == 0 else size for size in x.shape[2:]]
        return tf.TensorShape([None] * min(x.shape.rank, 2) + known)

    return tf.nest.map_structure(free, variables)
