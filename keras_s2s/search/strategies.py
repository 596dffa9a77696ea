"""Search strategies: the interface, and beam search.

A strategy turns the logits of a step into candidates. `start` returns the slots that are live at
first and the carry, what the strategy stores for each hypothesis (a dict, leaves [B, K, ...]);
`select` returns a `StepResult` for the logits of a step; `update_carry` returns the carry of the
candidates that survive. The loop reorders the decoder's state itself.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_s2s.heads import log_normalizer
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.search.beam_state import Beam, Limits
from keras_s2s.search.options import Candidates
from keras_s2s.search.top_k import (
    beam_candidates,
    block_size,
    special_token_bias,
    top_k,
    top_k_by_blocks,
)

__all__ = ["BeamSearch", "SearchStrategy", "StepResult", "normalize_logits"]


class StepResult(NamedTuple):
    """The candidates of a step and what the search needs to advance with them.

    Attributes:
        candidates: `Candidates`, M of them.
        log_probs: float32 [B, M], summed log-probabilities under the model itself.
        bonus: float32 [B, M], added to the score of a hypothesis that ends, or None.
        finished: bool [B, M], False where a limit forces the end.
        candidate_values: dict of tensors [B, M, ...], parts of the new carry by candidate.
        slot_values: dict of tensors [B, K, ...], parts of the new carry by parent slot.
    """

    candidates: Candidates
    log_probs: tf.Tensor
    bonus: tf.Tensor | None
    finished: tf.Tensor
    candidate_values: dict[str, tf.Tensor]
    slot_values: dict[str, tf.Tensor]


class SearchStrategy:
    """Base class of search strategies.

    The search drops rows that are done. `row_tensors` returns everything that a strategy stores by
    row, a nest of tensors [B, ...] and None, and `with_row_tensors` the strategy for other rows.

    Args:
        limits: `Limits`.
        special: `SpecialIds`.
        loop_backend: `LoopBackend` of the loop that calls the strategy.
    """

    def __init__(
        self, limits: Limits, special: Any, loop_backend: LoopBackend = TENSORFLOW
    ) -> None:
        self.limits, self.special, self.loop_backend = limits, special, loop_backend

    def row_tensors(self) -> Any:
        """Returns a nest of tensors [B, ...] and None."""
        raise NotImplementedError(f"{type(self).__name__} does not implement row_tensors")

    def with_row_tensors(self, row_tensors: Any) -> "SearchStrategy":
        """Returns the same strategy with other `row_tensors`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement with_row_tensors")

    def start(self) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the slots that are live at first, bool [B, K'], and the first carry."""
        raise NotImplementedError(f"{type(self).__name__} does not implement start")

    def select(
        self,
        beam: Beam,
        logits: tf.Tensor,
        attention: tf.Tensor | None,
        position: tf.Tensor,
        carry: dict[str, tf.Tensor],
    ) -> StepResult:
        """Selects the candidates of a step.

        Args:
            beam: `Beam` before the step.
            logits: float32 [B, K, V'].
            attention: float32 [B, K, S], or None.
            position: int32 scalar.
            carry: from `start` or the previous `update_carry`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement select")

    def update_carry(
        self, carry: dict[str, tf.Tensor], result: StepResult, chosen: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the carry after a step.

        Args:
            carry: the carry before the step.
            result: `StepResult` of the step.
            chosen: int32 [B, K], indices of the candidates that survive.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement update_carry")

    def first_slots(self) -> tf.Tensor:
        """Returns bool [B, K], True at the first slot of each row."""
        return self.limits.own & tf.equal(tf.range(tf.shape(self.limits.own)[1]), 0)

    def length_bounds(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the rows that must not end yet and the rows that must end: bool [B, 1] each."""
        return position < self.limits.shortest, position >= self.limits.longest

    def special_bias(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, 1, V'], NEG_INF for the special ids that must not follow."""
        bounds = self.length_bounds(position)
        return special_token_bias(tf.shape(logits)[2], self.special, *bounds)

    def finished(
        self, logits: tf.Tensor, row_max: tf.Tensor, parents: tf.Tensor, position: tf.Tensor
    ) -> tf.Tensor:
        """Returns bool [B, M]: False where the limit forces an end that the model does not choose.

        Args:
            logits: float32 [B, K, V'].
            row_max: float32 [B, K], the greatest logit of each slot.
            parents: int32 [B, M].
            position: int32 scalar.
        """
        is_likeliest = logits[:, :, self.special.end] >= row_max  # [B, K]
        return tf.gather(is_likeliest, parents, batch_dims=1) | ~self.length_bounds(position)[1]


class BeamSearch(SearchStrategy):
    """Beam search, and greedy search as a beam of one."""

    def row_tensors(self) -> Limits:
        return self.limits

    def with_row_tensors(self, row_tensors: Limits) -> "BeamSearch":
        return BeamSearch(row_tensors, self.special, self.loop_backend)

    def start(self) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self.limits.own[:, :1], {}  # the first step is for one hypothesis of each row

    def select(
        self,
        beam: Beam,
        logits: tf.Tensor,
        attention: tf.Tensor | None,
        position: tf.Tensor,
        carry: dict[str, tf.Tensor],
    ) -> StepResult:
        width, size = tf.shape(self.limits.own)[1], None
        # LiteRT's gather refuses the blocks' shapes, and its top_k is one pass over everything.
        if self.loop_backend.has_tensorflow_kernels:
            size = block_size(logits.shape[2])
        peaks = logits
        if size is not None:
            shape = [-1, tf.shape(logits)[1], logits.shape[2] // size, size]
            peaks = tf.reduce_max(tf.reshape(logits, shape), 3)  # [B, K, N]
        row_max = tf.reduce_max(peaks, 2)
        shift = beam.totals - log_normalizer(logits, row_max, self.loop_backend)  # [B, K]
        if size is None:
            bias = self.special_bias(logits, position)
            continuations = top_k(logits + tf.expand_dims(shift, 2) + bias, width)
        else:
            bounds = self.length_bounds(position)
            continuations = top_k_by_blocks(logits, peaks, shift, self.special, *bounds, width)
        candidates = beam_candidates(
            continuations, tf.expand_dims(self.limits.size, 1), self.special
        )
        finished = self.finished(logits, row_max, candidates.parents, position)
        return StepResult(candidates, candidates.totals, None, finished, {}, {})

    def update_carry(
        self, carry: dict[str, tf.Tensor], result: StepResult, chosen: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {}


def normalize_logits(
    logits: tf.Tensor, loop_backend: LoopBackend = TENSORFLOW
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns log-probabilities [B, K, V'] and the greatest logit of each slot [B, K]."""
    row_max = tf.reduce_max(logits, 2)
    normalizer = log_normalizer(logits, row_max, loop_backend)
    return logits - tf.expand_dims(normalizer, 2), row_max
