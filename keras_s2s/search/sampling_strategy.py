"""The sampling strategy: targets drawn at random."""

from typing import Any

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.search import logits_processors, sampling
from keras_s2s.search.beam_state import Beam, Limits
from keras_s2s.search.options import NEG_INF, Candidates, ConstraintOptions, SamplingOptions
from keras_s2s.search.strategies import SearchStrategy, StepResult, normalize_logits

__all__ = ["Sampling"]


class Sampling(SearchStrategy):
    """Sampling: slots are independent of one another, a draw is a function of seed and position.

    The carry holds, for each hypothesis, its tokens `history` [B, K, t] and the `number` [B, K] of
    the sample.

    Args:
        limits: `Limits`.
        special: `SpecialIds`.
        constraint_options: `ConstraintOptions`, of which those that adjust log-probabilities count.
        sampling_options: `SamplingOptions`.
        loop_backend: `LoopBackend` of the loop that calls the strategy.
    """

    def __init__(
        self,
        limits: Limits,
        special: Any,
        constraint_options: ConstraintOptions,
        sampling_options: SamplingOptions,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> None:
        super().__init__(limits, special, loop_backend)
        self.constraint_options, self.sampling_options = constraint_options, sampling_options

    def row_tensors(self) -> tuple:
        return self.limits, self.constraint_options, self.sampling_options

    def with_row_tensors(self, row_tensors: tuple) -> "Sampling":
        limits, *others = row_tensors
        return Sampling(limits, self.special, *others, self.loop_backend)

    def start(self) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        shape = tf.shape(self.limits.own)
        number = tf.broadcast_to(tf.range(shape[1]), shape)
        history = tf.zeros(tf.concat([shape, [0]], 0), tf.int32)
        return self.limits.own, {"number": number, "history": history}

    def select(
        self,
        beam: Beam,
        logits: tf.Tensor,
        attention: tf.Tensor | None,
        position: tf.Tensor,
        carry: dict[str, tf.Tensor],
    ) -> StepResult:
        """Draws one candidate for each slot; arguments as for `SearchStrategy.select`."""
        log_probs, row_max = normalize_logits(logits, self.loop_backend)
        bias = self.special_bias(logits, position)
        adjusted = logits_processors.adjust(
            log_probs, carry["history"], position, self.constraint_options
        )
        truncated = sampling.truncate(tf.maximum(adjusted + bias, NEG_INF), self.sampling_options)
        shape = tf.shape(beam.ids)
        uniform = sampling.uniform(self.sampling_options.seed, position, shape[1])  # [B, K]
        uniform = tf.gather(uniform, carry["number"], batch_dims=1)
        tokens = sampling.draw(truncated, uniform)
        slots = tf.broadcast_to(tf.range(shape[1]), shape)
        totals = beam.totals + tf.gather(log_probs, tokens, batch_dims=2)
        is_alive, is_end = beam.totals > NEG_INF / 2, tf.equal(tokens, self.special.end)
        priority = tf.where(is_alive & ~is_end, -tf.cast(slots, tf.float32), NEG_INF)
        candidates = Candidates(totals, tokens, slots, is_alive & is_end, priority)
        finished = self.finished(logits, row_max, slots, position)
        return StepResult(candidates, totals, None, finished, {}, {})

    def update_carry(
        self, carry: dict[str, tf.Tensor], result: StepResult, chosen: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        tokens = tf.expand_dims(result.candidates.tokens, 2)
        history = tf.concat([carry["history"], tokens], 2)  # [B, K, t + 1]
        updated = {"number": carry["number"], "history": history}
        return {name: tf.gather(x, chosen, batch_dims=1) for name, x in updated.items()}
