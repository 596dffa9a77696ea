"""Constrained beam search: beam search with options that depend on the tokens of a hypothesis."""

from typing import Any

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.search import constraints, logits_processors
from keras_s2s.search.beam_state import Beam, Limits
from keras_s2s.search.diverse_beam import group_candidates, group_layout
from keras_s2s.search.options import NEG_INF, Candidates, ConstraintOptions, Options
from keras_s2s.search.strategies import SearchStrategy, StepResult, normalize_logits
from keras_s2s.search.top_k import beam_candidates, top_k

__all__ = ["ConstrainedBeamSearch"]


class ConstrainedBeamSearch(SearchStrategy):
    """Beam search with `ConstraintOptions`.

    The carry holds, for each hypothesis, its tokens `history` [B, K, t], its `log_probs` [B, K]
    under the model itself, the constraints that it has `met` [B, K, C], its `group` [B, K], and
    its summed attention `coverage` [B, K, S] where there is a `source_mask`.

    Args:
        limits: `Limits`.
        special: `SpecialIds`.
        options: `Options`.
        constraint_options: `ConstraintOptions`.
        source_mask: bool [B, S], True at a real position; None for a search without attention,
            which has no coverage penalty.
        loop_backend: `LoopBackend` of the loop that calls the strategy.
    """

    def __init__(
        self,
        limits: Limits,
        special: Any,
        options: Options,
        constraint_options: ConstraintOptions,
        source_mask: tf.Tensor | None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> None:
        super().__init__(limits, special, loop_backend)
        self.options, self.constraint_options = options, constraint_options
        self.source_mask = source_mask
        self.is_constrained = tf.reduce_any(constraint_options.constraints > 0, [1, 2])  # [B]
        self.is_grouped = constraint_options.beam_groups > 1  # [B]
        self.is_grouped |= constraint_options.alternatives_at >= 0

    def row_tensors(self) -> tuple:
        return self.limits, self.options, self.constraint_options, self.source_mask

    def with_row_tensors(self, row_tensors: tuple) -> "ConstrainedBeamSearch":
        limits, *others = row_tensors
        return ConstrainedBeamSearch(limits, self.special, *others, self.loop_backend)

    def start(self) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        is_alive = self.first_slots()
        shape, width = tf.shape(is_alive), tf.shape(is_alive)[1]
        sequences = self.constraint_options.constraints
        carry = {
            "history": tf.zeros(tf.concat([shape, [0]], 0), tf.int32),
            "log_probs": tf.where(is_alive, 0.0, NEG_INF),
            "met": constraints.initially_met(shape[0], width, sequences),
            "group": tf.zeros(shape, tf.int32),
        }
        if self.source_mask is not None:
            length = tf.shape(self.source_mask)[1:]
            carry["coverage"] = tf.zeros(tf.concat([shape, length], 0))
        return is_alive, carry

    def select(
        self,
        beam: Beam,
        logits: tf.Tensor,
        attention: tf.Tensor | None,
        position: tf.Tensor,
        carry: dict[str, tf.Tensor],
    ) -> StepResult:
        log_probs, row_max = normalize_logits(logits, self.loop_backend)
        adjusted = logits_processors.adjust(
            log_probs, carry["history"], position, self.constraint_options
        )
        bias = self.special_bias(logits, position)
        totals = tf.expand_dims(beam.totals, 2) + tf.maximum(adjusted + bias, NEG_INF)
        candidates, met, group = self._candidates(totals, position, carry)
        parents, tokens = candidates.parents, candidates.tokens
        sums = tf.gather_nd(log_probs, tf.stack([parents, tokens], 2), batch_dims=1)  # [B, M]
        sums += tf.gather(carry["log_probs"], parents, batch_dims=1)
        slot_values = {}
        if "coverage" in carry:
            slot_values["coverage"] = carry["coverage"] + attention
        return StepResult(
            candidates,
            sums,
            self._coverage_bonus(slot_values.get("coverage"), parents),
            self.finished(logits, row_max, parents, position),
            {"log_probs": sums, "met": met, "group": group},
            slot_values,
        )

    def update_carry(
        self, carry: dict[str, tf.Tensor], result: StepResult, chosen: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        parents = tf.gather(result.candidates.parents, chosen, batch_dims=1)  # [B, K]
        tokens = tf.gather(result.candidates.tokens, chosen, batch_dims=1)
        history = tf.gather(carry["history"], parents, batch_dims=1)
        updated = {"history": tf.concat([history, tf.expand_dims(tokens, 2)], 2)}
        for name, values in result.candidate_values.items():
            updated[name] = tf.gather(values, chosen, batch_dims=1)
        for name, values in result.slot_values.items():
            updated[name] = tf.gather(values, parents, batch_dims=1)
        return updated

    def _candidates(self, totals, position, carry):
        """Candidates [B, M], the constraints that each meets [B, M, C], and the group of each."""
        options, constraint_options, special = self.options, self.constraint_options, self.special

        def unconstrained():
            size = tf.expand_dims(self.limits.size, 1)
            candidates = beam_candidates(top_k(totals), size, special)
            return candidates, tf.gather(carry["met"], candidates.parents, batch_dims=1)

        def constrained():
            return constraints.constrained_candidates(
                totals,
                carry["history"],
                carry["met"],
                position,
                options,
                constraint_options,
                special,
            )

        candidates, met = tf.cond(tf.reduce_any(self.is_constrained), constrained, unconstrained)

        def ungrouped():
            return candidates, met, tf.zeros_like(candidates.tokens)

        def grouped():
            layout = group_layout(options, constraint_options, position)
            penalty = constraint_options.diversity_penalty
            by_group, labels = group_candidates(
                totals, carry["group"], position, layout, penalty, special
            )
            return self._merge(by_group, labels, candidates, met)

        return tf.cond(tf.reduce_any(self.is_grouped), grouped, ungrouped)

    def _merge(self, by_group, labels, candidates, met):
        """Takes `by_group` for grouped rows and `candidates` for others, padded to one width."""
        most = tf.maximum(tf.shape(labels)[1], tf.shape(candidates.tokens)[1])

        def widen(x, fill):
            missing = [[0, 0], [0, most - tf.shape(x)[1]], *[[0, 0]] * (x.shape.rank - 2)]
            return tf.pad(x, missing, constant_values=fill)

        fills = (NEG_INF, 0, 0, False, NEG_INF)
        is_grouped = tf.expand_dims(self.is_grouped, 1)
        merged = [
            tf.where(is_grouped, widen(a, fill), widen(b, fill))
            for a, b, fill in zip(by_group, candidates, fills)
        ]
        labels = tf.where(is_grouped, widen(labels, 0), 0)
        return Candidates(*merged), widen(met, False), labels

    def _coverage_bonus(self, coverage, parents):
        """The coverage penalty of each candidate [B, M]; None without attention."""
        weight = self.constraint_options.coverage_penalty
        if coverage is None:
            return None
        penalty = tf.cond(
            tf.reduce_any(weight != 0.0),
            lambda: logits_processors.coverage(coverage, self.source_mask, weight),
            lambda: tf.zeros(tf.shape(coverage)[:2]),
        )
        return tf.gather(penalty, parents, batch_dims=1)
