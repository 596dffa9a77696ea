"""The signatures of a LiteRT file: the model and its search as functions of tensors of ids.

Every function is traced for LiteRT's loop backend and checks what it receives: an interpreter
checks neither ids nor lengths before it reads memory by them.

`translate_ids` is a whole search. `encode`, `step`, `advance` and `trace` are the same search for a
host that runs the loop itself: it encodes, then steps, advances and gathers the state of the
parents until all rows are done, and traces. A search with constraints begins with
`initial_constrained_state` and calls `advance_constrained` instead of `advance`.

No interpreter in Python returns a tensor without elements: axes that grow with the position begin
with one unused column, and targets have at least one column.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

import tensorflow as tf

from keras_s2s import search
from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.signature_specs import (
    BEAM,
    CARRY,
    CONSTRAINT_OPTIONS,
    INT,
    OPTIONS,
    REAL,
    TARGETS,
    TRACE,
    output_specs,
    tensor_specs,
    trace_concrete,
)
from keras_s2s.layers.loop_backend import LITERT
from keras_s2s.models.search_weights import SearchWeights
from keras_s2s.search import backtrace, beam_state, loop
from keras_s2s.search.beam_state import ENDED_COLUMNS
from keras_s2s.search.strategies import SearchStrategy

__all__ = ["LiteRTSignatures", "as_outputs", "copy_output"]

SPECIAL = SpecialIds()


class LiteRTSignatures:
    """The signatures of one model.

    Args:
        model: a `Seq2Seq` or an `Ensemble`, in float32.
        caps: the largest values of the options `beam_size` and `max_length`.
        search_weights: `SearchWeights` of the model, or None.
    """

    def __init__(
        self, model: Any, caps: dict[str, int], search_weights: SearchWeights | None = None
    ) -> None:
        self.model, self.caps = model, caps
        self._begin = functools.partial(model.begin, loop_backend=LITERT)
        self._next = functools.partial(
            model.next, search_weights=search_weights, loop_backend=LITERT
        )
        names = ["ids", "copy_ids"] if model.supports_copy else ["ids"]
        self.source = tensor_specs(dict.fromkeys(names, (INT, "BS")) | {"lengths": (INT, "B")})

    def concrete(self, names: Collection[str] | None = None) -> dict[str, Callable]:
        """Returns the concrete function of each signature by name.

        Args:
            names: names of signatures that need no other signature; None for all signatures.
        """
        options = tensor_specs(OPTIONS)
        num_hypotheses = {"num_hypotheses": options["num_hypotheses"]}
        functions = {
            "translate_ids": (self.translate_ids, self.source | options),
            "score": (self.score, self.source | tensor_specs(TARGETS)),
            "trace": (self.trace, tensor_specs(TRACE) | num_hypotheses),
        }
        concrete = {
            name: trace_concrete(*function)
            for name, function in functions.items()
            if names is None or name in names
        }
        return concrete | (self._step_signatures(options) if names is None else {})

    def _step_signatures(self, options):
        """The concrete functions whose inputs are outputs of others."""
        encode_inputs = self.source | {"beam_size": options["beam_size"]}
        concrete = {"encode": trace_concrete(self.encode, encode_inputs)}
        nests = {
            name: spec
            for name, spec in output_specs(concrete["encode"]).items()
            if name.startswith(("context_", "state_"))
        }
        beam, position = tensor_specs(BEAM), tensor_specs({"position": (INT, "1")})
        concrete["step"] = trace_concrete(
            self.step, {"beam_ids": beam["beam_ids"]} | position | nests
        )
        outputs = output_specs(concrete["step"])
        scores = {name: outputs[name] for name in ("logits", "alignment")} | options
        constrained = (
            scores | tensor_specs(CONSTRAINT_OPTIONS) | {"lengths": self.source["lengths"]}
        )
        concrete["advance"] = trace_concrete(self.advance, beam | position | scores)
        concrete["initial_constrained_state"] = trace_concrete(
            self.initial_constrained_state, constrained
        )
        inputs = beam | position | constrained | tensor_specs(CARRY)
        concrete["advance_constrained"] = trace_concrete(self.advance_constrained, inputs)
        return concrete

    def translate_ids(
        self,
        ids: tf.Tensor,
        lengths: tf.Tensor,
        copy_ids: tf.Tensor | None = None,
        **options: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Source ids [B, S] -> the K best targets of each row, named as in `search.Hypotheses`."""
        source = self._source(ids, lengths, copy_ids)
        hypotheses = search.search(
            self._begin, self._next, source, self._options(options), loop_backend=LITERT
        )
        return as_outputs(hypotheses)

    def score(
        self,
        ids: tf.Tensor,
        lengths: tf.Tensor,
        targets: tf.Tensor,
        target_lengths: tf.Tensor,
        copy_ids: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Target ids [B, T] without an end -> log-probabilities [B, T + 1], the end's the last."""
        source = self._source(ids, lengths, copy_ids)
        targets = _replace_invalid(targets, self._num_columns(source))
        position = tf.expand_dims(tf.range(tf.shape(targets)[1] + 1), 0)
        length = tf.expand_dims(target_lengths, 1)
        labels = tf.pad(targets, [[0, 0], [0, 1]])  # [B, T + 1]
        labels = tf.where(tf.equal(position, length), SPECIAL.end, labels)
        inputs = tf.pad(targets, [[0, 0], [1, 0]], constant_values=SPECIAL.start)
        logits = self.model(
            {"source": source, "target": inputs}, training=False, loop_backend=LITERT
        )
        log_probs = tf.gather(tf.nn.log_softmax(logits), labels, batch_dims=2)
        is_real = position <= length
        return {
            "log_prob": tf.reduce_sum(tf.where(is_real, log_probs, 0.0), 1),
            "token_log_probs": tf.where(is_real, log_probs, search.NEG_INF),
        }

    def encode(
        self,
        ids: tf.Tensor,
        lengths: tf.Tensor,
        beam_size: tf.Tensor,
        copy_ids: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Source ids [B, S] -> context, state and beam before the first step."""
        source = self._source(ids, lengths, copy_ids)
        beam_size = tf.clip_by_value(beam_size, 1, self.caps["beam_size"])
        width = tf.reduce_max(tf.concat([beam_size, [1]], 0))
        context, state = self._begin(source, width)
        self._nests = context, state
        self._growing_axes = {
            name: list(x.shape).index(0)
            for name, x in _flatten("state", state).items()
            if 0 in x.shape
        }
        own = tf.expand_dims(tf.range(width), 0) < tf.expand_dims(beam_size, 1)
        is_alive = own & tf.equal(tf.range(width), 0)
        beam = beam_state.initial_beam(is_alive, SPECIAL.start, width)
        return _flatten("context", context) | self._state_outputs(state) | _beam_outputs(beam)

    def step(
        self, beam_ids: tf.Tensor, position: tf.Tensor, **nests: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """One step -> logits [B, K, V'], alignment [B, K, S] and the new state."""
        for name, axis in self._growing_axes.items():
            nests[name] = _drop_first_column(nests[name], axis)
        context, state = (
            _pack(nest, nests, name) for name, nest in zip(("context", "state"), self._nests)
        )
        logits, state, alignment = self._next(
            beam_ids, position[0], context, state, maps="alignment", normalize=False
        )
        return {"logits": logits, "alignment": alignment} | self._state_outputs(state)

    def _state_outputs(self, state):
        leaves = _flatten("state", state)
        return leaves | {
            name: _add_first_column(leaves[name], axis) for name, axis in self._growing_axes.items()
        }

    def advance(
        self, logits: tf.Tensor, alignment: tf.Tensor, position: tf.Tensor, **inputs: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The beam after a step, its `step_record` [B, K, 4], and `parents` [B, K]."""
        options = self._options(_select(inputs, OPTIONS))
        limits = beam_state.limits(options, tf.shape(logits)[1])
        strategy = search.BeamSearch(limits, SPECIAL, LITERT)
        return _advance(strategy, inputs, logits, alignment, position, {})

    def initial_constrained_state(
        self, logits: tf.Tensor, alignment: tf.Tensor, lengths: tf.Tensor, **inputs: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The carry of a constrained search before its first `advance_constrained`."""
        strategy = self._constrained_strategy(logits, alignment, lengths, inputs)
        return _carry_outputs(strategy.start()[1])

    def advance_constrained(
        self,
        logits: tf.Tensor,
        alignment: tf.Tensor,
        position: tf.Tensor,
        lengths: tf.Tensor,
        **inputs: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """As `advance`, with `search.ConstraintOptions` and the new carry of the search."""
        strategy = self._constrained_strategy(logits, alignment, lengths, inputs)
        carry = _select(inputs, CARRY)
        carry["history"] = _drop_first_column(carry["history"], 2)
        outputs = _advance(strategy, inputs, logits, alignment, position, carry)
        return _carry_outputs(outputs)

    def trace(
        self,
        beam_ended: tf.Tensor,
        step_records: tf.Tensor,
        attention_history: tf.Tensor,
        num_hypotheses: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The result of a search from the `step_record` and `alignment` of its N steps."""
        width = tf.shape(beam_ended)[1]
        beam_ended = _clip_ended(beam_ended, tf.shape(step_records)[0], width)
        step_records = _clip_parents(step_records, width)
        num_hypotheses = tf.clip_by_value(num_hypotheses, 0, width)
        zeros = tf.zeros(tf.shape(num_hypotheses))
        unused = tf.cast(zeros, INT)
        options = search.Options(unused, num_hypotheses, zeros, zeros, unused, unused)
        hypotheses = backtrace.trace(beam_ended, step_records, attention_history, options, LITERT)
        return as_outputs(hypotheses)

    def _constrained_strategy(self, logits, alignment, lengths, inputs):
        options = self._options(_select(inputs, OPTIONS))
        limits = beam_state.limits(options, tf.shape(logits)[1])
        constraint_options = search.ConstraintOptions(**_select(inputs, CONSTRAINT_OPTIONS))
        positions = tf.expand_dims(tf.range(tf.shape(alignment)[2]), 0)
        mask = positions < tf.expand_dims(lengths, 1)
        return search.ConstrainedBeamSearch(
            limits, SPECIAL, options, constraint_options, mask, LITERT
        )

    def _source(self, ids, lengths, copy_ids):
        """The model's source dict; an invalid id becomes `unknown`."""
        missing = [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]]
        ids = tf.pad(ids, missing)
        mask = tf.expand_dims(tf.range(tf.shape(ids)[1]), 0) < tf.expand_dims(lengths, 1)
        source = {"ids": _replace_invalid(ids, self.model.source.vocabulary_size), "mask": mask}
        if copy_ids is not None:
            copy_ids = tf.pad(copy_ids, missing)
            source["copy_ids"] = _replace_invalid(copy_ids, self._num_columns(source))
        return source

    def _num_columns(self, source):
        """Number of ids that a target may contain."""
        copies = tf.shape(source["mask"])[1] if self.model.supports_copy else 0
        return self.model.vocabulary_size + copies

    def _options(self, inputs):
        beam = tf.clip_by_value(inputs["beam_size"], 1, self.caps["beam_size"])
        clipped = {
            "beam_size": beam,
            "num_hypotheses": tf.clip_by_value(inputs["num_hypotheses"], 1, beam),
            "max_length": tf.clip_by_value(inputs["max_length"], 0, self.caps["max_length"]),
        }
        return search.Options(**(inputs | clipped))


def _flatten(name, nest):
    """The tensors of a nest, named `<name>_<number>`."""
    leaves = [x for x in tf.nest.flatten(nest) if x is not None]
    return {f"{name}_{number}": leaf for number, leaf in enumerate(leaves)}


def _pack(nest, leaves, name):
    """A nest with the structure of `nest` from leaves that `_flatten` named."""
    count = iter(range(len(leaves)))
    flat = [None if x is None else leaves[f"{name}_{next(count)}"] for x in tf.nest.flatten(nest)]
    return tf.nest.pack_sequence_as(nest, flat)


def _select(inputs, table):
    return {name: inputs[name] for name in table}


def _beam_outputs(beam):
    return {f"beam_{name}": value for name, value in beam._asdict().items()}


def _advance(
    strategy: SearchStrategy, inputs, logits, alignment, position, carry
) -> dict[str, tf.Tensor]:
    beam = beam_state.Beam(*(inputs[name] for name in BEAM))
    beam, record, carry = loop.advance_step(strategy, beam, logits, alignment, position[0], carry)
    step = {"step_record": record, "parents": tf.cast(record[:, :, 1], INT)}
    return _beam_outputs(beam) | step | carry


def _add_first_column(x, axis):
    """A tensor with one more column, of zeros, before its first."""
    return tf.pad(x, [[int(i == axis), 0] for i in range(x.shape.rank)])


def _drop_first_column(x, axis):
    return x[(*[slice(None)] * axis, slice(1, None))]


def _carry_outputs(outputs):
    return outputs | {"history": _add_first_column(outputs["history"], 2)}


def as_outputs(hypotheses: search.Hypotheses) -> dict[str, tf.Tensor]:
    """Returns `Hypotheses` as a dict of outputs, with at least one column of tokens."""
    missing = tf.maximum(1 - tf.shape(hypotheses.ids)[2], 0)
    padding = [[0, 0], [0, 0], [0, missing]]
    padded = {"ids": tf.pad(hypotheses.ids, padding)}
    if hypotheses.alignment is not None:
        padded["alignment"] = tf.pad(hypotheses.alignment, [*padding, [0, 0]])
    outputs = hypotheses._asdict() | padded
    return {name: copy_output(x) for name, x in outputs.items() if x is not None}


def copy_output(x: tf.Tensor) -> tf.Tensor:
    """Returns the same tensor from an operation that writes into the buffer of the host.

    In a compiled model, operations whose size depends on values write into memory of their own.
    """
    if x.dtype.is_bool:
        return x
    lowest = -float("inf") if x.dtype.is_floating else x.dtype.min  # in float16 too
    return tf.maximum(x, tf.constant(lowest, x.dtype))


def _replace_invalid(ids, size):
    """Replaces ids outside of 0 to `size` - 1 by `unknown`."""
    return tf.where((ids >= 0) & (ids < size), ids, SPECIAL.unknown)


def _clip_ended(ended, num_steps, width):
    """Clips the lengths of ended hypotheses to the steps there are, and their parents to slots."""
    score, log_prob, length, parent, finished = tf.unstack(ended, num=ENDED_COLUMNS, axis=2)
    length, parent = (
        tf.where(x > 0, tf.minimum(x, tf.cast(size - 1, REAL)), 0.0)  # 0 for NaN too
        for x, size in ((length, num_steps), (parent, width))
    )
    return tf.stack([score, log_prob, length, parent, finished], 2)


def _clip_parents(step_records, width):
    """Clips the parents of step records to slots of the beam."""
    tokens, parents, totals, sums = tf.unstack(step_records, num=4, axis=3)
    parents = tf.clip_by_value(parents, 0.0, tf.cast(width - 1, REAL))
    return tf.stack([tokens, parents, totals, sums], 3)
