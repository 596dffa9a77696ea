"""Three ways to go on from a step: the plain beam, the beam with special wishes, drawing.

A way has `start`, which gives the slots that are alive at first and what it has to remember of
each hypothesis (a dict, leaves [B, K, ...]), and `look`, which takes the logits of a step and
gives a `StepResult`. The loop reorders what is remembered together with the state of the decoder.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.heads import log_normalizer
from keras_s2s.layers import loop_backend
from keras_s2s.search import constraints, logits_processors, sampling
from keras_s2s.search.diverse_beam import arrange, grouped
from keras_s2s.search.options import NEG_INF, Candidates
from keras_s2s.search.top_k import barred, best_of_all, best_of_blocks, block_size, plain

__all__ = ["BeamSearch", "ConstrainedBeamSearch", "Sampling", "StepResult"]


class StepResult(NamedTuple):
    """What a way sees in a step's logits.

    Attributes:
        candidates: `Candidates`, M of them.
        log_probs: float32 [B, M], summed log-probabilities under the model itself.
        bonus: float32 [B, M], what ending adds to a score, or None.
        finished: bool [B, M], False where a limit forces the end.
        remember: function of the places int32 [B, K] of the candidates chosen: the new dict.
    """

    candidates: Candidates
    log_probs: tf.Tensor
    bonus: tf.Tensor | None
    finished: tf.Tensor
    remember: object


class _Way:
    """What the ways share. Rows that are done are left out: `rows` is all that a way knows of its
    rows once it has started, a nest of tensors [B, ...] and None, and `with_rows` the way for
    others. `fixed`: whether no shape may depend on values."""

    def __init__(self, limits, special, fixed=False):
        self.limits, self.special, self.fixed = limits, special, fixed

    def rows(self):
        raise NotImplementedError(f"{type(self).__name__} has to define rows")

    def with_rows(self, rows):
        raise NotImplementedError(f"{type(self).__name__} has to define with_rows")

    def first_slots(self):
        """bool [B, K], True at the first slot of each row."""
        return self.limits.own & tf.equal(tf.range(tf.shape(self.limits.own)[1]), 0)

    def bounds(self, position):
        """Rows whose end must not come yet, and rows where it must: twice bool [B, 1]."""
        return position < self.limits.shortest, position >= self.limits.longest

    def bars(self, logits, position):
        """float32 [B, 1, V'], LOWEST for the special ids that must not follow."""
        return barred(tf.shape(logits)[2], self.special, *self.bounds(position))

    def finished(self, logits, highest, parents, position):
        """bool [B, M]: False where the limit forced an end that the model would not have chosen."""
        likeliest = logits[:, :, self.special.end] >= highest  # [B, K]
        return tf.gather(likeliest, parents, batch_dims=1) | ~self.bounds(position)[1]


class BeamSearch(_Way):
    """Beam search, and greedy search as a beam of one."""

    def rows(self):
        return self.limits

    def with_rows(self, rows):
        return BeamSearch(rows, self.special, self.fixed)

    def start(self, source, alignment):
        """The slots alive at first, bool [B, 1], and the dict to remember."""
        return self.limits.own[:, :1], {}  # the first step is for one hypothesis of each row

    def look(self, beam, logits, attention, position, memory):
        """A `StepResult` at logits [B, K, V'] and, where there is one, attention [B, K, S]."""
        width = tf.shape(self.limits.own)[1]
        # LiteRT's gather refuses the blocks' shapes, and its top_k is one pass over everything.
        size = None if loop_backend.are_growing() else block_size(logits.shape[2])
        peaks = logits
        if size is not None:
            shape = [-1, tf.shape(logits)[1], logits.shape[2] // size, size]
            peaks = tf.reduce_max(tf.reshape(logits, shape), 3)  # [B, K, N]
        highest = tf.reduce_max(peaks, 2)
        shift = beam.totals - log_normalizer(logits, highest, self.fixed)  # [B, K]
        if size is None:
            bars = self.bars(logits, position)
            found = best_of_all(logits + tf.expand_dims(shift, 2) + bars, width)
        else:
            bounds = self.bounds(position)
            found = best_of_blocks(logits, peaks, shift, self.special, *bounds, width)
        candidates = plain(found, tf.expand_dims(self.limits.size, 1), self.special)
        finished = self.finished(logits, highest, candidates.parents, position)
        return StepResult(candidates, candidates.totals, None, finished, lambda chosen: {})


class ConstrainedBeamSearch(_Way):
    """Beam search with `Extras`: whatever looks at what a hypothesis holds already."""

    def __init__(self, limits, special, options, extras, mask=None):
        super().__init__(limits, special)
        self.options, self.extras, self.mask = options, extras, mask
        self.constrained = tf.reduce_any(extras.constraints > 0, [1, 2])  # [B]
        self.apart = (extras.beam_groups > 1) | (extras.alternatives_at >= 0)

    def rows(self):
        return self.limits, self.options, self.extras, self.mask

    def with_rows(self, rows):
        limits, *others = rows
        return ConstrainedBeamSearch(limits, self.special, *others)

    def start(self, source, alignment):
        """The slots alive at first, bool [B, K], and the dict to remember."""
        alive = self.first_slots()
        shape, width = tf.shape(alive), tf.shape(alive)[1]
        memory = {
            "history": tf.zeros(tf.concat([shape, [0]], 0), tf.int32),
            "log_probs": tf.where(alive, 0.0, NEG_INF),
            "met": constraints.start(shape[0], width, self.extras.constraints),
            "group": tf.zeros(shape, tf.int32),
        }
        if alignment:
            self.mask = source["mask"]
            memory["coverage"] = tf.zeros(tf.concat([shape, tf.shape(self.mask)[1:]], 0))
        return alive, memory

    def look(self, beam, logits, attention, position, memory):
        """A `StepResult` at logits [B, K, V'] and, where there is one, attention [B, K, S]."""
        log_probs, highest = normalized(logits)
        adjusted = logits_processors.adjust(log_probs, memory["history"], position, self.extras)
        bars = self.bars(logits, position)
        totals = tf.expand_dims(beam.totals, 2) + tf.maximum(adjusted + bars, NEG_INF)
        candidates, met, group = self._choose(totals, position, memory)
        parents, tokens = candidates.parents, candidates.tokens
        own = tf.gather_nd(log_probs, tf.stack([parents, tokens], 2), batch_dims=1)  # [B, M]
        own += tf.gather(memory["log_probs"], parents, batch_dims=1)
        covered = memory["coverage"] + attention if "coverage" in memory else None
        finished = self.finished(logits, highest, parents, position)

        def remember(chosen):
            def of(x):
                return tf.gather(x, chosen, batch_dims=1)

            before, token = of(parents), tf.expand_dims(of(tokens), 2)
            history = tf.gather(memory["history"], before, batch_dims=1)
            kept = {
                "history": tf.concat([history, token], 2),
                "log_probs": of(own),
                "met": of(met),
                "group": of(group),
            }
            if covered is not None:
                kept["coverage"] = tf.gather(covered, before, batch_dims=1)
            return kept

        return StepResult(candidates, own, self._bonus(covered, parents), finished, remember)

    def _choose(self, totals, position, memory):
        """Candidates [B, M], the constraints that each meets, and the group of each."""
        options, extras, special = self.options, self.extras, self.special
        met, group = memory["met"], memory["group"]

        def simply():
            found = plain(best_of_all(totals), tf.expand_dims(self.limits.size, 1), special)
            return found, tf.gather(met, found.parents, batch_dims=1)

        def bound():
            return constraints.constrain(
                totals, memory["history"], met, position, options, extras, special
            )

        candidates, met = tf.cond(tf.reduce_any(self.constrained), bound, simply)

        def together():
            return candidates, met, tf.zeros_like(candidates.tokens)

        def separately():
            arranged = arrange(options, extras, position)
            others, labels = grouped(
                totals, group, position, arranged, extras.diversity_penalty, special
            )
            return self._either(others, labels, candidates, met)

        return tf.cond(tf.reduce_any(self.apart), separately, together)

    def _either(self, others, labels, candidates, met):
        """Rows apart take `others`, all others `candidates`; both grow to one number of places."""
        most = tf.maximum(tf.shape(labels)[1], tf.shape(candidates.tokens)[1])

        def widen(x, fill):
            missing = [[0, 0], [0, most - tf.shape(x)[1]], *[[0, 0]] * (x.shape.rank - 2)]
            return tf.pad(x, missing, constant_values=fill)

        fills = (NEG_INF, 0, 0, False, NEG_INF)
        apart = tf.expand_dims(self.apart, 1)
        merged = [
            tf.where(apart, widen(a, f), widen(b, f)) for a, b, f in zip(others, candidates, fills)
        ]
        labels = tf.where(apart, widen(labels, 0), 0)
        return Candidates(*merged), widen(met, False), labels

    def _bonus(self, covered, parents):
        weight = self.extras.coverage_penalty
        if covered is None:
            return None
        value = tf.cond(
            tf.reduce_any(weight != 0.0),
            lambda: logits_processors.coverage(covered, self.mask, weight),
            lambda: tf.zeros(tf.shape(covered)[:2]),
        )
        return tf.gather(value, parents, batch_dims=1)


class Sampling(_Way):
    """Sampling: every slot goes its own way, and a draw is a function of seed and position."""

    def __init__(self, limits, special, extras, sampling):
        super().__init__(limits, special)
        self.extras, self.sampling = extras, sampling

    def rows(self):
        return self.limits, self.extras, self.sampling

    def with_rows(self, rows):
        limits, *others = rows
        return Sampling(limits, self.special, *others)

    def start(self, source, alignment):
        """The slots alive at first, bool [B, K], and the dict to remember."""
        shape = tf.shape(self.limits.own)
        number = tf.broadcast_to(tf.range(shape[1]), shape)  # of the sample in each slot
        history = tf.zeros(tf.concat([shape, [0]], 0), tf.int32)
        return self.limits.own, {"number": number, "history": history}

    def look(self, beam, logits, attention, position, memory):
        """A `StepResult` at logits [B, K, V']; each slot has one candidate."""
        log_probs, highest = normalized(logits)
        bars = self.bars(logits, position)
        adjusted = logits_processors.adjust(log_probs, memory["history"], position, self.extras)
        shares = sampling.truncate(tf.maximum(adjusted + bars, NEG_INF), self.sampling)
        shape = tf.shape(beam.ids)
        chances = sampling.uniform(self.sampling.seed, position, shape[1])  # [B, K]
        chances = tf.gather(chances, memory["number"], batch_dims=1)
        tokens = sampling.draw(shares, chances)
        slots = tf.broadcast_to(tf.range(shape[1]), shape)
        totals = beam.totals + tf.gather(log_probs, tokens, batch_dims=2)
        alive, is_end = beam.totals > NEG_INF / 2, tf.equal(tokens, self.special.end)
        priority = tf.where(alive & ~is_end, -tf.cast(slots, tf.float32), NEG_INF)
        candidates = Candidates(totals, tokens, slots, alive & is_end, priority)

        def remember(chosen):
            history = tf.concat([memory["history"], tf.expand_dims(tokens, 2)], 2)
            kept = {"number": memory["number"], "history": history}
            return {name: tf.gather(x, chosen, batch_dims=1) for name, x in kept.items()}

        finished = self.finished(logits, highest, slots, position)
        return StepResult(candidates, totals, None, finished, remember)


def normalized(logits, fixed=False):
    """Log-probabilities [B, K, V'] of logits, and the greatest logit of each slot [B, K]."""
    highest = tf.reduce_max(logits, 2)
    return logits - tf.expand_dims(log_normalizer(logits, highest, fixed), 2), highest
